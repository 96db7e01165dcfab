package receipt

import "github.com/dosewire/dosewire/internal/fault"

// What a verification can end in, beside the errors of ledger (ErrEntry,
// ErrChain) and of trust (ErrCheckpoint, ErrSignature, ErrQuorum).
var (
	ErrFormat     = fault.New(fault.Tampered, "receipt: not a receipt")
	ErrIndex      = fault.New(fault.Tampered, "receipt: the entry is not the one at this index")
	ErrInclusion  = fault.New(fault.Tampered, "receipt: the entry is not in the tree that was signed")
	ErrOpening    = fault.New(fault.Tampered, "receipt: it holds no opening, so it does not show that this is the message that was recorded; for the entry alone, judge it without a message")
	ErrCommitment = fault.New(fault.Tampered, "receipt: this is not the message that was recorded")

	ErrMissingTile = fault.New(fault.Tampered, "tiles: a file that the checkpoint covers is missing")
	ErrTile        = fault.New(fault.Tampered, "tiles: a file is malformed")
	ErrTileHash    = fault.New(fault.Tampered, "tiles: a hash is not that of the entries below it")
	ErrChanged     = fault.New(fault.Tampered, "tiles: an entry is not the one that its successor and its hash name")
	ErrRoot        = fault.New(fault.Tampered, "receipt: the entries do not make the root that was signed")
	ErrRollback    = fault.New(fault.Tampered, "receipt: entries that were signed or verified before are gone")
	ErrRewritten   = fault.New(fault.Tampered, "tiles: what was verified before is not in this tree")
	ErrOrigin      = fault.New(fault.Conflict, "receipt: this state belongs to another log")
	ErrUnreadable  = fault.New(fault.Unavailable, "tiles: cannot be read just now")

	// ErrNotYet: the entry was recorded after the newest checkpoint. A later one will cover it.
	ErrNotYet = fault.New(fault.Unavailable, "receipt: no checkpoint covers this entry yet")
)

// BadTile names the file that is not as it was published, and the first entry that is therefore
// without proof.
type BadTile struct {
	Path  string
	Entry uint64
	Err   error
}

func (e *BadTile) Error() string { return e.Path + ": " + e.Err.Error() }

func (e *BadTile) Unwrap() error { return e.Err }
