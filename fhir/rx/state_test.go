package rx

import (
	"fmt"
	"math"
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

func TestSilentAt(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*State)
		want int64
	}{
		{"offered", func(*State) {}, at(Silence)},
		{"urgent", func(s *State) { s.Urgent = true }, at(SilenceUrgent)},
		{"held", func(s *State) { s.Phase = Held }, 0},
		{"routed nowhere", func(s *State) { s.Pharmacy = "" }, 0},
		{"never offered", func(s *State) { s.OfferedAt = 0 }, 0},
		{"said", func(s *State) { s.Alarmed = true }, 0},
	} {
		s := State{Phase: Ready, Pharmacy: "a", OfferedAt: start.UnixMilli()}
		c.edit(&s)
		if got := s.SilentAt(); got != c.want {
			t.Errorf("%s: SilentAt = %d, want %d", c.name, got, c.want)
		}
	}
}

func TestBalance(t *testing.T) {
	const most = countable
	parts := func(amounts ...int64) (ps []Part) {
		for i, n := range amounts {
			ps = append(ps, Part{Org: "a", Dispense: fmt.Sprint(i), Amount: n})
		}
		return ps
	}
	for _, c := range []struct {
		name  string
		terms Terms
		done  int
		parts []Part
		want  int64
	}{
		{"nothing handed over", Terms{Amount: 20}, 0, nil, 0},
		{"a part", Terms{Amount: 20}, 0, parts(12), 8},
		{"two parts", Terms{Amount: 20}, 0, parts(12, 5), 3},
		{"all of it", Terms{Amount: 20}, 0, parts(12, 8), 0},
		{"more than that", Terms{Amount: 20}, 0, parts(12, 9), 0},
		{"the order does not say", Terms{}, 0, parts(12), 0},
		{"a part that does not say", Terms{Amount: 20}, 0, parts(0), 20},
		{"less than nothing", Terms{Amount: 20}, 0, parts(-5), 20},
		{"of the first fill", Terms{Amount: 20, First: 5}, 0, parts(2), 3},
		{"of the second", Terms{Amount: 20, First: 5}, 1, parts(2), 18},
		{"as much as can be counted", Terms{Amount: 2 * most}, 0, parts(most-5, 5), most},
		{"and what cannot be", Terms{Amount: 2 * most}, 0, parts(most-5, 6), most + 5},
		{"and what never can be", Terms{Amount: 2 * most}, 0, parts(math.MaxInt64, math.MaxInt64), 2 * most},
	} {
		if got := (State{Terms: c.terms, FillsDone: c.done, Parts: c.parts}).Balance(); got != c.want {
			t.Errorf("%s: Balance = %d, want %d", c.name, got, c.want)
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
