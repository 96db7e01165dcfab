package rx

import (
	"maps"
	"testing"
	"time"
)

// TestScenarios tells the scenarios that gematik publishes for the German e-prescription, in our words and with our
// outcomes. docs/scenarios.md compares them; each is named by the number that gematik gave it, without ERP_EE_.
func TestScenarios(t *testing.T) { tell(t, scenarios()) }

func scenarios() map[string]story {
	all := map[string]story{}
	for _, some := range []map[string]story{coded(), early(), chosen(), repeats()} {
		maps.Copy(all, some)
	}
	return all
}

// Answers that the scenarios have in common. The order is of one fill, the pharmacy is a.
const (
	gIssued    = "ready: offer a, wake issued"
	gClaimed   = "held: forward clinic, wake accepted"
	gDone      = "completed: forward clinic, fill 1 a, wake dispensed"
	gPart      = "ready-to-collect: forward clinic, wake dispensed"
	gReleased  = "ready: forward clinic, wake released"
	gStale     = "refused RX_STALE_CLAIM"
	gElsewhere = "refused RX_HELD_BY_OTHER"
	gStranger  = "refused RX_PRESCRIPTION_UNRESOLVED"
)

func once(e *Event) { e.FillsAllowed = 1 }

// byCode begins with an order that is routed nowhere, and a collect code in the patient's hand.
func byCode(rest story) story {
	return append(story{
		{issue(func(e *Event) { once(e); e.Pharmacy = "" }), "ready: wake choose"},
		{openWith("L1"), "ready: "},
	}, rest...)
}

// claimed goes on after pharmacy a was shown the code and has claimed.
func claimed(rest story) story {
	return byCode(append(story{
		{mdWith("a", "x", "preparation", shows("L1", true)), "held: offer a, forward clinic, wake accepted"},
	}, rest...))
}

// sentTo begins with an order for pharmacy a.
func sentTo(rest story) story { return append(story{{issue(once), gIssued}}, rest...) }

// direct begins with an order for which the prescriber chose pharmacy a.
func direct(rest story) story {
	return append(story{{issue(func(e *Event) { once(e); e.Directed = true }), gIssued}}, rest...)
}

// coded are the scenarios of workflow 160: a code on paper or in the hand.
func coded() map[string]story {
	dispensed := claimed(story{{md("a", "x", "completed"), gDone}})
	return map[string]story{
		"WF160_01": sentTo(nil), // "wake issued": the patient's phone fetches it
		"WF160_02": dispensed,
		"WF160_03": dispensed, // "wake dispensed"
		"WF160_05": byCode(story{
			{clinic(Cancel), "cancelled: wake cancelled"},
			{mdWith("a", "x", "preparation", shows("L1", true)), gStranger},
		}),
		"WF160_06": byCode(story{ // the patient takes the code back by making another
			{openWith("L2"), "ready: "},
			{mdWith("a", "x", "preparation", shows("L1", true)), gStranger},
			{mdWith("b", "y", "preparation", shows("L2", true)), "held: offer b, forward clinic, wake accepted"},
		}),
		"WF160_07": claimed(story{
			{clinic(Cancel), "cancel-pending pending: forward a, wake cancelled"},
			{md("a", "x", "completed"), "completed RX_FLAGGED after-cancel: forward clinic, tell clinic RX_COMPLETED, fill 1 a, wake conflict"},
		}),
		"WF160_08": claimed(story{
			{md("a", "x", "cancelled"), gReleased},
			{md("a", "x", "in-progress"), "refused RX_DISPENSE_ID_USED"},
			{md("a", "x", "completed"), "completed RX_FLAGGED late: forward clinic, tell clinic RX_FLAGGED, fill 1 a, wake conflict"},
		}),
		"WF160_09": claimed(story{
			{md("a", "x", "declined"), "ready: forward clinic, wake refused"},
			{md("a", "y", "preparation"), "refused RX_FORBIDDEN"},
		}),
		"WF160_10": claimed(story{
			{md("a", "x", "preparation"), "no-op"},
			{md("a", "y", "preparation"), gStale},
			{md("a", "x", "completed"), gDone},
		}),
		"WF160_11": sentTo(story{
			{openWith("L1"), "ready: "},
			{mdWith("b", "y", "preparation", shows("L1", true)), "held: tell a RX_HELD_BY_OTHER, offer b, forward clinic, wake accepted"},
			{md("a", "x", "preparation"), gElsewhere},
			{md("b", "y", "completed"), "completed: forward clinic, fill 1 b, wake dispensed"},
		}),
		"WF160_12": sentTo(story{
			{nominateTo("b"), "ready: tell a RX_HELD_BY_OTHER, offer b, wake issued"},
			{md("a", "x", "preparation"), gElsewhere},
		}),
		"WF160_13": sentTo(story{
			{md("a", "x", "cancelled"), "refused RX_NOT_HOLDER"},
			{md("a", "x", "entered-in-error"), "refused RX_NOT_HOLDER"},
			{md("c", "z", "declined"), gStranger},
		}),
		"WF160_14": claimed(story{
			{nominateTo("b"), gElsewhere},
			{openWith("L2"), gElsewhere},
			{md("a", "x", "completed"), gDone},
		}),
		"WF160_16": claimed(story{
			{md("a", "x", "completed"), gDone},
			{md("a", "x", "completed"), "no-op"},
			{md("a", "y", "preparation"), "refused RX_COMPLETED"},
			{md("a", "y", "completed"), "completed RX_FLAGGED over-fills: forward clinic, tell clinic RX_FLAGGED, fill 2 a, wake conflict"},
		}),
		"WF160_17": claimed(story{
			{stated("a", "x", "in-progress", 7), gStale},
			{stated("a", "x", "in-progress", 1), "ready-to-collect: forward clinic, wake collect"},
			{stated("a", "x", "completed", 1), gDone},
		}),
		"WF160_18": claimed(story{
			{stated("a", "x", "declined", 7), gStale},
			{md("a", "x", "completed"), gDone},
		}),
		"WF160_19": claimed(story{
			{stated("a", "x", "cancelled", 7), gStale},
			{md("a", "x", "completed"), gDone},
		}),
		"WF160_21": sentTo(story{
			{issue(func(e *Event) { e.Org = "a" }), "refused RX_FORBIDDEN"},
		}),
		"WF160_25": claimed(story{
			{md("a", "x", "preparation"), "no-op"}, // a yes, with the claim's number
			{md("a", "x", "completed"), gDone},
		}),
		"WF200_01":                 dispensed,
		"WF200_02":                 sentTo(nil),
		"WF160_EGK_APOTHEKE_01":    dispensed,
		"ALTERNATIVE_ZUWEISUNG_01": dispensed,
		"MEHRERE_MEDICATION_DISPENSES_01": {
			{issue(func(e *Event) { once(e); e.Terms = Terms{Amount: 50, Unit: "ucum|1"} }), gIssued},
			{mdWith("a", "n1", "completed", amount(10)), gPart},
			{mdWith("a", "n2", "completed", amount(20)), gPart},
			{mdWith("a", "n3", "completed", amount(20)), gDone},
		},
	}
}

