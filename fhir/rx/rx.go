package rx

import (
	"time"

	"github.com/dosewire/dosewire/internal/fault"
)

// Phase is where a prescription stands between issue and its end.
type Phase string

const (
	None      Phase = ""                 // nothing was issued under this identity
	Ready     Phase = "ready"            // a fill is free
	Held      Phase = "held"             // a pharmacy prepares a fill
	Collect   Phase = "ready-to-collect" // the fill waits for the patient
	Completed Phase = "completed"        // no fills left, or ended by the clinic
	Cancelled Phase = "cancelled"        // by the clinic; a tombstone if it was never issued
	Replaced  Phase = "replaced"         // by a newer prescription
	Expired   Phase = "expired"          // validity ended unfilled
)

// State is everything a decision about one prescription depends on. It holds ids, counts and times,
// no clinical content. The zero State is "nothing issued". Strings are ids as text; times are unix
// milliseconds, 0 = none. It is stored as JSON; field names are part of the format.
type State struct {
	Phase         Phase    `json:"phase"`
	OnHold        bool     `json:"onHold,omitempty"`        // by the clinic
	CancelPending bool     `json:"cancelPending,omitempty"` // asked for while held
	ReplacedBy    string   `json:"replacedBy,omitempty"`
	Clinic        string   `json:"clinic"`
	Record        string   `json:"record,omitempty"`   // the version in force
	Pharmacy      string   `json:"pharmacy,omitempty"` // where it is routed; "" = waits for a choice
	Holder        string   `json:"holder,omitempty"`
	Dispense      string   `json:"dispense,omitempty"` // identity of the holder's dispense for the current claim
	Claim         uint64   `json:"claim,omitempty"`    // number of the latest claim
	LeaseEnd      int64    `json:"leaseEnd,omitempty"`
	FillsAllowed  int      `json:"fillsAllowed"`
	FillsDone     int      `json:"fillsDone,omitempty"`
	ValidFrom     int64    `json:"validFrom,omitempty"`
	ValidTo       int64    `json:"validTo,omitempty"`  // exclusive end
	Frozen        string   `json:"frozen,omitempty"`   // fingerprint of the frozen fields
	Declined      []string `json:"declined,omitempty"` // pharmacies that refused it

	Ended        bool   `json:"ended,omitempty"`        // the clinic wants no fill after the present one
	Part         bool   `json:"part,omitempty"`         // part of the held fill was handed over
	Numbered     int    `json:"numbered,omitempty"`     // fill numbers given out; a withdrawn hand-over keeps its own
	LastPharmacy string `json:"lastPharmacy,omitempty"` // who handed over the latest fill; "" once withdrawn
	LastDispense string `json:"lastDispense,omitempty"` // and under which dispense identity
	LastAt       int64  `json:"lastAt,omitempty"`       // and when
}

// Kind is what a message means for a prescription (PROTOCOL §1).
type Kind string

const (
	Issue    Kind = "issue"    // MR active: issue, resume, or a repeat
	Hold     Kind = "hold"     // MR on-hold
	Cancel   Kind = "cancel"   // MR cancelled, stopped, entered-in-error
	End      Kind = "end"      // MR completed: no further fills
	Replace  Kind = "replace"  // another MR names this one as priorPrescription
	Claim    Kind = "claim"    // MD preparation
	Prepare  Kind = "prepare"  // MD in-progress: ready to collect
	HandOver Kind = "handover" // MD completed
	Query    Kind = "query"    // MD on-hold: keeps claim and lease
	Release  Kind = "release"  // MD cancelled, stopped
	Decline  Kind = "decline"  // MD declined
	Withdraw Kind = "withdraw" // MD entered-in-error
	Nominate Kind = "nominate" // the patient chose a pharmacy
	Tick     Kind = "tick"     // time passed
)

// Event is one message or fact, as far as this prescription is concerned.
type Event struct {
	Kind     Kind
	Org      string // who sent it; "" = the hub
	Record   string // the record that carries it
	Pharmacy string // Issue, Nominate: where to route, "" = nobody known

	// Issue and Replace.
	FillsAllowed       int
	ValidFrom, ValidTo int64
	Frozen             string
	By                 string // Replace: the newer prescription

	// Dispense events.
	Dispense  string // identity of the dispense
	Stated    uint64 // claim number the sender stated, 0 = none
	WasSent   bool   // the prescription was delivered to this pharmacy once
	EverHeld  bool   // this dispense served an earlier claim of this prescription
	Partial   bool   // type says the fill is not complete (FFP, RFP …)
	OldStatus string // status last decided for this dispense, "" = first
	OldClaim  uint64 // claim that this dispense served
}

// To names an effect's receiver relative to the decision.
type To string

// EffectKind is what a decision makes happen.
type EffectKind string

const (
	Offer    EffectKind = "offer"   // deliver the prescription in force to Org
	Forward  EffectKind = "forward" // deliver this message to Org
	Tell     EffectKind = "tell"    // deliver an OperationOutcome with Code to Org
	Wake     EffectKind = "wake"    // wake the patient's phone; What says why
	TakeFill EffectKind = "fill"    // the fill Number belongs to Org now (row of the fill table)
)

// Wakes a patient can get. The payload never says which; the phone fetches.
const (
	WakeIssued    = "issued"
	WakeChoose    = "choose" // waits for a pharmacy to be chosen
	WakeAccepted  = "accepted"
	WakeCollect   = "collect"
	WakeDispensed = "dispensed"
	WakeReleased  = "released"
	WakeHeld      = "on-hold"
	WakeCancelled = "cancelled"
	WakeRefused   = "refused"
	WakeConflict  = "conflict"
	WakeResumed   = "resumed" // the clinic's hold is over
	WakeEnded     = "ended"   // the clinic wants no further fills
	WakeExpired   = "expired" // validity ended unfilled
)

// Effect is one consequence, in the order to be announced.
type Effect struct {
	Kind   EffectKind
	Org    string
	Code   fault.Code
	What   string
	Number int
}

// Answer is the word to the sender. Code "" means done; a code of kind Conflict, Invalid or Denied
// refuses; an information code (RX_FLAGGED, RX_TOMBSTONE, RX_CANCEL_PENDING for a clinic's cancel)
// qualifies a yes.
type Answer struct {
	Code    fault.Code
	Refused bool
	NoOp    bool     // nothing changed: a semantic repeat, answered 200
	Pending bool     // cancel asked for while a pharmacy holds it: the final word comes later
	Flags   []string // hand-over conflicts: late, over-fills, after-expiry, after-cancel, other-holder, on-hold, too-early
}

// Leases (PROTOCOL §4).
const (
	LeaseHeld    = 72 * time.Hour
	LeaseCollect = 14 * 24 * time.Hour
	LeaseCancel  = 24 * time.Hour // a holder silent for so long lets a pending cancel take effect
)

// WithdrawWindow is how long after a hand-over its pharmacy may still withdraw it.
const WithdrawWindow = 7 * 24 * time.Hour

// Flags of a hand-over that conflicts with the prescription's state, in the order of Answer.Flags.
const (
	FlagLate        = "late"         // the pharmacy's right to the fill had ended: lease, release, refusal, redirection
	FlagOverFills   = "over-fills"   // no fill was left
	FlagAfterExpiry = "after-expiry" // validity had ended
	FlagAfterCancel = "after-cancel" // the clinic had cancelled, replaced or ended it, or asked to
	FlagOtherHolder = "other-holder" // another pharmacy held the fill
	FlagOnHold      = "on-hold"      // the clinic had put it on hold
	FlagTooEarly    = "too-early"    // validity had not begun
)
