package postgres

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/dosewire/dosewire/internal/testenv"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/ledgertest"
)

var server testenv.Shared

func TestMain(m *testing.M) { os.Exit(server.Run(m)) }

// hubPool connects with the rights of the hub and no more.
func hubPool(t testing.TB, dsn string) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	byKey(config)
	config.AfterConnect = func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, `SET ROLE dosewire_hub`)
		return err
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func backend(t testing.TB) ledgertest.Backend {
	t.Helper()
	dsn := server.Database(t)
	if err := Migrate(t.Context(), dsn); err != nil {
		t.Fatalf("Migrate: %v", err)
	}
	pool := hubPool(t, dsn) // the suite runs with the hub's rights, so it proves that they suffice
	return ledgertest.Backend{Store: &Store{db{pool}}, Exec: func(ctx context.Context, sql string) error {
		_, err := pool.Exec(ctx, sql)
		return err
	}}
}

func TestStore(t *testing.T) { ledgertest.TestStore(t, backend) }

func BenchmarkCommit(b *testing.B) { ledgertest.BenchmarkCommit(b, backend) }

func BenchmarkTherapies(b *testing.B) { ledgertest.BenchmarkTherapies(b, backend) }

func openKeys(t testing.TB) *Keys {
	t.Helper()
	dsn := server.Database(t)
	if err := MigrateKeys(t.Context(), dsn); err != nil {
		t.Fatalf("MigrateKeys: %v", err)
	}
	k, err := OpenKeys(t.Context(), Config{DSN: dsn})
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

// The hub's role cannot touch an entry, nor switch off what guards it.
func TestHubCannotRewrite(t *testing.T) {
	b := backend(t)
	for _, sql := range []string{
		`UPDATE ledger SET entry = entry`, `DELETE FROM ledger`, `TRUNCATE ledger CASCADE`,
		`ALTER TABLE ledger DISABLE TRIGGER ALL`, `DROP TRIGGER ledger_insert_only ON ledger`,
		`DELETE FROM record`, `UPDATE record SET org = org`, `DELETE FROM head`, `DELETE FROM access`, `UPDATE statement SET text = ''`,
		`UPDATE record SET sealed = NULL, key_id = NULL, erased_by = 0`, `DELETE FROM prescription`, `UPDATE message SET record = NULL`,
		`UPDATE effect SET body = NULL`, `DELETE FROM erased_key`, `INSERT INTO erased_key VALUES (gen_random_uuid(), 0)`, `DELETE FROM erasure`,
	} {
		err := b.Exec(t.Context(), sql)
		if pg, ok := errors.AsType[*pgconn.PgError](err); !ok || pg.Code != "42501" {
			t.Errorf("%s: %v, want SQLSTATE 42501", sql, err)
		}
	}
}

// The one function that can erase demands its entry in the same transaction.
func TestHubErasesOnlyBesideAnEntry(t *testing.T) {
	b := backend(t)
	ledgertest.Fill(t, b, 1)
	for _, entry := range []string{"0", "1", "99"} {
		err := b.Exec(t.Context(), `SELECT dosewire_erase(`+entry+`, gen_random_uuid(), '{}', 0, '{}', '{}', '{}', '{}', '', '')`)
		if pg, ok := errors.AsType[*pgconn.PgError](err); !ok || pg.Code != "23514" {
			t.Errorf("beside entry %s: %v, want SQLSTATE 23514", entry, err)
		}
	}
}

func TestOpenRefusesWhatIsNotMigrated(t *testing.T) {
	if _, err := Open(t.Context(), Config{DSN: server.Database(t)}); !errors.Is(err, ErrSchema) {
		t.Errorf("Open: %v, want ErrSchema", err)
	}
}
