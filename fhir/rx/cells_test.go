package rx

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// phases in the order of the table.
func phases() []Phase {
	return []Phase{None, Ready, Held, Collect, Completed, Cancelled, Replaced, Expired}
}

// kinds in the order of the table.
func kinds() []Kind {
	return []Kind{Issue, Hold, Cancel, End, Replace, Amend, Claim, Prepare, HandOver, Query, Release, Decline, Withdraw, Renew, Nominate, Open, Silent, Tick}
}

// example is a plain state in each phase: a two-fill order for pharmacy a, which holds its first fill
// as dispense x under claim 1 where somebody holds it.
func example(p Phase) State {
	if p == None {
		return State{}
	}
	s := State{Phase: p, Clinic: "clinic", Record: "r1", Pharmacy: "a", FillsAllowed: 2, Frozen: "f",
		ValidFrom: at(-time.Hour), ValidTo: at(year), OfferedAt: at(-Silence)}
	switch p {
	case Held:
		s.Holder, s.Dispense, s.Claim, s.LeaseEnd = "a", "x", 1, at(LeaseHeld)
	case Collect:
		s.Holder, s.Dispense, s.Claim, s.LeaseEnd = "a", "x", 1, at(LeaseCollect)
	case Completed:
		s.FillsDone, s.Numbered, s.Claim = 2, 2, 2
		s.LastPharmacy, s.LastDispense, s.LastAt = "a", "x", at(-time.Hour)
	case Replaced:
		s.ReplacedBy = "newer"
	case Expired:
		s.ValidTo = at(-time.Minute)
	}
	return s
}

// said is a plain event of each kind for s: the clinic's, the hub's or that of pharmacy a, whose
// dispense x serves the current claim where there is one.
func said(k Kind, s State) Event {
	switch k {
	case Issue:
		e := order()
		if s.Phase != None {
			e.ValidTo = s.ValidTo
		}
		return e
	case Hold, Cancel, End:
		return Event{Kind: k, Org: "clinic", Record: "r2"}
	case Replace:
		return Event{Kind: k, Org: "clinic", Record: "r2", By: "newest"}
	case Amend:
		e := said(Issue, s)
		e.Kind, e.Frozen = k, "g"
		return e
	case Renew:
		return Event{Kind: k, Org: "a", Record: "m", WasSent: true}
	case Nominate:
		return Event{Kind: k, Pharmacy: "b"}
	case Open:
		return Event{Kind: k, Code: "L"}
	case Silent:
		return Event{Kind: k, Pharmacy: "a"}
	case Tick:
		return Event{Kind: k}
	}
	e := Event{Kind: k, Org: "a", Record: "m", Dispense: "x", WasSent: true}
	switch {
	case s.held():
		e.OldStatus, e.OldClaim, e.EverHeld = "on-hold", 1, true // a query went before: nothing is a repeat
	case s.Phase == Completed && k == Withdraw:
		e.OldStatus, e.OldClaim, e.EverHeld = "completed", 2, true
	}
	return e
}

// TestCells holds every kind of message in every phase against testdata/cells.txt.
func TestCells(t *testing.T) {
	want := cells(t)
	for _, k := range kinds() {
		for i, p := range phases() {
			if got := happens(Decide, k, p); got != want[k][i] {
				t.Errorf("%s in %q:\n got %s\nwant %s", k, p, got, want[k][i])
			}
		}
	}
}

// TestCellsHearOnlyTheirOwn: what is other messages' business, said along with a message, changes nothing.
func TestCellsHearOnlyTheirOwn(t *testing.T) {
	want := cells(t)
	for _, k := range kinds() {
		for i, p := range phases() {
			for _, got := range happensAnyway(Decide, k, p) {
				if got != want[k][i] {
					t.Errorf("%s in %q, with other messages' fields:\n got %s\nwant %s", k, p, got, want[k][i])
				}
			}
		}
	}
}

// happensAnyway is happens with messages that also say what is not theirs to say.
func happensAnyway(m machine, k Kind, p Phase) (got []string) {
	s := example(p)
	for _, by := range []string{"newer", "newest"} {
		e := said(k, s)
		if k != Replace {
			e.By = by
		}
		if !k.dispense() {
			e.Dispense, e.OldStatus, e.OldClaim = "z", "preparation", 9
		}
		switch {
		case k == Tick:
			e.Pharmacy = "a"
		case k == Silent && p != Ready:
			e.Pharmacy = "b"
		}
		got = append(got, strings.TrimSpace(told(m(s, e, start))))
	}
	return got
}

// happens is what a plain message of kind k does in phase p.
func happens(m machine, k Kind, p Phase) string {
	s := example(p)
	return strings.TrimSpace(told(m(s, said(k, s), start)))
}

