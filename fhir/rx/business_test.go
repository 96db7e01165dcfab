package rx

import (
	"slices"
	"testing"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
)

// stand is a state with what it is as a Task and in a patient's words.
type stand struct {
	name     string
	phase    Phase
	change   func(*State) // of the example of the phase
	status   string
	reason   fault.Code
	business Business
	text     string
	nhs      string
}

func (c stand) state() State {
	s := example(c.phase)
	if c.change != nil {
		c.change(&s)
	}
	return s
}

// stands is the projection written by hand.
func stands() []stand {
	part := []Part{{Org: "a", Dispense: "x"}}
	return []stand{
		{"nothing issued", None, nil, "draft", "", NotIssued, "Not issued", ""},
		{"free, routed", Ready, nil, "ready", "", SentToPharmacy, "Sent to pharmacy", ""},
		{"free, waits for a choice", Ready, func(s *State) { s.Pharmacy = "" }, "ready", "", ChoosePharmacy, "Choose a pharmacy", ""},
		{"free, declined", Ready, func(s *State) { s.Pharmacy, s.Declined = "", []string{"a"} }, "ready", "", ChooseAnother, "Choose another pharmacy", ""},
		{"free, declined and sent elsewhere", Ready, func(s *State) { s.Pharmacy, s.Declined = "b", []string{"a"} }, "ready", "", SentToPharmacy, "Sent to pharmacy", ""},
		{"recorded only", Ready, func(s *State) { s.Pharmacy, s.RecordOnly = "", true }, "ready", fault.CodeNotRouted, NotSent, "Not sent electronically", ""},
		{"fill done, more left", Ready, func(s *State) { s.FillsDone = 1 }, "ready", "", NextFill, "Next fill available", ""},
		{"balance released", Ready, func(s *State) { s.Parts = part }, "ready", "", RemainderAvailable, "Remainder available", ""},
		{"held", Held, nil, "accepted", "", WithPharmacy, "With pharmacy", "With Pharmacy"},
		{"second fill held", Held, func(s *State) { s.FillsDone = 1 }, "accepted", "", WithPharmacy, "With pharmacy", "With Pharmacy"},
		{"balance held", Held, func(s *State) { s.Parts = part }, "in-progress", "", PreparingRemainder, "Preparing remainder", "With Pharmacy - Preparing Remainder"},
		{"ready to collect", Collect, nil, "in-progress", "", ReadyToCollect, "Ready to collect", "Ready to Collect"},
		{"a part is ready", Collect, func(s *State) { s.Short = ShortPart }, "in-progress", "", ReadyPartial, "Ready to collect (partial)", "Ready to Collect - Partial"},
		{"a part was handed over", Collect, func(s *State) { s.Short, s.Parts = ShortAll, part }, "in-progress", "", PreparingRemainder, "Preparing remainder", "With Pharmacy - Preparing Remainder"},
		{"the rest is ready", Collect, func(s *State) { s.Parts = part }, "in-progress", "", ReadyToCollect, "Ready to collect", "Ready to Collect"},
		{"free, on hold", Ready, func(s *State) { s.OnHold = true }, "on-hold", fault.CodeOnHold, Paused, "Paused by your clinic", ""},
		{"held, on hold", Held, func(s *State) { s.OnHold = true }, "on-hold", fault.CodeOnHold, Paused, "Paused by your clinic", ""},
		{"ready, on hold", Collect, func(s *State) { s.OnHold = true }, "on-hold", fault.CodeOnHold, Paused, "Paused by your clinic", ""},
		{"held, cancel pending", Held, func(s *State) { s.CancelPending = true }, "on-hold", fault.CodeCancelPending, BeingCancelled, "Being cancelled", ""},
		{"ready, cancel pending", Collect, func(s *State) { s.CancelPending = true }, "on-hold", fault.CodeCancelPending, BeingCancelled, "Being cancelled", ""},
		{"cancel pending covers a hold", Held, func(s *State) { s.CancelPending, s.OnHold = true, true }, "on-hold", fault.CodeCancelPending, BeingCancelled, "Being cancelled", ""},
		{"all fills done", Completed, nil, "completed", "", Collected, "Collected", "Collected"},
		{"a fill too many", Completed, func(s *State) { s.FillsDone = 3 }, "completed", "", Collected, "Collected", "Collected"},
		{"ended with fills left", Completed, func(s *State) { s.FillsDone, s.Ended = 1, true }, "completed", "", EndedEarly, "Ended", ""},
		{"ended after a part", Completed, func(s *State) { s.FillsDone, s.Ended, s.Parts = 0, true, part }, "completed", "", EndedEarly, "Ended", ""},
		{"ended undispensed", Completed, func(s *State) { s.FillsDone, s.Ended = 0, true }, "completed", "", NotDispensed, "Not dispensed", "Not Dispensed"},
		{"cancelled", Cancelled, nil, "cancelled", fault.CodeCancelled, IsCancelled, "Cancelled", ""},
		{"a tombstone", Cancelled, func(s *State) { *s = State{Phase: Cancelled, Clinic: "clinic"} }, "cancelled", fault.CodeCancelled, IsCancelled, "Cancelled", ""},
		{"replaced", Replaced, nil, "cancelled", fault.CodeReplaced, IsReplaced, "Replaced", ""},
		{"expired", Expired, nil, "failed", fault.CodeExpired, IsExpired, "Expired", ""},
		{"expired, a hold covers what lives only", Expired, func(s *State) { s.OnHold = true }, "failed", fault.CodeExpired, IsExpired, "Expired", ""},
		{"no such phase", Phase("moon"), nil, "draft", "", NotIssued, "Not issued", ""},
	}
}

