package recorder

import (
	"context"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/streams"
)

// A message stays in RX_INTAKE for a day after it was recorded and announced: a database that is restored
// from a copy of yesterday's reads it again, but not what came directly. It goes earlier when there are too
// many: what the server has written lately it also holds in memory.
const intakeKept = 24 * time.Hour

// What the server has written lately it holds in memory for so long. What has waited longer takes up disk alone, and
// each purge reads and writes a block of messages anew, so more of that is recorded before one.
const (
	writtenLately = 10 * time.Second
	waitedKept    = 32 << 20 // bytes, or an eighth of what the stream may hold
)

// pass counts what was recorded, toward the next purge by size.
func (a *announcer) pass(units []*unit) {
	now := time.Now()
	for _, u := range units {
		size := int64(len(u.body))
		switch {
		case u.message.Direct:
		case now.Sub(u.message.Time) < writtenLately:
			a.passed.Add(size)
		default:
			a.waited.Add(size)
		}
	}
}

// full says whether enough was recorded for a purge by size, and begins to count anew.
func (a *announcer) full() bool {
	keep, waited := a.r.config.KeepBytes, int64(waitedKept)
	if room := a.r.deps.Streams.IntakeBytes; room > 0 {
		waited = min(waited, room/8)
	}
	if a.passed.Load() <= keep/2 && a.waited.Load() <= max(keep/2, waited) {
		return false
	}
	a.passed.Store(0)
	a.waited.Store(0)
	return true
}

// housekeep stores every second how far each organisation and the announcer have come, and purges what
// RX_INTAKE need not keep: every minute by age and by size, and by size too when enough was recorded.
func (a *announcer) housekeep(ctx context.Context) {
	often, second, minute := time.NewTicker(100*time.Millisecond), time.NewTicker(time.Second), time.NewTicker(time.Minute)
	defer often.Stop()
	defer second.Stop()
	defer minute.Stop()
	bySize := func() (uint64, error) {
		return streams.SeqKeeping(ctx, a.r.js, streams.Intake, a.r.config.KeepBytes)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-often.C:
			if a.full() {
				a.purge(ctx, bySize)
			}
		case <-second.C:
			a.store(ctx)
		case <-minute.C:
			a.purge(ctx, bySize) // what a purge cut short has left, and a recorder before this one
			a.purge(ctx, func() (uint64, error) {
				return streams.SeqBefore(ctx, a.r.js, streams.Intake, time.Now().Add(-intakeKept))
			})
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

// purge removes from RX_INTAKE what is below the sequence that wanted names, as far as it is recorded
// and announced.
func (a *announcer) purge(ctx context.Context, wanted func() (uint64, error)) {
	seq, err := wanted()
	if err == nil {
		err = streams.PurgeBefore(ctx, a.r.js, streams.Intake, min(seq, a.settled()+1))
	}
	if err != nil && ctx.Err() == nil {
		a.r.log.WarnContext(ctx, "RX_INTAKE not purged", "kind", fault.KindOf(err).String())
	}
}

// settled is the last intake sequence of which everything is announced.
func (a *announcer) settled() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.next > a.target {
		return a.recorded
	}
	return max(a.cause, 1) - 1 // more may be to come of the same message
}
