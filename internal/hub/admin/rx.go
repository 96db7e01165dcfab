package admin

import (
	"context"
	"net/http"
	"time"
)

// RxService shows operators how prescriptions stand. It opens no record: no answer has clinical content or
// says who the patient is.
type RxService interface {
	Prescription(ctx context.Context, q PrescriptionOf) (Prescription, error)
	Prescriptions(ctx context.Context, q PrescriptionsOf) ([]PrescriptionLine, error)
}

// PrescriptionOf asks for one prescription, by its id at the hub.
type PrescriptionOf struct {
	ID string `json:"id"`
}

// PrescriptionsOf asks for many: those of an organisation, newest first, or those that time changes, the
// longest due first.
type PrescriptionsOf struct {
	Org    string        `json:"org,omitempty"`    // that it issued or was sent
	Before string        `json:"before,omitempty"` // with Org: ids below this one
	Due    bool          `json:"due,omitempty"`
	Within time.Duration `json:"within,omitempty"` // with Due: also what comes within
	Limit  int           `json:"limit"`
}

// PrescriptionLine is a prescription at a glance.
type PrescriptionLine struct {
	ID       string     `json:"id"`
	State    string     `json:"state"`    // rx-state
	Business string     `json:"business"` // as the patient reads it
	Clinic   Name       `json:"clinic"`
	Pharmacy *Name      `json:"pharmacy,omitempty"` // where it is routed
	Holder   *Name      `json:"holder,omitempty"`
	Filled   int        `json:"fillsDone"`
	Fills    int        `json:"fillsAllowed"`
	Due      *time.Time `json:"due,omitempty"` // when time next changes it, or says something about it
}

// Name is an organisation.
type Name struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

// Prescription is all that the hub knows of one without opening it.
type Prescription struct {
	PrescriptionLine
	Version       int        `json:"version"`
	Task          string     `json:"task"`             // Task.status
	Reason        string     `json:"reason,omitempty"` // why, a code of the catalogue
	Phase         string     `json:"phase"`
	OnHold        bool       `json:"onHold,omitempty"`
	CancelPending bool       `json:"cancelPending,omitempty"`
	Ended         bool       `json:"ended,omitempty"`
	ReplacedBy    string     `json:"replacedBy,omitempty"`
	Urgent        bool       `json:"urgent,omitempty"`
	Directed      bool       `json:"directed,omitempty"`
	RecordOnly    bool       `json:"recordOnly,omitempty"`
	Claim         uint64     `json:"claim,omitempty"`
	LeaseEnd      *time.Time `json:"leaseEnd,omitempty"`
	ValidFrom     *time.Time `json:"validFrom,omitempty"`
	ValidTo       *time.Time `json:"validTo,omitempty"` // exclusive
	Parts         int        `json:"parts,omitempty"`   // hand-overs of the fill that is not closed
	Balance       string     `json:"balance,omitempty"` // left of it, in the order's own unit
	Short         string     `json:"short,omitempty"`   // of what is ready: part, all
	CollectCode   bool       `json:"collectCode,omitempty"`
	CodeTries     int        `json:"codeTries,omitempty"`
	Declined      []Name     `json:"declined,omitempty"`
	Warnings      []string   `json:"warnings,omitempty"` // that were given
	Dispenses     []Dispense `json:"dispenses,omitempty"`
	History       []Event    `json:"history"` // oldest first
}

// Dispense is a pharmacy's dispense of a prescription.
type Dispense struct {
	ID       string `json:"id"`
	Pharmacy Name   `json:"pharmacy"`
	Status   string `json:"status"` // FHIR MedicationDispense.status last decided
	Claim    uint64 `json:"claim,omitempty"`
	Version  int    `json:"version"`
}

// Event is one change of a prescription with the ledger's entry of the message that brought it.
type Event struct {
	Version int       `json:"version"`
	Index   uint64    `json:"index"`
	Time    time.Time `json:"time"`
	Kind    string    `json:"kind"`           // what the message meant
	By      *Name     `json:"by,omitempty"`   // nil = the patient or the hub
	State   string    `json:"state"`          // after it
	Code    string    `json:"code,omitempty"` // that qualified the answer
}

func handleRx(mux *http.ServeMux, s RxService) {
	mux.HandleFunc("POST /prescription", answer(s.Prescription))
	mux.HandleFunc("POST /prescriptions", answer(s.Prescriptions))
}

// Prescription and Prescriptions are as in RxService; ErrNotRunning beside its errors.
func (c *Client) Prescription(ctx context.Context, q PrescriptionOf) (p Prescription, err error) {
	return p, c.call(ctx, http.MethodPost, "/prescription", q, &p)
}

func (c *Client) Prescriptions(ctx context.Context, q PrescriptionsOf) (all []PrescriptionLine, err error) {
	return all, c.call(ctx, http.MethodPost, "/prescriptions", q, &all)
}
