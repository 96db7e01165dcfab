package recorder_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// TestReadOnlyDatabaseIsWaitedFor: a failover can leave the database read-only for a while. The recorder
// neither halts nor quarantines; what came meanwhile is recorded afterwards.
func TestReadOnlyDatabaseIsWaitedFor(t *testing.T) {
	h := open(t, (*hub).onPostgres)
	config, err := pgx.ParseConfig(h.dsn[0])
	h.must(err)
	root, err := pgx.Connect(t.Context(), strings.Replace(h.dsn[0], "/"+config.Database, "/postgres", 1))
	h.must(err)
	defer root.Close(context.WithoutCancel(t.Context()))
	readOnly := func(value string) {
		t.Helper()
		_, err := root.Exec(t.Context(), `ALTER DATABASE `+config.Database+` SET default_transaction_read_only = `+value)
		h.must(err)
		_, err = root.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1`, config.Database)
		h.must(err)
	}

	readOnly("on")
	h.publish(h.clinic, "meanwhile", order("RO-1", "1558203947", "197361"))
	time.Sleep(3 * time.Second) // longer than a lease
	readOnly("off")
	if a := h.send(h.clinic, "after", order("RO-2", "1558203947", "197361")); a.Status != 201 {
		t.Errorf("afterwards: %d %s", a.Status, a.Code)
	}
	if got := len(h.received(h.oldBridge, time.Second)); got < 2 {
		t.Errorf("the pharmacy was sent %d, want both orders", got)
	}
	var quarantined int
	check, err := pgx.Connect(t.Context(), h.dsn[0])
	h.must(err)
	defer check.Close(context.WithoutCancel(t.Context()))
	h.must(check.QueryRow(t.Context(), `SELECT count(*) FROM quarantine`).Scan(&quarantined))
	if quarantined != 0 {
		t.Errorf("%d messages were quarantined", quarantined)
	}
	h.verify()
}
