package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/metric"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/telemetry"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/recorder"
	"github.com/dosewire/dosewire/streams"
)

// Quarantined messages and the key of their day live this long.
const quarantineDays = 30

const (
	dayMillis   = 24 * 60 * 60 * 1000
	lookBack    = 1500 // days of quarantine keys that a start looks for; a pass looks back fewer
	passBack    = 40
	keysAtOnce  = 1000
	newestKeys  = 1000 // live keys that a start looks for in the key database
	keepingPass = time.Hour
)

// ErrKeysMissing: the key database is an older copy than the records, so some of them cannot be read.
// Restore the newest copy; or set keys.missing to say that those records stay unreadable.
var ErrKeysMissing = fault.New(fault.Tampered, "hub: the key database lacks keys of recorded messages: it is an old copy")

// reconcileKeys brings the key database to what the ledger says, before anybody is served: what was
// erased is deleted again if a backup brought it back, quarantine keys end, and the keys of live records
// must be there.
func (h *Hub) reconcileKeys(ctx context.Context) error {
	if err := h.finishShredding(ctx); err != nil {
		return err
	}
	if err := h.eraseReturned(ctx); err != nil {
		return err
	}
	if err := h.expireQuarantine(ctx, lookBack); err != nil {
		return err
	}
	live, err := h.databases.records.LiveKeys(ctx, newestKeys)
	if err != nil {
		return fmt.Errorf("live keys: %w", err)
	}
	missing, err := h.keys.MissingKeys(ctx, live)
	if err != nil || len(missing) == 0 {
		return err
	}
	h.log.ErrorContext(ctx, "the key database lacks keys of recorded messages", telemetry.Count(len(missing)))
	if h.config.Keys.Missing != acceptMissing {
		return ErrKeysMissing.Wrap(fmt.Errorf("%d of the newest %d are missing", len(missing), len(live)))
	}
	return nil
}

// finishShredding deletes the keys of erasures that a crash has cut short: no alarm.
func (h *Hub) finishShredding(ctx context.Context) error {
	jobs, err := h.databases.records.Erasures(ctx)
	if err != nil {
		return fmt.Errorf("erasures: %w", err)
	}
	for _, e := range jobs {
		var job recorder.ErasureJob
		if err := json.Unmarshal(e.Job, &job); err != nil {
			return fault.New(fault.Tampered, "hub: stored erasure").Wrap(err)
		}
		if _, err := h.keys.Shred(ctx, job.Keys); err != nil {
			return fmt.Errorf("delete keys: %w", err)
		}
	}
	return nil
}

// eraseReturned deletes erased keys that are in the key database all the same: somebody restored it.
func (h *Hub) eraseReturned(ctx context.Context) error {
	returned := 0
	for after := (ledger.ID{}); ; {
		ids, err := h.databases.records.ErasedKeys(ctx, after, keysAtOnce)
		if err != nil {
			return fmt.Errorf("erased keys: %w", err)
		}
		found, err := h.keys.Shred(ctx, ids)
		if err != nil {
			return fmt.Errorf("delete keys: %w", err)
		}
		returned += found
		if len(ids) < keysAtOnce {
			break
		}
		after = ids[len(ids)-1]
	}
	if returned == 0 {
		return nil
	}
	h.returned.Add(int64(returned))
	if n, err := h.telemetry.Meter("dosewire/hub").Int64Counter("dosewire.keys.returned",
		metric.WithDescription("Keys of erased patients that had come back from a backup; alarm when above 0.")); err == nil {
		n.Add(ctx, int64(returned))
	}
	h.log.ErrorContext(ctx, "keys of erased patients had come back from a backup: deleted again", telemetry.Count(returned))
	if err := h.keys.Scrub(ctx); err != nil {
		return fmt.Errorf("scrub keys: %w", err)
	}
	return nil
}

// expireQuarantine deletes quarantined messages of 30 days ago and before, then the keys of those days.
func (h *Hub) expireQuarantine(ctx context.Context, days int64) error {
	today := time.Now().UnixMilli() / dayMillis
	end := today - quarantineDays // the first day that is kept
	rows, err := h.databases.records.DropQuarantine(ctx, end*dayMillis)
	if err != nil {
		return fmt.Errorf("quarantine: %w", err)
	}
	keys, err := h.keys.ExpireQuarantine(ctx, end-days, end-1)
	if err != nil {
		return fmt.Errorf("quarantine keys: %w", err)
	}
	if keys == 0 {
		return nil
	}
	h.log.InfoContext(ctx, "quarantine expired", telemetry.Count(rows))
	if err := h.keys.Scrub(ctx); err != nil {
		return fmt.Errorf("scrub keys: %w", err)
	}
	return nil
}

// keepKeys repeats the deletions every hour: a key database may be restored under a running hub.
func (h *Hub) keepKeys(ctx context.Context) error {
	tick := time.NewTicker(keepingPass)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		for _, pass := range []func() error{
			func() error { return h.eraseReturned(ctx) },
			func() error { return h.expireQuarantine(ctx, passBack) },
		} {
			if err := pass(); err != nil && ctx.Err() == nil {
				h.log.WarnContext(ctx, "keys not kept", telemetry.Err(err))
			}
		}
	}
}

// forgetErased drops what is cached of a patient when a recorder, here or elsewhere, has erased them.
func (h *Hub) forgetErased() error {
	_, err := h.nc.Subscribe(streams.ForgetSubject, func(m *nats.Msg) {
		if id, err := uuid.FromBytes(m.Data); err == nil {
			h.keys.Forget(id)
		}
	})
	if err != nil {
		return fmt.Errorf("listen for erasures: %w", err)
	}
	return nil
}