func TestBusiness(t *testing.T) {
	for _, c := range stands() {
		s := c.state()
		status, reason := s.TaskStatus()
		b := s.Business()
		if status != c.status || reason != c.reason || b != c.business || b.Text() != c.text || b.NHS() != c.nhs {
			t.Errorf("%s: %s %q, %s %q %q; want %s %q, %s %q %q", c.name, status, reason, b, b.Text(), b.NHS(), c.status, c.reason, c.business, c.text, c.nhs)
		}
	}
	if got := Business("moon").Text(); got != "Status unknown" {
		t.Errorf("an unknown word is %q", got)
	}
}

// TestShort: what of a fill is ready, in the order in which pharmacies say it.
func TestShort(t *testing.T) {
	amount := func(n int64) func(*Event) { return func(e *Event) { e.Amount, e.Unit = n, "u|1" } }
	typed := func(partial bool) func(*Event) { return func(e *Event) { e.Partial, e.Whole = partial, !partial } }
	nothing := func(*Event) {}
	type say struct {
		dispense, status string
		more             func(*Event)
		want             Business
	}
	for name, said := range map[string][]say{
		"whole":                      {{"x", "in-progress", nothing, ReadyToCollect}, {"x", "completed", nothing, NextFill}},
		"a part by type, then all":   {{"x", "in-progress", typed(true), ReadyPartial}, {"x", "in-progress", typed(false), ReadyToCollect}},
		"a part by type, said again": {{"x", "in-progress", typed(true), ReadyPartial}, {"x", "in-progress", typed(true), ReadyPartial}},
		"a part by quantity": {{"x", "preparation", nothing, WithPharmacy}, {"x", "in-progress", amount(10), ReadyPartial},
			{"x", "completed", amount(10), PreparingRemainder}, {"y", "in-progress", amount(5), ReadyPartial}, {"y", "in-progress", amount(20), ReadyToCollect},
			{"y", "completed", amount(20), NextFill}},
		"whole by type, whatever the quantity": {{"x", "in-progress", func(e *Event) { typed(false)(e); amount(10)(e) }, ReadyToCollect}},
		"a query takes back what was ready":    {{"x", "in-progress", typed(true), ReadyPartial}, {"x", "on-hold", nothing, WithPharmacy}, {"x", "in-progress", nothing, ReadyToCollect}},
		"released after a part":                {{"x", "completed/part", nothing, PreparingRemainder}, {"x", "cancelled", nothing, RemainderAvailable}, {"y", "preparation", nothing, PreparingRemainder}},
		"claimed anew after a part was ready":  {{"x", "in-progress", typed(true), ReadyPartial}, {"x", "cancelled", nothing, SentToPharmacy}, {"y", "in-progress", nothing, ReadyToCollect}},
	} {
		w := newWorld(t)
		w.now = start.Add(time.Hour)
		issue := order()
		issue.Terms = Terms{Amount: 30, Unit: "u|1"}
		w.do(issue)
		for i, s := range said {
			answer := w.said("a", s.dispense, s.status, s.more)
			if got := w.s.Business(); got != s.want {
				t.Errorf("%s, step %d (%s): %s, want %s", name, i, answer, got, s.want)
			}
		}
	}
}

