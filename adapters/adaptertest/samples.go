package adaptertest

import (
	"strings"
)

// Canary is the name of the patient in every sample. It may be in a body, and nowhere else.
const Canary = "Zyxwina"

// Request is a valid MedicationRequest with the business identifier given.
func Request(identifier string) string {
	return `{"resourceType":"MedicationRequest","id":"` + identifier + `","contained":[` +
		`{"resourceType":"Patient","id":"p","identifier":[{"system":"urn:mrn","value":"1"}],"name":[{"family":"` + Canary + `","given":["Ada"]}],"birthDate":"1980-02-01"},` +
		`{"resourceType":"Practitioner","id":"d","identifier":[{"system":"urn:npi","value":"9"}],"name":[{"family":"Okafor"}]}],` +
		`"identifier":[{"system":"urn:rx","value":"` + identifier + `"}],"status":"active","intent":"order",` +
		`"medicationCodeableConcept":{"text":"Ibuprofen 400 mg tablets"},"subject":{"reference":"#p"},"requester":{"reference":"#d"},` +
		`"dosageInstruction":[{"text":"One tablet three times a day"}],"dispenseRequest":{"quantity":{"value":20}}}`
}

// Dispense is a valid MedicationDispense of the prescription with the business identifier given.
func Dispense(identifier, prescription string) string {
	return `{"resourceType":"MedicationDispense","identifier":[{"system":"urn:disp","value":"` + identifier + `"}],"status":"completed",` +
		`"contained":[{"resourceType":"Patient","id":"p","identifier":[{"system":"urn:mrn","value":"1"}],"name":[{"family":"` + Canary + `"}]}],` +
		`"medicationCodeableConcept":{"text":"Ibuprofen 400 mg tablets"},"subject":{"reference":"#p"},` +
		`"authorizingPrescription":[{"identifier":{"system":"urn:rx","value":"` + prescription + `"}}]}`
}

// Bundle is a Bundle of a type around resources; a message Bundle begins with its header.
func Bundle(kind, id string, resources ...string) string {
	var entries []string
	if kind == "message" {
		entries = append(entries, `{"fullUrl":"urn:uuid:3f1c0b5e-7d55-4a9e-8f0e-000000000001","resource":{"resourceType":"MessageHeader","id":"`+id+
			`","eventCoding":{"system":"urn:events","code":"prescribe"},"source":{"endpoint":"urn:clinic"}}}`)
	}
	for i, r := range resources {
		e := `{"fullUrl":"urn:uuid:3f1c0b5e-7d55-4a9e-8f0e-00000000001` + string(rune('0'+i)) + `","resource":` + r
		if kind == "transaction" || kind == "batch" {
			e += `,"request":{"method":"POST","url":"MedicationRequest"}`
		}
		entries = append(entries, e+"}")
	}
	return `{"resourceType":"Bundle","type":"` + kind + `","entry":[` + strings.Join(entries, ",") + `]}`
}
