package scrub

import (
	"context"
	"errors"
	"fmt"

	"github.com/dosewire/dosewire/ledger"
)

// head reads the head and demands that it is the end of the chain and continues the furthest head seen.
// Otherwise it is a *ledger.BadEntry of ledger.ErrHead, until it is mended.
func (s *Scrubber) head(ctx context.Context) (ledger.Head, error) {
	h, err := s.config.Source.Head(ctx)
	if err != nil {
		return h, fmt.Errorf("scrub: head: %w", err)
	}
	bad, err := s.misplaced(ctx, h)
	if err != nil {
		return h, fmt.Errorf("scrub: head: %w", err)
	}
	was := s.Healthy()
	if bad == nil {
		s.at.Seen = positionOf(h)
		s.note(func(st *Status) { st.Head = nil })
		if was != nil {
			s.config.Log.InfoContext(ctx, "ledger: the head is restored", "entry", h.Size)
		}
		return h, nil
	}
	s.note(func(st *Status) { st.Head = bad })
	if was == nil {
		s.metrics.alarm(ctx, AlarmName(bad))
		s.config.Log.ErrorContext(ctx, "ledger: the head is not what it was", "entry", bad.Index, "seen", s.at.Seen.Size, "size", h.Size, "reason", AlarmName(bad))
	}
	return h, bad
}

// misplaced says what is wrong with a head, nil for nothing.
func (s *Scrubber) misplaced(ctx context.Context, h ledger.Head) (*ledger.BadEntry, error) {
	seen := s.at.Seen
	if h.Size < seen.Size || h.Epoch < seen.Epoch || h.Seq < seen.Seq {
		return &ledger.BadEntry{Index: h.Size, Err: ledger.ErrHead}, nil
	}
	for _, p := range []position{seen, positionOf(h)} {
		if p.Size == 0 {
			if p.Time != 0 {
				return &ledger.BadEntry{Err: ledger.ErrHead}, nil
			}
			continue
		}
		e, err := s.config.Source.Entry(ctx, p.Size-1)
		if _, unreadable := errors.AsType[*ledger.BadEntry](err); err != nil && !unreadable && !errors.Is(err, ledger.ErrNotFound) {
			return nil, err
		}
		if err != nil || e.Leaf() != ledger.Hash(p.Leaf) || e.Time != p.Time {
			return &ledger.BadEntry{Index: p.Size - 1, Err: ledger.ErrHead}, nil
		}
	}
	if _, err := s.config.Source.Entry(ctx, h.Size); !errors.Is(err, ledger.ErrNotFound) {
		// There is an entry behind the head; unless the head has moved, nobody committed it.
		now, err := s.config.Source.Head(ctx)
		if err != nil {
			return nil, err
		}
		if now.Size == h.Size {
			return &ledger.BadEntry{Index: h.Size, Err: ledger.ErrHead}, nil
		}
	}
	return nil, nil
}
