package rest

import (
	"bytes"
	"context"
	"iter"
	"slices"

	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/ledger"
)

// lookAtOnce is how many prescriptions one query reads.
const lookAtOnce = 200

// candidates are the prescriptions that a search may look at, newest first from where its page begins:
// those named, else all that the organisation issued or was ever sent. Whether it may still read them is
// judged for each.
func (s *Service) candidates(ctx context.Context, who auth.Subject, q taskQuery) iter.Seq2[ledger.Prescription, error] {
	if q.byName {
		return byName(q)
	}
	return func(yield func(ledger.Prescription, error) bool) {
		before := q.before
		for {
			some, err := s.deps.Records.OrgPrescriptions(ctx, who.Org, before, lookAtOnce)
			if err != nil {
				yield(ledger.Prescription{}, err)
				return
			}
			for _, p := range some {
				if !yield(p, nil) {
					return
				}
			}
			if len(some) < lookAtOnce {
				return
			}
			before = some[len(some)-1].ID
		}
	}
}

// byName are those asked for by name, each once.
func byName(q taskQuery) iter.Seq2[ledger.Prescription, error] {
	ids := slices.Clone(q.named)
	slices.SortFunc(ids, func(a, b ledger.ID) int { return bytes.Compare(b[:], a[:]) })
	return func(yield func(ledger.Prescription, error) bool) {
		for _, id := range slices.Compact(ids) {
			if (q.before == ledger.ID{} || bytes.Compare(id[:], q.before[:]) < 0) && !yield(ledger.Prescription{ID: id}, nil) {
				return
			}
		}
	}
}
