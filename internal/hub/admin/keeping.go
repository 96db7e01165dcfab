package admin

import (
	"context"
	"net/http"
	"time"
)

// Keeper is what an operator can ask about keeping and erasing. By names who asks; it is recorded.
type Keeper interface {
	// Erase erases a patient, or says what it would do. What refuses it is in Erasure.Refused.
	Erase(ctx context.Context, e EraseRequest) (Erasure, error)
	Holds(ctx context.Context, q HoldQuery) ([]Hold, error)
	AddHold(ctx context.Context, n NewHold) (Hold, error)
	RemoveHold(ctx context.Context, r HoldRelease) (Hold, error)
	AddPatientRequest(ctx context.Context, n NewPatientRequest) (PatientRequest, error)
	PatientRequests(ctx context.Context, q PatientRequestQuery) ([]PatientRequest, error)
}

// EraseRequest asks for the erasure of a patient.
type EraseRequest struct {
	Patient
	Reason string `json:"reason"` // legal basis; no names
	By     string `json:"by"`
	Force  string `json:"force,omitempty"` // the words, to erase before the retention period ends
	DryRun bool   `json:"dryRun,omitempty"`
}

// Erasure is what was erased, or would be.
type Erasure struct {
	DryRun        bool      `json:"dryRun,omitempty"`
	Refused       string    `json:"refused,omitempty"` // code; "" when nothing forbids it
	Holds         []string  `json:"holds,omitempty"`
	RetainedUntil time.Time `json:"retainedUntil,omitzero"` // end of the retention period
	Records       int       `json:"records"`
	Prescriptions int       `json:"prescriptions"`
	Dispenses     int       `json:"dispenses"`
	Devices       int       `json:"devices"`
	Quarantined   int       `json:"quarantined"`
	Entry         *uint64   `json:"entry,omitempty"` // of the decision; a refusal has one too
	Finished      bool      `json:"finished"`        // keys are deleted and streams purged
}

// NewHold forbids the erasure of a patient, or of all of an organisation's when Value is "".
type NewHold struct {
	Patient
	Reason string `json:"reason"`
	By     string `json:"by"`
}

// HoldQuery lists the holds; their reasons are opened for By.
type HoldQuery struct {
	By string `json:"by"`
}

// HoldRelease ends a hold.
type HoldRelease struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
	By     string `json:"by"`
}

// Hold is one that stands, or has just ended.
type Hold struct {
	ID      string    `json:"id"`
	Org     string    `json:"org,omitempty"`
	Patient string    `json:"patient,omitempty"` // the hub's id; "" = every patient of Org
	Since   time.Time `json:"since,omitzero"`
	Reason  string    `json:"reason,omitempty"`
	By      string    `json:"by,omitempty"`
	Entry   *uint64   `json:"entry,omitempty"`
}

// NewPatientRequest records a request of a patient: amendment or restriction.
type NewPatientRequest struct {
	Patient
	Kind string `json:"kind"`
	Text string `json:"text"`
	By   string `json:"by"`
}

// PatientRequestQuery lists a patient's requests; their words are opened for By.
type PatientRequestQuery struct {
	Patient
	By string `json:"by"`
}

// PatientRequest is one on record.
type PatientRequest struct {
	ID    string    `json:"id"`
	Kind  string    `json:"kind"`
	Time  time.Time `json:"time"`
	Text  string    `json:"text,omitempty"`
	By    string    `json:"by,omitempty"`
	Entry *uint64   `json:"entry,omitempty"`
}

// keeping adds the routes of a Keeper.
func keeping(mux *http.ServeMux, k Keeper) {
	mux.HandleFunc("POST /erasures", answer(k.Erase))
	mux.HandleFunc("POST /holds", answer(k.AddHold))
	mux.HandleFunc("POST /holds/list", answer(k.Holds))
	mux.HandleFunc("POST /holds/remove", answer(k.RemoveHold))
	mux.HandleFunc("POST /patient-requests", answer(k.AddPatientRequest))
	mux.HandleFunc("POST /patient-requests/list", answer(k.PatientRequests))
}

// Erase and what follows are as in Keeper; ErrNotRunning beside its errors.
func (c *Client) Erase(ctx context.Context, e EraseRequest) (a Erasure, err error) {
	return a, c.call(ctx, http.MethodPost, "/erasures", e, &a)
}

func (c *Client) AddHold(ctx context.Context, n NewHold) (a Hold, err error) {
	return a, c.call(ctx, http.MethodPost, "/holds", n, &a)
}

func (c *Client) Holds(ctx context.Context, q HoldQuery) (a []Hold, err error) {
	return a, c.call(ctx, http.MethodPost, "/holds/list", q, &a)
}

func (c *Client) RemoveHold(ctx context.Context, r HoldRelease) (a Hold, err error) {
	return a, c.call(ctx, http.MethodPost, "/holds/remove", r, &a)
}

func (c *Client) AddPatientRequest(ctx context.Context, n NewPatientRequest) (a PatientRequest, err error) {
	return a, c.call(ctx, http.MethodPost, "/patient-requests", n, &a)
}

func (c *Client) PatientRequests(ctx context.Context, q PatientRequestQuery) (a []PatientRequest, err error) {
	return a, c.call(ctx, http.MethodPost, "/patient-requests/list", q, &a)
}
