package fhir

import (
	"encoding/json"
	"strconv"

	models "github.com/samply/golang-fhir-models/fhir-models/fhir"

	"github.com/dosewire/dosewire/internal/fault"
)

// OutcomeSystem is the code system of OperationOutcome.issue.details: the catalogue's codes
// (docs/errors.md), and for broken constraints of the specification their ids.
const OutcomeSystem = "https://dosewire.example/fhir/CodeSystem/outcome"

// Outcome is an OperationOutcome with these issues (an information "RX_RECORDED" if none).
func Outcome(issues []Issue) []byte { return OutcomeFrom(IssuesJSON(issues)) }

// OutcomeFrom is an OperationOutcome around an issue array made by IssuesJSON. Without one it is that
// of no issues.
func OutcomeFrom(issuesJSON []byte) []byte {
	if len(issuesJSON) == 0 {
		issuesJSON = IssuesJSON(nil)
	}
	out := append([]byte(`{"resourceType":"OperationOutcome","issue":`), issuesJSON...)
	return append(out, '}')
}

// IssuesJSON is the issue array alone, as OperationOutcome.issue holds it: severity, code, the stable
// code and its sentence in details, "line:column" in diagnostics, the path in expression. R4 demands
// at least one issue, so none is an information "RX_RECORDED".
func IssuesJSON(issues []Issue) []byte {
	if len(issues) == 0 {
		issues = []Issue{catalogued("information", fault.CodeRecorded, "")}
	}
	list := make([]models.OperationOutcomeIssue, len(issues))
	for i, issue := range issues {
		list[i] = issue.model()
	}
	out, err := json.Marshal(list)
	if err != nil { // unreachable: the enums below are valid, strings cannot fail
		return []byte(`[{"severity":"fatal","code":"exception"}]`)
	}
	return out
}

func (i Issue) model() models.OperationOutcomeIssue {
	system := OutcomeSystem
	m := models.OperationOutcomeIssue{Severity: models.IssueSeverityError, Code: models.IssueTypeProcessing}
	// a word that FHIR does not have leaves the default: the answer must get out
	_ = m.Severity.UnmarshalJSON([]byte(strconv.Quote(i.Severity)))
	_ = m.Code.UnmarshalJSON([]byte(strconv.Quote(i.Code)))
	details := models.CodeableConcept{}
	if i.ID != "" {
		details.Coding = []models.Coding{{System: &system, Code: &i.ID}}
	}
	if i.Text != "" {
		details.Text = &i.Text
	}
	if i.ID != "" || i.Text != "" {
		m.Details = &details
	}
	if i.Line > 0 {
		at := strconv.Itoa(i.Line) + ":" + strconv.Itoa(i.Col)
		m.Diagnostics = &at
	}
	if i.Expression != "" {
		m.Expression = []string{i.Expression}
	}
	return m
}