// cells reads testdata/cells.txt: for every kind what happens in each phase, in the order of phases.
func cells(t *testing.T) map[Kind][8]string {
	t.Helper()
	byName, want, seen := map[string]Kind{}, map[Kind][8]string{}, 0
	for _, k := range kinds() {
		byName[name(k)] = k
	}
	var k Kind
	for _, l := range lines(t, "cells.txt") {
		if rest, ok := strings.CutPrefix(l, "["); ok {
			word, _, _ := strings.Cut(rest, "]")
			if k, ok = byName[word]; !ok {
				t.Fatalf("cells.txt: there is no message %q", word)
			}
			continue
		}
		phase, outcome := columns(t, l)
		i := slices.IndexFunc(phases(), func(p Phase) bool { return heading(p) == phase })
		row := want[k]
		if k == "" || i < 0 || row[i] != "" {
			t.Fatalf("cells.txt: %q has no place of its own", l)
		}
		row[i] = outcome
		want[k] = row
		seen++
	}
	if all := len(kinds()) * len(phases()); seen != all {
		t.Fatalf("cells.txt has %d of %d cells", seen, all)
	}
	return want
}

// lines are the lines of a file in testdata, without blank ones and remarks.
func lines(t *testing.T, file string) (out []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.Lines(string(text)) {
		if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "#") {
			out = append(out, l)
		}
	}
	return out
}

// columns parts a line at its first gap of two blanks.
func columns(t *testing.T, l string) (first, rest string) {
	t.Helper()
	first, rest, ok := strings.Cut(l, "  ")
	if !ok {
		t.Fatalf("%q is not two columns", l)
	}
	return first, strings.TrimSpace(rest)
}

// TestOverlays holds what lies over a phase (a clinic's hold, a pending cancel, another pharmacy as the
// holder) against testdata/overlays.txt.
func TestOverlays(t *testing.T) {
	want := outcomes(t)
	for _, c := range overlaid() {
		if got := c.happens(Decide); got != want[c.name] {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, want[c.name])
		}
	}
}

// outcomes reads testdata/overlays.txt.
func outcomes(t *testing.T) map[string]string {
	t.Helper()
	want := map[string]string{}
	for _, l := range lines(t, "overlays.txt") {
		name, outcome := columns(t, l)
		if want[name] != "" {
			t.Fatalf("overlays.txt: %q twice", name)
		}
		want[name] = outcome
	}
	cases := overlaid()
	for _, c := range cases {
		if want[c.name] == "" {
			t.Fatalf("overlays.txt: nothing about %q", c.name)
		}
	}
	if len(want) != len(cases) {
		t.Fatalf("overlays.txt has %d cases, and %d are tested", len(want), len(cases))
	}
	return want
}

// overlay is one decision under what lies over a phase.
type overlay struct {
	name string
	s    State
	e    Event
}

func (c overlay) happens(m machine) string {
	return strings.TrimSpace(told(m(c.s, c.e, start)))
}

