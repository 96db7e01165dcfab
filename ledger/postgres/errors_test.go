package postgres

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/dosewire/dosewire/internal/fault"
)

// TestWhatAnOperatorEnds: a refused login, a database that is absent and one that is read-only (a failover,
// a restore, a changed password) are waited for, and say what they are.
func TestWhatAnOperatorEnds(t *testing.T) {
	dsn, root := owned(t, Migrate)
	ctx := t.Context()
	if _, err := root.Exec(ctx, `CREATE ROLE barred NOLOGIN IN ROLE dosewire_hub`); err != nil {
		t.Fatal(err)
	}
	absent, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	demand := func(name, dsn, want string) {
		t.Helper()
		s, err := Open(ctx, Config{DSN: dsn})
		if err == nil {
			_, _, err = s.Acquire(ctx, 0)
			s.Close()
		}
		if fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v (%v), want unavailable: %s", name, err, fault.KindOf(err), want)
		}
	}
	demand("login", strings.Replace(dsn, "postgres@", "barred@", 1), "refuses the login")
	demand("database", strings.Replace(dsn, "/"+absent.Database, "/nonesuch", 1), "no such database")
	demand("read-only", dsn+"&default_transaction_read_only=on", "read-only")
}

// TestMigrateNamesTheRights: a login that may not migrate is told the database and what it needs.
func TestMigrateNamesTheRights(t *testing.T) {
	dsn, root := owned(t, func(context.Context, string) error { return nil })
	if _, err := root.Exec(t.Context(), `CREATE ROLE modest LOGIN`); err != nil {
		t.Fatal(err)
	}
	for _, migrate := range []func(context.Context, string) error{Migrate, MigrateKeys} {
		if err := migrate(t.Context(), strings.Replace(dsn, "postgres@", "modest@", 1)); err == nil || !strings.Contains(err.Error(), "CREATEROLE") {
			t.Errorf("migrate: %v, want the right that it needs", err)
		}
	}
}
