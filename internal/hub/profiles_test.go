package hub

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dosewire/dosewire/fhir"
)

const onlyOral = `{"resourceType":"StructureDefinition","url":"https://hub.example/oral","name":"Oral","status":"active","kind":"resource",
"abstract":false,"type":"MedicationRequest","derivation":"constraint","differential":{"element":[
{"id":"MedicationRequest.priority","path":"MedicationRequest.priority","min":1}]}}`

func TestProfilesFromConfiguration(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "oral.json")
	if err := os.WriteFile(file, []byte(onlyOral), 0o600); err != nil {
		t.Fatal(err)
	}
	order := func(profile string) *fhir.Document {
		d, err := fhir.Decode([]byte(`{"resourceType":"MedicationRequest","meta":{"profile":["` + profile + `"]},"status":"active","intent":"order",
			"medicationCodeableConcept":{"text":"x"},"subject":{"display":"x"}}`))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	now := func() time.Time { return time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC) }
	for _, tt := range []struct {
		name    string
		config  FHIR
		profile string
		want    string
	}{
		{"none configured", FHIR{}, "https://hub.example/oral", ""},
		{"judged when stated", FHIR{Profiles: []string{file}}, "https://hub.example/oral", "RX_PROFILE"},
		{"another may be stated", FHIR{Profiles: []string{file}}, "https://hub.example/other", ""},
		{"only what is accepted", FHIR{Accept: []string{"https://hub.example/oral"}}, "https://hub.example/other", "RX_PROFILE_UNKNOWN"},
		{"accepted today", FHIR{Accept: []string{"https://hub.example/oral 2026-01-01 2026-06-01"}}, "https://hub.example/oral", ""},
		{"accepted and judged", FHIR{Profiles: []string{file}, Accept: []string{"https://hub.example/oral 2026-01-01"}}, "https://hub.example/oral", "RX_PROFILE"},
		{"no longer accepted", FHIR{Accept: []string{"https://hub.example/oral 2025-01-01 2026-05-31"}}, "https://hub.example/oral", "RX_PROFILE_UNKNOWN"},
	} {
		profiles, err := tt.config.load()
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		got := ""
		if issues := judging(profiles, now)(order(tt.profile)); len(issues) > 0 {
			got = issues[0].ID
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	_, err := FHIR{Profiles: []string{filepath.Join(dir, "absent.json")}, Accept: []string{"url yesterday"}}.load()
	if err == nil || !strings.Contains(err.Error(), "absent.json") || !strings.Contains(err.Error(), "fhir.accept") {
		t.Errorf("both mistakes at once: %v", err)
	}
}
