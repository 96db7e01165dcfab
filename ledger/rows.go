package ledger

import (
	"slices"
	"time"

	"github.com/google/uuid"
)

// ID is an opaque, time-ordered identifier (UUIDv7, RFC 9562).
type ID = uuid.UUID

// Key is a keyed hash of an identifier that a client chose, in the scope of one organisation:
// HMAC-SHA-256 under the deployment's index key. The identifier itself is only in sealed records.
type Key struct {
	Org  ID
	Hash Hash
}

// Record is one sealed message. A record holds the data of one patient, or of none.
//
// Its row digest is SHA-256(Header ‖ Sealed).
type Record struct {
	ID       ID
	Org      ID     // who sent it; the zero ID is the hub itself
	KeyID    ID     // which key seals it; zero once erased
	Type     string // FHIR resource type, or "fact"; ASCII, at most 32 bytes
	Version  int    // 1 for a create; a later version of the same resource is another record
	Of       ID     // the resource's id: equal to ID for version 1
	Epoch    uint64 // generation of the intake; 0 for what came past it, straight to the recorder
	Seq      uint64 // intake sequence that brought it; past it, the recorder's term
	Sub      int    // which message of the sequence or term, and which entry of a batch Bundle; 0 when there is one
	Sealed   []byte // nil once erased
	Index    uint64 // its entry
	ErasedBy uint64 // the entry of its erasure; 0 until then
}

// Message is the memory of one decided message: the deduplication that counts.
type Message struct {
	Key           // (org, hash of the message id); unique
	Body   Hash   // HMAC-SHA-256 of the received bytes: same id, other bytes is a conflict; zero once erased
	Record ID     // zero when a refusal left no record
	Answer []byte // the first decision (streams.Answer as JSON); names codes and paths only
	Seq    uint64
}

// Replay says that a message repeated a decided one and changed nothing. Its place is as a Record's.
// Written again, it stays as it is.
type Replay struct {
	Epoch, Seq uint64
	Sub        int
	Key        Key
}

// Prescription is the present state of one prescription, without clinical content. State is the
// whole state machine value (fhir/rx.State as JSON); the other columns are what queries need and
// what constraints guard.
type Prescription struct {
	ID           ID
	Clinic       ID
	Patient      ID
	Record       ID     // the version in force
	Status       string // rx.Status
	Pharmacy     ID     // where it is routed; zero while it waits for the patient's choice
	Holder       ID     // who holds the current fill; zero = nobody
	Claim        uint64 // number of the latest claim, 0 = never claimed
	FillsAllowed int    // numberOfRepeatsAllowed + 1
	FillsDone    int
	Identity     Hash   // HMAC of its business identity or resource id, unique for its clinic
	Group        Hash   // HMAC of groupIdentifier; zero = none
	DueAt        int64  // unix ms of the next thing that time brings; 0 = none
	Version      int    // rises with every change
	Therapy      []byte // what a safety check compares: tokens, one after another; nil = nothing
	State        []byte
}

// TherapyToken is how long a token of Prescription.Therapy is, bytes: a keyed hash of a coding of the medicine,
// of that one patient.
const TherapyToken = 12

// Fill is one fill of a prescription, taken by one pharmacy. (Prescription, Number) is unique: one
// winner for each fill.
type Fill struct {
	Prescription ID
	Number       int // from 1
	Pharmacy     ID
	Claim        uint64
	Record       ID // the dispense that closed it
}

// Dispense remembers which claim a pharmacy's dispense identifier serves; unique by Key.
type Dispense struct {
	Key                 // (pharmacy, hash of the dispense's identity)
	Resource     ID     // the dispense's id at the hub; its versions are records with Of = Resource
	Prescription ID     // zero: history only
	Claim        uint64 //
	Status       string // FHIR MedicationDispense.status last decided
	Version      int    // of the resource
}

