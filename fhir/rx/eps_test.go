package rx

import (
	"testing"
	"time"
)

// TestEPS tells the moves between the prescription and item statuses of the English Electronic Prescription Service,
// the outcomes of its cancellations and its refusals, with our outcomes. docs/scenarios.md compares them.
func TestEPS(t *testing.T) { tell(t, eps()) }

func eps() map[string]story {
	const (
		recall  = "cancel-pending pending: forward a, wake cancelled"
		tooLate = "completed RX_FLAGGED after-cancel: forward clinic, tell clinic RX_COMPLETED, fill 1 a, wake conflict"
		first   = "ready: forward clinic, fill 1 a, wake dispensed"
		month   = 28 * 24 * time.Hour
	)
	held := func(rest ...story) story {
		all := sentTo(story{{md("a", "x", "preparation"), gClaimed}})
		for _, more := range rest {
			all = append(all, more...)
		}
		return all
	}
	monthly := issue(func(e *Event) { e.Terms.Interval = month.Milliseconds() })
	return map[string]story{
		// the prescription
		"prescription_new_0001":  sentTo(nil),
		"prescription_0001_0002": held(),
		"prescription_0002_0003": held(story{{md("a", "x", "completed/part"), gPart}}),
		"prescription_0002_0001": held(story{{md("a", "x", "cancelled"), gReleased}}),
		"prescription_0003_0001": held(story{
			{md("a", "x", "completed/part"), gPart},
			{md("a", "x", "cancelled"), gReleased},
			{md("a", "y", "completed"), gDone}, // the balance
		}),
		"prescription_0002_0006": held(story{{md("a", "x", "completed"), gDone}}),
		"prescription_0003_0006": held(story{
			{md("a", "x", "completed/part"), gPart},
			{md("a", "x", "completed"), gDone},
		}),
		"prescription_0002_0007": held(story{{md("a", "x", "declined"), "ready: forward clinic, wake refused"}}),
		"prescription_0001_0004": {
			{issue(func(e *Event) { once(e); e.ValidTo = at(time.Hour) }), gIssued},
			{pass(time.Hour), "expired: tell clinic RX_EXPIRED, tell a RX_EXPIRED, wake expired"},
		},
		"prescription_0003_0004": { // what is held outlives validity; what is given back does not
			{issue(func(e *Event) { once(e); e.ValidTo = at(time.Hour) }), gIssued},
			{md("a", "x", "completed/part"), gPart},
			{pass(time.Hour), "no-op"},
			{md("a", "x", "cancelled"), "expired: forward clinic, wake released, tell clinic RX_EXPIRED, tell a RX_EXPIRED, wake expired"},
		},
		"prescription_0001_0005": sentTo(story{{clinic(Cancel), "cancelled: forward a, wake cancelled"}}),
		"prescription_9000_0001": {
			{monthly, gIssued},
			{md("a", "x", "completed"), first},
			{md("a", "y", "preparation"), "refused RX_FILL_TOO_EARLY"},
			{pass(month), "no-op"},
			{md("a", "y", "preparation"), gClaimed},
		},
		"prescription_9000_9005": {
			{monthly, gIssued},
			{md("a", "x", "completed"), first},
			{clinic(Cancel), "cancelled: forward a, wake cancelled"},
			{pass(month), "no-op"},
			{md("a", "y", "preparation"), "refused RX_CANCELLED"},
		},
		"prescription_0006_withdrawn": held(story{
			{md("a", "x", "completed"), gDone},
			{md("a", "x", "entered-in-error"), gReleased},
			{md("a", "y", "preparation"), gClaimed},
		}),

		// the item: one prescription of ours is one item
		"item_0007_0008": held(),
		"item_0008_0001": held(story{{md("a", "x", "completed"), gDone}}),
		"item_0008_0002": held(story{{md("a", "x", "declined"), "ready: forward clinic, wake refused"}}),
		"item_0008_0003": held(story{{md("a", "x", "completed/part"), gPart}}),
		"item_0008_0004": held(story{{md("a", "x", "on-hold"), "held: forward clinic, wake on-hold"}}),
		"item_0004_0001": held(story{
			{md("a", "x", "on-hold"), "held: forward clinic, wake on-hold"},
			{md("a", "x", "completed"), gDone},
		}),
		"item_0004_0003": held(story{
			{md("a", "x", "on-hold"), "held: forward clinic, wake on-hold"},
			{md("a", "x", "completed/part"), gPart},
		}),
		"item_0003_0001": held(story{
			{md("a", "x", "completed/part"), gPart},
			{md("a", "y", "completed"), gDone},
		}),
		"item_0008_0007": held(story{{md("a", "x", "stopped"), gReleased}}),
		"item_0007_0005": sentTo(story{{clinic(Cancel), "cancelled: forward a, wake cancelled"}}),
		"item_0007_0006": {
			{issue(func(e *Event) { once(e); e.ValidTo = at(time.Hour) }), gIssued},
			{pass(time.Hour), "expired: tell clinic RX_EXPIRED, tell a RX_EXPIRED, wake expired"},
		},
		"item_0003_0008": { // the notification withdrawn
			{issue(func(e *Event) { once(e); twenty(e) }), gIssued},
			{md("a", "x", "preparation"), gClaimed},
			{mdWith("a", "x", "completed", amount(5)), gPart},
			{md("a", "x", "entered-in-error"), gReleased},
			{mdWith("a", "z", "completed", amount(20)), gDone},
		},
		"item_withdrawn_latest_first": {
			{issue(nil), gIssued},
			{md("a", "x", "completed"), first},
			{md("a", "y", "completed"), "completed: forward clinic, fill 2 a, wake dispensed"},
			{md("a", "x", "entered-in-error"), gStale},
			{md("a", "y", "entered-in-error"), gReleased},
		},

		// what a cancellation is answered
		"cancel_R0001": sentTo(story{{clinic(Cancel), "cancelled: forward a, wake cancelled"}}),
		"cancel_R0002": held(story{
			{clinic(Cancel), recall},
			{md("a", "x", "cancelled"), "cancelled: forward clinic, tell clinic RX_CANCELLED, wake cancelled"},
		}),
		"cancel_R0003": held(story{
			{md("a", "x", "completed/part"), gPart},
			{clinic(Cancel), recall},
			{md("a", "x", "completed"), tooLate},
		}),
		"cancel_R0004": held(story{
			{md("a", "x", "completed"), gDone},
			{clinic(Cancel), "refused RX_COMPLETED"},
		}),
		"cancel_R0005": {
			{issue(func(e *Event) { once(e); e.ValidTo = at(time.Hour) }), gIssued},
			{pass(time.Hour), "expired: tell clinic RX_EXPIRED, tell a RX_EXPIRED, wake expired"},
			{clinic(Cancel), "refused RX_EXPIRED"},
		},
		"cancel_R0006": sentTo(story{
			{clinic(Cancel), "cancelled: forward a, wake cancelled"},
			{clinic(Cancel), "no-op"},
		}),
		"cancel_R0007": sentTo(story{{say(Event{Kind: Cancel, Org: "other clinic"}), "refused RX_FORBIDDEN"}}),
		"cancel_R0008": {
			{clinic(Cancel), "cancelled RX_TOMBSTONE: "},
			{issue(once), "cancelled RX_CANCELLED: "},
		},
		"cancel_R0010": held(story{
			{md("a", "x", "declined"), "ready: forward clinic, wake refused"},
			{clinic(Cancel), "cancelled: wake cancelled"},
		}),

		// what is refused
		"PRESCRIPTION_WITH_ANOTHER_DISPENSER": {
			{issue(once), gIssued},
			{nominateTo("b"), "ready: tell a RX_HELD_BY_OTHER, offer b, wake issued"},
			{md("b", "y", "preparation"), gClaimed},
			{md("a", "x", "preparation"), gElsewhere},
			{md("a", "x", "cancelled"), "refused RX_NOT_HOLDER"},
		},
		"DUPLICATE_PRESCRIPTION_ID": sentTo(story{
			{issue(once), "no-op"},
			{issue(func(e *Event) { once(e); e.Frozen = "g" }), "refused RX_ID_REUSED"},
		}),
		"MISMATCH_AUTHORISED_REPEAT_COUNTS": sentTo(story{
			{issue(func(e *Event) { e.FillsAllowed = 3 }), "refused RX_ID_REUSED"},
		}),
		"PRESCRIPTION_INVALID_STATE_TRANSITION": held(story{
			{md("a", "x", "completed"), gDone},
			{md("a", "y", "in-progress"), "refused RX_COMPLETED"},
			{md("a", "y", "cancelled"), "refused RX_COMPLETED"},
		}),
		"PRESCRIPTION_LINE_STATE_TRANSITION": sentTo(story{
			{md("a", "x", "cancelled"), "refused RX_NOT_HOLDER"},
			{md("a", "x", "on-hold"), "refused RX_NOT_HOLDER"},
		}),
		"NO_MORE_PRESCRIPTIONS": {
			{issue(func(e *Event) { e.FillsAllowed = 1 }), gIssued},
			{md("a", "x", "completed"), gDone},
			{md("a", "y", "preparation"), "refused RX_COMPLETED"},
		},
	}
}
