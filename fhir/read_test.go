package fhir_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dosewire/dosewire/fhir"
)

func decode(t testing.TB, body string) *fhir.Document {
	t.Helper()
	d, err := fhir.Decode([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// read is Read of what must be taken.
func read(t testing.TB, body string) fhir.Message {
	t.Helper()
	m, issues := fhir.Read(decode(t, body))
	if len(issues) > 0 {
		t.Fatalf("%+v", issues)
	}
	return m
}

func TestReadRequest(t *testing.T) {
	body := string(ours(t, "medicationrequest.json"))
	m := read(t, body)
	if string(m.Requests[0].Raw) != strings.TrimSpace(body) {
		t.Error("the bytes are not those received")
	}
	m.Requests[0].Raw, m.Requests[0].Frozen = nil, nil
	want := fhir.Message{
		Type: "MedicationRequest",
		Subject: fhir.Subject{Identifiers: []fhir.Identifier{{System: "https://riverside.example/fhir/patient", Value: "P-1001"}},
			Resource: true, Name: "Ada June Okafor", BirthDate: "1984-02-29"},
		Requests: []fhir.Request{{
			Expression: "MedicationRequest",
			Identity:   fhir.Identifier{System: "https://riverside.example/fhir/prescription", Value: "RF-2026-001"}, Local: "amox-1",
			Status: "active", Intent: "order", Priority: "routine",
			Performer:      []fhir.Identifier{{System: "http://hl7.org/fhir/sid/us-npi", Value: "1234567893"}},
			PerformerGiven: true, Repeats: 1, ValidFrom: "2026-11-17", ValidTo: "2026-12-17",
			AuthoredOn: "2026-11-17T14:05:00-05:00",
			Quantity:   fhir.Amount{Millionths: 21_000_000, Unit: "http://terminology.hl7.org/CodeSystem/v3-orderableDrugForm|CAP"},
			Categories: []fhir.Coding{{System: "http://terminology.hl7.org/CodeSystem/medicationrequest-category", Code: "community"}},
			Medication: []fhir.Coding{{System: "http://www.nlm.nih.gov/research/umls/rxnorm", Code: "308182"}},
		}},
	}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Error(diff)
	}
}

// mr is a small MedicationRequest with more members.
func mr(more string) string {
	return `{"resourceType":"MedicationRequest","status":"active","intent":"order","medicationCodeableConcept":{"text":"x"}` + more + `}`
}

// md is a small MedicationDispense with more members.
func md(more string) string {
	return `{"resourceType":"MedicationDispense","status":"completed","medicationCodeableConcept":{"text":"x"}` + more + `}`
}

const ofPatient1 = `,"id":"a","subject":{"reference":"Patient/1"}`

func res(resource string) string { return `{"resource":` + resource + `}` }

func at(url, resource string) string {
	return `{"fullUrl":"` + url + `","resource":` + resource + `}`
}

func TestReadRefusals(t *testing.T) {
	for _, tc := range []struct{ rule, body, want string }{
		{"a resource that is no message", `{"resourceType":"Patient"}`, "RX_RESOURCE_TYPE Patient"},
		{"a Bundle that is no message", bundle("searchset", res(mr(ofPatient1))), "RX_RESOURCE_TYPE Bundle.type"},
		{"a batch, which must be split", bundle("batch", res(mr(ofPatient1))), "RX_RESOURCE_TYPE Bundle.type"},
		{"a Bundle of other things", bundle("document", res(`{"resourceType":"Patient"}`)), "RX_NOTHING_TO_DO Bundle"},
		{"a transaction that deletes", bundle("transaction", res(mr(ofPatient1))+`,{"request":{"method":"DELETE","url":"x"}}`), "RX_NOT_SERVED Bundle.entry[1].request.method"},
		{"no identity", mr(`,"subject":{"reference":"Patient/1"}`), "RX_NO_IDENTITY MedicationRequest.identifier"},
		{"two identifiers and no id", mr(`,"subject":{"reference":"Patient/1"},"identifier":[{"value":"1"},{"value":"2"}]`), "RX_NO_IDENTITY MedicationRequest.identifier"},
		{"two official identifiers and no id", mr(`,"subject":{"reference":"Patient/1"},"identifier":[{"use":"official","value":"1"},{"use":"official","value":"2"}]`), "RX_NO_IDENTITY MedicationRequest.identifier"},
		{"no subject", md(`,"id":"d"`), "RX_NO_PATIENT MedicationDispense.subject"},
		{"a group", mr(`,"id":"a","subject":{"reference":"Group/1"}`), "RX_NO_PATIENT MedicationRequest.subject"},
		{"two patients", bundle("collection", res(mr(ofPatient1))+","+res(mr(`,"id":"b","subject":{"reference":"Patient/2"}`))), "RX_ONE_PATIENT Bundle.entry[1].resource.subject"},
		{"two patients of the same name", bundle("collection", res(mr(`,"id":"a","contained":[{"resourceType":"Patient","id":"p","name":[{"text":"A B"}],"birthDate":"2000-01-01"}],"subject":{"reference":"#p"}`))+
			","+res(mr(`,"id":"b","contained":[{"resourceType":"Patient","id":"q","name":[{"text":"A B"}],"birthDate":"2000-01-01"}],"subject":{"reference":"#q"}`))), "RX_ONE_PATIENT Bundle.entry[1].resource.subject"},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			_, issues := fhir.Read(decode(t, tc.body))
			if len(issues) != 1 || issues[0].ID+" "+issues[0].Expression != tc.want || issues[0].Severity != "error" {
				t.Errorf("got %+v, want %s", issues, tc.want)
			}
		})
	}
}

