package rx

import (
	"math"
	"testing"
	"time"
)

// mdWith is a dispense message that says more than its status.
func mdWith(org, dispense, status string, more func(*Event)) func(*world) string {
	return func(w *world) string { return w.said(org, dispense, status, more) }
}

func amount(n int64) func(*Event) {
	return func(e *Event) { e.Amount, e.Unit = n, "ucum|1" }
}

// twenty is a fill of twenty tablets.
func twenty(e *Event) { e.Terms = Terms{Amount: 20, Unit: "ucum|1"} }

func mitigated(e *Event)   { e.Mitigated = true }
func substituted(e *Event) { e.Substituted = true }

func TestTerms(t *testing.T) { tell(t, terms()) }

// terms tells what the order says of each fill: amounts, intervals, substitution.
func terms() map[string]story {
	const (
		issued   = "ready: offer a, wake issued"
		accepted = "held: forward clinic, wake accepted"
		part     = "ready-to-collect: forward clinic, wake dispensed"
		first    = "ready: forward clinic, fill 1 a, wake dispensed"
		redirect = "ready: tell a RX_HELD_BY_OTHER, offer b, wake issued"
		released = "ready: forward clinic, wake released"
	)
	return map[string]story{
		"a quantity below the fill's leaves a balance": {
			{issue(twenty), issued},
			{mdWith("a", "x", "completed", amount(12)), part},
			{mdWith("a", "x", "completed", amount(12)), "no-op"},
			{mdWith("a", "y", "completed", amount(8)), first},
			{mdWith("a", "z", "completed", amount(20)), "completed: forward clinic, fill 2 a, wake dispensed"},
		},
		"the same dispense corrected to the whole fill": {
			{issue(twenty), issued},
			{mdWith("a", "x", "completed", amount(12)), part},
			{mdWith("a", "x", "completed", amount(14)), part},
			{mdWith("a", "x", "completed", amount(20)), first},
		},
		"the balance is open at another pharmacy": {
			{issue(twenty), issued},
			{mdWith("a", "x", "completed", amount(12)), part},
			{md("a", "x", "cancelled"), released},
			{nominateTo("b"), redirect},
			{mdWith("b", "y", "completed", amount(5)), part},
			{mdWith("b", "z", "completed", amount(3)), "ready: forward clinic, fill 1 b, wake dispensed"},
		},
		"a withdrawn fill opens with its parts, beside what was begun of the next": {
			{issue(twenty), issued},
			{mdWith("a", "x", "completed", amount(12)), part},
			{mdWith("a", "y", "completed", amount(8)), first},
			{mdWith("a", "z", "completed", amount(5)), part},
			{md("a", "y", "entered-in-error"), "ready-to-collect: forward clinic, wake released"},
			{mdWith("a", "v", "completed", amount(3)), "ready: forward clinic, fill 2 a, wake dispensed"},
			{mdWith("a", "w", "completed", amount(20)), "completed: forward clinic, fill 3 a, wake dispensed"},
		},
		"more than the fill": {
			{issue(twenty), issued},
			{mdWith("a", "x", "completed", amount(21)), "ready RX_FLAGGED over-amount: forward clinic, tell clinic RX_FLAGGED, fill 1 a, wake conflict"},
			{mdWith("a", "y", "completed", amount(12)), part},
			{mdWith("a", "z", "completed", amount(9)), "completed RX_FLAGGED over-amount: forward clinic, tell clinic RX_FLAGGED, fill 2 a, wake conflict"},
		},
		"the type has the last word, other units none": {
			{issue(twenty), issued},
			{mdWith("a", "x", "completed", func(e *Event) { amount(12)(e); e.Whole = true }), first},
			{mdWith("a", "y", "completed", func(e *Event) { e.Amount, e.Unit = 1, "packs|1" }), "completed: forward clinic, fill 2 a, wake dispensed"},
		},
		"a quantity that says nothing closes the fill": {
			{issue(twenty), issued},
			{mdWith("a", "x", "completed", amount(0)), first},
		},
		"nothing is too much where the order does not say": {
			{issue(func(e *Event) { e.Terms.Unit = "ucum|1" }), issued},
			{mdWith("a", "x", "completed", amount(5)), first},
		},
		"as much as can be counted, and more": {
			{issue(twenty), issued},
			{mdWith("a", "x", "completed", amount(countable)), "ready RX_FLAGGED over-amount: forward clinic, tell clinic RX_FLAGGED, fill 1 a, wake conflict"},
			{mdWith("a", "y", "completed", amount(countable+1)), "completed: forward clinic, fill 2 a, wake dispensed"},
		},
		"an amount that cannot be counted does not count": {
			{issue(twenty), issued},
			{mdWith("a", "x", "completed/part", amount(math.MaxInt64)), part},
			{mdWith("a", "y", "completed", amount(20)), first},
		},
		"the next fill begins anew after a balance elsewhere": {
			{issue(twenty), issued},
			{mdWith("a", "x", "completed", amount(12)), part},
			{md("a", "x", "cancelled"), released},
			{nominateTo("b"), redirect},
			{mdWith("b", "y", "completed", amount(8)), "ready: forward clinic, fill 1 b, wake dispensed"},
			{mdWith("b", "z", "completed", amount(12)), part},
		},
		"the first fill is another": {
			{issue(func(e *Event) { twenty(e); e.Terms.First = 5 }), issued},
			{mdWith("a", "x", "completed", amount(5)), first},
			{mdWith("a", "y", "completed", amount(5)), part},
		},
		"a part taken back": {
			{issue(twenty), issued},
			{mdWith("a", "x", "completed", amount(12)), part},
			{md("a", "x", "entered-in-error"), released},
			{mdWith("a", "y", "completed", amount(12)), part},
			{md("a", "y", "cancelled"), released},
			{md("a", "z", "preparation"), accepted},
			{md("a", "y", "entered-in-error"), "held: forward clinic, wake released"},
			{mdWith("a", "z", "completed", amount(12)), part},
		},
		"a closed fill taken back leaves its parts": {
			{issue(twenty), issued},
			{mdWith("a", "x", "completed", amount(12)), part},
			{mdWith("a", "y", "completed", amount(8)), first},
			{mdWith("a", "y", "entered-in-error", amount(8)), released},
			{mdWith("a", "z", "completed", amount(8)), "ready: forward clinic, fill 2 a, wake dispensed"},
		},
		"an interval between fills": {
			{issue(func(e *Event) { e.FillsAllowed, e.Terms.Interval = 3, (30 * 24 * time.Hour).Milliseconds() }), issued},
			{md("a", "x", "completed"), first},
			{md("a", "y", "preparation"), "refused RX_FILL_TOO_EARLY"},
			{mdWith("a", "y", "in-progress", mitigated), "ready-to-collect: forward clinic, wake collect"},
			{md("a", "y", "completed"), "ready: forward clinic, fill 2 a, wake dispensed"},
			{pass(30*24*time.Hour - time.Millisecond), "no-op"},
			{md("a", "z", "preparation"), "refused RX_FILL_TOO_EARLY"},
			{pass(time.Millisecond), "no-op"},
			{md("a", "z", "preparation"), accepted},
		},
		"a hand-over too early is a fact": {
			{issue(func(e *Event) { e.Terms.Interval = (30 * 24 * time.Hour).Milliseconds() }), issued},
			{md("a", "x", "completed"), first},
			{md("a", "y", "completed"), "completed RX_FLAGGED too-early: forward clinic, tell clinic RX_FLAGGED, fill 2 a, wake conflict"},
		},
		"a first interval of its own": {
			{issue(func(e *Event) {
				e.FillsAllowed, e.Terms.Interval, e.Terms.FirstInterval = 3, (30 * 24 * time.Hour).Milliseconds(), (7 * 24 * time.Hour).Milliseconds()
			}), issued},
			{md("a", "x", "completed"), first},
			{pass(7 * 24 * time.Hour), "no-op"},
			{md("a", "y", "completed"), "ready: forward clinic, fill 2 a, wake dispensed"},
			{pass(7 * 24 * time.Hour), "no-op"},
			{md("a", "z", "preparation"), "refused RX_FILL_TOO_EARLY"},
		},
		"a withdrawn fill starts no interval": {
			{issue(func(e *Event) { e.Terms.Interval = (30 * 24 * time.Hour).Milliseconds() }), issued},
			{md("a", "x", "completed"), first},
			{md("a", "x", "entered-in-error"), released},
			{md("a", "y", "preparation"), accepted},
		},
		"the balance need not wait": {
			{issue(func(e *Event) { twenty(e); e.Terms.Interval = (30 * 24 * time.Hour).Milliseconds() }), issued},
			{mdWith("a", "x", "completed", amount(20)), first},
			{pass(30 * 24 * time.Hour), "no-op"},
			{mdWith("a", "y", "completed", amount(12)), part},
			{md("a", "y", "cancelled"), released},
			{md("a", "z", "preparation"), accepted},
		},
		"the balance of a fill that was early need not wait either": {
			{issue(func(e *Event) { twenty(e); e.Terms.Interval = (30 * 24 * time.Hour).Milliseconds() }), issued},
			{mdWith("a", "x", "completed", amount(20)), first},
			{mdWith("a", "y", "in-progress", mitigated), "ready-to-collect: forward clinic, wake collect"},
			{mdWith("a", "y", "completed", amount(12)), part},
			{md("a", "y", "cancelled"), released},
			{md("a", "z", "preparation"), accepted},
		},
		"no other product": {
			{issue(func(e *Event) { e.Terms.NoSubstitution = true }), issued},
			{mdWith("a", "x", "preparation", substituted), "refused RX_SUBSTITUTION"},
			{md("a", "x", "preparation"), accepted},
			{mdWith("a", "x", "in-progress", substituted), "refused RX_SUBSTITUTION"},
			{mdWith("a", "x", "in-progress", func(e *Event) { substituted(e); mitigated(e) }), "ready-to-collect: forward clinic, wake collect"},
			{mdWith("a", "x", "completed", substituted), "ready RX_FLAGGED substituted: forward clinic, tell clinic RX_FLAGGED, fill 1 a, wake conflict"},
		},
		"other terms are another order": {
			{issue(twenty), issued},
			{issue(twenty), "no-op"},
			{issue(nil), "refused RX_ID_REUSED"},
		},
	}
}

