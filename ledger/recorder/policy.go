package recorder

import (
	"slices"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/ledger"
)

// Policy is what the operator has decided about orders. Codes are "system|code". The zero Policy knows no
// controlled drug and lets every patient choose.
type Policy struct {
	Controlled      []string    // codes of medicines or ingredients whose orders are recorded and not routed
	ControlledAllow []ledger.ID // organisations whose policy allows them
	Directed        []string    // codes of MedicationRequest.category with which the prescriber chooses the pharmacy
}

func (p Policy) directs(q fhir.Request) bool { return among(q.Categories, p.Directed) }

func (p Policy) controls(org ledger.ID, q fhir.Request) bool {
	return (among(q.Medication, p.Controlled) || among(q.Ingredients, p.Controlled)) && !slices.Contains(p.ControlledAllow, org)
}

func among(codings []fhir.Coding, codes []string) bool {
	for _, c := range codings {
		if slices.Contains(codes, c.System+"|"+c.Code) {
			return true
		}
	}
	return false
}