func overlaid() []overlay {
	onHold := func(p Phase) State { s := example(p); s.OnHold = true; return s }
	pending := example(Held)
	pending.CancelPending, pending.LeaseEnd = true, at(LeaseCancel)
	lastFill := pending
	lastFill.FillsAllowed = 1
	replacing := pending
	replacing.ReplacedBy = "newest"
	edited := func(s State, k Kind, edit ...func(*Event)) Event {
		e := said(k, s)
		for _, f := range edit {
			f(&e)
		}
		return e
	}
	b := func(e *Event) { e.Org, e.Dispense, e.OldStatus, e.OldClaim, e.EverHeld = "b", "y", "", 0, false }
	part := func(e *Event) { e.Partial = true }

	other := func(e *Event) { e.Frozen = "g" }
	superseded := func(p Phase) State { s := example(p); s.ReplacedBy = "newest"; return s }
	unrouted := func(p Phase) State { s := example(p); s.Pharmacy = ""; return s }
	dispensed := func(p Phase) State {
		s := example(p)
		s.Claim, s.FillsDone, s.Numbered, s.LastPharmacy, s.LastDispense, s.LastAt = 1, 1, 1, "a", "x", at(-time.Hour)
		return s
	}
	after := func(e *Event) { e.OldStatus, e.OldClaim, e.EverHeld = "completed", 1, true }

	return []overlay{
		{"expired at the very moment of issue", State{}, edited(State{}, Issue, func(e *Event) { e.ValidTo = start.UnixMilli() })},
		{"resume", onHold(Ready), edited(example(Ready), Issue)},
		{"resume while held", onHold(Held), edited(example(Held), Issue)},
		{"held twice", onHold(Ready), edited(example(Ready), Hold)},
		{"claim on hold", onHold(Ready), edited(example(Ready), Claim)},
		{"prepare on hold", onHold(Held), edited(example(Held), Prepare)},
		{"hand-over on hold", onHold(Held), edited(example(Held), HandOver)},
		{"release on hold", onHold(Held), edited(example(Held), Release)},
		{"cancel on hold", onHold(Ready), edited(example(Ready), Cancel)},

		{"issue while pending", pending, edited(pending, Issue)},
		{"hold while pending", pending, edited(pending, Hold)},
		{"cancel while pending", pending, edited(pending, Cancel)},
		{"end while pending", pending, edited(pending, End)},
		{"replace while pending", pending, edited(pending, Replace)},
		{"replaced twice while pending", replacing, edited(replacing, Replace)},
		{"replaced by another while pending", replacing, edited(replacing, Replace, func(e *Event) { e.By = "yet another" })},
		{"prepare while pending", pending, edited(pending, Prepare)},
		{"query while pending", pending, edited(pending, Query)},
		{"release while pending", pending, edited(pending, Release)},
		{"release for a newer one", replacing, edited(pending, Release)},
		{"decline while pending", pending, edited(pending, Decline)},
		{"withdraw while pending", pending, edited(pending, Withdraw)},
		{"too late, last fill", lastFill, edited(lastFill, HandOver)},
		{"too late, fills left", pending, edited(pending, HandOver)},
		{"too late for a part", pending, edited(pending, HandOver, part)},
		{"another hands over while pending", lastFill, edited(lastFill, HandOver, b)},

		{"another claims", example(Held), edited(example(Held), Claim, b)},
		{"another claims what is ready to collect", example(Collect), edited(example(Collect), Claim, b)},
		{"another prepares what is ready to collect", example(Collect), edited(example(Collect), Prepare, b)},
		{"another prepares", example(Held), edited(example(Held), Prepare, b)},
		{"another queries", example(Held), edited(example(Held), Query, b)},
		{"another releases", example(Held), edited(example(Held), Release, b)},
		{"another declines", example(Held), edited(example(Held), Decline, b)},
		{"another withdraws", example(Held), edited(example(Held), Withdraw, b)},
		{"another hands over", example(Held), edited(example(Held), HandOver, b)},
		{"another hands over a part", example(Held), edited(example(Held), HandOver, b, part)},
		{"a redirected pharmacy claims", example(Ready), edited(example(Ready), Claim, b)},
		{"a redirected pharmacy hands over", example(Ready), edited(example(Ready), HandOver, b)},
		{"a part hand-over claims", example(Ready), edited(example(Ready), HandOver, part)},
		{"the same fill is withdrawn twice", func() State {
			s, _, _ := Decide(example(Completed), said(Withdraw, example(Completed)), start)
			return s
		}(), said(Withdraw, example(Completed))},
		{"the holder is nominated", example(Held), Event{Kind: Nominate, Pharmacy: "a"}},
		{"the holder is nominated when it is ready to collect", example(Collect), Event{Kind: Nominate, Pharmacy: "a"}},
		{"replaced twice", example(Replaced), edited(example(Replaced), Replace, func(e *Event) { e.By = "newer" })},

		{"a code for what is held, and routed nowhere", unrouted(Held), edited(State{}, Open)},
		{"a code for what is ready to collect, and routed nowhere", unrouted(Collect), edited(State{}, Open)},
		{"another order while it is ready to collect", example(Collect), edited(example(Collect), Issue, other)},
		{"another order when completed", example(Completed), edited(example(Completed), Issue, other)},
		{"another order when replaced", example(Replaced), edited(example(Replaced), Issue, other)},
		{"another order when expired", example(Expired), edited(example(Expired), Issue, other)},
		{"replaced again when completed", superseded(Completed), edited(example(Completed), Replace)},
		{"replaced again when cancelled", superseded(Cancelled), edited(example(Cancelled), Replace)},
		{"replaced again when expired", superseded(Expired), edited(example(Expired), Replace)},
		{"queried after the hand-over", dispensed(Ready), edited(example(Ready), Query, after)},
		{"released after the hand-over", dispensed(Ready), edited(example(Ready), Release, after)},
		{"another that handed over before releases", example(Held), edited(example(Held), Release, b, after)},
		{"another withdraws a hand-over under the same identifier", dispensed(Ready), edited(example(Ready), Withdraw, func(e *Event) { e.Org = "b" })},
		{"withdrawn when replaced", dispensed(Replaced), edited(example(Replaced), Withdraw, after)},
		{"withdrawn when expired", dispensed(Expired), edited(example(Expired), Withdraw, after)},
	}
}
