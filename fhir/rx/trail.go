package rx

import (
	"slices"

	"github.com/dosewire/dosewire/internal/fault"
)

// Step is one change of a prescription, as its history keeps it: ids, times and words of ours, no
// clinical content.
type Step struct {
	Version int        `json:"version"`           // of the prescription after it
	At      int64      `json:"at"`                // stream time, unix ms
	Kind    Kind       `json:"kind"`              // what the message meant
	Record  string     `json:"record"`            // reference of the message that brought it
	By      string     `json:"by,omitempty"`      // organisation; "" = the hub or the patient
	With    string     `json:"with,omitempty"`    // pharmacy that has it after it: the holder, else where it is routed
	Status  string     `json:"status"`            // State.Status after it
	Code    fault.Code `json:"answer,omitempty"`  // that qualifies it; "" = none
	Refused bool       `json:"refused,omitempty"` // a refusal that counts: a wrong collect code
}

// Trail is a prescription's history, oldest first.
type Trail []Step

// Kept is a prescription as it is stored: the trail beside the state, because no decision depends on it.
// Both end when the patient is erased.
type Kept struct {
	State
	Trail Trail `json:"trail,omitempty"`
}

// maxSteps bounds a trail. A pharmacy may say on-hold as often as it likes.
const maxSteps = 256

// Add is the trail with one step more, in memory of its own. Of a trail that is full the oldest step goes
// that brought no text; the issue stays.
func (t Trail) Add(s Step) Trail {
	t = slices.Clone(t)
	if len(t) >= maxSteps {
		i := max(1, slices.IndexFunc(t, func(s Step) bool { return !s.Kind.text() }))
		t = slices.Delete(t, i, i+1)
	}
	return append(t, s)
}

// Said is the latest step up to a version that brought the prescription's own text: the clinic's word, not
// a pharmacy's, the patient's or time's. ok is false when the trail does not reach so far back.
func (t Trail) Said(version int) (said Step, ok bool) {
	for _, s := range t {
		if s.Version <= version && s.Kind.text() {
			said, ok = s, true
		}
	}
	return said, ok
}

// Seen is what a pharmacy may know of the trail: from the step that first brought it the prescription, and
// without what was another's.
func (t Trail) Seen(pharmacy string) (seen Trail) {
	for _, s := range t {
		own := s.By == pharmacy && !s.Refused || s.With == pharmacy
		if own || len(seen) > 0 && s.With == "" {
			seen = append(seen, s)
		}
	}
	return seen
}

// Of is the step that made a version.
func (t Trail) Of(version int) (Step, bool) {
	i := slices.IndexFunc(t, func(s Step) bool { return s.Version == version })
	if i < 0 {
		return Step{}, false
	}
	return t[i], true
}

// Begun is when a pharmacy first took a fill or handed one over, unix ms; 0 = never.
func (t Trail) Begun() int64 {
	for _, s := range t {
		if !s.Refused && (s.Kind == Claim || s.Kind == Prepare || s.Kind == HandOver) {
			return s.At
		}
	}
	return 0
}

// Ended is when the prescription came to the end that it is at, unix ms; 0 = it lives.
func (t Trail) Ended() (at int64) {
	for _, s := range slices.Backward(t) {
		switch Phase(s.Status) {
		case Completed, Cancelled, Replaced, Expired:
			at = s.At
			continue
		}
		break
	}
	return at
}

// text reports whether k comes as a MedicationRequest that is this prescription's own.
func (k Kind) text() bool {
	switch k {
	case Issue, Hold, Cancel, End, Amend:
		return true
	}
	return false
}
