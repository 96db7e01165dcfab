package rx

import (
	"testing"
	"time"
)

func TestStatus(t *testing.T) {
	for _, c := range []struct {
		s    State
		want string
	}{
		{State{}, "none"},
		{example(Ready), "ready"},
		{example(Collect), "ready-to-collect"},
		{State{Phase: Ready, OnHold: true}, "on-hold"},
		{State{Phase: Held, OnHold: true, CancelPending: true}, "cancel-pending"},
		{State{Phase: Completed, OnHold: true}, "completed"},
		{State{Phase: Cancelled}, "cancelled"},
	} {
		if got := c.s.Status(); got != c.want {
			t.Errorf("Status(%+v) = %q, want %q", c.s, got, c.want)
		}
	}
}

func TestDueAt(t *testing.T) {
	pending := example(Collect)
	asked, _, _ := Decide(pending, Event{Kind: Cancel, Org: "clinic"}, start)
	for _, c := range []struct {
		name string
		s    State
		want int64
	}{
		{"nothing", State{}, 0},
		{"ready", example(Ready), at(year - WarnExpiry)},
		{"ready, warned once", State{Phase: Ready, ValidTo: at(year), ExpiryWarned: 1}, at(year - WarnExpiring)},
		{"ready, warned twice", State{Phase: Ready, ValidTo: at(year), ExpiryWarned: 2}, at(year)},
		{"ready without an end", State{Phase: Ready}, 0},
		{"held", example(Held), at(48 * time.Hour)},
		{"held, warned", State{Phase: Held, LeaseEnd: at(LeaseHeld), LeaseWarned: true}, at(72 * time.Hour)},
		{"to collect", example(Collect), at(13 * 24 * time.Hour)},
		{"cancel pending", asked, at(24 * time.Hour)},
		{"over", example(Completed), 0},
	} {
		if got := c.s.DueAt(); got != c.want {
			t.Errorf("%s: DueAt = %d, want %d", c.name, got, c.want)
		}
	}
}

// TestDeclinedIsCopied: two decisions on one state do not share the list they grow.
func TestDeclinedIsCopied(t *testing.T) {
	s := example(Ready)
	s.Pharmacy, s.Declined = "", append(make([]string, 0, 8), "c")
	decline := func(org string) State {
		next, _, _ := Decide(s, Event{Kind: Decline, Org: org, WasSent: true}, start)
		return next
	}
	a, b := decline("a"), decline("b")
	if a.Declined[1] != "a" || b.Declined[1] != "b" || len(s.Declined) != 1 {
		t.Errorf("declined: %v, %v from %v", a.Declined, b.Declined, s.Declined)
	}
}
