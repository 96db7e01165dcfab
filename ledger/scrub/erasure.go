package scrub

import (
	"context"
	"errors"
	"fmt"

	"github.com/dosewire/dosewire/ledger"
)

// erasures compares the emptied records of a page with the erasures that they name, and the erasures of a
// page with the records that they emptied.
func (s *Scrubber) erasures(ctx context.Context, page []ledger.Row) error {
	s.erasure = map[uint64]error{}
	erasures := map[uint64]ledger.Row{} // read for this page
	for _, row := range page {
		r := row.Record
		switch {
		case r == nil:
		case r.Sealed == nil:
			by, known := erasures[r.ErasedBy]
			if !known {
				var err error
				if by, err = s.row(ctx, r.ErasedBy); err != nil {
					return err
				}
				erasures[r.ErasedBy] = by
			}
			if err := by.Erases(row.Entry.Index, r.ID); err != nil {
				s.erasure[row.Entry.Index] = err
			}
		case r.Type == ledger.TypeErasure && row.Entry.Kind == ledger.KindErasure:
			if err := s.returned(ctx, row); err != nil {
				return err
			}
		}
	}
	return nil
}

// returned looks whether what an erasure emptied is still empty. What is wrong is told of the erasure: the
// record itself is as it once was.
func (s *Scrubber) returned(ctx context.Context, erasure ledger.Row) error {
	stated, _, err := erasure.Record.Stated()
	if err != nil {
		s.erasure[erasure.Entry.Index] = ledger.ErrErasure
		return nil
	}
	for _, e := range stated {
		row, err := s.row(ctx, e.Index)
		if err != nil {
			return err
		}
		if r := row.Record; r != nil && (r.Sealed != nil || r.ErasedBy != erasure.Entry.Index) {
			s.erasure[erasure.Entry.Index] = ledger.ErrReturned
			return nil
		}
	}
	return nil
}

// row is the one at an index; the zero Row if it is not there or cannot be read, which is another alarm.
func (s *Scrubber) row(ctx context.Context, index uint64) (ledger.Row, error) {
	page, err := s.config.Source.Page(ctx, index, 1)
	if _, unreadable := errors.AsType[*ledger.BadEntry](err); err != nil && !unreadable {
		return ledger.Row{}, fmt.Errorf("scrub: rows: %w", err)
	}
	if len(page) == 0 || page[0].Entry.Index != index {
		return ledger.Row{}, nil
	}
	return page[0], nil
}
