package rx

import (
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

// TestCells is the machine, written by hand: what every kind of message does in every phase.
func TestCells(t *testing.T) {
	const (
		over  = "refused RX_COMPLETED"
		cxl   = "refused RX_CANCELLED"
		repl  = "refused RX_REPLACED"
		exp   = "refused RX_EXPIRED"
		gone  = "refused RX_NOT_FOUND"
		lost  = "refused RX_PRESCRIPTION_UNRESOLVED"
		nothd = "refused RX_NOT_HOLDER"
		same  = "no-op"
	)
	want := map[Kind][8]string{
		Issue: {
			"ready: offer a, wake issued",
			same, same, same, over, cxl, repl, exp},
		Hold: {gone,
			"on-hold: forward a, wake on-hold",
			"on-hold: forward a, wake on-hold",
			"on-hold: forward a, wake on-hold",
			over, cxl, repl, exp},
		Cancel: {
			"cancelled RX_TOMBSTONE: ",
			"cancelled: forward a, wake cancelled",
			"cancel-pending pending: forward a, wake cancelled",
			"cancel-pending pending: forward a, wake cancelled",
			over, same, repl, exp},
		End: {gone,
			"completed: forward a, wake ended",
			"held: forward a, wake ended",
			"ready-to-collect: forward a, wake ended",
			"completed: ", cxl, repl, exp},
		Replace: {gone,
			"replaced: tell a RX_REPLACED",
			"cancel-pending pending: tell clinic RX_CANCEL_PENDING, tell a RX_CANCEL_PENDING, wake cancelled",
			"cancel-pending pending: tell clinic RX_CANCEL_PENDING, tell a RX_CANCEL_PENDING, wake cancelled",
			over, cxl, repl, exp},
		Amend: {gone,
			"ready: offer a, wake amended",
			"refused RX_FROZEN", "refused RX_FROZEN",
			over, cxl, repl, exp},
		Claim: {lost,
			"held: forward clinic, wake accepted",
			"held: forward clinic, wake accepted",
			same, over, cxl, repl, exp},
		Prepare: {lost,
			"ready-to-collect: forward clinic, wake collect",
			"ready-to-collect: forward clinic, wake collect",
			"ready-to-collect: forward clinic, wake collect",
			over, cxl, repl, exp},
		HandOver: {lost,
			"ready: forward clinic, fill 1 a, wake dispensed",
			"ready: forward clinic, fill 1 a, wake dispensed",
			"ready: forward clinic, fill 1 a, wake dispensed",
			"completed RX_FLAGGED over-fills: forward clinic, tell clinic RX_FLAGGED, fill 3 a, wake conflict",
			"cancelled RX_FLAGGED after-cancel: forward clinic, tell clinic RX_FLAGGED, fill 1 a, wake conflict",
			"replaced RX_FLAGGED after-cancel: forward clinic, tell clinic RX_FLAGGED, fill 1 a, wake conflict",
			"expired RX_FLAGGED after-expiry: forward clinic, tell clinic RX_FLAGGED, fill 1 a, wake conflict"},
		Query: {lost, nothd,
			"held: forward clinic, wake on-hold",
			"held: forward clinic, wake on-hold",
			over, cxl, repl, exp},
		Release: {lost, nothd,
			"ready: forward clinic, wake released",
			"ready: forward clinic, wake released",
			over, cxl, repl, exp},
		Decline: {lost,
			"ready: forward clinic, wake refused",
			"ready: forward clinic, wake refused",
			"ready: forward clinic, wake refused",
			over, cxl, repl, exp},
		Withdraw: {lost, nothd,
			"ready: forward clinic, wake released",
			"ready: forward clinic, wake released",
			"ready: forward clinic, wake released",
			nothd, nothd, nothd},
		Renew: {lost,
			"ready: forward clinic, wake renewal",
			"held: forward clinic, wake renewal",
			"ready-to-collect: forward clinic, wake renewal",
			"completed: forward clinic, wake renewal",
			"cancelled: forward clinic, wake renewal",
			repl,
			"expired: forward clinic, wake renewal"},
		Nominate: {gone,
			"ready: tell a RX_HELD_BY_OTHER, offer b, wake issued",
			"refused RX_HELD_BY_OTHER", "refused RX_HELD_BY_OTHER",
			over, cxl, repl, exp},
		Open: {gone,
			"ready: ",
			"refused RX_HELD_BY_OTHER", "refused RX_HELD_BY_OTHER",
			over, cxl, repl, exp},
		Silent: {gone,
			"ready: tell clinic RX_UNDELIVERED, wake silent",
			same, same, same, same, same, same},
		Tick: {same, same, same, same, same, same, same, same},
	}
	for _, k := range kinds() {
		for i, p := range phases() {
			s := example(p)
			got, effects, answer := Decide(s, said(k, s), start)
			if line := told(got, effects, answer); line != want[k][i] {
				t.Errorf("%s in %q:\n got %s\nwant %s", k, p, line, want[k][i])
			}
		}
	}
}

// TestOverlays is the same for what lies over a phase: a clinic's hold, a pending cancel, and another
// pharmacy as the holder.
func TestOverlays(t *testing.T) {
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

	for _, c := range []struct {
		name string
		s    State
		e    Event
		want string
	}{
		{"expired at the very moment of issue", State{}, edited(State{}, Issue, func(e *Event) { e.ValidTo = start.UnixMilli() }),
			"expired RX_EXPIRED: offer a, wake issued"},
		{"resume", onHold(Ready), edited(example(Ready), Issue), "ready: forward a, wake resumed"},
		{"resume while held", onHold(Held), edited(example(Held), Issue), "held: forward a, wake resumed"},
		{"held twice", onHold(Ready), edited(example(Ready), Hold), "no-op"},
		{"claim on hold", onHold(Ready), edited(example(Ready), Claim), "refused RX_ON_HOLD"},
		{"prepare on hold", onHold(Held), edited(example(Held), Prepare), "refused RX_ON_HOLD"},
		{"hand-over on hold", onHold(Held), edited(example(Held), HandOver),
			"on-hold RX_FLAGGED on-hold: forward clinic, tell clinic RX_FLAGGED, fill 1 a, wake conflict"},
		{"release on hold", onHold(Held), edited(example(Held), Release), "on-hold: forward clinic, wake released"},
		{"cancel on hold", onHold(Ready), edited(example(Ready), Cancel), "cancelled: forward a, wake cancelled"},

		{"issue while pending", pending, edited(pending, Issue), "refused RX_CANCEL_PENDING"},
		{"hold while pending", pending, edited(pending, Hold), "refused RX_CANCEL_PENDING"},
		{"cancel while pending", pending, edited(pending, Cancel), "no-op"},
		{"end while pending", pending, edited(pending, End), "refused RX_CANCEL_PENDING"},
		{"replace while pending", pending, edited(pending, Replace), "cancel-pending pending: "},
		{"replaced twice while pending", replacing, edited(replacing, Replace), "no-op"},
		{"replaced by another while pending", replacing, edited(replacing, Replace, func(e *Event) { e.By = "yet another" }), "refused RX_REPLACED"},
		{"prepare while pending", pending, edited(pending, Prepare), "refused RX_CANCEL_PENDING"},
		{"query while pending", pending, edited(pending, Query), "cancel-pending: forward clinic, wake on-hold"},
		{"release while pending", pending, edited(pending, Release), "cancelled: forward clinic, tell clinic RX_CANCELLED, wake cancelled"},
		{"release for a newer one", replacing, edited(pending, Release), "replaced: forward clinic, tell clinic RX_REPLACED, wake cancelled"},
		{"decline while pending", pending, edited(pending, Decline), "cancelled: forward clinic, tell clinic RX_CANCELLED, wake cancelled"},
		{"withdraw while pending", pending, edited(pending, Withdraw), "cancelled: forward clinic, tell clinic RX_CANCELLED, wake cancelled"},
		{"too late, last fill", lastFill, edited(lastFill, HandOver),
			"completed RX_FLAGGED after-cancel: forward clinic, tell clinic RX_COMPLETED, fill 1 a, wake conflict"},
		{"too late, fills left", pending, edited(pending, HandOver),
			"cancelled RX_FLAGGED after-cancel: forward clinic, tell clinic RX_COMPLETED, fill 1 a, wake conflict"},
		{"too late for a part", pending, edited(pending, HandOver, part),
			"cancel-pending RX_FLAGGED after-cancel: forward clinic, tell clinic RX_FLAGGED, wake conflict"},
		{"another hands over while pending", lastFill, edited(lastFill, HandOver, b),
			"completed RX_FLAGGED after-cancel+other-holder: forward clinic, tell clinic RX_COMPLETED, tell a RX_FLAGGED, fill 1 b, wake conflict"},

		{"another claims", example(Held), edited(example(Held), Claim, b), "refused RX_HELD_BY_OTHER"},
		{"another claims what is ready to collect", example(Collect), edited(example(Collect), Claim, b), "refused RX_HELD_BY_OTHER"},
		{"another prepares what is ready to collect", example(Collect), edited(example(Collect), Prepare, b), "refused RX_HELD_BY_OTHER"},
		{"another prepares", example(Held), edited(example(Held), Prepare, b), "refused RX_HELD_BY_OTHER"},
		{"another queries", example(Held), edited(example(Held), Query, b), "refused RX_NOT_HOLDER"},
		{"another releases", example(Held), edited(example(Held), Release, b), "refused RX_NOT_HOLDER"},
		{"another declines", example(Held), edited(example(Held), Decline, b), "refused RX_HELD_BY_OTHER"},
		{"another withdraws", example(Held), edited(example(Held), Withdraw, b), "refused RX_NOT_HOLDER"},
		{"another hands over", example(Held), edited(example(Held), HandOver, b),
			"held RX_FLAGGED other-holder: forward clinic, tell clinic RX_FLAGGED, tell a RX_FLAGGED, fill 1 b, wake conflict"},
		{"another hands over a part", example(Held), edited(example(Held), HandOver, b, part),
			"held RX_FLAGGED other-holder: forward clinic, tell clinic RX_FLAGGED, tell a RX_FLAGGED, wake conflict"},
		{"a redirected pharmacy claims", example(Ready), edited(example(Ready), Claim, b), "refused RX_HELD_BY_OTHER"},
		{"a redirected pharmacy hands over", example(Ready), edited(example(Ready), HandOver, b),
			"ready RX_FLAGGED late: forward clinic, tell clinic RX_FLAGGED, tell a RX_FLAGGED, fill 1 b, wake conflict"},
		{"a part hand-over claims", example(Ready), edited(example(Ready), HandOver, part), "ready-to-collect: forward clinic, wake dispensed"},
		{"the same fill is withdrawn twice", func() State {
			s, _, _ := Decide(example(Completed), said(Withdraw, example(Completed)), start)
			return s
		}(), said(Withdraw, example(Completed)), "refused RX_STALE_CLAIM"},
		{"the holder is nominated", example(Held), Event{Kind: Nominate, Pharmacy: "a"}, "no-op"},
		{"replaced twice", example(Replaced), edited(example(Replaced), Replace, func(e *Event) { e.By = "newer" }), "no-op"},
	} {
		got, effects, answer := Decide(c.s, c.e, start)
		if line := told(got, effects, answer); line != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, line, c.want)
		}
	}
}
