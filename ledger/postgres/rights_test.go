package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dosewire/dosewire/ledger"
)

// owned is a database with its schema, and its owner's connection.
func owned(t *testing.T, migrate func(context.Context, string) error) (dsn string, root *pgx.Conn) {
	t.Helper()
	dsn = server.Database(t)
	if err := migrate(t.Context(), dsn); err != nil {
		t.Fatal(err)
	}
	root, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close(context.WithoutCancel(t.Context())) })
	return dsn, root
}

// TestHubCannotRewriteHistory: the hub's role is refused, with SQLSTATE 42501, whatever would change
// what is recorded or switch off what guards it.
func TestHubCannotRewriteHistory(t *testing.T) {
	dsn, root := owned(t, Migrate)
	if _, err := root.Exec(t.Context(), `CREATE ROLE hub_login LOGIN IN ROLE dosewire_hub`); err != nil {
		t.Fatal(err)
	}
	hub, err := pgx.Connect(t.Context(), strings.Replace(dsn, "postgres@", "hub_login@", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer hub.Close(context.WithoutCancel(t.Context()))
	demand := func(sql string) {
		t.Helper()
		_, err := hub.Exec(t.Context(), sql)
		refused(t, err, sql)
	}
	set := map[string]string{"ledger": "entry = entry", "record": "sealed = NULL, key_id = NULL, erased_by = 0", "statement": "text = ''", "access": "person = ''"}
	for table, change := range set {
		for _, sql := range []string{
			`UPDATE ` + table + ` SET ` + change, `DELETE FROM ` + table, `TRUNCATE ` + table + ` CASCADE`,
			`ALTER TABLE ` + table + ` DISABLE TRIGGER ALL`, `ALTER TABLE ` + table + ` DISABLE TRIGGER USER`, `DROP TABLE ` + table + ` CASCADE`,
			`ALTER TABLE ` + table + ` ADD COLUMN x int`, `CREATE TRIGGER mine BEFORE INSERT ON ` + table + ` FOR EACH ROW EXECUTE FUNCTION dosewire_insert_only()`,
		} {
			demand(sql)
		}
	}
	for login, want := range map[string]bool{"postgres@": true, "hub_login@": false} {
		s, err := Open(t.Context(), Config{DSN: strings.Replace(dsn, "postgres@", login, 1)})
		if err != nil {
			t.Fatal(err)
		}
		if may, err := s.MayRewrite(t.Context()); err != nil || may != want {
			t.Errorf("%s may rewrite: %v %v, want %v", login, may, err, want)
		}
		s.Close()
	}
	for _, sql := range []string{`SET session_replication_role = replica`, `DELETE FROM head`, `TRUNCATE head`, `ALTER TABLE head DISABLE TRIGGER ALL`,
		`CREATE OR REPLACE FUNCTION dosewire_insert_only() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'`, `SET ROLE postgres`} {
		demand(sql)
	}
}

// TestReadersReadNoMore: who watches the ledger reads no patient's sealed bytes, who verifies it no more
// than the rows of its entries; the head's time cannot be set ahead by the hub's role.
func TestReadersReadNoMore(t *testing.T) {
	_, root := owned(t, Migrate)
	entries, rows := []string{"goose_db_version", "head", "ledger"}, []string{"record", "statement", "access"}
	for role, may := range map[string][]string{"dosewire_audit": entries, "dosewire_verify": append(rows, entries...)} {
		if _, err := root.Exec(t.Context(), `SET ROLE `+role); err != nil {
			t.Fatal(err)
		}
		for _, table := range append([]string{"session", "device", "client", "quarantine", "prescription", "invitation", "erased_key"}, append(rows, entries...)...) {
			_, err := root.Exec(t.Context(), `SELECT * FROM `+table)
			if slices.Contains(may, table) {
				if err != nil {
					t.Errorf("%s, %s: %v", role, table, err)
				}
				continue
			}
			refused(t, err, role+" reads "+table)
		}
		if _, err := root.Exec(t.Context(), `RESET ROLE`); err != nil {
			t.Fatal(err)
		}
	}
	_, err := root.Exec(t.Context(), `SET ROLE dosewire_hub; UPDATE head SET time = time + 864000000`)
	if pg, ok := errors.AsType[*pgconn.PgError](err); !ok || pg.Code != "23514" {
		t.Errorf("the head's time: %v, want SQLSTATE 23514", err)
	}
}

// TestKeysRole: a login without it is told the database and the role to grant; with it the store passes.
func TestKeysRole(t *testing.T) {
	dsn, root := owned(t, MigrateKeys)
	if _, err := root.Exec(t.Context(), `CREATE ROLE keys_login LOGIN`); err != nil {
		t.Fatal(err)
	}
	login := strings.Replace(dsn, "postgres@", "keys_login@", 1)
	if _, err := OpenKeys(t.Context(), Config{DSN: login}); !errors.Is(err, errRights) || !strings.Contains(fmt.Sprint(errors.Unwrap(err)), "dosewire_keys") && !strings.Contains(err.Error(), "dosewire_keys") {
		t.Errorf("without the role: %v", err)
	}
	if _, err := root.Exec(t.Context(), `GRANT dosewire_keys TO keys_login`); err != nil {
		t.Fatal(err)
	}
	k, err := OpenKeys(t.Context(), Config{DSN: login})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	if _, err := k.EraseKeys(t.Context(), []ledger.ID{{1}}); err != nil {
		t.Error(err)
	}
	if _, err := k.FindPatients(t.Context(), []ledger.Key{{}}); err != nil {
		t.Error(err)
	}
}

func refused(t *testing.T, err error, sql string) {
	t.Helper()
	if pg, ok := errors.AsType[*pgconn.PgError](err); !ok || pg.Code != "42501" {
		t.Errorf("%s: %v, want SQLSTATE 42501", sql, err)
	}
}
