package sqlite

import (
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/pressly/goose/v3"

	"github.com/dosewire/dosewire/ledger/ledgertest"
)

// TestKeysOfSchema1 migrates a key database that was made before generations.
func TestKeysOfSchema1(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.db")
	f, err := connect(path)
	if err != nil {
		t.Fatal(err)
	}
	sub, err := fs.Sub(keymigrations, "keymigrations")
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, f.write, sub, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	l := ledgertest.NewLegacy(t)
	for _, q := range []struct {
		sql  string
		args []any
	}{
		{`INSERT INTO deployment (one, blob) VALUES (1, ?)`, []any{l.Deployment}},
		{`INSERT INTO patient_key (id, patient, org, blob) VALUES (?, ?, ?, ?)`, []any{l.Key.ID[:], l.Key.Patient[:], l.Key.Org[:], l.Key.Blob}},
		{`INSERT INTO patient_index (org, hash, patient) VALUES (?, ?, ?)`, []any{l.Index.Org[:], l.Index.Hash[:], l.Key.Patient[:]}},
	} {
		if _, err := f.write.ExecContext(t.Context(), q.sql, q.args...); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := MigrateKeys(t.Context(), path); err != nil {
		t.Fatalf("MigrateKeys: %v", err)
	}
	k, err := OpenKeys(t.Context(), path)
	if err != nil {
		t.Fatalf("OpenKeys: %v", err)
	}
	defer k.Close()
	l.Check(t, k)
}
