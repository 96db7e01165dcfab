package rx

import (
	"fmt"
	"testing"
	"time"
)

// story is a prescription's life, told line by line.
type story []struct {
	do   func(*world) string
	want string
}

func md(org, dispense, status string) func(*world) string {
	return func(w *world) string { return w.md(org, dispense, status) }
}

func stated(org, dispense, status string, claim uint64) func(*world) string {
	return func(w *world) string { return w.stated(org, dispense, status, claim) }
}

func pass(d time.Duration) func(*world) string {
	return func(w *world) string { return w.pass(d) }
}

func say(e Event) func(*world) string { return func(w *world) string { return w.do(e) } }

// issue is the plain order, edited.
func issue(edit func(*Event)) func(*world) string {
	e := order()
	if edit != nil {
		edit(&e)
	}
	return say(e)
}

func clinic(k Kind) func(*world) string { return say(Event{Kind: k, Org: "clinic", Record: "r2"}) }

func nominateTo(pharmacy string) func(*world) string {
	return say(Event{Kind: Nominate, Pharmacy: pharmacy})
}

// run tells the story to a machine; nil is that it ends as written.
func (lines story) run(m machine) error {
	j := &judge{}
	w := newWorld(j)
	w.m = m
	for i, line := range lines {
		if got := line.do(w); got != line.want || j.wrong != "" {
			return fmt.Errorf("line %d:\n got %s\nwant %s %s\nstate %+v", i+1, got, line.want, j.wrong, w.s)
		}
	}
	return nil
}

// judge takes a world's complaints.
type judge struct {
	testing.TB
	wrong string
}

func (j *judge) Helper() {}

func (j *judge) Errorf(format string, args ...any) { j.wrong = fmt.Sprintf(format, args...) }

