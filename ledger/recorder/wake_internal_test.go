package recorder

import (
	"testing"
	"time"

	"github.com/dosewire/dosewire/fhir/rx"
)

func TestCooldown(t *testing.T) {
	var r recent
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	about := news{patient: newID(nil), pharmacy: newID(nil), kind: rx.WakeCollect}
	other := about
	other.kind = rx.WakeAccepted
	elsewhere := about
	elsewhere.pharmacy = newID(nil)
	for _, step := range []struct {
		about news
		after time.Duration
		want  bool
	}{
		{about, 0, true},
		{about, time.Minute, false},
		{other, time.Minute, true},
		{elsewhere, time.Minute, true},
		{about, cooldown - time.Millisecond, false},
		{about, cooldown, true}, // from the one that woke, not from those that did not
		{about, cooldown + time.Minute, false},
		{about, 3 * cooldown, true},
	} {
		if got := r.fresh(step.about, now.Add(step.after)); got != step.want {
			t.Errorf("after %s: %t, want %t", step.after, got, step.want)
		}
	}
	if r.fresh(other, now.Add(9*cooldown)); len(r.last) != 1 {
		t.Errorf("%d remembered, want 1", len(r.last))
	}
	for _, kind := range []string{rx.WakeCancelled, rx.WakeConflict} {
		if !wakesAlways(kind) {
			t.Errorf("%s can be held back", kind)
		}
	}
}
