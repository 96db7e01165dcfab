package recorder

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

// acquire renews the term that is still ours, else waits until no other recorder's lease runs and
// takes the next.
func (r *Recorder) acquire(ctx context.Context) error {
	for waiting := false; ; waiting = true {
		head, now, err := r.deps.Store.Acquire(ctx, r.head.Term)
		if err == nil {
			err = r.continues(ctx, head)
		}
		switch {
		case err == nil:
			r.head = head
			r.leased(now)
			r.log.InfoContext(ctx, "recorder leads", "term", head.Term, "seq", head.Seq, "entries", head.Size)
			return nil
		case !errors.Is(err, ledger.ErrLeased) && fault.KindOf(err) != fault.Unavailable:
			return fmt.Errorf("recorder: acquire: %w", err)
		case !waiting:
			r.log.InfoContext(ctx, "recorder stands by")
		}
		if err := pause(ctx, ledger.Lease/10); err != nil {
			return fmt.Errorf("recorder: standing by: %w", err)
		}
	}
}

// renew proves the lease while nothing is committed.
func (r *Recorder) renew(ctx context.Context) error {
	if time.Since(time.UnixMilli(r.renewed.Load())) < ledger.Lease/3 {
		return nil
	}
	head, now, err := r.deps.Store.Acquire(ctx, r.head.Term)
	if err != nil {
		return err
	}
	if head != r.head {
		return ledger.ErrHeadMoved
	}
	r.leased(now)
	return nil
}

func (r *Recorder) leased(database time.Time) {
	local := time.Now()
	r.renewed.Store(local.UnixMilli())
	if !database.IsZero() {
		r.ahead.Store(database.UnixMilli() - local.UnixMilli())
	}
}

// release gives the lease back. When it fails the next recorder waits a few seconds longer.
func (r *Recorder) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := r.deps.Store.Release(ctx, r.head.Term); err != nil {
		r.log.WarnContext(ctx, "lease not released", "kind", fault.KindOf(err).String())
	}
}
