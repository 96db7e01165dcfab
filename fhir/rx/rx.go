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
	Named         string   `json:"named,omitempty"`    // where the order in force sent it; the patient may have moved it
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

	Terms      Terms  `json:"terms,omitzero"`
	Urgent     bool   `json:"urgent,omitempty"`     // priority urgent, asap or stat
	OfferedAt  int64  `json:"offeredAt,omitempty"`  // when it was sent to Pharmacy
	Directed   bool   `json:"directed,omitempty"`   // the prescriber chose the pharmacy: the patient may not
	RecordOnly bool   `json:"recordOnly,omitempty"` // recorded and not routed: a controlled drug without a policy for it
	Code       string `json:"code,omitempty"`       // the collect code that opens the free fill, by its locator
	CodeTries  int    `json:"codeTries,omitempty"`  // wrong secrets given for it

	Parts        []Part `json:"parts,omitempty"`        // handed over of the fill that is not closed
	ExpiryWarned int    `json:"expiryWarned,omitempty"` // warnings before the end of validity that were given
	LeaseWarned  bool   `json:"leaseWarned,omitempty"`
	Alarmed      bool   `json:"alarmed,omitempty"` // said that the pharmacy is silent

	Ended        bool   `json:"ended,omitempty"`        // the clinic wants no fill after the present one
	Part         bool   `json:"part,omitempty"`         // part of the held fill was handed over
	Short        string `json:"short,omitempty"`        // how much of what is left of the fill to collect is not ready: ShortPart, ShortAll
	Numbered     int    `json:"numbered,omitempty"`     // fill numbers given out; a withdrawn hand-over keeps its own
	LastPharmacy string `json:"lastPharmacy,omitempty"` // who handed over the latest fill; "" once withdrawn
	LastDispense string `json:"lastDispense,omitempty"` // and under which dispense identity
	LastAt       int64  `json:"lastAt,omitempty"`       // and when; of the one before, once withdrawn
	LastParts    []Part `json:"lastParts,omitempty"`    // and what of the fill had been handed over before
	LastBefore   int64  `json:"lastBefore,omitempty"`   // when the fill before the latest was handed over
}

// What a fill that is ready to collect may lack. "" is nothing.
const (
	ShortPart = "part" // a part is ready
	ShortAll  = "all"  // a part was handed over, and nothing of the rest is ready
)

// Terms is what an order says of each fill. Amounts are in millionths of Unit, 0 = not said or not
// comparable; times are milliseconds.
type Terms struct {
	Amount         int64  `json:"amount,omitempty"`        // dispenseRequest.quantity
	First          int64  `json:"first,omitempty"`         // initialFill.quantity
	Unit           string `json:"unit,omitempty"`          // system|code
	Interval       int64  `json:"interval,omitempty"`      // dispenseInterval: from one fill to the next at least
	FirstInterval  int64  `json:"firstInterval,omitempty"` // initialFill.duration: from the first to the second
	NoSubstitution bool   `json:"noSubstitution,omitempty"`
}

// Part is a hand-over that did not close its fill.
type Part struct {
	Org      string `json:"org"`
	Dispense string `json:"dispense"`
	Amount   int64  `json:"amount,omitempty"`
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
	Renew    Kind = "renew"    // MR proposal with priorPrescription, by a pharmacy: asks the clinic for another
	Amend    Kind = "amend"    // MR changed under its version: other content for what nobody has claimed

	Nominate Kind = "nominate" // the patient chose a pharmacy
	Open     Kind = "open"     // the patient made a collect code: whoever shows it may claim
	Silent   Kind = "silent"   // the pharmacy has not fetched what it was sent
	Tick     Kind = "tick"     // time passed
)

// Event is one message or fact, as far as this prescription is concerned.
type Event struct {
	Kind     Kind
	Org      string // who sent it; "" = the hub
	Record   string // the record that carries it
	Pharmacy string // Issue, Amend, Nominate: where to route, "" = nobody known; Silent: who does not fetch
	Code     string // Open: the new code's locator; dispense events: the one shown, "" = none
	CodeOK   bool   // the secret shown with Code is right

	// Issue, Amend and Replace.
	FillsAllowed       int
	ValidFrom, ValidTo int64
	Frozen             string
	Terms              Terms
	Urgent             bool
	Directed           bool
	RecordOnly         bool
	By                 string // Replace: the newer prescription

	// Dispense events.
	Dispense string // identity of the dispense
	Stated   uint64 // claim number the sender stated, 0 = none
	WasSent  bool   // the prescription was delivered to this pharmacy once
	EverHeld bool   // this dispense served an earlier claim of this prescription
	Partial  bool   // type says that the fill is not complete (FFP, RFP …)
	Whole    bool   // type says that it is (FFC, RFC …)
	Amount   int64  // quantity in millionths of Unit, 0 = not said
	Unit     string // system|code
	// Substituted: another product than the one ordered. Mitigated: the pharmacist has recorded why an
	// interval or a substitution rule is overridden (detectedIssue.mitigation).
	Substituted, Mitigated bool
	OtherPatient           bool   // HandOver: its subject is not the prescription's
	OldStatus              string // status last decided for this dispense, "" = first
	OldClaim               uint64 // claim that this dispense served
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
	WakeExpiring  = "expiring"
	WakeAmended   = "amended"
	WakeSilent    = "silent"  // the pharmacy does not answer: it may be sent elsewhere
	WakeRenewal   = "renewal" // the pharmacy asked the clinic for another
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
	Repeat  bool     // a semantic repeat, also when time has changed something since
	Pending bool     // cancel asked for while a pharmacy holds it: the final word comes later
	Counted bool     // with Refused: the refusal itself changed the state (a wrong collect code)
	Flags   []string // hand-over conflicts: the Flag constants, in their order
}

// Leases (PROTOCOL §4).
const (
	LeaseHeld    = 72 * time.Hour
	LeaseCollect = 14 * 24 * time.Hour
	LeaseCancel  = 24 * time.Hour // a holder silent for so long lets a pending cancel take effect
)

// Warnings before something ends (PROTOCOL §4).
const (
	WarnLease    = 24 * time.Hour
	WarnExpiry   = 7 * 24 * time.Hour
	WarnExpiring = 24 * time.Hour
)

// How long a pharmacy may leave unfetched what it was sent (PROTOCOL §5).
const (
	SilenceUrgent = 15 * time.Minute
	Silence       = 2 * time.Hour
)

// MaxCodeTries is how many wrong secrets a collect code survives.
const MaxCodeTries = 5

// WithdrawWindow is how long after a hand-over its pharmacy may still withdraw it.
const WithdrawWindow = 7 * 24 * time.Hour

// Flags of a hand-over that conflicts with the prescription's state, in the order of Answer.Flags.
const (
	FlagLate        = "late"         // the pharmacy's right to the fill had ended: lease, release, refusal, redirection
	FlagOverFills   = "over-fills"   // no fill was left
	FlagOverAmount  = "over-amount"  // more than the fill held
	FlagAfterExpiry = "after-expiry" // validity had ended
	FlagAfterCancel = "after-cancel" // the clinic had cancelled, replaced or ended it, or asked to
	FlagOtherHolder = "other-holder" // another pharmacy held the fill
	FlagOnHold      = "on-hold"      // the clinic had put it on hold
	FlagTooEarly    = "too-early"    // validity had not begun, or the interval between fills was not over
	FlagSubstituted = "substituted"  // another product, which the order does not allow

	FlagOtherPatient = "other-patient" // its subject is not the prescription's
)
