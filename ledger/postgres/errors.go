package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

// ErrSchema is returned by Open for a database that is not migrated, or migrated by a newer program.
var ErrSchema = fault.New(fault.Unavailable, "postgres: the schema is not the one this program needs (run dosewire migrate)")

var (
	errData        = fault.New(fault.Invalid, "postgres: the data breaks a constraint")
	errUnavailable = fault.New(fault.Unavailable, "postgres: the database cannot be used now")
	errLogin       = fault.New(fault.Unavailable, "postgres: the server refuses the login: see the user, its password and pg_hba.conf")
	errNoDatabase  = fault.New(fault.Unavailable, "postgres: there is no such database")
	errReadOnly    = fault.New(fault.Unavailable, "postgres: the database is read-only: a standby, or set so")
	errRights      = fault.New(fault.Internal, "postgres: the role lacks a right")
	errIntents     = fault.New(fault.Tampered, "postgres: an organisation's intents are not what was written")
	errInternal    = fault.New(fault.Internal, "postgres: unexpected")
)

// headMoved is the SQLSTATE that dosewire_fence raises.
const headMoved = "DW001"

// refuse gives a driver's error its kind and says what was being done. Of the server's words only the
// SQLSTATE and the names of table and constraint are kept: details can hold values. Errors that have
// a kind already keep it.
func refuse(err error, what string) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return ledger.ErrNotFound
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return errUnavailable.Wrap(fmt.Errorf("postgres: %s: %w", what, err))
	}
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok { // no answer from the server: connection, time-out, broken protocol
		return errUnavailable.Wrap(fmt.Errorf("postgres: %s: %w", what, errors.New("no answer")))
	}
	cause := fmt.Errorf("postgres: %s: SQLSTATE %s %s %s", what, pg.Code, pg.TableName, pg.ConstraintName)
	switch {
	case pg.Code == headMoved, pg.Code == "40001", pg.Code == "40P01":
		return ledger.ErrHeadMoved.Wrap(cause)
	case pg.Code == "42501":
		return errRights.Wrap(cause)
	case pg.Code == "42P01":
		return ErrSchema.Wrap(cause)
	// A failover, a restore or a changed password: an operator ends these, so they are waited for.
	case pg.Code == "25006":
		return errReadOnly.Wrap(cause)
	case pg.Code == "3D000":
		return errNoDatabase.Wrap(cause)
	}
	switch pg.Code[:2] {
	case "22", "23":
		return errData.Wrap(cause)
	case "28":
		return errLogin.Wrap(cause)
	case "08", "53", "57", "58":
		return errUnavailable.Wrap(cause)
	}
	return errInternal.Wrap(cause)
}
