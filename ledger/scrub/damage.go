package scrub

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

// Place is what is damaged: the entry at Index with its row, a record whose row is missing, or a
// prescription's state.
type Place struct {
	Index        uint64    `json:"index,omitempty"`
	Record       ledger.ID `json:"record,omitzero"`
	Prescription ledger.ID `json:"prescription,omitzero"`
}

// Damage is one damaged row.
type Damage struct {
	Place
	Name  string `json:"name"`  // AlarmName
	Since int64  `json:"since"` // when it was found, unix ms
}

// known bounds how many damaged rows are kept by name; beyond it all is damaged anyway.
const known = 1000

// AlarmName is the error as metrics, logs and the page for operators name it.
func AlarmName(err error) string {
	for _, n := range []struct {
		err  error
		name string
	}{
		{ledger.ErrHead, "head"}, {ledger.ErrEntry, "entry"}, {ledger.ErrChain, "chain"}, {ledger.ErrDigest, "digest"},
		{ledger.ErrMissing, "missing"}, {ledger.ErrErasure, "erasure"}, {ledger.ErrReturned, "returned"}, {ledger.ErrOrphan, "orphan"}, {ledger.ErrState, "state"},
		{ledger.ErrSealed, "sealed"}, {ErrOmitted, "omitted"}, {ErrTwice, "twice"}, {ErrUnchained, "unchained"}, {ledger.ErrHold, "hold"},
	} {
		if errors.Is(err, n.err) {
			return n.name
		}
	}
	return fault.KindOf(err).String()
}

// Report notes a damaged row that a reader met, as the walk does: the first time it is an alarm.
func (s *Scrubber) Report(ctx context.Context, at Place, err error) {
	name := AlarmName(err)
	s.mu.Lock()
	_, told := s.damage[at]
	if !told && len(s.damage) < known {
		s.damage[at] = Damage{Place: at, Name: name, Since: s.config.Now().UnixMilli()}
		s.status.Damaged = len(s.damage)
	}
	s.mu.Unlock()
	if told {
		return
	}
	s.metrics.alarm(ctx, name)
	s.config.Log.ErrorContext(ctx, "ledger: damaged", at.what(), "reason", name)
}

// what names the place in a log.
func (p Place) what() slog.Attr {
	switch {
	case p.Prescription != ledger.ID{}:
		return slog.String("prescription", p.Prescription.String())
	case p.Record != ledger.ID{}:
		return slog.String("record", p.Record.String())
	}
	return slog.Uint64("entry", p.Index)
}

// Restored takes back what was said about a row: a reader has opened it.
func (s *Scrubber) Restored(ctx context.Context, at Place) {
	s.mend(ctx, at, func(Damage) bool { return true })
}

// good is the walk's Restored: it cannot see what needs a key, nor that a row is one too many.
func (s *Scrubber) good(ctx context.Context, at Place) {
	s.mend(ctx, at, func(d Damage) bool {
		return d.Name != AlarmName(ledger.ErrSealed) && d.Name != AlarmName(ErrTwice) && d.Name != fault.Tampered.String()
	})
}

func (s *Scrubber) mend(ctx context.Context, at Place, can func(Damage) bool) {
	s.mu.Lock()
	d, was := s.damage[at]
	if !was || !can(d) {
		s.mu.Unlock()
		return
	}
	delete(s.damage, at)
	s.status.Damaged = len(s.damage)
	s.mu.Unlock()
	s.config.Log.InfoContext(ctx, "ledger: restored", at.what(), "reason", d.Name)
}

// Damages lists what is damaged now, by place.
func (s *Scrubber) Damages() []Damage {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Damage, 0, len(s.damage))
	for _, d := range s.damage {
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b Damage) int {
		return cmp.Or(cmp.Compare(a.Index, b.Index), slices.Compare(a.Prescription[:], b.Prescription[:]), slices.Compare(a.Record[:], b.Record[:]))
	})
	return all
}
