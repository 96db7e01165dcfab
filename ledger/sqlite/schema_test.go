package sqlite

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/ledgertest"
)

// TestSchemaVersions: only the schema that this program was written for is opened.
func TestSchemaVersions(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "odd ? name # 100%", "records.db")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	refused := func(why, hint string) {
		t.Helper()
		if _, err := Open(ctx, path); !errors.Is(err, ErrSchema) || !strings.Contains(err.Error(), hint) {
			t.Errorf("Open of %s: %v, want ErrSchema and %q", why, err, hint)
		}
	}
	refused("an absent file", "dosewire migrate")
	if _, err := os.Stat(path); err == nil {
		t.Error("Open made a file")
	}
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	refused("an empty file", "run dosewire migrate")
	for range 2 { // again is nothing
		if err := Migrate(ctx, path); err != nil {
			t.Fatalf("Migrate: %v", err)
		}
	}
	s := reopen(t, path)
	head := ledgertest.Fill(t, s, 1)
	for _, suffix := range []string{"", "-wal"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != 0o600 {
			t.Errorf("%q has mode %04o, want 0600", suffix, got)
		}
	}
	if err := Migrate(ctx, path); err != nil {
		t.Fatalf("Migrate of a used store: %v", err)
	}
	if got, err := s.Head(ctx); err != nil || got != head {
		t.Errorf("head after migrating: %+v, %v", got, err)
	}
	if _, err := s.write.ExecContext(ctx, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)`); err != nil {
		t.Fatal(err)
	}
	refused("a newer schema", "newer dosewire")
	if err := Migrate(ctx, path); !errors.Is(err, ErrSchema) {
		t.Errorf("Migrate of a newer schema: %v, want ErrSchema", err)
	}
}

// TestNotADatabase: a damaged file is told from an unreachable one.
func TestNotADatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "records.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("not a database ", 500)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path); fault.KindOf(err) != fault.Tampered {
		t.Errorf("Open: %v, want a tampered kind", err)
	}
}

// TestReopen: what was committed is there for the next process, and the lease is too.
func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "records.db")
	if err := Migrate(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	first := reopen(t, path)
	head := ledgertest.Fill(t, first, 20)
	second := reopen(t, path) // beside the first, as another process
	if got, err := second.Head(t.Context()); err != nil || got != head {
		t.Errorf("head: %+v, %v, want %+v", got, err, head)
	}
	if _, _, err := second.Acquire(t.Context(), 0); !errors.Is(err, ledger.ErrLeased) {
		t.Errorf("Acquire beside a holder: %v, want ErrLeased", err)
	}
	if err := first.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if _, err := first.Head(t.Context()); fault.KindOf(err) == fault.Invalid || err == nil {
		t.Errorf("Head of a closed store: %v", err)
	}
	if _, seen, err := ledger.Verify(t.Context(), second, ledger.Head{}, nil); err != nil || seen.Records != 20 {
		t.Errorf("Verify: %+v, %v", seen, err)
	}
}

// TestGivenUp: a caller that has gone gets Unavailable, and nothing is written.
func TestGivenUp(t *testing.T) {
	s := open(t)
	head := ledgertest.Fill(t, s, 1)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	to := head
	to.Seq++
	if err := s.Commit(gone, &ledger.Batch{From: head, To: to}); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("Commit: %v, want an unavailable kind", err)
	}
	if got, err := s.Head(t.Context()); err != nil || got != head {
		t.Errorf("head: %+v, %v", got, err)
	}
}

// TestForeignKeyCheck: one standard command shows an auditor that every link is in place.
func TestForeignKeyCheck(t *testing.T) {
	s := open(t)
	ledgertest.Fill(t, s, 10)
	rows, err := s.write.QueryContext(t.Context(), "PRAGMA foreign_key_check")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	if rows.Next() {
		t.Error("a foreign key is broken")
	}
	if err := rows.Err(); err != nil {
		t.Error(err)
	}
}
