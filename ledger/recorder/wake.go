package recorder

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/dosewire/dosewire/fhir/rx"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/streams"
)

// cooldown is how long a phone is not woken again for the same kind of news of the same pharmacy. The
// news itself is in the inbox at once.
const cooldown = 2 * time.Hour

// Kinds that wake always: a medicine must not be collected, taken, or waited for any more.
func wakesAlways(kind string) bool {
	return slices.Contains([]string{rx.WakeCancelled, rx.WakeConflict, rx.WakeRefused, rx.WakeExpired, rx.WakeExpiring, rx.WakeSilent, WakeLinked, WakeUnlinked}, kind)
}

// news is what a wake was about.
type news struct {
	patient, pharmacy ledger.ID
	kind              string
}

// recent remembers when phones were last woken. It is memory only: a recorder that takes over may wake
// once more. It belongs to the announcer's goroutine.
type recent struct {
	last  map[news]time.Time
	swept time.Time
}

// fresh reports whether a wake about this is due at now, and remembers it if so.
func (r *recent) fresh(n news, now time.Time) bool {
	if r.last == nil {
		r.last = map[news]time.Time{}
	}
	if now.Sub(r.swept) > cooldown {
		for about, at := range r.last {
			if now.Sub(at) >= cooldown {
				delete(r.last, about)
			}
		}
		r.swept = now
	}
	if at, ok := r.last[n]; ok && now.Sub(at) < cooldown {
		return false
	}
	r.last[n] = now
	return true
}

// wakeUp tells the open inboxes and the devices of patients, and of those who are linked with them now. The
// stream keeps one wake a device.
func (a *announcer) wakeUp(ctx context.Context, wakes []*ledger.Effect) error {
	if len(wakes) == 0 {
		return nil
	}
	audience, patients, err := a.audience(ctx, wakes)
	if err != nil {
		return err
	}
	for _, id := range patients {
		if err := a.r.deps.NATS.Publish(streams.LiveSubject(id.String()), nil); err != nil {
			return fault.Of(fault.CodeUnavailable).Wrap(err)
		}
	}
	devices, err := a.r.deps.Devices.DevicesOf(ctx, patients)
	if err != nil {
		return fmt.Errorf("recorder: devices: %w", err)
	}
	due := map[ledger.ID]bool{}    // patients to be woken
	urgent := map[ledger.ID]bool{} // also in quiet hours
	for _, d := range devices {
		due[d.Patient] = false
	}
	for _, w := range wakes {
		reachable := func(id ledger.ID) bool { _, has := due[id]; return has }
		if !slices.ContainsFunc(audience[w.Patient], reachable) {
			continue
		}
		if wakesAlways(w.Type) {
			for _, id := range audience[w.Patient] {
				due[id], urgent[id] = true, true
			}
			continue
		}
		pharmacy, err := a.pharmacyOf(ctx, w.Prescription)
		if err != nil {
			return err
		}
		if a.woken.fresh(news{w.Patient, pharmacy, w.Type}, time.Now()) {
			for _, id := range audience[w.Patient] {
				due[id] = true
			}
		}
	}
	for _, d := range devices {
		if !due[d.Patient] {
			continue
		}
		m := streams.Message{ID: "w." + newID(nil).String(), Subject: streams.PushSubject(d.Transport, d.ID.String())}
		late := false // the wake that this one replaces was urgent, and no push service has taken it yet
		if !urgent[d.Patient] {
			waiting, err := a.wakes.Waiting(ctx, m.Subject)
			if err != nil {
				return fmt.Errorf("recorder: wake: %w", err)
			}
			late = waiting.Get(streams.HeaderUrgent) != ""
		}
		if urgent[d.Patient] || late {
			m.Header = nats.Header{streams.HeaderUrgent: {"1"}}
		}
		if err := a.wakes.Publish(ctx, m); err != nil {
			return fmt.Errorf("recorder: wake: %w", err)
		}
	}
	return nil
}

// audience is who hears of each patient's news: the patient, and those who are linked with it now; and all of
// them, each once.
func (a *announcer) audience(ctx context.Context, wakes []*ledger.Effect) (of map[ledger.ID][]ledger.ID, all []ledger.ID, err error) {
	patients := make([]ledger.ID, 0, len(wakes))
	for _, w := range wakes {
		patients = append(patients, w.Patient)
	}
	of = map[ledger.ID][]ledger.ID{}
	if a.r.joined.Load() {
		if of, err = a.r.deps.Reader.Linked(ctx, patients); err != nil {
			return nil, nil, fmt.Errorf("recorder: links: %w", err)
		}
	}
	seen := map[ledger.ID]bool{}
	for _, id := range patients {
		if of[id] == nil {
			of[id] = []ledger.ID{id}
		}
		for _, member := range of[id] {
			if !seen[member] {
				seen[member] = true
				all = append(all, member)
			}
		}
	}
	return of, all, nil
}

// pharmacyOf is who has a prescription now, the zero id for nobody.
func (a *announcer) pharmacyOf(ctx context.Context, id ledger.ID) (ledger.ID, error) {
	if id == (ledger.ID{}) {
		return id, nil
	}
	p, err := a.r.deps.Reader.Prescription(ctx, id)
	switch {
	case errors.Is(err, ledger.ErrNotFound): // erased
		return ledger.ID{}, nil
	case err != nil:
		return ledger.ID{}, fmt.Errorf("recorder: wake: %w", err)
	case p.Holder != (ledger.ID{}):
		return p.Holder, nil
	}
	return p.Pharmacy, nil
}
