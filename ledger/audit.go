package ledger

import "github.com/dosewire/dosewire/internal/fault"

// Errors of rows that a walk along the entries does not meet.
var (
	// ErrOrphan: a row claims an entry that is not there, or that stands for something else.
	ErrOrphan = fault.New(fault.Tampered, "ledger: a row without its entry")
	// ErrState: the present state of a prescription is not what the recorder wrote.
	ErrState = fault.New(fault.Tampered, "ledger: the state of a prescription is not what was decided")
	// ErrDamaged is what a reader of damaged data is told; its cause is one of the ledger's errors.
	ErrDamaged = fault.Of(fault.CodeDamaged)
)

// Account says that a stored row accounts for one message of an intake sequence: a record, a refusal
// in quarantine, or the note that it repeated a decided one.
type Account struct {
	Seq   uint64
	Sub   int    // which message of the sequence, and which entry of a batch Bundle
	Index uint64 // the record's entry; NoIndex for the others
}

// Part is which message of its sequence it accounts for, from 0.
func (a Account) Part() int { return a.Sub >> 20 }

// Stray is a row that does not fit the entry whose index it has: ErrOrphan; or ErrErasure for a record
// that was emptied without an erasure entry behind it.
type Stray struct {
	Index uint64
	Err   error
}

// Covers compares the row with its entry, without a key: nil, ErrMissing, ErrDigest, or ErrErasure for
// an emptied record that names no later entry. Whether that one erased it, Erases says.
func (r Row) Covers() error {
	return newVerifier(Head{Size: r.Entry.Index}, Head{}).covers(r, r.digest())
}