// TestTrail: what a trail tells, and to whom.
func TestTrail(t *testing.T) {
	var trail Trail
	for i, s := range []Step{
		{Kind: Issue, By: "clinic", With: "a", Record: "r1", Status: "ready"},
		{Kind: Nominate, With: "b", Record: "r2", Status: "ready"},
		{Kind: Hold, By: "clinic", With: "b", Record: "r3", Status: "on-hold"},
		{Kind: Claim, By: "b", With: "b", Record: "r4", Status: "held"},
		{Kind: Release, By: "b", Record: "r5", Status: "ready"},
		{Kind: Claim, By: "c", With: "c", Record: "r6", Status: "held"},
		{Kind: HandOver, By: "c", With: "c", Record: "r7", Status: "completed"},
		{Kind: End, By: "clinic", With: "c", Record: "r8", Status: "completed"},
	} {
		s.Version, s.At = i+1, int64(1000*(i+1))
		before := trail
		if trail = trail.Add(s); len(before) != i {
			t.Fatal("Add changed what it was given")
		}
	}
	versions := func(t Trail) (all []int) {
		for _, s := range t {
			all = append(all, s.Version)
		}
		return all
	}
	for pharmacy, want := range map[string][]int{"a": {1, 5}, "b": {2, 3, 4, 5}, "c": {6, 7, 8}, "d": nil} {
		if got := versions(trail.Seen(pharmacy)); !slices.Equal(got, want) {
			t.Errorf("%s sees %v, want %v", pharmacy, got, want)
		}
	}
	for version, want := range map[int]string{1: "r1", 2: "r1", 3: "r3", 7: "r3", 8: "r8", 99: "r8"} {
		if s, ok := trail.Said(version); !ok || s.Record != want {
			t.Errorf("version %d was said in %q", version, s.Record)
		}
	}
	if _, ok := trail.Said(0); ok {
		t.Error("something was said before the beginning")
	}
	if trail.Begun() != 4000 || trail.Ended() != 7000 || trail[:6].Ended() != 0 || trail[:3].Begun() != 0 {
		t.Errorf("begun %d, ended %d", trail.Begun(), trail.Ended())
	}
	refused := Trail{{Version: 1, Kind: Issue, With: "a"}, {Version: 2, At: 5, Kind: Claim, By: "b", With: "a", Refused: true}}
	if refused.Begun() != 0 || refused.Seen("b") != nil || len(refused.Seen("a")) != 2 {
		t.Error("a wrong collect code began something")
	}
	for i := range 2 * maxSteps {
		trail = trail.Add(Step{Version: 9 + i, Kind: Query})
	}
	if s, ok := trail.Said(9999); len(trail) != maxSteps || trail[0].Version != 1 || trail[maxSteps-1].Version != 8+2*maxSteps || !ok || s.Record != "r8" {
		t.Errorf("%d steps, from %d to %d; said %+v", len(trail), trail[0].Version, trail[len(trail)-1].Version, s)
	}
}
