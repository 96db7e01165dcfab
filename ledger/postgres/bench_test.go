package postgres

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/ledgertest"
)

func BenchmarkVerify(b *testing.B) { ledgertest.BenchmarkVerify(b, backend(b)) }

// BenchmarkAppend compares with the same rows in one transaction, without entries, digests and head.
func BenchmarkAppend(b *testing.B) {
	ledgertest.BenchmarkAppend(b, backend, func(ctx context.Context, s ledgertest.Store, x *ledger.Batch) error {
		x.Entries = nil
		var q statements
		queueLedger(&q, x)
		queueMessages(&q, x)
		queueState(&q, x)
		queueEffects(&q, x)
		return s.(ledgertest.Backend).Store.(*Store).run(ctx, q, "append")
	})
}

// BenchmarkSmall reads what the backend of the one connection has used.
func BenchmarkSmall(b *testing.B) {
	dsn := server.Database(b)
	if err := Migrate(b.Context(), dsn); err != nil {
		b.Fatalf("Migrate: %v", err)
	}
	s, err := Open(b.Context(), Config{DSN: dsn, Conns: 1})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	var pid int
	if err := s.pool.QueryRow(b.Context(), `SELECT pg_backend_pid()`).Scan(&pid); err != nil {
		b.Fatal(err)
	}
	ledgertest.BenchmarkSmall(b, s, func() time.Duration {
		// nanoseconds first (Documentation/scheduler/sched-stats.rst)
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
		var used int64
		if err == nil {
			_, err = fmt.Sscan(string(raw), &used)
		}
		if err != nil {
			b.Fatal(err)
		}
		return time.Duration(used)
	})
}
