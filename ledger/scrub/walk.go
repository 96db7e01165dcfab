package scrub

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/dosewire/dosewire/ledger"
)

// atOnce bounds one query of the walk: rows are up to a megabyte.
const atOnce = 100

// walk checks the next rows of the pass, and begins the next pass when there are no more.
func (s *Scrubber) walk(ctx context.Context, h ledger.Head, rows int) error {
	if s.at.At.Size >= h.Size && !s.again(h) {
		return nil
	}
	for rows > 0 && s.at.At.Size < h.Size {
		page, err := s.config.Source.Page(ctx, s.at.At.Size, min(rows, atOnce))
		bad, unreadable := errors.AsType[*ledger.BadEntry](err)
		if err != nil && !unreadable {
			return fmt.Errorf("scrub: rows: %w", err)
		}
		end := h.Size // an empty page: the head counts entries that are not there
		switch {
		case unreadable:
			end = bad.Index + 1
		case len(page) > 0:
			end = page[len(page)-1].Entry.Index + 1
		}
		strays, err := s.strays(ctx, end, h)
		if err != nil {
			return err
		}
		if err := s.erasures(ctx, page); err != nil {
			return err
		}
		for _, row := range page {
			s.check(ctx, row)
		}
		if unreadable {
			s.skip(ctx, bad.Index)
			s.wrong(ctx, bad.Index, bad.Err)
			s.at.At.Size, s.loose = end, true
		} else {
			s.skip(ctx, end)
		}
		for _, f := range strays { // last: a gap in the chain is told as one
			s.wrong(ctx, f.Index, f.Err)
		}
		rows -= len(page) + 1
		s.metrics.checked(ctx, int64(len(page)))
		s.note(func(st *Status) { st.Checked += uint64(len(page)) })
	}
	return nil
}

// again begins the next pass, unless the last one has just begun.
func (s *Scrubber) again(h ledger.Head) bool {
	now := s.config.Now()
	if h.Size == 0 || now.Sub(time.UnixMilli(s.at.Began)) < s.config.Rest {
		return false
	}
	s.at.Before = pass{Began: s.at.Began, Ended: now.UnixMilli(), Size: s.at.At.Size}
	s.at.Began, s.at.At, s.loose = now.UnixMilli(), position{Leaf: leaf(ledger.Origin(s.config.Origin))}, false
	s.note(func(st *Status) { st.Passes++ })
	return true
}

// check judges one row and moves behind it.
func (s *Scrubber) check(ctx context.Context, row ledger.Row) {
	e := row.Entry
	s.skip(ctx, e.Index)
	at := s.at.At.head()
	if s.loose {
		at.Leaf, at.Time = e.Prev, min(at.Time, e.Time)
	}
	next, err := ledger.Check(at, e)
	if (e.Kind == ledger.KindGenesis) != (e.Index == 0) {
		err = ledger.ErrChain
	}
	if err == nil {
		err = row.Covers()
	}
	if err == nil {
		err = s.erasure[e.Index]
	}
	if err != nil {
		s.wrong(ctx, e.Index, err)
		next = ledger.Head{Size: e.Index + 1, Leaf: e.Leaf(), Time: max(e.Time, 0)}
	} else if !s.stray[e.Index] {
		s.good(ctx, Place{Index: e.Index})
	}
	s.at.At, s.loose = positionOf(next), false
}

// skip tells that the entries from the walk's place up to index are not there.
func (s *Scrubber) skip(ctx context.Context, index uint64) {
	if index > s.at.At.Size {
		s.wrong(ctx, s.at.At.Size, ledger.ErrChain) // one alarm for the gap
		s.at.At.Size, s.loose = index, true
	}
}

func (s *Scrubber) wrong(ctx context.Context, index uint64, err error) {
	s.Report(ctx, Place{Index: index}, err)
}

// strays looks for rows without an entry between where the walk is and end; at the end of the chain, for
// all behind it too.
func (s *Scrubber) strays(ctx context.Context, end uint64, h ledger.Head) ([]ledger.Stray, error) {
	if end >= h.Size {
		end = math.MaxInt64
	}
	found, err := s.config.Source.Strays(ctx, s.at.At.Size, end)
	if err != nil {
		return nil, fmt.Errorf("scrub: strays: %w", err)
	}
	s.stray = make(map[uint64]bool, len(found))
	for _, f := range found {
		s.stray[f.Index] = true
	}
	return found, nil
}

// states compares the next prescriptions with what was decided.
func (s *Scrubber) states(ctx context.Context, n int) error {
	now := s.config.Now()
	if s.config.State == nil || s.at.Prescription == (ledger.ID{}) && now.Sub(time.UnixMilli(s.at.Round)) < s.config.Rest {
		return nil
	}
	if s.at.Prescription == (ledger.ID{}) {
		s.at.Round = now.UnixMilli()
	}
	page, err := s.config.Source.Prescriptions(ctx, s.at.Prescription, n)
	if err != nil {
		return fmt.Errorf("scrub: prescriptions: %w", err)
	}
	for _, p := range page {
		at := Place{Prescription: p.ID}
		if err := s.config.State(p); err != nil {
			s.Report(ctx, at, err)
		} else {
			s.good(ctx, at)
		}
		s.at.Prescription = p.ID
	}
	if len(page) < n {
		s.at.Prescription = ledger.ID{}
	}
	s.metrics.checked(ctx, int64(len(page)))
	return nil
}