func TestReadSubject(t *testing.T) {
	uuid := "00000000-0000-4000-8000-000000000001"
	pat := func(more string) string { return `{"resourceType":"Patient","name":[{"family":"B"}]` + more + `}` }
	for _, tc := range []struct {
		rule, subject, entries string
		want                   fhir.Subject
	}{
		{"a relative reference out of the message", `{"reference":"Patient/1","display":"A B"}`, "", fhir.Subject{Local: "1", Name: "A B"}},
		{"the version does not matter", `{"reference":"Patient/1/_history/7"}`, "", fhir.Subject{Local: "1"}},
		{"an absolute reference out of the message counts whole", `{"reference":"https://a.example/Patient/1"}`, "", fhir.Subject{Local: "https://a.example/Patient/1"}},
		{"an urn:uuid that leads nowhere names nobody", `{"reference":"urn:uuid:` + uuid + `"}`, "", fhir.Subject{}},
		{"an identifier in the reference", `{"identifier":{"system":"s","value":"v"}}`, "", fhir.Subject{Identifiers: []fhir.Identifier{{System: "s", Value: "v"}}}},
		{"a conditional reference", `{"reference":"Patient?identifier=http://s.example|v%201"}`, "", fhir.Subject{Identifiers: []fhir.Identifier{{System: "http://s.example", Value: "v 1"}}}},
		{"official identifiers first, old ones not", `{"reference":"Patient/1"}`,
			res(pat(`,"id":"1","identifier":[{"value":"a"},{"use":"old","value":"b"},{"use":"official","value":"c"},{"system":"no value"}]`)),
			fhir.Subject{Identifiers: []fhir.Identifier{{Value: "c"}, {Value: "a"}}, Local: "1", Resource: true, Name: "B"}},
		{"by fullUrl, absolute", `{"reference":"https://a.example/fhir/Patient/1"}`, at("https://a.example/fhir/Patient/1", pat(`,"id":"1"`)), fhir.Subject{Local: "1", Resource: true, Name: "B"}},
		{"by urn:uuid: the id made up for the message is not lasting", `{"reference":"urn:uuid:` + uuid + `"}`, at("urn:uuid:"+uuid, pat(`,"id":"`+uuid+`"`)), fhir.Subject{Resource: true, Name: "B"}},
		{"by urn:uuid: another id is lasting", `{"reference":"urn:uuid:` + uuid + `"}`, at("urn:uuid:"+uuid, pat(`,"id":"p-1"`)), fhir.Subject{Local: "p-1", Resource: true, Name: "B"}},
		{"relative, to a UUID without id", `{"reference":"Patient/` + uuid + `"}`, at("urn:uuid:"+uuid, pat("")), fhir.Subject{Resource: true, Name: "B"}},
		{"relative, with the same id under two servers: nobody", `{"reference":"Patient/1"}`,
			at("https://a.example/Patient/1", pat(`,"id":"1"`)) + "," + at("https://b.example/Patient/1", pat(`,"id":"1"`)), fhir.Subject{Local: "1"}},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			entries := res(mr(`,"id":"a","subject":` + tc.subject))
			if tc.entries != "" {
				entries += "," + tc.entries
			}
			m := read(t, bundle("collection", entries))
			if diff := cmp.Diff(tc.want, m.Subject); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestReadOnePatient: ways in which two subjects are the same patient.
func TestReadOnePatient(t *testing.T) {
	pat := `{"resourceType":"Patient","id":"1","identifier":[{"system":"s","value":"v"}],"name":[{"text":"A B"}]}`
	for _, tc := range []struct{ rule, a, b, entries string }{
		{"one reference", `{"reference":"Patient/9"}`, `{"reference":"Patient/9"}`, ""},
		{"one resource under two names", `{"reference":"Patient/1"}`, `{"reference":"https://a.example/Patient/1"}`, at("https://a.example/Patient/1", pat)},
		{"an identifier that the resource has", `{"reference":"Patient/1"}`, `{"identifier":{"system":"s","value":"v"}}`, res(pat)},
		{"two references with one identifier", `{"reference":"Patient/8","identifier":{"value":"v"}}`, `{"reference":"Patient/9","identifier":{"value":"v"}}`, ""},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			entries := res(mr(`,"id":"a","subject":`+tc.a)) + "," + res(mr(`,"id":"b","subject":`+tc.b))
			if tc.entries != "" {
				entries += "," + tc.entries
			}
			if m := read(t, bundle("message", entries)); len(m.Requests) != 2 {
				t.Errorf("%d requests", len(m.Requests))
			}
		})
	}
}

