package fhir_test

import (
	"strings"
	"testing"
)

// TestFrozen: what changes a prescription and what does not.
func TestFrozen(t *testing.T) {
	body := string(ours(t, "medicationrequest.json"))
	frozen := func(body string) string { return string(read(t, body).Requests[0].Frozen) }
	for _, tc := range []struct {
		rule, old, new string
		equal          bool
	}{
		{"status", `"active"`, `"on-hold"`, true},
		{"priority", `"routine"`, `"urgent"`, true},
		{"a note", "Allergic to none known.", "None", true},
		{"white space and order of members", `{"value": 1, "unit": "capsule"}`, `{"unit":"capsule",   "value":1}`, true},
		{"the spelling of a string", `"Take"`, `"T\u0061ke"`, true},
		{"the name of a contained resource", `#med`, `#drug`, true},
		{"words about a reference", `"display": "Ada Okafor"`, `"display": "A. Okafor"`, true},
		{"the patient's address", `"gender": "female",`, `"gender": "female", "address": [{"city": "Oslo"}],`, true},

		{"the patient", `"P-1001"`, `"P-1002"`, false},
		{"the medicine's code", `"308182"`, `"308183"`, false},
		{"the medicine's form", `"text": "capsule"`, `"text": "tablet"`, false},
		{"the dose", `"value": 1, "unit": "capsule"`, `"value": 2, "unit": "capsule"`, false},
		{"the precision of the dose", `"value": 1, "unit": "capsule"`, `"value": 1.0, "unit": "capsule"`, false},
		{"the quantity", `"value": 21`, `"value": 42`, false},
		{"repeats", `"numberOfRepeatsAllowed": 1`, `"numberOfRepeatsAllowed": 2`, false},
		{"the prescriber", `"9999999959"`, `"9999999958"`, false},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			if !strings.Contains(body, tc.old) {
				t.Fatalf("the example does not hold %s", tc.old)
			}
			changed := strings.ReplaceAll(body, tc.old, tc.new)
			if tc.old == "#med" {
				changed = strings.ReplaceAll(changed, `"id": "med"`, `"id": "drug"`)
			}
			if got := frozen(changed) == frozen(body); got != tc.equal {
				t.Errorf("equal: %t, want %t", got, tc.equal)
			}
		})
	}
}

// TestFrozenAgain: a message made anew, with other UUIDs and in other order, is the same prescription.
func TestFrozenAgain(t *testing.T) {
	message := func(p, d, m string, turned bool) string {
		parts := []string{
			res(mr(`,"id":"a","subject":{"reference":"urn:uuid:` + p + `"},"requester":{"reference":"urn:uuid:` + d + `"}`)),
			at("urn:uuid:"+p, `{"resourceType":"Patient","id":"`+p+`","name":[{"text":"A B"}]}`),
			at("urn:uuid:"+d, `{"resourceType":"PractitionerRole","practitioner":{"reference":"urn:uuid:`+m+`"}}`),
			at("urn:uuid:"+m, `{"resourceType":"Practitioner","id":"`+m+`","identifier":[{"value":"doc"}]}`),
		}
		if turned {
			parts[1], parts[3] = parts[3], parts[1]
		}
		return bundle("message", strings.Join(parts, ","))
	}
	one := read(t, message("1", "2", "3", false)).Requests[0].Frozen
	two := read(t, message("7", "8", "9", true)).Requests[0].Frozen
	if string(one) != string(two) {
		t.Errorf("%q\n%q", one, two)
	}
}

// TestFrozenDispense: the same dispense with another state and time is the same.
func TestFrozenDispense(t *testing.T) {
	frozen := func(more string) string {
		return string(read(t, md(`,"id":"d","subject":{"reference":"Patient/1"}`+more)).Dispenses[0].Frozen)
	}
	same := frozen(`,"quantity":{"value":3}`)
	if frozen(`,"quantity":{"value":3},"whenHandedOver":"2026-11-18","statusReasonCodeableConcept":{"text":"x"},"meta":{"versionId":"3"}`) != same {
		t.Error("state and time change it")
	}
	if frozen(`,"quantity":{"value":4}`) == same {
		t.Error("the quantity does not change it")
	}
}

// TestFrozenNested: what a medicine is holds what its ingredients are, each read for itself.
func TestFrozenNested(t *testing.T) {
	frozen := func(medication, substance string) string {
		return string(read(t, bundle("message", strings.Join([]string{
			res(`{"resourceType":"MedicationRequest","id":"a","identifier":[{"value":"m"}],"status":"active","intent":"order",
			  "subject":{"reference":"urn:uuid:1"},"medicationReference":{"reference":"urn:uuid:2"}}`),
			at("urn:uuid:1", `{"resourceType":"Patient","identifier":[{"value":"pat"}]}`),
			at("urn:uuid:2", `{"resourceType":"Medication","code":{"text":"`+medication+`"},"ingredient":[{"itemReference":{"reference":"urn:uuid:3"}}]}`),
			at("urn:uuid:3", `{"resourceType":"Substance","code":{"text":"`+substance+`"}}`),
		}, ","))).Requests[0].Frozen)
	}
	long := strings.Repeat("x", 100) // longer than what stands before it
	if frozen("one", long) == frozen("two", long) {
		t.Error("another medicine is the same prescription")
	}
	if frozen("one", long) == frozen("one", long+"y") {
		t.Error("another ingredient is the same prescription")
	}
}
