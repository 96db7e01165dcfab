package fhir

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// Task is a fulfilment as FHIR R4 Task says it: a resource of our own. Zero fields are left out.
type Task struct {
	ID       string
	Version  int
	Authored time.Time
	Modified time.Time

	Status       string // FHIR R4 task-status
	Reason       Coding // why it has this status
	ReasonText   string
	Business     []Coding // the same business status in several code systems
	BusinessText string
	Urgent       bool

	Identifier Identifier
	Focus      string // reference
	For        Party
	Requester  Party
	Owner      Party

	Repetitions int       // how often it may be fulfilled
	From, To    time.Time // within which; To is inclusive
	Begun       time.Time // of the execution
	Ended       time.Time
	Output      []Party // what came of it
}

// Party is a reference to somebody or something: literal, by identifier, or both.
type Party struct {
	Reference  string
	Type       string
	Identifier Identifier
	Display    string
}

// The JSON of a Task. Its own types, because the models' Task writes all fifty choices of output.value.
type (
	taskJSON struct {
		ResourceType    string           `json:"resourceType"`
		ID              string           `json:"id"`
		Meta            taskMeta         `json:"meta"`
		Identifier      []identifierJSON `json:"identifier,omitempty"`
		Status          string           `json:"status"`
		StatusReason    *conceptJSON     `json:"statusReason,omitempty"`
		BusinessStatus  *conceptJSON     `json:"businessStatus,omitempty"`
		Intent          string           `json:"intent"`
		Priority        string           `json:"priority,omitempty"`
		Code            *conceptJSON     `json:"code"`
		Focus           *partyJSON       `json:"focus,omitempty"`
		For             *partyJSON       `json:"for,omitempty"`
		ExecutionPeriod *periodJSON      `json:"executionPeriod,omitempty"`
		AuthoredOn      string           `json:"authoredOn,omitempty"`
		LastModified    string           `json:"lastModified,omitempty"`
		Requester       *partyJSON       `json:"requester,omitempty"`
		Owner           *partyJSON       `json:"owner,omitempty"`
		Restriction     *restrictionJSON `json:"restriction,omitempty"`
		Output          []outputJSON     `json:"output,omitempty"`
	}
	taskMeta struct {
		VersionID   string `json:"versionId,omitempty"`
		LastUpdated string `json:"lastUpdated,omitempty"`
	}
	codingJSON struct {
		System string `json:"system"`
		Code   string `json:"code"`
	}
	conceptJSON struct {
		Coding []codingJSON `json:"coding,omitempty"`
		Text   string       `json:"text,omitempty"`
	}
	identifierJSON struct {
		System string `json:"system,omitempty"`
		Value  string `json:"value"`
	}
	partyJSON struct {
		Reference  string          `json:"reference,omitempty"`
		Type       string          `json:"type,omitempty"`
		Identifier *identifierJSON `json:"identifier,omitempty"`
		Display    string          `json:"display,omitempty"`
	}
	periodJSON struct {
		Start string `json:"start,omitempty"`
		End   string `json:"end,omitempty"`
	}
	restrictionJSON struct {
		Repetitions int         `json:"repetitions,omitempty"`
		Period      *periodJSON `json:"period,omitempty"`
	}
	outputJSON struct {
		Type           conceptJSON `json:"type"`
		ValueReference *partyJSON  `json:"valueReference"`
	}
)

// Code systems of FHIR R4.
const (
	systemTaskCode      = "http://hl7.org/fhir/CodeSystem/task-code"
	systemResourceTypes = "http://hl7.org/fhir/resource-types"
)

// JSON is the resource. A Task that has an id and a status is valid R4.
func (t Task) JSON() ([]byte, error) {
	out := taskJSON{
		ResourceType: "Task", ID: t.ID, Meta: taskMeta{LastUpdated: instant(t.Modified)},
		Status: t.Status, Intent: "order",
		Code:           concept("", Coding{systemTaskCode, "fulfill"}),
		BusinessStatus: concept(t.BusinessText, t.Business...),
		Focus:          Party{Reference: t.Focus}.json(),
		For:            t.For.json(), Requester: t.Requester.json(), Owner: t.Owner.json(),
		AuthoredOn: instant(t.Authored), LastModified: instant(t.Modified),
		ExecutionPeriod: period(t.Begun, t.Ended),
	}
	if t.Version > 0 {
		out.Meta.VersionID = strconv.Itoa(t.Version)
	}
	if t.Reason != (Coding{}) {
		out.StatusReason = concept(t.ReasonText, t.Reason)
	}
	if t.Urgent {
		out.Priority = "urgent"
	}
	if t.Identifier != (Identifier{}) {
		out.Identifier = []identifierJSON{{t.Identifier.System, t.Identifier.Value}}
	}
	if within := period(t.From, t.To); t.Repetitions > 0 || within != nil {
		out.Restriction = &restrictionJSON{t.Repetitions, within}
	}
	for _, o := range t.Output {
		out.Output = append(out.Output, outputJSON{*concept("", Coding{systemResourceTypes, o.Type}), o.json()})
	}
	body, err := json.Marshal(out)
	if err != nil { // strings and numbers only
		return nil, fmt.Errorf("fhir: task: %w", err)
	}
	return body, nil
}

// concept is nil when there is nothing to say.
func concept(text string, codings ...Coding) *conceptJSON {
	if text == "" && len(codings) == 0 {
		return nil
	}
	c := &conceptJSON{Text: text}
	for _, coding := range codings {
		c.Coding = append(c.Coding, codingJSON(coding))
	}
	return c
}

func (p Party) json() *partyJSON {
	if p.Reference == "" && p.Identifier == (Identifier{}) && p.Display == "" {
		return nil
	}
	out := &partyJSON{Reference: p.Reference, Type: p.Type, Display: p.Display}
	if p.Identifier != (Identifier{}) {
		out.Identifier = &identifierJSON{p.Identifier.System, p.Identifier.Value}
	}
	return out
}

func period(start, end time.Time) *periodJSON {
	if start.IsZero() && end.IsZero() {
		return nil
	}
	return &periodJSON{instant(start), instant(end)}
}

// instant is t to the millisecond in UTC, "" for the zero time.
func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}
