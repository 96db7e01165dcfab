package sqlite

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/ledgertest"
)

func open(t testing.TB) *Store {
	t.Helper()
	path := filepath.Join(t.TempDir(), "records.db")
	if err := Migrate(t.Context(), path); err != nil {
		t.Fatalf("Migrate: %v", err)
	}
	return reopen(t, path)
}

func reopen(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func backend(t testing.TB) ledgertest.Backend {
	s := open(t)
	return ledgertest.Backend{Store: s, Exec: func(ctx context.Context, sql string) error {
		_, err := s.write.ExecContext(ctx, sql)
		return err
	}}
}

func TestStore(t *testing.T) { ledgertest.TestStore(t, backend) }

func BenchmarkCommit(b *testing.B) { ledgertest.BenchmarkCommit(b, backend) }

func BenchmarkTherapies(b *testing.B) { ledgertest.BenchmarkTherapies(b, backend) }

func openKeys(t testing.TB) *Keys {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys.db")
	if err := MigrateKeys(t.Context(), path); err != nil {
		t.Fatalf("MigrateKeys: %v", err)
	}
	k, err := OpenKeys(t.Context(), path)
	if err != nil {
		t.Fatalf("OpenKeys: %v", err)
	}
	t.Cleanup(func() { k.Close() })
	return k
}

func TestKeys(t *testing.T) {
	ledgertest.TestKeyStore(t, func(t testing.TB) ledger.KeyStore { return openKeys(t) })
}

func TestGenerations(t *testing.T) {
	ledgertest.TestGenerations(t, func(t testing.TB) ledger.Generations { return openKeys(t) })
}