// early are the scenarios in which the pharmacy tells of a hand-over before it closes the fill.
func early() map[string]story {
	ofTwenty := func(e *Event) { once(e); twenty(e) }
	return map[string]story{
		"ZBD_01": claimed(story{
			{md("a", "x", "completed/part"), gPart},
			{md("a", "x", "completed"), gDone},
		}),
		"ZBD_02": {
			{issue(ofTwenty), gIssued},
			{md("a", "x", "preparation"), gClaimed},
			{mdWith("a", "x", "completed", amount(5)), gPart},
			{mdWith("a", "x", "completed", amount(12)), gPart}, // instead of the 5
			{mdWith("a", "y", "completed", amount(8)), gDone},
		},
		"ZBD_03": claimed(story{
			{mdWith("a", "x", "completed", amount(5)), gDone},
			{mdWith("a", "x", "completed", amount(7)), "no-op"},
			{md("a", "x", "in-progress"), "refused RX_COMPLETED"},
		}),
		"ZBD_04": {
			{issue(ofTwenty), gIssued},
			{md("a", "x", "preparation"), gClaimed},
			{mdWith("a", "x", "completed", amount(12)), gPart},
			{mdWith("a", "x", "completed", amount(20)), gDone},
		},
		"ZBD_05": sentTo(story{
			{md("c", "z", "completed/part"), gStranger},
			{md("a", "x", "on-hold"), "refused RX_NOT_HOLDER"},
			{md("a", "x", "completed/part"), gPart}, // claim and hand-over in one decision
		}),
		"ZBD_06": {
			{issue(ofTwenty), gIssued},
			{mdWith("a", "x", "completed", amount(12)), gPart},
			{md("a", "x", "entered-in-error"), gReleased},
			{mdWith("a", "y", "completed", amount(12)), gPart}, // and 8 are left, not -4
			{mdWith("a", "z", "completed", amount(8)), gDone},
		},
		"ZBD_07": claimed(story{
			{pass(LeaseHeld - WarnLease), "held: tell a RX_LEASE_ENDING"},
			{pass(WarnLease), "ready: tell clinic RX_STALE_CLAIM, tell a RX_STALE_CLAIM, wake released"},
		}),
	}
}

