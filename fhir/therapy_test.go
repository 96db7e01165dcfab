package fhir

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"
)

// therapyOf reads the first order of a message.
func therapyOf(t *testing.T, body string) Therapy {
	t.Helper()
	d, err := Decode([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	read, _ := Read(d)
	if len(read.Requests) == 0 {
		t.Fatal("no order")
	}
	got, err := TherapyOf(d, read.Requests[0].Item)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestTherapyOf(t *testing.T) {
	const rxn, sct = "http://www.nlm.nih.gov/research/umls/rxnorm", "http://snomed.info/sct"
	order := func(medicine, more string) string {
		return `{"resourceType":"MedicationRequest","id":"r","status":"active","intent":"order","subject":{"reference":"#p"},` + medicine + more + `}`
	}
	patient := `{"resourceType":"Patient","id":"p","identifier":[{"system":"urn:mrn","value":"1"}]}`
	allergy := func(more string) string {
		return `{"resourceType":"AllergyIntolerance","id":"a","patient":{"reference":"#p"},` + more + `"code":{"coding":[{"system":"` + sct + `","code":"7"}]}}`
	}
	status := func(name, code string) string {
		return fmt.Sprintf(`%q:{"coding":[{"system":"urn:s","code":%q}]},`, name, code)
	}
	with := func(contained string) string { return `,"contained":[` + patient + contained + `]` }
	coded := `"medicationCodeableConcept":{"coding":[{"system":"` + rxn + `","code":"1"}],"text":"x"}`
	one := []Coding{{rxn, "1"}}
	counted := []Allergy{{Expression: "MedicationRequest.contained[1]", Codes: []Coding{{sct, "7"}}}}
	for name, tt := range map[string]struct {
		body string
		want Therapy
	}{
		"text":             {order(`"medicationCodeableConcept":{"text":"x"}`, with("")), Therapy{}},
		"code":             {order(coded, with("")), Therapy{Codes: one}},
		"without a system": {order(`"medicationCodeableConcept":{"coding":[{"code":"1"}]}`, with("")), Therapy{}},
		"absent": {order(`"medicationCodeableConcept":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/data-absent-reason","code":"unknown"}]}`, with("")),
			Therapy{}},
		"kind of entry": {order(`"medicationCodeableConcept":{"coding":[{"system":"https://fhir.kbv.de/CodeSystem/KBV_CS_ERP_Medication_Type","code":"freitext"}]}`, with("")),
			Therapy{}},
		"supply": {order(coded, with("")+`,"dispenseRequest":{"expectedSupplyDuration":{"value":30,"system":"http://unitsofmeasure.org","code":"d"}}`),
			Therapy{Codes: one, Supply: 30 * 24 * time.Hour}},
		"ingredients": {order(`"medicationReference":{"reference":"#m"}`, with(`,{"resourceType":"Medication","id":"m","code":{"coding":[{"system":"`+rxn+`","code":"1"}]},"ingredient":[
 {"itemCodeableConcept":{"coding":[{"system":"`+rxn+`","code":"2"}]}},{"itemReference":{"reference":"#s"}},
 {"itemCodeableConcept":{"coding":[{"system":"`+rxn+`","code":"4"}]},"isActive":false}]},
 {"resourceType":"Substance","id":"s","code":{"coding":[{"system":"`+rxn+`","code":"3"}]}}`)),
			Therapy{Codes: one, Parts: []Coding{{rxn, "2"}, {rxn, "3"}}, Excipients: []Coding{{rxn, "4"}}}},
		"an ingredient of itself": {order(`"medicationReference":{"reference":"#m"}`, with(`,{"resourceType":"Medication","id":"m","code":{"coding":[{"system":"`+rxn+`","code":"1"}]},"ingredient":[{"itemReference":{"reference":"#m"}}]}`)),
			Therapy{Codes: one, Parts: []Coding{{rxn, "1"}, {rxn, "1"}, {rxn, "1"}, {rxn, "1"}}}},
		"allergy":          {order(coded, with(","+allergy(""))), Therapy{Codes: one, Stated: 1, Allergies: counted}},
		"active":           {order(coded, with(","+allergy(status("clinicalStatus", "active")+status("verificationStatus", "confirmed")))), Therapy{Codes: one, Stated: 1, Allergies: counted}},
		"unconfirmed":      {order(coded, with(","+allergy(status("verificationStatus", "unconfirmed")))), Therapy{Codes: one, Stated: 1, Allergies: counted}},
		"inactive":         {order(coded, with(","+allergy(status("clinicalStatus", "inactive")))), Therapy{Codes: one, Stated: 1}},
		"resolved":         {order(coded, with(","+allergy(status("clinicalStatus", "resolved")))), Therapy{Codes: one, Stated: 1}},
		"refuted":          {order(coded, with(","+allergy(status("verificationStatus", "refuted")))), Therapy{Codes: one, Stated: 1}},
		"entered in error": {order(coded, with(","+allergy(status("verificationStatus", "entered-in-error")))), Therapy{Codes: one, Stated: 1}},
		"another's allergy": {order(coded, with(`,{"resourceType":"AllergyIntolerance","id":"a","patient":{"identifier":{"system":"urn:mrn","value":"2"}},"code":{"coding":[{"system":"`+sct+`","code":"7"}]}}`)),
			Therapy{Codes: one}},
		"restricted": {order(coded, with("")+`,"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]}`), Therapy{Codes: one, Private: true}},
		"normal":     {order(coded, with("")+`,"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"N"}]}`), Therapy{Codes: one}},
		"HIV": {order(coded, with("")+`,"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"HIV"}]}`),
			Therapy{Codes: one, Private: true}},
	} {
		if got := therapyOf(t, tt.body); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, tt.want)
		}
	}
	bundle := `{"resourceType":"Bundle","type":"collection","meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"V"}]},"entry":[
 {"resource":{"resourceType":"AllergyIntolerance","id":"a","type":"intolerance","criticality":"high","patient":{"reference":"Patient/p"},"reaction":[{"substance":{"coding":[{"system":"` + sct + `","code":"8"}]},"manifestation":[{"text":"x"}]}]}},
 {"resource":{"resourceType":"MedicationRequest","id":"r","status":"active","intent":"order","subject":{"reference":"Patient/p"},` + coded + `}}]}`
	want := Therapy{Codes: one, Private: true, Stated: 1, Allergies: []Allergy{{Expression: "Bundle.entry[0].resource", Codes: []Coding{{sct, "8"}}, Intolerance: true, High: true}}}
	if got := therapyOf(t, bundle); !reflect.DeepEqual(got, want) {
		t.Errorf("Bundle:\n got %+v\nwant %+v", got, want)
	}
	d, _ := Decode([]byte(bundle))
	if _, err := TherapyOf(d, 0); !errors.Is(err, ErrItem) {
		t.Errorf("an allergy is no order: %v", err)
	}
}

// FuzzTherapyOf: whatever is accepted as text can be looked at, within the bounds.
func FuzzTherapyOf(f *testing.F) {
	f.Add([]byte(`{"resourceType":"MedicationRequest","medicationReference":{"reference":"#m"},"subject":{"reference":"#p"},"contained":[{"resourceType":"Medication","id":"m","ingredient":[{"itemReference":{"reference":"#m"}},{"itemReference":{"reference":"#m"}}]},{"resourceType":"AllergyIntolerance","patient":{"reference":"#p"}}]}`))
	f.Add([]byte(`{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"MedicationRequest","medicationCodeableConcept":{"coding":[{"system":"a","code":"b"}]}}},{"resource":{"resourceType":"AllergyIntolerance"}}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := Decode(body)
		if err != nil {
			return
		}
		for item := range 3 {
			got, err := TherapyOf(d, item)
			if err == nil && (len(got.Codes) > maxDrugCodes || len(got.Parts) > maxDrugCodes || len(got.Excipients) > maxDrugCodes || len(got.Allergies) > maxAllergies) {
				t.Fatalf("out of bounds: %d codes", len(got.Codes))
			}
			again, _ := TherapyOf(d, item)
			if !reflect.DeepEqual(got, again) {
				t.Fatal("not the same twice")
			}
		}
	})
}
