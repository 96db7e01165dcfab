package fhir_test

import (
	"fmt"

	"github.com/dosewire/dosewire/fhir"
)

func Example() {
	doc, err := fhir.Decode([]byte(`{"resourceType": "MedicationRequest", "status": "aktiv", "intent": "order",
	"medicationCodeableConcept": {"text": "amoxicillin 500 mg"}, "subject": {"reference": "Location/1"},
	"dosageInstruction": [{"timing": {"repeat": {"frequency": 1, "period": 1}}}]}`))
	if err != nil {
		fmt.Println(fhir.IssueOf(err).Text)
		return
	}
	for _, issue := range fhir.Validate(doc) {
		fmt.Printf("%d:%d %s %s: %s\n", issue.Line, issue.Col, issue.ID, issue.Expression, issue.Text)
	}
	// Output:
	// 1:49 RX_CODE MedicationRequest.status: A code is not in its required value set.
	// 2:88 RX_REFERENCE_TYPE MedicationRequest.subject.reference: A reference leads to a resource of a type that is not allowed there.
	// 3:46 tim-2 MedicationRequest.dosageInstruction[0].timing.repeat: If there is a period, there is its unit.
}
