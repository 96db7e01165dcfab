package main

import (
	"context"
	"errors"

	"github.com/dosewire/dosewire/internal/fault"
)

// Exit codes, for scripts. docs/cli.md lists them.
const (
	exitOK          = 0
	exitInternal    = 1   // a bug or an unclassified failure
	exitUsage       = 2   // wrong flags, arguments or configuration
	exitRefused     = 3   // the hub refused: mend and try again
	exitUnavailable = 4   // nobody answered, or not in time: try the same again
	exitTampered    = 5   // stored data is not what was written
	exitInterrupted = 130 // stopped by a signal before the work was done
)

// usageError is a mistake in how the program was called.
type usageError struct{ error }

func (u usageError) Unwrap() error { return u.error }

// exitCode sorts an error. A command that returns nil after a signal has done its work.
func exitCode(ctx context.Context, err error) int {
	if err == nil {
		return exitOK
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return exitInterrupted
	}
	switch fault.KindOf(err) {
	case fault.Invalid, fault.Denied, fault.NotFound, fault.Conflict:
		return exitRefused
	case fault.Unavailable:
		return exitUnavailable
	case fault.Tampered:
		return exitTampered
	default:
		return exitInternal
	}
}
