package fhir_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/internal/fault"
)

const profiled = `{"resourceType":"MedicationRequest","meta":{"profile":["https://hub.example/StructureDefinition/order|2.1"]},
"extension":[{"url":"https://hub.example/StructureDefinition/channel","valueCode":"app"}],
"identifier":[{"system":"https://clinic.example","value":"1"},{"system":"https://national.example/rx","value":"2"}],
"status":"active","intent":"order","priority":"routine",
"category":[{"text":"other"},{"coding":[{"system":"https://x.example","code":"x"},{"system":"https://hub.example/setting","code":"community","display":"c"}]}],
"medicationCodeableConcept":{"text":"x"},"subject":{"display":"x"},"dosageInstruction":[{"text":"daily"}]}`

func orderProfile(t *testing.T) *fhir.Profile {
	t.Helper()
	text, err := os.ReadFile("testdata/profile.json")
	if err != nil {
		t.Fatal(err)
	}
	p, err := fhir.ParseProfile(text, []byte(`{"resourceType":"ValueSet","url":"https://hub.example/ValueSet/priority","status":"active",
		"compose":{"include":[{"system":"http://hl7.org/fhir/request-priority","concept":[{"code":"routine"},{"code":"urgent"}]}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestProfile(t *testing.T) {
	p := orderProfile(t)
	for _, tt := range []struct{ rule, old, new, want string }{
		{"as it should be", "", "", ""},
		{"a slice is missing", `"https://national.example/rx"`, `"https://regional.example/rx"`, "MedicationRequest.identifier"},
		{"a slice twice", `"https://clinic.example"`, `"https://national.example/rx"`, "MedicationRequest.identifier[1]"},
		{"an element of a slice is missing", `,"value":"2"`, ``, "MedicationRequest.identifier[1].value"},
		{"a value of no slice, where only slices may be", `StructureDefinition/channel"`, `StructureDefinition/way"`, "MedicationRequest.extension[0]"},
		{"a fixed value", `"intent":"order"`, `"intent":"plan"`, "MedicationRequest.intent"},
		{"a pattern is missing", `"code":"community"`, `"code":"hospital"`, "MedicationRequest.category"},
		{"a type of a choice", `"medicationCodeableConcept":{"text":"x"}`, `"medicationReference":{"display":"x"}`, "MedicationRequest.medication"},
		{"a code of a binding", `"routine"`, `"stat"`, "MedicationRequest.priority"},
		{"a required element", `"priority":"routine",`, ``, "MedicationRequest.priority"},
		{"an element that may not be", `"subject"`, `"note":[{"text":"x"}],"subject"`, "MedicationRequest.note[0]"},
		{"a required element inside", `{"text":"daily"}`, `{"sequence":1}`, "MedicationRequest.dosageInstruction[0].text"},
	} {
		body := profiled
		if tt.old != "" {
			body = strings.Replace(body, tt.old, tt.new, 1)
		}
		d, err := fhir.Decode([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if base := fhir.Validate(d); len(base) > 0 {
			t.Errorf("%s: base R4 refuses it: %+v", tt.rule, base[0])
		}
		issues := p.Check(d)
		switch {
		case tt.want == "" && len(issues) > 0:
			t.Errorf("%s: %s %s", tt.rule, issues[0].ID, issues[0].Expression)
		case tt.want != "" && (len(issues) != 1 || issues[0].Expression != tt.want || issues[0].ID != string(fault.CodeProfile)):
			t.Errorf("%s: got %+v, want one at %s", tt.rule, issues, tt.want)
		}
	}
}

func TestProfilesThatAreTaken(t *testing.T) {
	day := func(s string) time.Time { at, _ := time.Parse(time.DateOnly, s); return at }
	p := orderProfile(t)
	bundle := `{"resourceType":"Bundle","type":"collection","entry":[{"resource":` + strings.Replace(profiled, `"routine"`, `"stat"`, 1) + `}]}`
	const other = `{"resourceType":"Patient","meta":{"profile":["https://hub.example/StructureDefinition/person"]}}`
	taken := fhir.Profiles{Closed: true, List: []fhir.Accepted{{URL: p.URL, From: day("2026-01-01"), Until: day("2026-12-31"), Profile: p}}}
	for _, tt := range []struct {
		name, body string
		profiles   fhir.Profiles
		at, want   string
	}{
		{"in its time", bundle, taken, "2026-06-01", "RX_PROFILE Bundle.entry[0].resource.priority"},
		{"before its time", bundle, taken, "2025-06-01", "RX_PROFILE_UNKNOWN Bundle.entry[0].resource.meta.profile[0]"},
		{"after its time", bundle, taken, "2027-06-01", "RX_PROFILE_UNKNOWN Bundle.entry[0].resource.meta.profile[0]"},
		{"a stranger", other, taken, "2026-06-01", "RX_PROFILE_UNKNOWN Patient.meta.profile[0]"},
		{"a stranger, where strangers may be", other, fhir.Profiles{List: taken.List}, "2026-06-01", ""},
		{"nothing asked for", other, fhir.Profiles{}, "2026-06-01", ""},
	} {
		d, err := fhir.Decode([]byte(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if issues := tt.profiles.Check(d, day(tt.at)); len(issues) > 0 {
			got = issues[0].ID + " " + issues[0].Expression
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestParseProfileRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"no JSON":                `{`,
		"another resource":       `{"resourceType":"Patient"}`,
		"no constraint":          `{"resourceType":"StructureDefinition","url":"u","type":"Patient","derivation":"specialization"}`,
		"a profile of data type": `{"resourceType":"StructureDefinition","url":"u","type":"Extension","derivation":"constraint"}`,
	} {
		if _, err := fhir.ParseProfile([]byte(text)); fault.KindOf(err) != fault.Invalid || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// One decoder for many bodies says the same as a new one for each.
func TestDecoderIsReused(t *testing.T) {
	var decoder fhir.Decoder
	for _, body := range []string{profiled, `{"a":`, `{"resourceType":"Patient","gender":"f"}`, profiled, `{"resourceType":"Nobody"}`} {
		fresh, freshErr := fhir.Decode([]byte(body))
		again, err := decoder.Decode([]byte(body))
		if fault.CodeOf(err) != fault.CodeOf(freshErr) {
			t.Fatalf("%v, want %v", err, freshErr)
		}
		if err == nil && len(fhir.Validate(again)) != len(fhir.Validate(fresh)) {
			t.Errorf("%s: another verdict", body)
		}
	}
}
