package recorder

import (
	"context"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/streams"
)

// intakeKept is how long a message stays in RX_INTAKE after it was recorded and announced.
const intakeKept = 24 * time.Hour

// housekeep stores every second how far each organisation and the announcer have come, and purges
// every minute what RX_INTAKE need not keep.
func (a *announcer) housekeep(ctx context.Context) {
	second, minute := time.NewTicker(time.Second), time.NewTicker(time.Minute)
	defer second.Stop()
	defer minute.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-second.C:
			a.store(ctx)
		case <-minute.C:
			a.purge(ctx)
		}
	}
}

// store writes the index: what was announced, and what each organisation has acknowledged. It is
// best effort, repeated every second; a lower number than the stored one changes nothing.
func (a *announcer) store(ctx context.Context) {
	announced := a.announced()
	if announced < a.rewound {
		return // the loss must stay visible until it is made good
	}
	upTo := map[ledger.ID]uint64{{}: announced}
	for _, org := range a.r.deps.Directory.Organizations() {
		n, err := streams.AcknowledgedUpTo(ctx, a.r.js, org.ID.String(), announced)
		if err == nil && n > 0 {
			upTo[org.ID] = n
		}
	}
	if err := a.r.config.Fault("before index", announced); err != nil {
		return
	}
	if err := a.r.deps.Reader.SetAcknowledged(ctx, upTo); err != nil && ctx.Err() == nil {
		a.r.log.WarnContext(ctx, "delivery index not stored", "kind", fault.KindOf(err).String())
	}
	_ = a.r.config.Fault("after index", announced)
}

func (a *announcer) purge(ctx context.Context) {
	a.mu.Lock()
	caughtUp := a.next > a.target
	a.mu.Unlock()
	if !caughtUp {
		return
	}
	head, err := a.r.deps.Reader.Head(ctx)
	if err != nil {
		return // the next minute tries again
	}
	seq, err := streams.SeqBefore(ctx, a.r.js, streams.Intake, time.Now().Add(-intakeKept))
	if err == nil {
		err = streams.PurgeBefore(ctx, a.r.js, streams.Intake, min(seq, head.Seq+1))
	}
	if err != nil && ctx.Err() == nil {
		a.r.log.WarnContext(ctx, "RX_INTAKE not purged", "kind", fault.KindOf(err).String())
	}
}
