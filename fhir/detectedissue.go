package fhir

import (
	"encoding/json"
	"fmt"
	"time"
)

// DetectedIssue is a possible problem with a prescription as FHIR R4 says it: a resource of our own.
type DetectedIssue struct {
	ID         string
	Code       Coding
	Title      string // what Code means
	Severity   string // high, moderate or low
	Identified time.Time
	Implicated []Party
	Basis      Coding // what it was found by
	BasisText  string
	Detail     string
}

type (
	detectedIssueJSON struct {
		ResourceType string         `json:"resourceType"`
		ID           string         `json:"id"`
		Status       string         `json:"status"`
		Code         *conceptJSON   `json:"code"`
		Severity     string         `json:"severity"`
		Identified   string         `json:"identifiedDateTime"`
		Author       *partyJSON     `json:"author"`
		Implicated   []*partyJSON   `json:"implicated,omitempty"`
		Evidence     []evidenceJSON `json:"evidence,omitempty"`
		Detail       string         `json:"detail"`
	}
	evidenceJSON struct {
		Code []*conceptJSON `json:"code"`
	}
)

// JSON is the resource. With all fields it is valid R4.
func (i DetectedIssue) JSON() ([]byte, error) {
	out := detectedIssueJSON{
		ResourceType: "DetectedIssue", ID: i.ID, Status: "final", Code: concept(i.Title, i.Code), Severity: i.Severity,
		Identified: instant(i.Identified), Author: Party{Type: "Device", Display: "dosewire"}.json(), Detail: i.Detail,
	}
	for _, p := range i.Implicated {
		out.Implicated = append(out.Implicated, p.json())
	}
	if c := concept(i.BasisText, i.Basis); i.Basis != (Coding{}) {
		out.Evidence = []evidenceJSON{{[]*conceptJSON{c}}}
	}
	body, err := json.Marshal(out)
	if err != nil { // strings only
		return nil, fmt.Errorf("fhir: detected issue: %w", err)
	}
	return body, nil
}
