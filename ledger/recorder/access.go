package recorder

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/dosewire/dosewire/ledger"
)

// accessEvery is how often disclosures without an entry are looked for: well within the second that
// they may wait.
const accessEvery = 400 * time.Millisecond

// How many disclosures are chained by one commit: beside messages, whose senders wait for it, and alone.
const (
	accessesBeside = 100
	accessesAlone  = 1000
)

// linkAccesses adds the waiting disclosures to a commit, if it is time to look.
func (r *Recorder) linkAccesses(ctx context.Context, b *ledger.Batch) error {
	if time.Since(r.accessed) < accessEvery {
		return nil
	}
	most := accessesAlone
	if len(b.Entries) > 0 {
		most = accessesBeside
	}
	pending, err := r.deps.Store.PendingAccess(ctx, most)
	if err != nil {
		return fmt.Errorf("recorder: pending accesses: %w", err)
	}
	if len(pending) < most {
		r.accessed = time.Now()
	}
	for _, a := range pending {
		var e ledger.Entry
		e, b.To = ledger.Link(b.To, ledger.KindAccess, time.UnixMilli(a.Time), sha256.Sum256(a.Bytes()), ledger.Hash{})
		b.Entries = append(b.Entries, e)
		b.Accesses = append(b.Accesses, ledger.AccessIndex{ID: a.ID, Index: e.Index})
	}
	return nil
}

// chainAccesses commits waiting disclosures while no message arrives.
func (r *Recorder) chainAccesses(ctx context.Context) error {
	b := &ledger.Batch{From: r.head, To: r.head}
	if err := r.linkAccesses(ctx, b); err != nil || len(b.Accesses) == 0 {
		return err
	}
	if err := r.deps.Store.Commit(ctx, b); err != nil {
		return fmt.Errorf("recorder: chain %d accesses: %w", len(b.Accesses), err)
	}
	r.head = b.To
	r.leased(time.Time{})
	return nil
}
