package clinic_test

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dosewire/dosewire/adapters/adaptertest"
	"github.com/dosewire/dosewire/adapters/clinic"
	"github.com/dosewire/dosewire/internal/fault"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestSuite(t *testing.T) {
	adaptertest.Run(t, clinic.Spec(), adaptertest.Case{
		Who: func(w *adaptertest.World) adaptertest.Member { return w.Clinic }, Path: "/fhir/MedicationRequest", Good: adaptertest.Request("rx-1"),
	})
}

func swap(body, old, new string) string {
	if !strings.Contains(body, old) {
		panic("the sample has no " + old)
	}
	return strings.Replace(body, old, new, 1)
}

// The answers to bad input, each with its own status and code.
func TestBadInput(t *testing.T) {
	good := adaptertest.Request("rx-1")
	second := strings.ReplaceAll(adaptertest.Request("rx-2"), `"value":"1"`, `"value":"2"`)
	noIdentity := swap(swap(good, `"id":"rx-1",`, ""), `"identifier":[{"system":"urn:rx","value":"rx-1"}],`, "")
	var golden strings.Builder
	for _, c := range []struct {
		name, method, path, body string
		headers                  []string
		who                      func(*adaptertest.World) adaptertest.Member // nil = the clinic
	}{
		{name: "truncated JSON", body: good[:200]},
		{name: "empty body", body: " "},
		{name: "body of 2 MiB", body: good + strings.Repeat(" ", 2<<20)},
		{name: "wrong resourceType", body: `{"resourceType":"Patient"}`},
		{name: "the pharmacy's message", path: "/fhir", body: adaptertest.Dispense("d-1", "rx-1")},
		{name: "the pharmacy's message at its type", path: "/fhir/MedicationDispense", body: adaptertest.Dispense("d-1", "rx-1")},
		{name: "a Bundle at the type", body: adaptertest.Bundle("transaction", "m", good)},
		{name: "a collection to $process-message", path: "/fhir/$process-message", body: adaptertest.Bundle("collection", "m", good)},
		{name: "duplicate key", body: swap(good, `"status"`, `"status":"active","status"`)},
		{name: "unknown element", body: swap(good, `"status"`, `"colour":"red","status"`)},
		{name: "name in other case", body: swap(good, `"intent"`, `"Intent"`)},
		{name: "invalid status", body: swap(good, `"active"`, `"started"`)},
		{name: "wrong JSON form", body: swap(good, `"intent":"order"`, `"intent":["order"]`)},
		{name: "required element absent", body: swap(good, `"intent":"order",`, "")},
		{name: "two patients", path: "/fhir", body: adaptertest.Bundle("transaction", "m", good, second)},
		{name: "no identity", body: noIdentity},
		{name: "nothing to do", path: "/fhir", body: `{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Organization","name":"x"}}]}`},
		{name: "modifierExtension", body: swap(good, `"status"`, `"modifierExtension":[{"url":"urn:not","valueBoolean":true}],"status"`)},
		{name: "lone surrogate", body: swap(good, adaptertest.Canary, `\ud800`)},
		{name: "too deep", body: swap(good, `"status"`, `"x":`+strings.Repeat("[", 70)+strings.Repeat("]", 70)+`,"status"`)},
		{name: "XML", body: "<MedicationRequest/>", headers: []string{"Content-Type: application/fhir+xml"}},
		{name: "no media type", body: good, headers: []string{"Content-Type: "}},
		{name: "FHIR R5", body: good, headers: []string{"Content-Type: application/fhir+json; fhirVersion=5.0"}},
		{name: "Latin-1", body: good, headers: []string{"Content-Type: application/json; charset=iso-8859-1"}},
		{name: "gzip", body: good, headers: []string{"Content-Encoding: gzip"}},
		{name: "If-None-Exist", body: good, headers: []string{"If-None-Exist: identifier=x"}},
		{name: "If-Match", body: good, headers: []string{`If-Match: W/"1"`}},
		{name: "unknown parameter", path: "/fhir/MedicationRequest?_validate=no", body: good},
		{name: "no token", body: good, who: func(*adaptertest.World) adaptertest.Member { return adaptertest.Member{} }},
		{name: "wrong token", body: good, who: func(w *adaptertest.World) adaptertest.Member {
			return adaptertest.Member{Token: w.Clinic.Token[:len(w.Clinic.Token)-2] + "AE"}
		}},
		{name: "wrong role", body: good, who: func(w *adaptertest.World) adaptertest.Member { return w.Pharmacy }},
		{name: "person not printable", body: good, headers: []string{"Rx-Person: \xe9"}},
		{name: "PUT", method: http.MethodPut, path: "/fhir/MedicationRequest/1", body: good},
		{name: "DELETE", method: http.MethodDelete, path: "/fhir/MedicationRequest"},
		{name: "search", method: http.MethodGet, path: "/fhir/MedicationRequest?status=active"},
		{name: "another type", path: "/fhir/Patient", body: good},
		{name: "an operation", path: "/fhir/$validate", body: good},
		{name: "$validate with a mode", path: "/fhir/MedicationRequest/$validate?mode=create", body: good},
		{name: "$validate of no type", path: "/fhir/Order/$validate", body: good},
		{name: "$validate without a token", path: "/fhir/Patient/$validate", body: good, who: func(*adaptertest.World) adaptertest.Member { return adaptertest.Member{} }},
		{name: "not FHIR", path: "/fhir/health", body: good},
	} {
		w := adaptertest.NewWorld(t)
		w.Open(t, clinic.Spec())
		who := w.Clinic
		if c.who != nil {
			who = c.who(w)
		}
		if c.method == "" {
			c.method = http.MethodPost
		}
		if c.path == "" {
			c.path = "/fhir/MedicationRequest"
		}
		resp := w.Do(who, c.method, c.path, c.body, c.headers...)
		fmt.Fprintf(&golden, "%-34s %d %s", c.name, resp.StatusCode, strings.Join(adaptertest.Codes(t, resp), " "))
		for _, name := range []string{"Allow", "WWW-Authenticate", "Retry-After"} {
			if v := resp.Header.Get(name); v != "" {
				fmt.Fprintf(&golden, "  %s: %s", name, v)
			}
		}
		golden.WriteByte('\n')
		if n := len(w.Submit.Published()); n > 0 {
			t.Errorf("%s: %d messages entered the stream", c.name, n)
		}
		if got := resp.Header.Get("Content-Type"); got != "application/fhir+json; charset=utf-8" {
			t.Errorf("%s: Content-Type %q", c.name, got)
		}
	}
	compare(t, "badinput.txt", golden.String())
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

func TestNothingIsPublishedWhileTheRecorderCannotCommit(t *testing.T) {
	w := adaptertest.NewWorld(t)
	w.Deps.Healthy = func() error { return fault.New(fault.Unavailable, "lease") }
	w.Open(t, clinic.Spec())
	resp := w.Do(w.Clinic, http.MethodPost, "/fhir", adaptertest.Request("rx-1"))
	if codes := adaptertest.Codes(t, resp); resp.StatusCode != 503 || len(codes) != 1 || codes[0] != "RX_UNAVAILABLE" {
		t.Errorf("status %d, codes %v", resp.StatusCode, codes)
	}
	if resp.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	if n := len(w.Submit.Published()); n > 0 {
		t.Errorf("%d messages were published", n)
	}
}

// What base R4 says is a 200, and enters no stream.
func TestValidate(t *testing.T) {
	good := adaptertest.Request("rx-1")
	for path, body := range map[string]string{
		"MedicationRequest":  good,
		"MedicationDispense": adaptertest.Dispense("d-1", "rx-1"),
		"Bundle":             adaptertest.Bundle("transaction", "m", good),
		"Patient":            swap(good, `"active"`, `"started"`),
	} {
		w := adaptertest.NewWorld(t)
		w.Open(t, clinic.Spec())
		if resp := w.Do(w.Clinic, http.MethodPost, "/fhir/"+path+"/$validate", body); resp.StatusCode != 200 {
			t.Errorf("%s: status %d", path, resp.StatusCode)
		}
		if n := len(w.Submit.Published()); n > 0 {
			t.Errorf("%s: %d messages entered the stream", path, n)
		}
	}
}
