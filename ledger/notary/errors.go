package notary

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

// Alarms: what the ledger shows is not what it showed before. Each is of kind Tampered.
var (
	ErrRollback = fault.New(fault.Tampered, "notary: rollback")
	ErrRewrite  = fault.New(fault.Tampered, "notary: rewrite: the ledger does not continue what was seen before")
	ErrGap      = fault.New(fault.Tampered, "notary: gap: an entry is missing")
	// ErrBeyond: there are entries behind the head, which no recorder has committed.
	ErrBeyond = fault.New(fault.Tampered, "notary: beyond: an entry lies behind the head")
	ErrClock  = fault.New(fault.Tampered, "notary: clock: an entry's time cannot be")
	// ErrFork: a witness, or the place where checkpoints are published, holds one that does not fit
	// this notary's tree: its state was set back, or somebody else signs with its key.
	ErrFork = fault.New(fault.Tampered, "notary: fork: another tree was signed under this origin")
	// ErrState: the state or what was published is damaged, or belongs to another key or origin.
	ErrState = fault.New(fault.Tampered, "notary: state: what was kept cannot be used")
)

// Other errors.
var (
	// ErrMoved: another notary was faster. The next tick goes on from what it left.
	ErrMoved = fault.New(fault.Conflict, "notary: another notary has moved the state")
	// ErrQuorum: too few witnesses answered; the last cosigned checkpoint stays published.
	ErrQuorum = fault.New(fault.Unavailable, "notary: quorum: too few witnesses have cosigned")
	// ErrNoObject: nothing is stored under this path.
	ErrNoObject = fault.New(fault.NotFound, "notary: no such object")
	// ErrDiffers: other bytes are stored under this path, which never change.
	ErrDiffers = fault.New(fault.Tampered, "notary: an object that was published differs")
	errStorage = fault.New(fault.Unavailable, "notary: storage")
)

// AlarmName is how logs and metrics call an error: rollback, rewrite, gap, beyond, clock, fork, state,
// quorum, or the name of its kind.
func AlarmName(err error) string {
	for name, is := range map[string]error{"rollback": ErrRollback, "gap": ErrGap, "beyond": ErrBeyond, "clock": ErrClock, "fork": ErrFork,
		"state": ErrState, "quorum": ErrQuorum} {
		if errors.Is(err, is) {
			return name
		}
	}
	for _, is := range []error{ErrRewrite, ErrDiffers, ledger.ErrEntry, ledger.ErrChain} {
		if errors.Is(err, is) {
			return "rewrite"
		}
	}
	return fault.KindOf(err).String()
}

// at names the entry.
func at(index uint64, err error) error { return &ledger.BadEntry{Index: index, Err: err} }

// Rollback is an ErrRollback with both sizes.
type Rollback struct{ From, To uint64 }

func (r *Rollback) Error() string { return fmt.Sprintf("%v: %d→%d", ErrRollback, r.From, r.To) }

func (r *Rollback) Unwrap() error { return ErrRollback }

// place is where an alarm points, for the log.
func place(err error) (attrs []any) {
	if r, ok := errors.AsType[*Rollback](err); ok {
		attrs = append(attrs, slog.Uint64("from", r.From), slog.Uint64("to", r.To))
	}
	if b, ok := errors.AsType[*ledger.BadEntry](err); ok {
		attrs = append(attrs, slog.Uint64("entry", b.Index))
	}
	return attrs
}
