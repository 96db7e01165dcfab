package hub

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/dosewire/dosewire/internal/hub/admin"
	"github.com/dosewire/dosewire/ledger"
)

// Verify walks the whole ledger from the configured origin and every row digest, without a key. What
// is not as written is in the verdict; an error means that it could not read.
func (h *Hub) Verify(ctx context.Context, progress func(admin.Progress)) (admin.Verdict, error) {
	return verify(ctx, h.databases.records, h.config.Ledger.Origin, progress)
}

// VerifyStore is Hub.Verify on a database that no hub serves.
func VerifyStore(ctx context.Context, c Config, progress func(admin.Progress)) (admin.Verdict, error) {
	r, closeStore, err := openRecords(ctx, c.WithDefaults())
	if err != nil {
		return admin.Verdict{}, err
	}
	v, err := verify(ctx, r, c.WithDefaults().Ledger.Origin, progress)
	return v, errors.Join(err, closeStore())
}

func verify(ctx context.Context, r ledger.Chain, origin string, progress func(admin.Progress)) (admin.Verdict, error) {
	stored, err := r.Head(ctx)
	if errors.Is(err, ledger.ErrNotFound) { // the one row that every store has from its first day on
		return admin.Verdict{}, ledger.ErrHead.Wrap(err)
	}
	if err != nil {
		return admin.Verdict{}, fmt.Errorf("hub: head: %w", err)
	}
	report := func(n uint64) {
		if progress != nil {
			progress(admin.Progress{Entries: n, Total: stored.Size})
		}
	}
	from := ledger.Head{Leaf: ledger.Origin(origin)}
	if stored.Size == 0 {
		from = ledger.Head{} // nothing was ever recorded
	}
	end, seen, err := ledger.Verify(ctx, r, from, report)
	v := admin.Verdict{Entries: seen.Entries, Records: seen.Records, Erased: seen.Erased,
		Accesses: seen.Accesses, Statements: seen.Statements, Leaf: hex.EncodeToString(end.Leaf[:])}
	if bad, ok := errors.AsType[*ledger.BadEntry](err); ok {
		v.Bad = &admin.Bad{Entry: bad.Index, Reason: bad.Err.Error()}
		return v, nil
	}
	if err != nil {
		return v, fmt.Errorf("hub: verify: %w", err)
	}
	return v, nil
}