func shows(code string, right bool) func(*Event) {
	return func(e *Event) { e.Code, e.CodeOK = code, right }
}

func openWith(code string) func(*world) string { return say(Event{Kind: Open, Code: code}) }

func TestRouting(t *testing.T) { tell(t, routes()) }

// routes tells who may have a prescription: the patient's choice, the prescriber's, a collect code, an
// amendment, a pharmacy that does not answer.
func routes() map[string]story {
	const (
		issued   = "ready: offer a, wake issued"
		accepted = "held: forward clinic, wake accepted"
		wrong    = "refused RX_COLLECT_CODE"
	)
	return map[string]story{
		"a collect code": {
			{issue(nil), issued},
			{openWith("L1"), "ready: "},
			{openWith("L1"), "no-op"},
			{mdWith("b", "y", "preparation", shows("L0", true)), "refused RX_PRESCRIPTION_UNRESOLVED"},
			{mdWith("b", "y", "preparation", shows("L1", false)), wrong},
			{mdWith("b", "y", "cancelled", shows("L1", true)), "refused RX_PRESCRIPTION_UNRESOLVED"},
			{mdWith("b", "y", "preparation", shows("L1", true)), "held: tell a RX_HELD_BY_OTHER, offer b, forward clinic, wake accepted"},
			{md("a", "x", "preparation"), "refused RX_HELD_BY_OTHER"},
			{openWith("L2"), "refused RX_HELD_BY_OTHER"},
			{md("b", "y", "cancelled"), "ready: forward clinic, wake released"},
			{mdWith("c", "z", "preparation", shows("L1", true)), "refused RX_PRESCRIPTION_UNRESOLVED"}, // it died with the claim
			{openWith("L2"), "ready: "},
			{mdWith("c", "z", "completed", shows("L2", true)), "ready: tell b RX_HELD_BY_OTHER, offer c, forward clinic, fill 1 c, wake dispensed"},
		},
		"another code than the one there is": {
			{issue(nil), issued},
			{openWith("L1"), "ready: "},
			{mdWith("a", "x", "preparation", shows("L0", true)), wrong},
			{mdWith("a", "x", "preparation", shows("L1", true)), accepted},
		},
		"too many wrong secrets": {
			{issue(nil), issued},
			{openWith("L1"), "ready: "},
			{mdWith("b", "y", "preparation", shows("L1", false)), wrong},
			{mdWith("b", "y", "completed", shows("L1", false)), wrong},
			{mdWith("b", "y", "preparation", shows("L1", false)), wrong},
			{mdWith("b", "y", "in-progress", shows("L1", false)), wrong},
			{mdWith("b", "y", "preparation", shows("L1", false)), wrong},
			{mdWith("b", "y", "preparation", shows("L1", true)), "refused RX_PRESCRIPTION_UNRESOLVED"},
			{md("a", "x", "preparation"), accepted}, // the code's death is not the prescription's
		},
		"a hand-over is a fact for whom it was sent to, whatever code is shown": {
			{issue(nil), issued},
			{openWith("L1"), "ready: "},
			{mdWith("a", "x", "completed", shows("L1", false)), "ready: forward clinic, fill 1 a, wake dispensed"},
		},
		"chosen by the prescriber": {
			{issue(func(e *Event) { e.Directed = true }), issued},
			{nominateTo("b"), "refused RX_PRESCRIBER_DIRECTED"},
			{openWith("L1"), "refused RX_PRESCRIBER_DIRECTED"},
			{md("a", "x", "declined"), "ready: forward clinic, wake refused"},
			{nominateTo("b"), "ready: offer b, wake issued"}, // else nobody could fill it
		},
		"recorded only": {
			{issue(func(e *Event) { e.RecordOnly = true }), "ready RX_RECORD_ONLY: wake issued"},
			{nominateTo("b"), "refused RX_CONTROLLED"},
			{openWith("L1"), "refused RX_CONTROLLED"},
			{md("a", "x", "preparation"), "refused RX_PRESCRIPTION_UNRESOLVED"},
		},
		"amended before anybody claims": {
			{issue(nil), issued},
			{say(amended("f")), "ready: offer a, wake amended"}, // what differs need not be among what is frozen
			{say(amended("g")), "ready: offer a, wake amended"},
			{issue(nil), "refused RX_ID_REUSED"},
			{say(Event{Kind: Amend, Org: "clinic", Pharmacy: "b", FillsAllowed: 2, Frozen: "h", ValidTo: at(year)}), "ready: tell a RX_HELD_BY_OTHER, offer b, wake amended"},
			{say(Event{Kind: Amend, Org: "other", Frozen: "i"}), "refused RX_FORBIDDEN"},
			{md("b", "x", "preparation"), accepted},
			{say(amended("i")), "refused RX_FROZEN"},
		},
		"amended without a word of the pharmacy": {
			{issue(nil), issued},
			{say(Event{Kind: Amend, Org: "clinic", FillsAllowed: 2, Frozen: "g", ValidTo: at(year)}), "ready: offer a, wake amended"},
			{md("a", "x", "preparation"), accepted},
		},
		"amended after the patient took it elsewhere": {
			{issue(nil), issued},
			{nominateTo("b"), "ready: tell a RX_HELD_BY_OTHER, offer b, wake issued"},
			{say(amended("g")), "ready: offer b, wake amended"},
			{say(Event{Kind: Amend, Org: "clinic", Pharmacy: "a", FillsAllowed: 2, Frozen: "h", ValidTo: at(year), Directed: true}), "ready: tell b RX_HELD_BY_OTHER, offer a, wake amended"},
		},
		"amended out of what is recorded only": {
			{issue(func(e *Event) { e.RecordOnly = true }), "ready RX_RECORD_ONLY: wake issued"},
			{say(amended("g")), "ready: offer a, wake amended"},
		},
		"amended after it was declined": {
			{issue(nil), issued},
			{md("a", "x", "declined"), "ready: forward clinic, wake refused"},
			{say(amended("g")), "ready: wake amended"}, // it may not claim: the patient chooses another
			{nominateTo("b"), "ready: offer b, wake issued"},
			{say(amended("h")), "ready: offer b, wake amended"},
			{md("b", "y", "declined"), "ready: forward clinic, wake refused"},
			{say(Event{Kind: Amend, Org: "clinic", Pharmacy: "b", FillsAllowed: 2, Frozen: "i", ValidTo: at(year)}), "ready: wake amended"},
		},
		"amended to what is recorded only": {
			{issue(nil), issued},
			{say(Event{Kind: Amend, Org: "clinic", Pharmacy: "a", FillsAllowed: 2, Frozen: "g", ValidTo: at(year), RecordOnly: true}), "ready RX_RECORD_ONLY: tell a RX_CONTROLLED, wake amended"},
			{md("a", "x", "preparation"), "refused RX_CONTROLLED"},
			{md("a", "x", "in-progress"), "refused RX_CONTROLLED"},
			{md("a", "x", "declined"), "refused RX_CONTROLLED"},
			{md("a", "x", "completed"), "ready RX_FLAGGED late: forward clinic, tell clinic RX_FLAGGED, fill 1 a, wake conflict"},
		},
		"amended to what is recorded only, under a code": {
			{issue(func(e *Event) { e.Pharmacy = "" }), "ready: wake choose"},
			{openWith("L1"), "ready: "},
			{say(Event{Kind: Amend, Org: "clinic", FillsAllowed: 2, Frozen: "g", ValidTo: at(year), RecordOnly: true}), "ready RX_RECORD_ONLY: wake amended"},
			{mdWith("a", "x", "preparation", shows("L1", true)), "refused RX_PRESCRIPTION_UNRESOLVED"},
		},
		"too late to amend": {
			{issue(nil), issued},
			{md("a", "x", "completed"), "ready: forward clinic, fill 1 a, wake dispensed"},
			{say(amended("g")), "refused RX_FROZEN"},
		},
		"a silent pharmacy": {
			{issue(nil), issued},
			{pass(Silence - time.Millisecond), "no-op"},
			{say(Event{Kind: Silent, Pharmacy: "a"}), "no-op"},
			{pass(time.Millisecond), "no-op"},
			{say(Event{Kind: Silent, Pharmacy: "b"}), "no-op"},
			{say(Event{Kind: Silent, Pharmacy: "a"}), "ready: tell clinic RX_UNDELIVERED, wake silent"},
			{say(Event{Kind: Silent, Pharmacy: "a"}), "no-op"},
			{nominateTo("b"), "ready: tell a RX_HELD_BY_OTHER, offer b, wake issued"},
			{pass(Silence), "no-op"},
			{say(Event{Kind: Silent, Pharmacy: "b"}), "ready: tell clinic RX_UNDELIVERED, wake silent"},
			{md("b", "x", "preparation"), accepted},
			{say(Event{Kind: Silent, Pharmacy: "b"}), "no-op"},
		},
		"urgent, and silent": {
			{issue(func(e *Event) { e.Urgent = true }), issued},
			{pass(SilenceUrgent), "no-op"},
			{say(Event{Kind: Silent, Pharmacy: "a"}), "ready: tell clinic RX_UNDELIVERED, wake silent"},
		},
		"a renewal is asked for": {
			{issue(func(e *Event) { e.FillsAllowed = 1 }), issued},
			{say(Event{Kind: Renew, Org: "b"}), "refused RX_PRESCRIPTION_UNRESOLVED"},
			{md("a", "x", "completed"), "completed: forward clinic, fill 1 a, wake dispensed"},
			{say(Event{Kind: Renew, Org: "a", WasSent: true}), "completed: forward clinic, wake renewal"},
		},
		"warned before validity ends": {
			{issue(func(e *Event) { e.ValidTo = at(10 * 24 * time.Hour) }), issued},
			{pass(3*24*time.Hour - time.Millisecond), "no-op"},
			{pass(time.Millisecond), "ready: wake expiring"},
			{pass(time.Hour), "no-op"},
			{pass(6*24*time.Hour - time.Hour), "ready: wake expiring"},
			{pass(24 * time.Hour), "expired: tell clinic RX_EXPIRED, tell a RX_EXPIRED, wake expired"},
		},
		"short validity is warned of once": {
			{issue(func(e *Event) { e.ValidTo = at(3 * 24 * time.Hour) }), issued},
			{pass(time.Hour), "no-op"},
			{pass(2 * 24 * time.Hour), "ready: wake expiring"},
		},
		"no warning while a pharmacy has it": {
			{issue(func(e *Event) { e.ValidTo = at(8 * 24 * time.Hour) }), issued},
			{md("a", "x", "in-progress"), "ready-to-collect: forward clinic, wake collect"},
			{pass(2 * 24 * time.Hour), "no-op"},
			{md("a", "x", "cancelled"), "ready: forward clinic, wake released, wake expiring"},
		},
	}
}

func amended(frozen string) Event {
	e := order()
	e.Kind, e.Frozen = Amend, frozen
	return e
}
