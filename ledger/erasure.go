package ledger

import (
	"context"

	"github.com/dosewire/dosewire/internal/fault"
)

// TypeFact is the type of the records of the hub's own facts.
const TypeFact = "fact"

// ErrHold says that a legal hold stands by the recorded facts and is not in its table: it was deleted there.
var ErrHold = fault.New(fault.Tampered, "ledger: a legal hold was taken out of its table")

// TypeErasure is the type of the record that states an erasure. Its version number is one more than
// the number of records that it emptied, and it names them (see Record.State), so that a verifier
// without a key can compare them.
const TypeErasure = "erasure"

// EffectErased is the shell of an effect of an erased patient: its number, and nothing else. The
// announcer passes it by.
const EffectErased = "erased"

// Place names one message of an intake sequence (see Quarantined).
type Place struct {
	Epoch, Seq uint64
	Sub        int
}

// Erasure is what one commit makes unreadable: everything of one patient. It is written with its
// KindErasure entry, or refused.
type Erasure struct {
	Index       uint64 // its entry
	Patient     ID
	Keys        []ID    // of the patient; every record under one of them is emptied
	Records     int     // how many that are; any other number refuses the commit (Invalid)
	Resources   []ID    // ids under which the patient's prescriptions and dispenses were known: gone, not unknown
	Quarantined []Place // refused messages that are the patient's
	Job         []byte  // what is left to do outside; kept until FinishErasure
}

// Erasable is what an erasure of a patient would touch.
type Erasable struct {
	Records       []Shell
	Copies        []Place  // in the intake: messages that repeated one of which a record was made
	Last          int64    // time of the newest record's entry, unix ms; 0 without records
	Prescriptions []ID     //
	Dispenses     []ID     // resources that serve the prescriptions
	Pharmacies    []ID     // to which a prescription was delivered
	Devices       []ID     //
	Answers       [][]byte // first decisions on the messages that brought the records
	Holds         []ID     // that stand, the organisation's among them
	Erased        bool     // one of the keys is erased already
}

// Shell is what erasure leaves of a record, as far as its statement and the work outside need it.
type Shell struct {
	ID         ID
	Epoch, Seq uint64
	Index      uint64 // its entry
}

// Hold forbids erasure: of one patient, or of all of an organisation.
type Hold struct {
	ID      ID // also of the record that states it
	Org     ID
	Patient ID // zero: every patient of Org
	Time    int64
}

// Request kinds of patients (45 CFR 164.526 and 164.522).
const (
	RequestAmendment   = "amendment"
	RequestRestriction = "restriction"
)

// PatientRequest is a patient's wish that the hub has put on record; its words are in the record.
type PatientRequest struct {
	ID      ID // also of the record that states it
	Patient ID
	Kind    string
	Time    int64
}

// Erasing is an erasure of which something is left to do outside the records database.
type Erasing struct {
	Index uint64
	Job   []byte
}

// Eraser is what erasure, holds and quarantine need of a records database beside Store. Both stores
// pass ledgertest.TestStore. Safe for concurrent use.
type Eraser interface {
	// Erasable looks at everything of a patient of org whose keys have these ids.
	Erasable(ctx context.Context, org, patient ID, keys []ID) (Erasable, error)
	// Erasures returns those with work left, oldest first.
	Erasures(ctx context.Context) ([]Erasing, error)
	// FinishErasure forgets the job of one; what linked its records is gone with it.
	FinishErasure(ctx context.Context, index uint64) error
	// ErasedKeys returns ids of erased keys above after in order, at most limit.
	ErasedKeys(ctx context.Context, after ID, limit int) ([]ID, error)
	// LiveKeys returns the newest key ids under which records are sealed, newest first, at most limit.
	LiveKeys(ctx context.Context, limit int) ([]ID, error)
	// Quarantine returns quarantined messages behind after, in order, at most limit.
	Quarantine(ctx context.Context, after Place, limit int) ([]Quarantined, error)
	// DropQuarantine deletes those from before a time (unix ms) and says how many.
	DropQuarantine(ctx context.Context, before int64) (int, error)
	// Facts returns the records of the hub's facts under these keys, in the order of their entries.
	Facts(ctx context.Context, keys []ID) ([]Record, error)
	// Holds returns the holds that stand, oldest first.
	Holds(ctx context.Context) ([]Hold, error)
	// PatientRequests returns a patient's requests, oldest first.
	PatientRequests(ctx context.Context, patient ID) ([]PatientRequest, error)
}
