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

// describe puts a state into words: the title is its business status, as a Task says it. pharmacy is the
// name of the holder, else of where it is routed; "" = nobody yet. until writes a time.
func describe(s rx.State, pharmacy string, until func(time.Time) string) words {
	if pharmacy == "" && (s.Holder != "" || s.Pharmacy != "") {
		pharmacy = "your pharmacy"
	}
	w := words{Step: step(s), Active: true}
	w.Detail, w.Tone = explain(s, pharmacy, until)
	b := s.Business()
	if b == rx.NotIssued { // a state that this program does not know
		w.Title = rx.Business("").Text()
		return w
	}
	w.Title = b.Text()
	switch s.Phase {
	case rx.Collect:
		if b == rx.PreparingRemainder {
			w.Step = stepAccepted
		}
	case rx.Completed, rx.Cancelled, rx.Replaced, rx.Expired:
		w.Active = false
	case rx.Ready:
		if w.Tone != warn { // the next fill's way begins anew
			w.Step = sent(s)
		}
	}
	return w
}

// explain says what a business status means for the patient, and how it looks.
func explain(s rx.State, pharmacy string, until func(time.Time) string) (detail string, look tone) {
	switch s.Business() {
	case rx.Paused:
		return "Your clinic has put this prescription on hold. Ask them before you collect.", warn
	case rx.BeingCancelled:
		return "Your clinic wants to cancel this prescription. Do not collect it, and ask your clinic.", warn
	case rx.ChoosePharmacy:
		return "Your prescription is waiting for you to say where it should go.", act
	case rx.ChooseAnother:
		return "A pharmacy has declined it. Choose another one, or ask your prescriber.", act
	case rx.NotSent:
		return "Your clinic recorded this prescription, and it may not be sent to a pharmacy this way. Ask your clinic how to get it.", warn
	case rx.SentToPharmacy:
		if s.Alarmed && choosable(s) {
			return capital(pharmacy) + " has not picked it up in time. Call them, or send it to another pharmacy.", act
		}
		if s.Alarmed {
			return capital(pharmacy) + " has not picked it up in time. Call them, or ask your clinic.", act
		}
		return capital(pharmacy) + " has your prescription and has not started on it yet.", going
	case rx.NextFill:
		return "Ask " + pharmacy + " for your next fill when you need it. " + fillsDone(s) + " collected.", going
	case rx.RemainderAvailable:
		return "You have collected a part. Ask " + pharmacy + " for the rest.", going
	case rx.WithPharmacy:
		return capital(pharmacy) + " has accepted it and is preparing it.", going
	case rx.PreparingRemainder:
		return "You have collected a part. " + capital(pharmacy) + " is preparing the rest.", going
	case rx.ReadyToCollect:
		return "Waiting for you at " + pharmacy + end(s, until) + ".", ready
	case rx.ReadyPartial:
		return "A part is waiting for you at " + pharmacy + end(s, until) + ". The rest will follow.", ready
	case rx.Collected:
		return "Nothing is left on this prescription.", ended
	case rx.NotDispensed:
		return "Your clinic ended this prescription. It was not collected.", ended
	case rx.EndedEarly:
		return "Your clinic ended this prescription. " + fillsDone(s) + " collected.", ended
	case rx.IsCancelled:
		return "Your clinic cancelled this prescription.", ended
	case rx.IsReplaced:
		return "Your clinic replaced this with a newer prescription.", ended
	case rx.IsExpired:
		return "The time to collect it has passed. Ask your clinic if you still need it.", ended
	}
	return "Ask your pharmacy or your clinic.", warn
}

// end is until when the pharmacy keeps what is ready.
func end(s rx.State, until func(time.Time) string) string {
	if s.LeaseEnd == 0 {
		return ""
	}
	return " until " + until(time.UnixMilli(s.LeaseEnd))
}

// sent is how far a fill that nobody holds has come.
func sent(s rx.State) int {
	if s.Pharmacy == "" {
		return stepIssued
	}
	return stepSent
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
// it (PROTOCOL §5), unless the prescriber directs it or it is only recorded.
func choosable(s rx.State) bool {
	return s.Status() == string(rx.Ready) && !s.RecordOnly && !(s.Directed && s.Pharmacy != "")
}

// Urgent is true for what is in the patient's own hands now.
func (w words) Urgent() bool { return w.Tone == ready || w.Tone == act || w.Tone == warn }
