package recorder

import (
	"context"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/fhir/rx"
	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

// names are the keys under which messages, and prescriptions of their clinics, are one of a kind.
type names struct{ messages, identities []ledger.Key }

func (n names) none() bool { return len(n.messages)+len(n.identities) == 0 }

// usual is whether what comes is usually new. Once it has been so for a while, a batch is decided as if nothing
// of it were there, without asking, and proved afterwards: most of it by the very rows that its commit inserts,
// whose keys are unique. When something is there after all, the batch is decided again, by what is there.
//
// It belongs to one goroutine. The zero value expects nothing.
type usual struct {
	new     int // messages in a row that brought nothing known
	need    int // how many it takes; below fewestNew it is that
	since   int // messages since need has changed
	assumed int // messages of the batch in hand, if it is assumed of them
}

// Nothing is assumed of a batch before so many messages in a row were new, nor before as many as it has. Each
// time that it was wrong doubles the number, for whoever decides twice is slower than whoever asks; each long
// time that it was right halves it.
const (
	fewestNew = 16
	mostNew   = 1 << 16
	longTime  = 64 // times the number
)

// absent is those of the fresh names that are taken for absent: all or none.
func (s *usual) absent(fresh names) names {
	n := len(fresh.messages)
	if s.assumed = 0; n == 0 || s.new < max(s.need, fewestNew, n) {
		return names{}
	}
	s.assumed = n
	return fresh
}

// found is told what is there of the fresh names that were asked for.
func (s *usual) found(fresh names, h ledger.Have) {
	known := len(h.Messages) > 0
	for _, key := range fresh.identities {
		_, there := h.Identities[key]
		known = known || there
	}
	if s.learn(len(fresh.messages)); known {
		s.new = 0
	}
}

// right is told that the batch in hand is committed.
func (s *usual) right() {
	s.learn(s.assumed)
	s.assumed = 0
}

// wrong is told that the batch in hand cannot be committed. It says whether that may be for what was assumed.
func (s *usual) wrong() bool {
	if s.assumed == 0 {
		return false
	}
	s.assumed, s.new, s.since, s.need = 0, 0, 0, min(2*max(s.need, fewestNew), mostNew)
	return true
}

func (s *usual) learn(messages int) {
	s.new, s.since = s.new+messages, s.since+messages
	if s.since >= longTime*max(s.need, fewestNew) {
		s.need, s.since = s.need/2, 0
	}
}

// begins says whether an order is usually one that nobody has heard of.
func (u *unit) begins(q fhir.Request) bool {
	kind, _ := requestKind(q.Status)
	return kind == rx.Issue && auth.Role(u.sender.Kind) == auth.Clinic && u.ifNone == "" && u.match == 0 && u.about == (ledger.ID{})
}

// errKnown: a name that was taken for absent is there.
var errKnown = fault.New(fault.Invalid, "recorder: a name that was taken for absent is there")

// prove asks for the names that were taken for absent and that b does not insert: those of messages that were
// refused, say.
func (r *Recorder) prove(ctx context.Context, v *view, b *ledger.Batch) error {
	if v.absent.none() {
		return nil
	}
	inserted := make(map[ledger.Key]bool, len(b.Messages))
	for i := range b.Messages {
		inserted[b.Messages[i].Key] = true
	}
	var w ledger.Want
	w.Messages = without(v.absent.messages, inserted)
	clear(inserted)
	for i := range b.Begun {
		inserted[ledger.Key{Org: b.Begun[i].Clinic, Hash: b.Begun[i].Identity}] = true
	}
	w.Identities = without(v.absent.identities, inserted)
	have, err := r.ask(ctx, w)
	if err != nil {
		return err
	}
	if len(have.Messages)+len(have.Identities) > 0 {
		return errKnown
	}
	return nil
}

// without lists the keys that are not inserted.
func without(keys []ledger.Key, inserted map[ledger.Key]bool) (rest []ledger.Key) {
	for _, key := range keys {
		if !inserted[key] {
			rest = append(rest, key)
		}
	}
	return rest
}
