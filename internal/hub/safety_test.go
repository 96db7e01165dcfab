package hub

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dosewire/dosewire/fhir/safety"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/hub/admin"
)

const products = `{"resourceType":"ConceptMap","status":"active","group":[{"source":"urn:products","target":"urn:substances","element":[
{"code":"ibu-400","target":[{"code":"ibuprofen","equivalence":"wider"}]},{"code":"ibu-600","target":[{"code":"ibuprofen","equivalence":"wider"}]}]}]}`

// TestSafety is a double's way over REST: by the loaded map, to the clinic and to the pharmacy, beside the
// prescription, which is delivered all the same.
func TestSafety(t *testing.T) {
	config := lab(t)
	config.Safety.Map = filepath.Join(t.TempDir(), "products.json")
	if err := os.WriteFile(config.Safety.Map, []byte(products), 0o600); err != nil {
		t.Fatal(err)
	}
	log := &diaryLog{}
	h, err := New(t.Context(), config, Options{Adapters: surfaces(), Log: log, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	start(t, h, log)
	clinic := members(t, h, "clinic")[0]
	pharmacy, err := admin.NewClient(h.AdminSocket()).AddOrganization(t.Context(), admin.NewOrganization{Kind: "pharmacy", Name: "Old Bridge",
		Identifiers: []string{"urn:npi|77"}})
	if err != nil {
		t.Fatal(err)
	}
	issue := func(id, code string) string {
		body := prescription(id, "Ibuprofen canary", `"dispenseRequest":{"performer":{"identifier":{"system":"urn:npi","value":"77"}}},`)
		body = strings.Replace(body, `"medicationCodeableConcept":{`, `"medicationCodeableConcept":{"coding":[{"system":"urn:products","code":"`+code+`"}],`, 1)
		resp, text := ask(t, clinic, "POST", "/fhir/MedicationRequest", body)
		wantAnswer(t, resp, text, 201, "RX_RECORDED")
		if signals := strings.Contains(text, string(fault.CodeSafetySignal)); signals != (id == "A-2") {
			t.Errorf("%s: %s", id, text)
		}
		return resp.Header.Get("Rx-Id")
	}
	first, second := issue("A-1", "ibu-400"), issue("A-2", "ibu-600")
	both := []string{"MedicationRequest/" + second, "MedicationRequest/" + first, h.classes.SHA256()}
	resp, text := ask(t, pharmacy, "GET", "/fhir/$deliveries", "")
	wantAnswer(t, resp, text, 200, `"valueString":"doubles=code+map (no-ingredient); allergies=not-checked (none-stated)"`)
	if strings.Count(text, `"resourceType":"MedicationRequest"`) != 2 || strings.Count(text, `"resourceType":"DetectedIssue"`) != 1 {
		t.Errorf("the pharmacy got %s", text)
	}
	_, issuePart, _ := strings.Cut(text, `"resourceType":"DetectedIssue"`)
	for _, want := range both {
		if !strings.Contains(issuePart, want) {
			t.Errorf("the pharmacy is not told %s", want)
		}
	}
	if strings.Contains(issuePart, "canary") || strings.Contains(issuePart, "ibu-") {
		t.Errorf("the signal names the medicine: %s", issuePart)
	}
	resp, text = ask(t, clinic, "GET", "/fhir/$deliveries", "")
	wantAnswer(t, resp, text, 200, `"resourceType":"DetectedIssue"`)
	for _, want := range both {
		if !strings.Contains(text, want) {
			t.Errorf("the clinic is not told %s: %s", want, text)
		}
	}
	if !strings.Contains(log.String(), h.classes.SHA256()) {
		t.Error("the log does not say which map is loaded")
	}

	// whoever shows a code later is told too
	body := prescription("A-3", "Ibuprofen", "")
	body = strings.Replace(body, `"medicationCodeableConcept":{`, `"medicationCodeableConcept":{"coding":[{"system":"urn:products","code":"ibu-400"}],`, 1)
	resp, _ = ask(t, clinic, "POST", "/fhir/MedicationRequest", body)
	third := resp.Header.Get("Rx-Id")
	code := patientsCode(t, h, clinic, third)
	resp, text = ask(t, pharmacy, "POST", "/fhir/MedicationRequest/$collect", fmt.Sprintf(bareDispense, "D-1", "preparation"), "Rx-Collect: "+code.String())
	wantAnswer(t, resp, text, 201, "ibu-400")
	_, text = ask(t, pharmacy, "GET", "/fhir/$deliveries?after=8", "")
	if !strings.Contains(text, `"resourceType":"DetectedIssue"`) || !strings.Contains(text, "MedicationRequest/"+third) || strings.Contains(text, `"MedicationRequest/`+first) {
		t.Errorf("at the counter: %s", text)
	}
}

func TestSafetyMapMistakes(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.json")
	if err := os.WriteFile(bad, []byte(`{"resourceType":"ValueSet"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	large := filepath.Join(t.TempDir(), "large.json")
	if err := errors.Join(os.WriteFile(large, nil, 0o600), os.Truncate(large, safety.MaxMap+1)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{bad: "ConceptMap", bad + ".absent": "cannot be read", os.DevNull: "cannot be read", large: "256 MiB"} {
		config := lab(t)
		config.Safety.Map = path
		_, err := New(t.Context(), config, Options{})
		if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "safety.map") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if m, err := (Safety{}).load(); m != nil || err != nil {
		t.Errorf("no map: %v %v", m, err)
	}
}
