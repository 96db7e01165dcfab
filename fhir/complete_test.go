package fhir_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/dosewire/dosewire/fhir"
)

func TestComplete(t *testing.T) {
	const prescriber = `,"requester":{"reference":"Practitioner/d"}`
	entries := func(patient, practitioner, medication string) string {
		return "," + res(`{"resourceType":"Patient","id":"1"`+patient+`}`) +
			"," + res(`{"resourceType":"Practitioner","id":"d","identifier":[{"value":"1"}]`+practitioner+`}`) +
			"," + res(`{"resourceType":"PractitionerRole","id":"r","practitioner":{"reference":"Practitioner/d"}}`) +
			"," + res(`{"resourceType":"Substance","id":"s","code":{"text":"zinc"}}`) +
			"," + res(`{"resourceType":"Medication","id":"m"`+medication+`}`)
	}
	const full, named, coded = `,"name":[{"family":"B"}],"birthDate":"1984"`, `,"name":[{"text":"Dr C"}]`, `,"code":{"coding":[{"code":"1"}]}`
	const dosage = `,"dosageInstruction":[{"text":"one a day"}]`
	whole := entries(full, named, coded)
	for _, tc := range []struct{ rule, request, entries, want string }{
		{"whole", prescriber + dosage, whole, ""},
		{"a birth date of a year", prescriber + dosage, whole, ""},
		{"a patient's given name alone", prescriber + dosage, entries(`,"name":[{"given":["A"]}],"birthDate":"1984"`, named, coded), ""},
		{"a patient's name in the reference", `,"subject":{"reference":"Patient/1","display":"A B"}` + prescriber + dosage, entries(`,"birthDate":"1984"`, named, coded), ""},
		{"a prescriber's role", `,"requester":{"reference":"PractitionerRole/r"}` + dosage, whole, ""},
		{"a prescriber's name in the reference", `,"requester":{"display":"Dr C","identifier":{"value":"1"}}` + dosage, whole, ""},
		{"a Medication by its ingredient", `,"medicationReference":{"reference":"Medication/m"}` + prescriber + dosage, entries(full, named, `,"ingredient":[{"itemReference":{"reference":"Substance/s"}}]`), ""},
		{"a medicine's name in the reference", `,"medicationReference":{"reference":"Medication/other","display":"zinc"}` + prescriber + dosage, whole, "warning RX_UNRESOLVED_REFERENCE Bundle.entry[0].resource.medication.reference"},

		{"no patient in the message", `,"subject":{"reference":"Patient/2"}` + prescriber + dosage, whole,
			"error RX_INCOMPLETE Bundle.entry[0].resource.subject, warning RX_UNRESOLVED_REFERENCE Bundle.entry[0].resource.subject.reference"},
		{"a patient without birth date", prescriber + dosage, entries(`,"name":[{"family":"B"}]`, named, coded), "error RX_INCOMPLETE Bundle.entry[0].resource.subject.resolve().birthDate"},
		{"a patient without name", prescriber + dosage, entries(`,"birthDate":"1984"`, named, coded), "error RX_INCOMPLETE Bundle.entry[0].resource.subject.resolve().name"},
		{"no prescriber", dosage, whole, "error RX_INCOMPLETE Bundle.entry[0].resource.requester, warning RX_NO_PRESCRIBER_ID Bundle.entry[0].resource.requester"},
		{"a prescriber without name", prescriber + dosage, entries(full, ``, coded), "error RX_INCOMPLETE Bundle.entry[0].resource.requester"},
		{"a medicine that is not in the message", `,"medicationReference":{"reference":"Medication/m"}` + prescriber + dosage, entries(full, named, ``), "error RX_INCOMPLETE Bundle.entry[0].resource.medication"},
		{"a fill of one", prescriber + dosage + `,"dispenseRequest":{"quantity":{"value":1}}`, whole, ""},
		{"a fill of nothing", prescriber + dosage + `,"dispenseRequest":{"quantity":{"value":0.00}}`, whole, "error RX_VALUE Bundle.entry[0].resource.dispenseRequest.quantity.value"},
		{"a fill of less", prescriber + dosage + `,"dispenseRequest":{"quantity":{"value":-30}}`, whole, "error RX_VALUE Bundle.entry[0].resource.dispenseRequest.quantity.value"},
		{"no dosage", prescriber, whole, "warning RX_NO_DOSAGE Bundle.entry[0].resource.dosageInstruction"},
		{"a dosage that says nothing", prescriber + `,"dosageInstruction":[{"sequence":1}]`, whole, "warning RX_NO_DOSAGE Bundle.entry[0].resource.dosageInstruction"},
		{"a patient whose name is blank", prescriber + dosage, entries(`,"name":[{"text":" ","given":["\u00a0"]}],"birthDate":"1984"`, named, coded), "error RX_INCOMPLETE Bundle.entry[0].resource.subject.resolve().name"},
		{"a prescriber whose name is blank", prescriber + dosage, entries(full, `,"name":[{"text":"\t"}]`, coded), "error RX_INCOMPLETE Bundle.entry[0].resource.requester"},
		{"a medicine whose name is blank", `,"medicationReference":{"reference":"Medication/m","display":" "}` + prescriber + dosage, entries(full, named, `,"code":{"text":" "}`), "error RX_INCOMPLETE Bundle.entry[0].resource.medication"},
		{"a dosage of blanks", prescriber + `,"dosageInstruction":[{"text":" "}]`, whole, "warning RX_NO_DOSAGE Bundle.entry[0].resource.dosageInstruction"},
		{"a reference out of the message", prescriber + dosage + `,"encounter":{"reference":"Encounter/1"}`, whole, "warning RX_UNRESOLVED_REFERENCE Bundle.entry[0].resource.encounter.reference"},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			request := `{"resourceType":"MedicationRequest","id":"a","status":"active","intent":"order"` + tc.request
			if !strings.Contains(request, `"subject"`) {
				request += `,"subject":{"reference":"Patient/1"}`
			}
			if !strings.Contains(request, `"medicationReference"`) {
				request += `,"medicationCodeableConcept":{"coding":[{"code":"1"}]}`
			}
			d := decode(t, bundle("message", res(request+"}")+tc.entries))
			m, _ := fhir.Read(d)
			var got []string
			for _, i := range fhir.Complete(d, m.Requests[0]) {
				got = append(got, fmt.Sprint(i.Severity, " ", i.ID, " ", i.Expression))
			}
			if s := strings.Join(got, ", "); s != tc.want {
				t.Errorf("got  %s\nwant %s", s, tc.want)
			}
		})
	}
}
