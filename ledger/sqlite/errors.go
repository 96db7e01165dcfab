package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

// ErrSchema is returned by Open for a file that is absent, not migrated, or migrated by a newer
// program.
var ErrSchema = fault.New(fault.Unavailable, "sqlite: the schema is not the one this program needs")

var (
	errData        = fault.New(fault.Invalid, "sqlite: the data breaks a constraint")
	errUnavailable = fault.New(fault.Unavailable, "sqlite: the database cannot be used now")
	errCorrupt     = fault.New(fault.Tampered, "sqlite: the file is damaged")
	errIntents     = fault.New(fault.Tampered, "sqlite: an organisation's intents are not what was written")
	errInternal    = fault.New(fault.Internal, "sqlite: unexpected")
)

// refuse gives a driver's error its kind and says what was being done. SQLite's texts name tables,
// columns and triggers, never values. Errors that have a kind already keep it.
func refuse(err error, what string) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	if errors.Is(err, sql.ErrNoRows) {
		return ledger.ErrNotFound
	}
	return fmt.Errorf("%s: %w", what, kindOf(err).Wrap(err))
}

func kindOf(err error) *fault.Error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, sql.ErrConnDone) || errors.Is(err, sql.ErrTxDone) {
		return errUnavailable
	}
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return errInternal
	}
	if e.Code()&0xff == lib.SQLITE_ERROR && strings.Contains(e.Error(), "no such table") {
		return errCorrupt // Open has seen a migrated schema
	}
	switch e.Code() & 0xff { // the primary code
	case lib.SQLITE_CONSTRAINT, lib.SQLITE_TOOBIG, lib.SQLITE_MISMATCH, lib.SQLITE_RANGE:
		return errData
	case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
		return errCorrupt
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED, lib.SQLITE_IOERR, lib.SQLITE_FULL, lib.SQLITE_CANTOPEN,
		lib.SQLITE_INTERRUPT, lib.SQLITE_READONLY, lib.SQLITE_PROTOCOL, lib.SQLITE_NOMEM:
		return errUnavailable
	}
	return errInternal
}
