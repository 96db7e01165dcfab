package postgres

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// TestHubCannotRewriteHistory: the hub's role is refused, with SQLSTATE 42501, whatever would change
// what is recorded or switch off what guards it.
func TestHubCannotRewriteHistory(t *testing.T) {
	dsn := server.Database(t)
	if err := Migrate(t.Context(), dsn); err != nil {
		t.Fatal(err)
	}
	root, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close(context.WithoutCancel(t.Context()))
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
	for _, sql := range []string{`SET session_replication_role = replica`, `DELETE FROM head`, `TRUNCATE head`, `ALTER TABLE head DISABLE TRIGGER ALL`,
		`CREATE OR REPLACE FUNCTION dosewire_insert_only() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'`, `SET ROLE postgres`} {
		demand(sql)
	}
}

func refused(t *testing.T, err error, sql string) {
	t.Helper()
	if pg, ok := errors.AsType[*pgconn.PgError](err); !ok || pg.Code != "42501" {
		t.Errorf("%s: %v, want SQLSTATE 42501", sql, err)
	}
}
