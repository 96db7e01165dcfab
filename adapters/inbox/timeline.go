package inbox

import (
	"slices"
	"time"

	"github.com/dosewire/dosewire/fhir/rx"
	"github.com/dosewire/dosewire/ledger"
)

// Steps of a fill's way, as words.Step counts them.
const (
	stepIssued = iota + 1
	stepSent
	stepAccepted
	stepReady
	stepCollected
)

// event is one message about a prescription, as far as a patient cares.
type event struct {
	at       time.Time
	dispense ledger.ID
	status   string // FHIR MedicationDispense.status
	pharmacy string
	handed   string // MedicationDispense.whenHandedOver as sent
}

// milestones are the steps' names: business statuses, as a Task says them.
func milestones() [5]string {
	return [...]string{"Issued", rx.SentToPharmacy.Text(), rx.WithPharmacy.Text(), rx.ReadyToCollect.Text(), rx.Collected.Text()}
}

// milestone is one line of the timeline.
type milestone struct {
	Title string
	Where string    // pharmacy or clinic
	At    time.Time // zero = not known, or not yet
	State string    // done | now | next | stop
}

// Milestone states. A milestone that was passed without a message of its own is done without a time.
const (
	done    = "done"
	now     = "now"
	next    = "next"
	stopped = "stop"
)

// timeline is the present fill's way: what has happened, where it stands, what comes next. events are
// oldest first.
func timeline(w words, s rx.State, issued, chosen time.Time, clinic, pharmacy string, events []event) []milestone {
	events = present(s, standing(events))
	steps := milestones()
	line := []milestone{
		{Title: steps[0], Where: clinic, At: issued},
		{Title: steps[1], Where: pharmacy, At: chosen},
		{Title: steps[2], Where: pharmacy, At: first(events, "preparation")},
		{Title: steps[3], Where: pharmacy, At: first(events, "in-progress")},
		{Title: steps[4], Where: pharmacy, At: first(events, "completed")},
	}
	if w.Tone == warn || !w.Active { // nothing more comes
		line = line[:max(w.Step, stepIssued)]
	}
	for i := range line {
		line[i].State = stateOf(i+1, w)
		if line[i].State == next {
			line[i].Where, line[i].At = "", time.Time{}
		}
	}
	if w.Tone == warn || !w.Active && w.Title != rx.Collected.Text() {
		line = append(line, milestone{Title: w.Title, State: stopped})
	}
	return line
}

func stateOf(step int, w words) string {
	switch {
	case step < w.Step, step == w.Step && (!w.Active || w.Tone == warn):
		return done
	case step == w.Step:
		return now
	}
	return next
}

// present leaves the events of the present fill: those after the last hand-over, or up to and with it
// when nothing is left to come.
func present(s rx.State, events []event) []event {
	completed := func(e event) bool { return e.status == "completed" }
	if s.Phase != rx.Completed {
		for i, e := range slices.Backward(events) {
			if completed(e) {
				return events[i+1:]
			}
		}
		return events
	}
	start := 0
	for i, e := range events {
		if completed(e) && slices.ContainsFunc(events[i+1:], completed) {
			start = i + 1
		}
	}
	return events[start:]
}

// first finds when a status was first said; a released claim starts anew.
func first(events []event, status string) time.Time {
	var at time.Time
	for _, e := range events {
		switch {
		case e.status == "cancelled", e.status == "stopped", e.status == "declined", e.status == "entered-in-error":
			at = time.Time{}
		case e.status == status && at.IsZero():
			at = e.at
		}
	}
	return at
}

// standing leaves out hand-overs that the pharmacy withdrew later.
func standing(events []event) []event {
	var out []event
	for i, e := range events {
		withdrawn := slices.ContainsFunc(events[i+1:], func(later event) bool {
			return later.dispense == e.dispense && later.status == "entered-in-error"
		})
		if e.status != "completed" || !withdrawn {
			out = append(out, e)
		}
	}
	return out
}

// collected lists the hand-overs that stand, oldest first, each dispense once.
func collected(events []event) []event {
	var out []event
	for _, e := range standing(events) {
		known := slices.ContainsFunc(out, func(c event) bool { return c.dispense == e.dispense })
		if e.status == "completed" && !known {
			out = append(out, e)
		}
	}
	return out
}
