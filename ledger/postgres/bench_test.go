package postgres

import (
	"context"
	"testing"

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
