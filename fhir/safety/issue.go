package safety

import (
	"time"

	"github.com/dosewire/dosewire/fhir"
)

// Code systems of a DetectedIssue of ours.
const (
	ActCode = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
	Input   = "https://dosewire.example/fhir/CodeSystem/safety-input"
)

// Signal is what one receiver is told about one prescription.
type Signal struct {
	ID           string
	Kind         Kind
	By           Basis
	At           time.Time
	Prescription string       // its hub id
	Others       []string     // hub ids of doubles that the receiver may know
	Allergies    []fhir.Party // that the receiver may know
	High         bool
}

// Issue says a signal as a DetectedIssue.
func (m *Map) Issue(s Signal) ([]byte, error) {
	issue := fhir.DetectedIssue{
		ID: s.ID, Code: fhir.Coding{System: ActCode, Code: string(s.Kind)}, Title: s.Kind.title(), Severity: "moderate", Identified: s.At,
		Implicated: []fhir.Party{{Reference: "MedicationRequest/" + s.Prescription, Type: "MedicationRequest"}},
		Basis:      fhir.Coding{System: Input, Code: string(s.By)}, BasisText: m.basis(s.By), Detail: s.detail(),
	}
	if s.High {
		issue.Severity = "high"
	}
	for _, id := range s.Others {
		issue.Implicated = append(issue.Implicated, fhir.Party{Reference: "MedicationRequest/" + id, Type: "MedicationRequest"})
	}
	issue.Implicated = append(issue.Implicated, s.Allergies...)
	return issue.JSON()
}

func (k Kind) title() string {
	switch k {
	case Double:
		return "Duplicate Therapy Alert"
	case Intolerance:
		return "Intolerance Alert"
	}
	return "Allergy Alert"
}

func (m *Map) basis(b Basis) string {
	switch b {
	case Code:
		return "A code in common"
	case Ingredient:
		return "An ingredient in common"
	}
	if m == nil { // found by a map that is not loaded any more
		return "A class in common by a code map"
	}
	return "A class in common by the code map with SHA-256 " + m.sum
}

func (s Signal) detail() string {
	switch s.Kind {
	case Allergic:
		return "An allergy stated with this order is to " + s.By.what() + ". Nothing was stopped. Please check before it is taken."
	case Intolerance:
		return "An intolerance stated with this order is of " + s.By.what() + ". Nothing was stopped. Please check before it is taken."
	}
	return "Another active prescription of this patient is for " + s.By.what() + ". Nothing was stopped. Please check whether both are meant."
}

func (b Basis) what() string {
	switch b {
	case Code:
		return "a medicine with the same code"
	case Ingredient:
		return "a medicine or substance with an ingredient in common"
	}
	return "a medicine or substance of the same class"
}
