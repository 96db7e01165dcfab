package rest_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/adapters/adaptertest"
	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/internal/fault"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// wrap is a resource as the input of an operation.
func wrap(resource, more string) string {
	return `{"resourceType":"Parameters","parameter":[` + "\n" + `{"name":"resource","resource":` + resource + "}" + more + "]}"
}

// TestValidate shows what is answered to a resource, good or bad: always 200, and nothing is published.
func TestValidate(t *testing.T) {
	good := adaptertest.Request("rx-1")
	bad := strings.NewReplacer(`"active"`, `"`+adaptertest.Canary+`"`, `"intent":"order"`, "\n"+`"colour":1`).Replace(good)
	mixed := adaptertest.Bundle("collection", "b", good, bad)
	var golden strings.Builder
	for _, c := range []struct{ name, path, body, header string }{
		{name: "valid", body: good},
		{name: "valid dispense", path: "MedicationDispense", body: adaptertest.Dispense("d-1", "rx-1")},
		{name: "valid Bundle", path: "Bundle", body: adaptertest.Bundle("transaction", "m", good)},
		{name: "any type", path: "Patient", body: `{"resourceType":"Patient"}`},
		{name: "valid for R4, not for the hub", body: `{"resourceType":"MedicationRequest","status":"active","intent":"order","medicationReference":{"display":"x"},"subject":{"display":"x"}}`},
		{name: "faults", body: bad},
		{name: "faults in a Bundle", path: "Bundle", body: mixed},
		{name: "in Parameters", body: wrap(good, "")},
		{name: "faults in Parameters", body: wrap(bad, "")},
		{name: "Parameters themselves", path: "Parameters", body: `{"resourceType":"Parameters","parameter":[{"name":"mode","valueCode":"create"}]}`},
		{name: "Parameters in Parameters", path: "Parameters", body: wrap(`{"resourceType":"Parameters","colour":1}`, "")},
		{name: "another type", body: `{"resourceType":"Patient","gender":"?"}`},
		{name: "another type in Parameters", path: "Bundle", body: wrap(good, "")},
		{name: "no type", body: `{"status":"active"}`},
		{name: "unknown type", body: `{"resourceType":"Prescription"}`},
		{name: "no JSON", body: good[:100]},
		{name: "empty", body: " "},
		{name: "no object in Parameters", body: wrap(`"`+adaptertest.Canary+`"`, "")},
		{name: "plain JSON", body: good, header: "Content-Type: application/json"},

		{name: "mode", path: "MedicationRequest/$validate?mode=create", body: good},
		{name: "profile", path: "MedicationRequest/$validate?profile=urn:p", body: good},
		{name: "unknown parameter", path: "MedicationRequest/$validate?" + adaptertest.Canary + "=1", body: good},
		{name: "mode in Parameters", body: wrap(good, `,{"name":"mode","valueCode":"create"}`)},
		{name: "two resources", body: wrap(good, `,{"name":"resource","resource":`+good+`}`)},
		{name: "Parameters without a resource", body: `{"resourceType":"Parameters","parameter":[{"name":"Resource","resource":` + good + `}]}`},
		{name: "Parameters with a value", body: `{"resourceType":"Parameters","parameter":[{"name":"resource","valueInteger":1}]}`},
		{name: "Parameters of no form", body: `{"resourceType":"Parameters","parameter":{"name":"resource"}}`},
		{name: "XML", body: "<Patient/>", header: "Content-Type: application/fhir+xml"},
		{name: "gzip", body: good, header: "Content-Encoding: gzip"},
		{name: "too large", body: good + strings.Repeat(" ", 1<<20)},
		{name: "a type that R4 has not", path: "Prescription", body: `{"resourceType":"Prescription"}`},
		{name: "a data type", path: "Signature", body: good},
		{name: "an instance", path: "MedicationRequest/1/$validate", body: good},
	} {
		w := world(t)
		if c.path == "" {
			c.path = "MedicationRequest"
		}
		if !strings.Contains(c.path, "$") {
			c.path += "/$validate"
		}
		var headers []string
		if c.header != "" {
			headers = append(headers, c.header)
		}
		resp := w.Do(w.Pharmacy, http.MethodPost, "/fhir/"+c.path, c.body, headers...)
		body := text(t, resp)
		fmt.Fprintf(&golden, "%s: %d\n%s", c.name, resp.StatusCode, issues(t, body))
		if n := len(w.Submit.Published()); n > 0 {
			t.Errorf("%s: %d messages entered the stream", c.name, n)
		}
		if got := resp.Header.Get("Content-Type"); got != "application/fhir+json; charset=utf-8" {
			t.Errorf("%s: Content-Type %q", c.name, got)
		}
		if strings.Contains(body+w.Log(), adaptertest.Canary) {
			t.Errorf("%s: the canary came out", c.name)
		}
	}
	compare(t, "validate.txt", golden.String())
}

// TestValidateJudgesByTheConfiguration: what the hub was configured with judges here as it judges posts.
func TestValidateJudgesByTheConfiguration(t *testing.T) {
	w := world(t, func(d *adapters.Deps) {
		d.Validate = func(*fhir.Document) []fhir.Issue { return []fhir.Issue{fhir.IssueOf(fault.Of(fault.CodeProfile))} }
	})
	resp := w.Do(w.Pharmacy, http.MethodPost, "/fhir/MedicationRequest/$validate", adaptertest.Request("rx-1"))
	if got := issues(t, text(t, resp)); resp.StatusCode != http.StatusOK || !strings.Contains(got, string(fault.CodeProfile)) {
		t.Errorf("%d %s", resp.StatusCode, got)
	}
}

// issues are those of an OperationOutcome, one a line.
func issues(t *testing.T, outcome string) string {
	t.Helper()
	var o struct {
		ResourceType string
		Issue        []struct {
			Severity, Diagnostics string
			Details               struct {
				Coding []struct{ Code string }
				Text   string
			}
			Expression []string
		}
	}
	if err := json.Unmarshal([]byte(outcome), &o); err != nil || o.ResourceType != "OperationOutcome" {
		t.Errorf("no OperationOutcome (%v): %s", err, outcome)
	}
	var b strings.Builder
	for _, i := range o.Issue {
		code := i.Details.Text
		if len(i.Details.Coding) > 0 {
			code = i.Details.Coding[0].Code
		}
		fmt.Fprintln(&b, "  "+strings.Join(strings.Fields(i.Severity+" "+code+" "+i.Diagnostics+" "+strings.Join(i.Expression, " ")), " "))
	}
	return b.String()
}

func compare(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs:\n%s\nwant:\n%s", path, got, want)
	}
}

// TestValidateIsForEveryMember, and for nobody else; a recorder that cannot commit is not in its way.
func TestValidateIsForEveryMember(t *testing.T) {
	w := adaptertest.NewWorld(t)
	w.Deps.Healthy = func() error { return fault.New(fault.Unavailable, "lease") }
	mount(w, auth.Clinic, auth.Pharmacy)
	for _, c := range []struct {
		name   string
		who    adaptertest.Member
		status int
	}{{"clinic", w.Clinic, 200}, {"pharmacy", w.Pharmacy, 200}, {"nobody", adaptertest.Member{}, 401}} {
		resp := w.Do(c.who, http.MethodPost, "/fhir/MedicationRequest/$validate", adaptertest.Request("rx-1"))
		if resp.StatusCode != c.status {
			t.Errorf("%s: status %d, want %d", c.name, resp.StatusCode, c.status)
		}
	}
}