// Delivered says that a prescription was sent to a pharmacy, and under which names the pharmacy may
// cite it.
type Delivered struct {
	Pharmacy     ID
	Prescription ID
	Identifier   Hash // HMAC of system|value scoped to nobody; zero = none
	Local        Hash // HMAC of the clinic's own resource id; zero = none
}

// Effect kinds.
const (
	EffectDeliver = "deliver" // a message for an organisation, through RX_DELIVERY
	EffectWake    = "wake"    // a content-free wake for a patient's devices, through PUSH
)

// Effect is what a decision makes happen outside. It is committed with the decision and numbered
// without gaps, so that it can be announced again after any loss.
type Effect struct {
	Number       uint64 // from 1, without gaps, in decision order
	Kind         string
	Org          ID     // receiver of a delivery
	Patient      ID     // receiver of a wake
	Type         string // resource type in the delivery's subject; the kind of a wake
	Record       ID     // the record whose bytes are delivered; zero when Body is set
	Items        []int  // which entries of the record's Bundle; nil = the bytes as received
	Body         []byte // our own resource (OperationOutcome); carries no patient data
	Prescription ID     // Rx-Id; zero when several or none
	Claim        uint64 // Rx-Claim; 0 = none
	State        string // the prescription's status after the decision
	Seq          uint64 // intake sequence of the message that brought it: Rx-Cause, which the publisher knows from its PubAck; 0 = none
	Index        uint64 // Rx-Index: the ledger entry; NoIndex for a refusal
	Time         int64  // unix ms
}

// NoIndex marks an effect without a ledger entry.
const NoIndex = ^uint64(0)

// Quarantined is a message that was refused or could not be recorded, sealed under a key that lives
// for 30 days. Its place is as a Record's.
type Quarantined struct {
	Epoch, Seq uint64
	Sub        int
	Org        ID
	KeyID      ID
	Sealed     []byte
	Code       string // catalogue code
	Time       int64
}

// Access is one disclosure: inserted before plaintext leaves, chained by the recorder within a
// second.
type Access struct {
	ID      ID
	Org     ID     // the reading organisation; zero for a patient
	Patient ID     // the reading patient; zero for an organisation
	Client  ID     // which credential or session
	Person  string // acting person as stated by the client, opaque; at most 128 bytes
	Purpose string // purpose of use code, at most 32 bytes
	Action  string // read, deliver, search
	Records []ID
	Time    int64  // unix ms
	Index   uint64 // NoIndex until chained
}

// Statement is the public text behind a genesis or statement entry.
type Statement struct {
	Index uint64
	Text  string
}

// Organization is a clinic, a pharmacy or the hub's own organisation. It is made by facts.
type Organization struct {
	ID          ID
	Kind        string // clinic | pharmacy
	Name        string
	Sandbox     bool
	Identifiers []Identifier
	Intents     []string // fillable intents beyond order and original-order
	Disabled    bool
	Signature   string // what is asked of its messages: "" nothing, record, require (docs/signatures.md)
	Anchors     string // PEM certificates that its signers' certificates lead to; "" = none
}

// Identifier is a FHIR business identifier.
type Identifier struct{ System, Value string }

// Client is one credential of an organisation.
type Client struct {
	ID       ID
	Org      ID
	Secret   Hash // SHA-256 of the 256-bit secret
	Disabled bool
}

// Nomination is a patient's standing choice of pharmacy.
type Nomination struct{ Patient, Pharmacy ID }