// tell runs stories, each in a world of its own.
func tell(t *testing.T, stories map[string]story) {
	for name, lines := range stories {
		t.Run(name, func(t *testing.T) {
			if err := lines.run(Decide); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestStories(t *testing.T) { tell(t, stories()) }

// stories are whole lives: every transition, in the order in which a message may come.
func stories() map[string]story {
	const (
		issued    = "ready: offer a, wake issued"
		accepted  = "held: forward clinic, wake accepted"
		collect   = "ready-to-collect: forward clinic, wake collect"
		redirect  = "ready: tell a RX_HELD_BY_OTHER, offer b, wake issued"
		cancelled = "cancel-pending pending: forward a, wake cancelled"
	)
	one := func(e *Event) { e.FillsAllowed = 1 }
	return map[string]story{
		"two fills, each claimed, made ready and handed over": {
			{issue(nil), issued},
			{md("a", "x", "preparation"), accepted},
			{md("a", "x", "in-progress"), collect},
			{md("a", "x", "completed"), "ready: forward clinic, fill 1 a, wake dispensed"},
			{md("a", "x", "completed"), "no-op"},
			{md("a", "x", "preparation"), "refused RX_DISPENSE_ID_USED"},
			{md("a", "y", "completed"), "completed: forward clinic, fill 2 a, wake dispensed"},
			{md("a", "z", "preparation"), "refused RX_COMPLETED"},
		},
		"one winner": {
			{issue(one), issued},
			{nominateTo("b"), redirect},
			{md("a", "x", "preparation"), "refused RX_HELD_BY_OTHER"},
			{md("b", "y", "preparation"), accepted},
			{md("a", "x", "preparation"), "refused RX_HELD_BY_OTHER"},
			{md("b", "y", "preparation"), "no-op"},
			{md("b", "z", "preparation"), "refused RX_STALE_CLAIM"},
			{stated("b", "z", "in-progress", 1), collect},
			{md("b", "z", "in-progress"), "no-op"},
			{md("b", "z", "completed"), "completed: forward clinic, fill 1 b, wake dispensed"},
		},
		"strangers and wrong senders": {
			{issue(nil), issued},
			{md("c", "x", "completed"), "refused RX_PRESCRIPTION_UNRESOLVED"},
			{md("c", "x", "preparation"), "refused RX_PRESCRIPTION_UNRESOLVED"},
			{md("clinic", "x", "completed"), "refused RX_SENDER"},
			{md("", "x", "completed"), "refused RX_SENDER"},
			{say(Event{Kind: Cancel, Org: "other clinic"}), "refused RX_FORBIDDEN"},
			{say(Event{Kind: Nominate, Org: "a", Pharmacy: "a"}), "refused RX_SENDER"},
			{say(Event{Kind: "?", Org: "a"}), "refused RX_STATUS"},
			{nominateTo(""), "refused RX_ORGANIZATION"},
			{nominateTo("a"), "no-op"},
		},
		"a claim that lapses": {
			{issue(nil), issued},
			{md("a", "x", "preparation"), accepted},
			{pass(LeaseHeld - time.Millisecond), "held: tell a RX_LEASE_ENDING"},
			{pass(time.Millisecond), "ready: tell clinic RX_STALE_CLAIM, tell a RX_STALE_CLAIM, wake released"},
			{md("a", "x", "in-progress"), "refused RX_DISPENSE_ID_USED"},
			{stated("a", "x", "in-progress", 1), "refused RX_STALE_CLAIM"},
			{md("a", "y", "preparation"), accepted},
			{md("a", "x", "preparation"), "refused RX_DISPENSE_ID_USED"},
			{stated("a", "y", "in-progress", 1), "refused RX_STALE_CLAIM"},
			{stated("a", "y", "in-progress", 2), collect},
			{md("a", "x", "unknown"), "refused RX_STATUS"},
			{md("a", "x", "cancelled"), "refused RX_DISPENSE_ID_USED"},
			{md("a", "x", "completed"), "ready RX_FLAGGED late: forward clinic, tell clinic RX_FLAGGED, fill 1 a, wake conflict"},
		},
		"other content under the same identity while a pharmacy works": {
			{issue(nil), issued},
			{md("a", "x", "preparation"), accepted},
			{issue(func(e *Event) { e.Frozen = "g" }), "refused RX_ID_REUSED"},
			{md("a", "x", "in-progress"), collect},
			{issue(func(e *Event) { e.Frozen = "g" }), "refused RX_ID_REUSED"},
		},
		"what was ready under a claim that lapsed": {
			{issue(nil), issued},
			{md("a", "x", "in-progress"), collect},
			{pass(LeaseCollect), "ready: tell clinic RX_STALE_CLAIM, tell a RX_STALE_CLAIM, wake released"},
			{md("a", "y", "in-progress"), collect},
			{md("a", "x", "in-progress"), "refused RX_DISPENSE_ID_USED"},
			{md("a", "y", "in-progress"), "no-op"},
		},
		"messages of the holder extend the lease": {
			{issue(nil), issued},
			{md("a", "x", "preparation"), accepted},
			{pass(LeaseHeld / 2), "no-op"},
			{md("a", "x", "on-hold"), "held: forward clinic, wake on-hold"},
			{pass(LeaseHeld / 2), "no-op"},
			{md("a", "x", "on-hold"), "held: forward clinic, wake on-hold"},
			{md("a", "x", "preparation"), accepted},
			{md("a", "x", "preparation"), "no-op"},
			{md("a", "x", "in-progress"), collect},
			{md("a", "x", "preparation"), "no-op"}, // overtaken on its way
			{pass(LeaseCollect - time.Millisecond), "ready-to-collect: tell a RX_LEASE_ENDING"},
			{md("a", "x", "completed"), "ready: forward clinic, fill 1 a, wake dispensed"},
		},
		"a part, the balance under another identifier": {
			{issue(one), issued},
			{md("a", "x", "completed/part"), "ready-to-collect: forward clinic, wake dispensed"},
			{md("a", "x", "completed/part"), "no-op"},
			{md("a", "y", "in-progress"), collect},
			{md("a", "y", "completed"), "completed: forward clinic, fill 1 a, wake dispensed"},
		},
		"a part, then the whole under the same identifier": {
			{issue(one), issued},
			{md("a", "x", "completed/part"), "ready-to-collect: forward clinic, wake dispensed"},
			{md("a", "x", "completed"), "completed: forward clinic, fill 1 a, wake dispensed"},
			{md("a", "x", "completed"), "no-op"},
		},
		"a part, then the balance elsewhere": {
			{issue(one), issued},
			{md("a", "x", "in-progress"), collect},
			{md("a", "x", "completed/part"), "ready-to-collect: forward clinic, wake dispensed"},
			{md("a", "x", "stopped"), "ready: forward clinic, wake released"},
			{md("a", "x", "cancelled"), "no-op"},
			{nominateTo("b"), redirect},
			{md("b", "y", "completed"), "completed: forward clinic, fill 1 b, wake dispensed"},
		},
		"cancelled before anybody claims": {
			{issue(nil), issued},
			{clinic(Cancel), "cancelled: forward a, wake cancelled"},
			{clinic(Cancel), "no-op"},
			{md("a", "x", "preparation"), "refused RX_CANCELLED"},
			{md("a", "x", "completed"), "cancelled RX_FLAGGED after-cancel: forward clinic, tell clinic RX_FLAGGED, fill 1 a, wake conflict"},
			{issue(nil), "refused RX_CANCELLED"},
			{issue(func(e *Event) { e.Frozen = "g" }), "refused RX_ID_REUSED"},
		},
		"cancelled while held, released": {
			{issue(nil), issued},
			{md("a", "x", "preparation"), accepted},
			{clinic(Cancel), cancelled},
			{md("a", "x", "preparation"), "no-op"},
			{md("a", "x", "in-progress"), "refused RX_CANCEL_PENDING"},
			{md("a", "x", "cancelled"), "cancelled: forward clinic, tell clinic RX_CANCELLED, wake cancelled"},
		},
		"cancelled while held, holder silent": {
			{issue(nil), issued},
			{md("a", "x", "in-progress"), collect},
			{clinic(Cancel), cancelled},
			{pass(LeaseCancel - time.Millisecond), "no-op"},
			{pass(time.Millisecond), "cancelled: tell clinic RX_CANCELLED, tell a RX_CANCELLED, wake cancelled"},
		},
		"cancelled while held, too late": {
			{issue(nil), issued},
			{md("a", "x", "preparation"), accepted},
			{clinic(Cancel), cancelled},
			{md("a", "x", "completed"), "cancelled RX_FLAGGED after-cancel: forward clinic, tell clinic RX_COMPLETED, fill 1 a, wake conflict"},
			{md("a", "x", "entered-in-error"), "cancelled: forward clinic, wake released"},
		},
		"too late for the last fill, then withdrawn": {
			{issue(one), issued},
			{md("a", "x", "preparation"), accepted},
			{clinic(Cancel), cancelled},
			{md("a", "x", "completed"), "completed RX_FLAGGED after-cancel: forward clinic, tell clinic RX_COMPLETED, fill 1 a, wake conflict"},
			{md("a", "x", "entered-in-error"), "completed: forward clinic, wake released"}, // and not ready again
			{md("a", "y", "preparation"), "refused RX_COMPLETED"},
		},
		"ended between fills, then withdrawn": {
			{issue(nil), issued},
			{md("a", "x", "completed"), "ready: forward clinic, fill 1 a, wake dispensed"},
			{clinic(End), "completed: forward a, wake ended"},
			{md("a", "x", "entered-in-error"), "completed: forward clinic, wake released"},
		},
		"ended when completed, then withdrawn": {
			{issue(one), issued},
			{md("a", "x", "completed"), "completed: forward clinic, fill 1 a, wake dispensed"},
			{clinic(End), "completed: "},
			{clinic(End), "no-op"},
			{md("a", "x", "entered-in-error"), "completed: forward clinic, wake released"},
		},
		"replaced before anybody claims": {
			{issue(nil), issued},
			{say(Event{Kind: Replace, Org: "clinic", By: "newer"}), "replaced: tell a RX_REPLACED"},
			{say(Event{Kind: Replace, Org: "clinic", By: "newer"}), "no-op"},
			{say(Event{Kind: Replace, Org: "clinic", By: "another"}), "refused RX_REPLACED"},
		},
		"work goes on after a query": {
			{issue(nil), issued},
			{md("a", "x", "in-progress"), collect},
			{md("b", "y", "preparation"), "refused RX_PRESCRIPTION_UNRESOLVED"},
			{md("a", "x", "on-hold"), "held: forward clinic, wake on-hold"},
			{md("a", "y", "on-hold"), "refused RX_STALE_CLAIM"},
			{pass(LeaseCollect - time.Hour), "held: tell a RX_LEASE_ENDING"}, // a query does not shorten the lease
			{md("a", "x", "preparation"), accepted},
			{pass(LeaseHeld - time.Millisecond), "held: tell a RX_LEASE_ENDING"},
			{md("a", "x", "on-hold"), "held: forward clinic, wake on-hold"},
			{clinic(Hold), "on-hold: forward a, wake on-hold"},
			{md("a", "x", "preparation"), "refused RX_ON_HOLD"},
			{clinic(Cancel), cancelled},
			{md("a", "x", "on-hold"), "cancel-pending: forward clinic, wake on-hold"},
			{md("a", "x", "preparation"), "refused RX_CANCEL_PENDING"},
			{pass(LeaseCancel), "cancelled: tell clinic RX_CANCELLED, tell a RX_CANCELLED, wake cancelled"},
		},
		"a tombstone": {
			{clinic(Cancel), "cancelled RX_TOMBSTONE: "},
			{clinic(Cancel), "no-op"},
			{md("a", "x", "completed"), "refused RX_PRESCRIPTION_UNRESOLVED"},
			{issue(nil), "cancelled RX_CANCELLED: "},
			{issue(nil), "refused RX_CANCELLED"},
		},
		"replaced while held": {
			{issue(nil), issued},
			{md("a", "x", "preparation"), accepted},
			{say(Event{Kind: Replace, Org: "clinic", By: "newer"}), "cancel-pending pending: tell clinic RX_CANCEL_PENDING, tell a RX_CANCEL_PENDING, wake cancelled"},
			{pass(LeaseCancel), "replaced: tell clinic RX_REPLACED, tell a RX_REPLACED, wake cancelled"},
			{md("a", "x", "in-progress"), "refused RX_REPLACED"},
		},
		"hold and resume": {
			{issue(nil), issued},
			{issue(nil), "no-op"},
			{issue(func(e *Event) { e.ValidTo++ }), "refused RX_ID_REUSED"},
			{clinic(Hold), "on-hold: forward a, wake on-hold"},
			{md("a", "x", "preparation"), "refused RX_ON_HOLD"},
			{issue(func(e *Event) { e.Frozen = "g" }), "refused RX_ID_REUSED"},
			{issue(nil), "ready: forward a, wake resumed"},
			{md("a", "x", "preparation"), accepted},
		},
		"ended by the clinic while held": {
			{issue(nil), issued},
			{md("a", "x", "preparation"), accepted},
			{clinic(End), "held: forward a, wake ended"},
			{clinic(End), "no-op"},
			{md("a", "x", "completed"), "completed: forward clinic, fill 1 a, wake dispensed"},
			{md("a", "y", "completed"), "completed RX_FLAGGED after-cancel: forward clinic, tell clinic RX_FLAGGED, fill 2 a, wake conflict"},
			{md("a", "z", "completed"), "completed RX_FLAGGED over-fills: forward clinic, tell clinic RX_FLAGGED, fill 3 a, wake conflict"},
		},
		"claim numbers": {
			{issue(func(e *Event) { e.FillsAllowed = 4 }), issued},
			{md("a", "x", "completed"), "ready: forward clinic, fill 1 a, wake dispensed"}, // claim 1
			{nominateTo("b"), redirect},
			{stated("b", "y", "preparation", 1), "refused RX_STALE_CLAIM"},
			{md("b", "y", "preparation"), accepted}, // claim 2
			{md("a", "z", "completed"), "held RX_FLAGGED other-holder: forward clinic, tell clinic RX_FLAGGED, tell b RX_FLAGGED, fill 2 a, wake conflict"},
			{stated("b", "y", "in-progress", 3), "refused RX_STALE_CLAIM"},
			{stated("b", "y", "in-progress", 2), collect},
			{pass(LeaseCollect), "ready: tell clinic RX_STALE_CLAIM, tell b RX_STALE_CLAIM, wake released"},
			{md("b", "y", "completed"), "ready RX_FLAGGED late: forward clinic, tell clinic RX_FLAGGED, fill 3 b, wake conflict"},
			{md("b", "v", "preparation"), accepted}, // claim 3
			{stated("b", "v", "completed", 3), "completed: forward clinic, fill 4 b, wake dispensed"},
		},
		"repeats that state their claim": {
			{issue(nil), issued},
			{stated("a", "x", "in-progress", 0), collect},
			{stated("a", "x", "in-progress", 1), "no-op"},
			{stated("a", "x", "in-progress", 7), "refused RX_STALE_CLAIM"},
		},
		"a conflict withdrawn": {
			{issue(nil), issued},
			{nominateTo("b"), redirect},
			{md("a", "x", "completed"), "ready RX_FLAGGED late: forward clinic, tell clinic RX_FLAGGED, tell b RX_FLAGGED, fill 1 a, wake conflict"},
			{md("a", "x", "entered-in-error"), "ready: forward clinic, tell b RX_FLAGGED, wake released"},
		},
		"a part extends the lease": {
			{issue(one), issued},
			{md("a", "x", "preparation"), accepted},
			{md("a", "x", "completed/part"), "ready-to-collect: forward clinic, wake dispensed"},
			{pass(LeaseCollect - time.Millisecond), "ready-to-collect: tell a RX_LEASE_ENDING"},
			{pass(time.Millisecond), "ready: tell clinic RX_STALE_CLAIM, tell a RX_STALE_CLAIM, wake released"},
		},
		"nobody to route to, then chosen": {
			{issue(func(e *Event) { e.Pharmacy = "" }), "ready: wake choose"},
			{nominateTo("b"), "ready: offer b, wake issued"},
			{md("b", "x", "preparation"), accepted},
			{nominateTo("a"), "refused RX_HELD_BY_OTHER"},
			{nominateTo("b"), "no-op"},
		},
		"declined": {
			{issue(nil), issued},
			{md("a", "x", "declined"), "ready: forward clinic, wake refused"},
			{md("a", "x", "declined"), "no-op"},
			{md("a", "y", "preparation"), "refused RX_FORBIDDEN"},
			{md("a", "y", "declined"), "refused RX_FORBIDDEN"},
			{nominateTo("a"), "refused RX_FORBIDDEN"},
			{nominateTo("b"), "ready: offer b, wake issued"},
			{md("b", "z", "declined"), "ready: forward clinic, wake refused"},
			{md("a", "y", "completed"), "ready RX_FLAGGED late: forward clinic, tell clinic RX_FLAGGED, fill 1 a, wake conflict"},
		},
		"declined while held": {
			{issue(nil), issued},
			{md("a", "x", "preparation"), accepted},
			{md("a", "y", "declined"), "refused RX_STALE_CLAIM"},
			{md("a", "x", "declined"), "ready: forward clinic, wake refused"},
			{md("a", "z", "preparation"), "refused RX_FORBIDDEN"},
			{nominateTo("b"), "ready: offer b, wake issued"}, // a is not told: it has it no more
			{md("a", "z", "declined"), "refused RX_HELD_BY_OTHER"},
		},
		"a hand-over withdrawn": {
			{issue(one), issued},
			{md("a", "x", "completed"), "completed: forward clinic, fill 1 a, wake dispensed"},
			{md("a", "x", "entered-in-error"), "ready: forward clinic, wake released"},
			{md("a", "x", "entered-in-error"), "no-op"},
			{md("a", "y", "completed"), "completed: forward clinic, fill 2 a, wake dispensed"},
			{pass(WithdrawWindow), "no-op"},
			{md("a", "y", "entered-in-error"), "refused RX_STALE_CLAIM"},
		},
		"a later fill was taken since": {
			{issue(nil), issued},
			{md("a", "x", "completed"), "ready: forward clinic, fill 1 a, wake dispensed"},
			{nominateTo("b"), redirect},
			{md("b", "y", "preparation"), accepted},
			{md("b", "y", "completed"), "completed: forward clinic, fill 2 b, wake dispensed"},
			{md("a", "x", "entered-in-error"), "refused RX_STALE_CLAIM"},
			{md("b", "y", "entered-in-error"), "ready: forward clinic, wake released"},
		},
		"a claim withdrawn": {
			{issue(nil), issued},
			{md("a", "x", "preparation"), accepted},
			{md("a", "x", "entered-in-error"), "ready: forward clinic, wake released"},
			{md("a", "x", "entered-in-error"), "no-op"},
		},
		"another hands over the last fill": {
			{issue(one), issued},
			{nominateTo("b"), redirect},
			{md("b", "y", "in-progress"), collect},
			{md("a", "x", "completed"), "completed RX_FLAGGED other-holder: forward clinic, tell clinic RX_FLAGGED, tell b RX_FLAGGED, fill 1 a, wake conflict"},
			{md("b", "y", "completed"), "completed RX_FLAGGED late+over-fills: forward clinic, tell clinic RX_FLAGGED, fill 2 b, wake conflict"},
			{md("b", "y", "entered-in-error"), "completed: forward clinic, wake released"},
		},
		"validity": {
			{issue(func(e *Event) { e.ValidFrom, e.ValidTo = at(time.Hour), at(48*time.Hour) }), issued},
			{md("a", "x", "preparation"), "refused RX_NOT_YET_VALID"},
			{md("a", "x", "completed"), "ready RX_FLAGGED too-early: forward clinic, tell clinic RX_FLAGGED, fill 1 a, wake conflict"},
			{pass(time.Hour), "no-op"},
			{md("a", "y", "preparation"), accepted},
			{pass(48 * time.Hour), "held: tell a RX_LEASE_ENDING"}, // a hold outlives validity
			{md("a", "y", "cancelled"), "expired: forward clinic, wake released, tell clinic RX_EXPIRED, tell a RX_EXPIRED, wake expired"},
			{md("a", "z", "preparation"), "refused RX_EXPIRED"},
			{md("a", "z", "completed"), "expired RX_FLAGGED after-expiry: forward clinic, tell clinic RX_FLAGGED, fill 2 a, wake conflict"},
		},
		"from the first moment": {
			{issue(func(e *Event) { e.ValidFrom = at(time.Hour) }), issued},
			{pass(time.Hour), "no-op"},
			{md("a", "x", "completed"), "ready: forward clinic, fill 1 a, wake dispensed"},
		},
		"expires by itself": {
			{issue(func(e *Event) { e.ValidTo = at(time.Hour) }), issued},
			{pass(time.Hour), "expired: tell clinic RX_EXPIRED, tell a RX_EXPIRED, wake expired"},
		},
		"expired when issued": {
			{issue(func(e *Event) { e.ValidTo = at(-time.Hour) }), "expired RX_EXPIRED: offer a, wake issued"},
		},
		"expired when issued, to nobody": {
			{issue(func(e *Event) { e.Pharmacy, e.ValidTo = "", at(-time.Hour) }), "expired RX_EXPIRED: wake expired"},
			{nominateTo("b"), "refused RX_EXPIRED"},
		},
	}
}
