package postgres

import (
	"io/fs"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/dosewire/dosewire/ledger/ledgertest"
)

// TestKeysOfSchema1 migrates a key database that was made before generations.
func TestKeysOfSchema1(t *testing.T) {
	dsn := server.Database(t)
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	conn := stdlib.OpenDB(*config)
	defer conn.Close()
	sub, err := fs.Sub(keymigrations, "keymigrations")
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, conn, sub, goose.WithDisableGlobalRegistry(true))
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
		{`INSERT INTO deployment (one, blob) VALUES (1, $1)`, []any{l.Deployment}},
		{`INSERT INTO patient_key (id, patient, org, blob) VALUES ($1, $2, $3, $4)`, []any{l.Key.ID.String(), l.Key.Patient.String(), l.Key.Org.String(), l.Key.Blob}},
		{`INSERT INTO patient_index (org, hash, patient) VALUES ($1, $2, $3)`, []any{l.Index.Org.String(), l.Index.Hash[:], l.Key.Patient.String()}},
	} {
		if _, err := conn.ExecContext(t.Context(), q.sql, q.args...); err != nil {
			t.Fatal(err)
		}
	}
	if err := MigrateKeys(t.Context(), dsn); err != nil {
		t.Fatalf("MigrateKeys: %v", err)
	}
	k, err := OpenKeys(t.Context(), Config{DSN: dsn})
	if err != nil {
		t.Fatalf("OpenKeys: %v", err)
	}
	defer k.Close()
	l.Check(t, k)
}
