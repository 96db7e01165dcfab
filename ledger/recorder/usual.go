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
	new     int  // batches in a row that brought nothing known
	need    int  // how many it takes; below fewestBatches it is that
	assumed bool // in the batch in hand
}

// Nothing is assumed before so many batches in a row were new. Each time that it was wrong doubles the number,
// for whoever decides twice is slower than whoever asks; each long time that it was right halves it.
const (
	fewestBatches = 8
	mostBatches   = 4096
	longTime      = 64 // times the number
)

// absent is those of the fresh names that are taken for absent: all or none.
func (s *usual) absent(fresh names) names {
	if s.assumed = !fresh.none() && s.new >= max(s.need, fewestBatches); s.assumed {
		return fresh
	}
	return names{}
}

// found is told what is there of the fresh names that were asked for.
func (s *usual) found(fresh names, h ledger.Have) {
	known := len(h.Messages) > 0
	for _, key := range fresh.identities {
		_, there := h.Identities[key]
		known = known || there
	}
	if !fresh.none() {
		s.learn(known)
	}
}

// right is told that the batch in hand is committed.
func (s *usual) right() {
	if s.assumed {
		s.assumed = false
		s.learn(false)
	}
}

// wrong is told that the batch in hand cannot be committed. It says whether that may be for what was assumed.
func (s *usual) wrong() (assumed bool) {
	if assumed, s.assumed = s.assumed, false; assumed {
		s.new, s.need = 0, min(2*max(s.need, fewestBatches), mostBatches)
	}
	return assumed
}

func (s *usual) learn(known bool) {
	if s.new++; known {
		s.new = 0
	}
	if s.new >= longTime*max(s.need, fewestBatches) {
		s.need /= 2
		s.new = max(s.need, fewestBatches)
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
	for i := range b.Prescriptions {
		p := &b.Prescriptions[i]
		if _, loaded := v.Prescriptions[p.ID]; !loaded { // else it is there and only changes
			inserted[ledger.Key{Org: p.Clinic, Hash: p.Identity}] = true
		}
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