// Batch is everything that one commit writes: all or nothing, fenced by From.
type Batch struct {
	From, To      Head // To.Term must equal From.Term
	Entries       []Entry
	Records       []Record
	Messages      []Message
	Replays       []Replay
	Begun         []Prescription // inserted: none of them is there
	Prescriptions []Prescription // inserted or replaced by ID
	Fills         []Fill
	Dispenses     []Dispense // inserted or replaced by Key
	Delivered     []Delivered
	Effects       []Effect
	Quarantined   []Quarantined
	Accesses      []AccessIndex
	Statements    []Statement
	Organizations []Organization // inserted or replaced by ID
	Clients       []Client       // inserted or replaced by ID
	Nominations   []Nomination   // inserted or replaced by Patient
	Holds         []Hold
	Released      []ID // holds that end
	Requests      []PatientRequest
	Links         []PatientLink // inserted or replaced by Patient, or ended
	Erasure       *Erasure      // written last
}

// Erased reports whether the message was a patient's who is erased: a repeat of it is answered 410.
func (m Message) Erased() bool { return m.Body == Hash{} }

// AccessIndex gives an access row its entry.
type AccessIndex struct {
	ID    ID
	Index uint64
}

// Want names the rows that a batch of messages needs to be decided. Have is what was found; absent
// keys are absent from the maps.
type Want struct {
	Messages      []Key // by message key
	Identities    []Key // prescriptions by (clinic, identity)
	Prescriptions []ID  // prescriptions by hub id, or by the id of any record that is a version of one
	Citations     []Key // prescriptions delivered to (pharmacy), by identifier or local hash
	Dispenses     []Key // by (pharmacy, identity)
	Patients      []ID  // nominations of these patients
	Waiting       []ID  // prescriptions without a pharmacy of these patients
	Linked        []ID  // who belongs to the same persons as these patients
	Tokens        []ID  // what all prescriptions of these patients may be found by
	Therapies     []Taking
}

// Empty says that nothing is asked for.
func (w Want) Empty() bool {
	return len(w.Messages)+len(w.Identities)+len(w.Prescriptions)+len(w.Citations)+len(w.Dispenses)+
		len(w.Patients)+len(w.Waiting)+len(w.Linked)+len(w.Tokens)+len(w.Therapies) == 0
}

// Taking asks for what a patient may be taking, as far as it has a token in common with these: at most
// MaxTherapies prescriptions. A patient is asked about once.
type Taking struct {
	Patient ID
	Tokens  []byte // one after another
}

// fewTokens is up to how many tokens of one patient are looked up each.
const fewTokens = 24

// Sparse parts those about whom few tokens are asked, and those about whom many are.
func Sparse(asked []Taking) (few, many []Taking) {
	for _, t := range asked {
		if len(t.Tokens) <= fewTokens*TherapyToken {
			few = append(few, t)
		} else {
			many = append(many, t)
		}
	}
	return few, many
}

// EachToken asks by one token each.
func EachToken(asked []Taking) (each []Taking) {
	for _, t := range asked {
		for token := range slices.Chunk(t.Tokens, TherapyToken) {
			each = append(each, Taking{t.Patient, token})
		}
	}
	return each
}

// MaxTokens is of how many prescriptions of one patient, at most, all tokens are loaded.
const MaxTokens = 64

// MaxTherapies is how many prescriptions of one patient a safety check looks at: those that are alive first,
// then those that were filled, each newest first.
const MaxTherapies = 50

type Have struct {
	Messages      map[Key]Message
	Prescriptions map[ID]Prescription // all found by any of the ways
	Identities    map[Key]ID
	Citations     map[Key][]ID   // prescription ids, distinct
	Delivered     map[[2]ID]bool // (pharmacy, prescription) pairs for every prescription in Have
	Dispenses     map[Key]Dispense
	Nominations   map[ID]ID     // patient → pharmacy
	Waiting       map[ID][]ID   // patient → prescriptions without a pharmacy
	Linked        map[ID][]ID   // as Links.Linked says; never written to
	Tokens        map[ID][]byte // patient → tokens of all prescriptions, whatever became of them; absent when there are more than MaxTokens
	Therapies     map[ID][]ID   // patient → prescriptions that were asked for by Want.Therapies
}

// Lease is how long a term may stay silent, by the database's clock.
const Lease = 3 * time.Second