func TestReadCitations(t *testing.T) {
	for _, tc := range []struct {
		rule, more, entries string
		want                fhir.Citation
	}{
		{"a reference to the hub", `"authorizingPrescription":[{"reference":"https://hub.example/fhir/MedicationRequest/x1"}]`, "", fhir.Citation{IDs: []string{"x1"}}},
		{"a relative reference", `"authorizingPrescription":[{"reference":"MedicationRequest/x1"}]`, "", fhir.Citation{IDs: []string{"x1"}}},
		{"an urn:uuid", `"authorizingPrescription":[{"reference":"urn:uuid:x1"}]`, "", fhir.Citation{IDs: []string{"x1"}}},
		{"an identifier alone", `"authorizingPrescription":[{"identifier":{"system":"s","value":"v"}}]`, "", fhir.Citation{Identifiers: []fhir.Identifier{{System: "s", Value: "v"}}}},
		{"contained", `"contained":[` + mr(`,"id":"m","identifier":[{"system":"s","value":"v"}],"subject":{"reference":"Patient/1"}`) + `],"authorizingPrescription":[{"reference":"#m"}]`, "",
			fhir.Citation{IDs: []string{"m"}, Identifiers: []fhir.Identifier{{System: "s", Value: "v"}}}},
		{"bundled", `"authorizingPrescription":[{"reference":"urn:uuid:u"}]`, "," + at("urn:uuid:u", mr(`,"id":"m","identifier":[{"system":"s","value":"v"}],"subject":{"reference":"Patient/1"}`)),
			fhir.Citation{IDs: []string{"u", "m"}, Identifiers: []fhir.Identifier{{System: "s", Value: "v"}}}},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			m := read(t, bundle("collection", res(md(`,"id":"d",`+tc.more))+tc.entries))
			if diff := cmp.Diff([]fhir.Citation{tc.want}, m.Dispenses[0].Cites); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestReadPerformer: a pharmacy is found by every identifier that a reference to it gives.
func TestReadPerformer(t *testing.T) {
	org := `{"resourceType":"Organization","id":"o","identifier":[{"system":"s","value":"org"}]}`
	role := `{"resourceType":"PractitionerRole","id":"r","identifier":[{"system":"s","value":"role"}],"organization":{"reference":"Organization/o"}}`
	for _, tc := range []struct{ rule, performer, want string }{
		{"an identifier", `{"identifier":{"system":"s","value":"v"}}`, "v"},
		{"an Organization in the Bundle", `{"reference":"Organization/o"}`, "org"},
		{"a role at an Organization", `{"reference":"PractitionerRole/r"}`, "role org"},
		{"by identifier and type", `{"type":"Organization","identifier":{"system":"s","value":"org"}}`, "org"},
		{"an organisation that is not here", `{"reference":"Organization/other"}`, ""},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			m := read(t, bundle("collection", res(mr(ofPatient1+`,"dispenseRequest":{"performer":`+tc.performer+`}`))+","+res(org)+","+res(role)))
			var got []string
			for _, id := range m.Requests[0].Performer {
				got = append(got, id.Value)
			}
			if strings.Join(got, " ") != tc.want || !m.Requests[0].PerformerGiven {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// TestReadTerms: what an order says of each fill, and a dispense of what was given.
func TestReadTerms(t *testing.T) {
	const tablets = `"system":"http://unitsofmeasure.org","code":"{tbl}"`
	q := read(t, `{"resourceType":"MedicationRequest","id":"1","status":"active","intent":"order","subject":{"identifier":{"value":"p"}},
		"category":[{"coding":[{"system":"urn:c","code":"direct"}]}],
		"contained":[{"resourceType":"Medication","id":"m","code":{"coding":[{"system":"urn:d","code":"A"}]},
			"ingredient":[{"itemCodeableConcept":{"coding":[{"system":"urn:s","code":"I"}]}}]}],
		"medicationReference":{"reference":"#m"},
		"dispenseRequest":{"quantity":{"value":20.5,`+tablets+`},"initialFill":{"quantity":{"value":5,`+tablets+`},"duration":{"value":1,"system":"http://unitsofmeasure.org","code":"wk"}},
			"dispenseInterval":{"value":30,"system":"http://unitsofmeasure.org","code":"d"}},
		"substitution":{"allowedBoolean":false}}`).Requests[0]
	got := fmt.Sprint(q.Quantity, q.First, q.FirstLasts, q.Interval, q.NoSubstitution, q.Categories, q.Medication, q.Ingredients)
	unit := "http://unitsofmeasure.org|{tbl}"
	want := fmt.Sprint(fhir.Amount{Millionths: 20_500_000, Unit: unit}, fhir.Amount{Millionths: 5_000_000, Unit: unit}, 7*24*time.Hour, 30*24*time.Hour,
		true, []fhir.Coding{{System: "urn:c", Code: "direct"}}, []fhir.Coding{{System: "urn:d", Code: "A"}}, []fhir.Coding{{System: "urn:s", Code: "I"}})
	if got != want {
		t.Errorf("order: %s\nwant %s", got, want)
	}
	d := read(t, `{"resourceType":"MedicationDispense","id":"1","status":"completed","medicationCodeableConcept":{"text":"x"},"subject":{"identifier":{"value":"p"}},
		"quantity":{"value":3,`+tablets+`},"substitution":{"wasSubstituted":true},
		"contained":[{"resourceType":"DetectedIssue","id":"i","status":"final","mitigation":[{"action":{"text":"travels"}}]}],
		"detectedIssue":[{"reference":"#i"}]}`).Dispenses[0]
	if d.Quantity != (fhir.Amount{Millionths: 3_000_000, Unit: unit}) || !d.Substituted || !d.Mitigated {
		t.Errorf("dispense: %+v", d)
	}
	huge := read(t, `{"resourceType":"MedicationDispense","id":"1","status":"completed","medicationCodeableConcept":{"text":"x"},"subject":{"identifier":{"value":"p"}},
		"quantity":{"value":1e30,`+tablets+`}}`).Dispenses[0]
	if huge.Quantity != (fhir.Amount{Millionths: 1 << 60, Unit: unit}) { // more than any fill, and said to be
		t.Errorf("beyond counting: %v", huge.Quantity)
	}
	for name, quantity := range map[string]string{
		"no code": `{"value":1,"unit":"tablet"}`, "not positive": `{"value":0,` + tablets + `}`, "too fine": `{"value":1e-7,` + tablets + `}`,
		"about": `{"value":1,"comparator":">",` + tablets + `}`,
	} {
		q := read(t, `{"resourceType":"MedicationRequest","id":"1","status":"active","intent":"order","subject":{"identifier":{"value":"p"}},
			"medicationCodeableConcept":{"text":"x"},"dispenseRequest":{"quantity":`+quantity+`}}`).Requests[0]
		if q.Quantity != (fhir.Amount{}) {
			t.Errorf("%s: %v", name, q.Quantity)
		}
	}
}
