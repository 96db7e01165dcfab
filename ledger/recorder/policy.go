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

// policy is what a decider asks.
type policy interface {
	words(*unit) words
}

func (p Policy) words(u *unit) (w words) {
	for i, q := range u.read.Requests {
		if p.directs(q) {
			w.directed = append(w.directed, i)
		}
		if p.controls(u.sender.ID, q) {
			w.recordOnly = append(w.recordOnly, i)
		}
	}
	return w
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
