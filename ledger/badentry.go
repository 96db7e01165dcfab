package ledger

import "fmt"

// BadEntry names the entry at which a chain or the rows behind it are not what was written. Err is
// one of the ledger's errors; its kind is fault.Tampered.
type BadEntry struct {
	Index uint64
	Err   error
}

func (e *BadEntry) Error() string { return fmt.Sprintf("entry %d: %v", e.Index, e.Err) }

func (e *BadEntry) Unwrap() error { return e.Err }
