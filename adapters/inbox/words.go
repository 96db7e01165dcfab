package inbox

import (
	"fmt"
	"time"

	"github.com/dosewire/dosewire/fhir/rx"
)

// tone is how a status looks. It never carries meaning that the words do not.
type tone string

const (
	act   tone = "act"   // the patient can do something
	ready tone = "ready" // go and collect
	going tone = "going" // others are at work
	warn  tone = "warn"  // do not collect, or ask
	ended tone = "ended"
)

// words is a prescription's state as a patient reads it.
type words struct {
	Title  string
	Detail string
	Tone   tone
	Step   int // 1 issued, 2 sent, 3 accepted, 4 ready to collect, 5 collected
	Active bool
}

// Statuses that cover the phase beneath them (rx.State.Status).
const (
	statusOnHold        = "on-hold"
	statusCancelPending = "cancel-pending"
)

// describe puts a state into words. pharmacy is the name of the holder, else of where it is routed;
// "" = nobody yet. until writes a time.
func describe(status string, s rx.State, pharmacy string, until func(time.Time) string) words {
	if pharmacy == "" && (s.Holder != "" || s.Pharmacy != "") {
		pharmacy = "your pharmacy"
	}
	switch status {
	case statusOnHold:
		return words{"Paused by your clinic", "Your clinic has put this prescription on hold. Ask them before you collect.", warn, step(s), true}
	case statusCancelPending:
		return words{"Being cancelled", "Your clinic wants to cancel this prescription. Do not collect it, and ask your clinic.", warn, step(s), true}
	}
	switch rx.Phase(status) {
	case rx.Ready:
		return waiting(s, pharmacy)
	case rx.Held:
		return words{"Being prepared", capital(pharmacy) + " has accepted it and is preparing it.", going, 3, true}
	case rx.Collect:
		detail := "Waiting for you at " + pharmacy + "."
		if s.LeaseEnd > 0 {
			detail = "Waiting for you at " + pharmacy + " until " + until(time.UnixMilli(s.LeaseEnd)) + "."
		}
		return words{"Ready to collect", detail, ready, 4, true}
	case rx.Completed:
		if s.FillsDone == 0 {
			return words{"Ended", "Your clinic ended this prescription. It was not collected.", ended, step(s), false}
		}
		if s.FillsDone < s.FillsAllowed {
			return words{"Ended", "Your clinic ended this prescription. " + fillsDone(s) + " collected.", ended, 5, false}
		}
		return words{"Collected", "Nothing is left on this prescription.", ended, 5, false}
	case rx.Cancelled:
		return words{"Cancelled", "Your clinic cancelled this prescription.", ended, step(s), false}
	case rx.Replaced:
		return words{"Replaced", "Your clinic replaced this with a newer prescription.", ended, step(s), false}
	case rx.Expired:
		return words{"Expired", "The time to collect it has passed. Ask your clinic if you still need it.", ended, step(s), false}
	}
	return words{"Status unknown", "Ask your pharmacy or your clinic.", warn, 1, true}
}

func waiting(s rx.State, pharmacy string) words {
	switch {
	case s.Pharmacy == "":
		return words{"Choose a pharmacy", "Your prescription is waiting for you to say where it should go.", act, 1, true}
	case s.FillsDone > 0:
		return words{"Next fill available", "Ask " + pharmacy + " for your next fill when you need it. " + fillsDone(s) + " collected.", going, 2, true}
	}
	return words{"Sent to pharmacy", capital(pharmacy) + " has your prescription and has not started on it yet.", going, 2, true}
}

// step is how far the present fill has come, whatever lies over it.
func step(s rx.State) int {
	switch {
	case s.Phase == rx.Held:
		return 3
	case s.Phase == rx.Collect:
		return 4
	case s.FillsDone > 0:
		return 5
	case s.Pharmacy != "":
		return 2
	}
	return 1
}

func fillsDone(s rx.State) string { return fmt.Sprintf("%d of %d", s.FillsDone, s.FillsAllowed) }

func capital(s string) string {
	if s == "your pharmacy" {
		return "Your pharmacy"
	}
	return s
}

// choosable reports whether the patient may say where the prescription goes: until a pharmacy takes
// it (PROTOCOL §5).
func choosable(status string) bool { return rx.Phase(status) == rx.Ready }

// Urgent is true for what is in the patient's own hands now.
func (w words) Urgent() bool { return w.Tone == ready || w.Tone == act || w.Tone == warn }
