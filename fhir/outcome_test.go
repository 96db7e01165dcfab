package fhir_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/internal/fault"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestOutcome compares whole answers with those in testdata/outcome.
func TestOutcome(t *testing.T) {
	source := string(ours(t, "medicationrequest.json"))
	for name, issues := range map[string][]fhir.Issue{
		"recorded":      nil,
		"syntax":        judged(t, "{\n  \"resourceType\": \"MedicationRequest\",\n}"),
		"duplicate-key": judged(t, strings.Replace(source, `"intent"`, `"status": "draft", "intent"`, 1)),
		"invalid":       judged(t, strings.NewReplacer(`"active"`, `"aktiv"`, `"2026-12-17"`, `"soon"`, `"priority"`, `"Priority"`).Replace(source)),
		"incomplete":    judged(t, strings.Replace(source, `"requester"`, `"recorder"`, 1)),
		"two-patients":  judged(t, bundle("collection", res(mr(ofPatient1))+","+res(mr(`,"id":"b","subject":{"reference":"Patient/2"}`)))),
		"internal":      {fhir.IssueOf(errors.New("pq: Ada Okafor is not unique"))},
		"busy":          {fhir.IssueOf(fmt.Errorf("store: %w", fault.Of(fault.CodeBusy)))},
	} {
		t.Run(name, func(t *testing.T) {
			body := fhir.Outcome(issues)
			if got := first(t, string(body)); got != "" {
				t.Errorf("not valid R4: %s", got)
			}
			if strings.Contains(string(body), "Ada") || strings.Contains(string(body), "aktiv") {
				t.Errorf("shows a value: %s", body)
			}
			golden(t, filepath.Join("testdata", "outcome", name+".json"), body)
		})
	}
}

// judged is what the hub says of a body.
func judged(t *testing.T, body string) []fhir.Issue {
	t.Helper()
	d, err := fhir.Decode([]byte(body))
	if err != nil {
		return []fhir.Issue{fhir.IssueOf(err)}
	}
	issues := fhir.Validate(d)
	if len(issues) > 0 {
		return issues
	}
	m, issues := fhir.Read(d)
	if len(issues) > 0 {
		return issues
	}
	return fhir.Complete(d, m.Requests[0])
}

func golden(t *testing.T, path string, body []byte) {
	t.Helper()
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestRefused(t *testing.T) {
	issue := func(severity, id string) fhir.Issue { return fhir.Issue{Severity: severity, ID: id} }
	for _, tc := range []struct {
		rule   string
		issues []fhir.Issue
		status int
	}{
		{"nothing", nil, 0},
		{"warnings", []fhir.Issue{issue("warning", "RX_NO_DOSAGE"), issue("information", "RX_RECORDED")}, 0},
		{"a broken text", []fhir.Issue{issue("error", "RX_SYNTAX")}, 400},
		{"a constraint of FHIR", []fhir.Issue{issue("error", "bdl-7")}, 422},
		{"the worst of several", []fhir.Issue{issue("error", "RX_SYNTAX"), issue("warning", "RX_NO_DOSAGE"), issue("fatal", "RX_UNAVAILABLE"), issue("error", "RX_CODE")}, 503},
	} {
		status, refused := fhir.Refused(tc.issues)
		if status != tc.status || refused != (tc.status > 0) {
			t.Errorf("%s: %d %t, want %d", tc.rule, status, refused, tc.status)
		}
	}
}

// TestIssueOfEveryCode: each code of the catalogue makes an issue that FHIR understands.
func TestIssueOfEveryCode(t *testing.T) {
	for _, entry := range fault.Codes() {
		issue := fhir.IssueOf(fault.Of(entry.Code).At("MedicationRequest.status").Wrap(errors.New("secret")))
		if issue.ID != string(entry.Code) || issue.Text != entry.Title {
			t.Errorf("%s: %+v", entry.Code, issue)
		}
		body := string(fhir.Outcome([]fhir.Issue{issue}))
		if strings.Contains(body, "secret") || !strings.Contains(body, `"code":"`+entry.Issue+`"`) {
			t.Errorf("%s: %s", entry.Code, body)
		}
	}
}

// TestLogValue: a document prints its type and size, and nothing that stands in it.
func TestLogValue(t *testing.T) {
	d := decode(t, string(ours(t, "medicationrequest.json")))
	if got := fmt.Sprint(d); got != fmt.Sprintf("[type=MedicationRequest bytes=%d]", len(d.Raw())) {
		t.Errorf("got %s", got)
	}
	if got := fmt.Sprint(decode(t, `{"resourceType":"Ada Okafor"}`)); strings.Contains(got, "Ada") {
		t.Errorf("got %s", got)
	}
}