// chosen are the scenarios of who chooses the pharmacy: the patient, or the prescriber (workflows 169 and 209).
func chosen() map[string]story {
	const theirs = "refused RX_PRESCRIBER_DIRECTED"
	shown := direct(story{{openWith("L1"), theirs}})
	dispensed := direct(story{
		{md("a", "x", "preparation"), gClaimed},
		{md("a", "x", "completed"), gDone},
	})
	before := direct(story{{nominateTo("b"), theirs}})
	during := direct(story{
		{md("a", "x", "preparation"), gClaimed},
		{nominateTo("b"), gElsewhere},
	})
	return map[string]story{
		"NACHRICHTEN_01": {
			{issue(func(e *Event) { once(e); e.Pharmacy = "" }), "ready: wake choose"},
			{nominateTo("a"), gIssued},
			{md("a", "x", "preparation"), gClaimed},
			{md("a", "x", "completed"), gDone},
		},
		"NACHRICHTEN_03": claimed(story{{md("a", "x", "completed"), gDone}}), // the code serves whoever shows it
		"NACHRICHTEN_04": claimed(story{
			{md("a", "x", "completed"), gDone},
			{openWith("L2"), "refused RX_COMPLETED"},
		}),
		"SUBSCRIPTION_01": {
			{issue(func(e *Event) { once(e); e.Pharmacy = "" }), "ready: wake choose"},
			{nominateTo("a"), gIssued}, // "offer a" is what the pharmacy's consumer gets
		},
		"WF169_01": shown, "WF209_01": shown,
		"WF169_02": dispensed, "WF209_02": dispensed,
		"WF169_03": before, "WF209_06": before,
		"WF169_04": during, "WF209_05": during,
	}
}

// repeats are the scenarios of one order with several fills.
func repeats() map[string]story {
	const quarter = 90 * 24 * time.Hour
	four := func(more func(*Event)) func(*world) string {
		return issue(func(e *Event) {
			e.FillsAllowed, e.Terms.Interval = 4, quarter.Milliseconds()
			if more != nil {
				more(e)
			}
		})
	}
	quarterly := func(begin func(*world) string, early string) story {
		return story{
			{begin, gIssued},
			{md("a", "1", "completed"), "ready: forward clinic, fill 1 a, wake dispensed"},
			{md("a", "2", "preparation"), early},
			{pass(quarter), "no-op"},
			{md("a", "2", "completed"), "ready: forward clinic, fill 2 a, wake dispensed"},
			{pass(quarter), "no-op"},
			{md("a", "3", "completed"), "ready: forward clinic, fill 3 a, wake dispensed"},
		}
	}
	const tooEarly = "refused RX_FILL_TOO_EARLY"
	last := story{
		{pass(quarter), "ready: wake expiring"},
		{md("a", "4", "completed"), "completed: forward clinic, fill 4 a, wake dispensed"},
	}
	open := quarterly(four(func(e *Event) { e.ValidTo = 0 }), tooEarly)
	endless := story{
		{pass(quarter), "no-op"},
		{md("a", "4", "completed"), "completed: forward clinic, fill 4 a, wake dispensed"},
	}
	bounded := func(e *Event) { e.ValidTo = at(3*quarter + WarnExpiring) }
	directed := func(e *Event) { e.Directed = true }
	return map[string]story{
		"MVO_01": append(open, endless...),
		"MVO_02": append(quarterly(four(bounded), tooEarly), last...),
		"MVO_03": append(quarterly(four(func(e *Event) { directed(e); e.ValidTo = 0 }), tooEarly), endless...),
		"MVO_04": append(quarterly(four(func(e *Event) { directed(e); bounded(e) }), tooEarly), last...),
		"MVO_06": {
			{four(nil), gIssued},
			{md("a", "1", "completed"), "ready: forward clinic, fill 1 a, wake dispensed"},
		},
		"MVO_07": {
			{issue(func(e *Event) { once(e); e.ValidFrom = at(quarter) }), gIssued},
			{md("a", "x", "preparation"), "refused RX_NOT_YET_VALID"},
			{pass(quarter - time.Millisecond), "no-op"},
			{md("a", "x", "preparation"), "refused RX_NOT_YET_VALID"},
			{pass(time.Millisecond), "no-op"},
			{md("a", "x", "preparation"), gClaimed},
		},
		"MVO_09": { // one order instead of four that belong together; each fill at any pharmacy
			{four(nil), gIssued},
			{md("a", "1", "completed"), "ready: forward clinic, fill 1 a, wake dispensed"},
			{nominateTo("b"), "ready: tell a RX_HELD_BY_OTHER, offer b, wake issued"},
			{pass(quarter), "no-op"},
			{md("b", "2", "completed"), "ready: forward clinic, fill 2 b, wake dispensed"},
		},
	}
}
