package scrub

import (
	"context"
	"fmt"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

// Alarms of the reconciliation.
var (
	// ErrOmitted: a message of the intake was read, and nothing says what became of it.
	ErrOmitted = fault.New(fault.Tampered, "scrub: a message of the intake left nothing behind")
	// ErrTwice: one message of the intake has two records.
	ErrTwice = fault.New(fault.Tampered, "scrub: a message of the intake was recorded twice")
	// ErrUnchained: a disclosure waits for its entry.
	ErrUnchained = fault.New(fault.Unavailable, "scrub: a disclosure has no entry in time")
)

// unchained is how long a disclosure may wait for its entry.
const unchained = 5 * time.Second

// intake is how far the sequences of RX_INTAKE are accounted for.
type intake struct {
	Epoch uint64 `json:"epoch"`
	Seq   uint64 `json:"seq"`
	Index uint64 `json:"index"` // no record of a later sequence has a lower index
}

// gap is a run of sequences, or one message of a sequence, of which nothing tells.
type gap struct {
	Epoch uint64 `json:"epoch"`
	From  uint64 `json:"from"`
	To    uint64 `json:"to"`
	Part  int    `json:"part"` // -1 = all of it
	Index uint64 `json:"index"`
	End   uint64 `json:"end"` // its records would have been between Index and End
}

const (
	window    = 4096 // entries, and sequences, in one step
	steps     = 16   // in one tick
	keptGaps  = 256
	gapsEvery = time.Minute
	partOfAll = -1
)

// reconcile accounts for the sequences up to the head.
func (s *Scrubber) reconcile(ctx context.Context, h ledger.Head) error {
	width := uint64(window)
	for range steps {
		if s.at.Intake.Seq >= h.Seq {
			break
		}
		moved, err := s.account(ctx, h, width)
		if err != nil {
			return fmt.Errorf("scrub: reconcile: %w", err)
		}
		if !moved {
			width *= 2 // one sequence has more entries than that
		}
	}
	if now := s.config.Now(); len(s.at.Gaps) > 0 && now.Sub(s.regauged) >= gapsEvery {
		s.regauged = now
		if err := s.regauge(ctx); err != nil {
			return fmt.Errorf("scrub: reconcile: %w", err)
		}
	}
	s.note(func(st *Status) { st.Reconciled = s.at.Intake.Seq })
	return nil
}

// account is one step. moved is false when its entries were all of one sequence.
func (s *Scrubber) account(ctx context.Context, h ledger.Head, width uint64) (moved bool, err error) {
	at := s.at.Intake
	end := min(h.Size, at.Index+width)
	records, err := s.config.Source.Records(ctx, at.Index, end)
	if err != nil {
		return false, err
	}
	upTo := h.Seq
	if end < h.Size {
		if len(records) == 0 {
			s.at.Intake.Index = end
			return true, nil
		}
		upTo = min(upTo, max(records[len(records)-1].Seq, 1)-1) // more may follow of the last
	}
	upTo = min(upTo, at.Seq+window)
	if upTo <= at.Seq {
		return false, nil
	}
	t, err := s.tally(ctx, max(at.Epoch, 1), h.Epoch, at.Seq, upTo, records)
	if err != nil {
		return false, err
	}
	next := intake{Epoch: h.Epoch, Seq: upTo, Index: end}
	for _, r := range records {
		if r.Seq > upTo {
			next.Index = r.Index
			break
		}
	}
	s.judge(ctx, t, gap{Epoch: h.Epoch, From: at.Seq + 1, To: upTo, Part: partOfAll, Index: at.Index, End: end})
	s.at.Intake = next
	s.count()
	return true, nil
}

// tally is what is there of some sequences.
type tally struct {
	parts    map[uint64]map[int]bool // sequence → messages accounted for
	parcels  map[uint64]int          // sequence → messages that it carried, where that is known
	repeated []ledger.Account        // records of messages that have one already
}

func (s *Scrubber) tally(ctx context.Context, from, to, after, upTo uint64, records []ledger.Account) (t tally, err error) {
	t = tally{parts: map[uint64]map[int]bool{}, parcels: map[uint64]int{}}
	type place struct {
		seq uint64
		sub int
	}
	have := map[place]bool{}
	for _, r := range records {
		p := place{r.Seq, r.Sub}
		if have[p] || r.Seq <= after {
			t.repeated = append(t.repeated, r)
		}
		have[p] = true
		t.add(r)
	}
	for epoch := from; epoch <= to; epoch++ {
		others, err := s.config.Source.Others(ctx, epoch, after, upTo)
		if err != nil {
			return t, err
		}
		for _, o := range others {
			t.add(o)
		}
	}
	if s.config.Parts != nil {
		if t.parcels, err = s.config.Parts(ctx, after, upTo); err != nil {
			return t, err
		}
	}
	return t, nil
}

func (t tally) add(a ledger.Account) {
	if t.parts[a.Seq] == nil {
		t.parts[a.Seq] = map[int]bool{}
	}
	t.parts[a.Seq][a.Part()] = true
}

// missing calls each for every run of sequences, and every message, of which nothing is there.
func (t tally) missing(of gap, each func(gap)) {
	for seq := of.From; seq <= of.To; seq++ {
		parts := t.parts[seq]
		if len(parts) == 0 {
			run := of
			run.From = seq
			for seq < of.To && len(t.parts[seq+1]) == 0 {
				seq++
			}
			run.To = seq
			each(run)
			continue
		}
		want := t.parcels[seq]
		for p := range parts {
			want = max(want, p+1)
		}
		for p := range want {
			if !parts[p] {
				one := of
				one.From, one.To, one.Part = seq, seq, p
				each(one)
			}
		}
	}
}

// judge alarms for what is missing, and for what is there twice.
func (s *Scrubber) judge(ctx context.Context, t tally, of gap) {
	t.missing(of, func(g gap) {
		if len(s.at.Gaps) < keptGaps {
			s.at.Gaps = append(s.at.Gaps, g)
		}
		s.metrics.alarm(ctx, AlarmName(ErrOmitted))
		s.config.Log.ErrorContext(ctx, "intake: not accounted for", "from", g.From, "to", g.To, "part", g.Part, "reason", AlarmName(ErrOmitted))
	})
	for _, r := range t.repeated {
		s.Report(ctx, Place{Index: r.Index}, ErrTwice)
	}
}

// regauge looks at the open gaps again: what was restored is one no more.
func (s *Scrubber) regauge(ctx context.Context) error {
	var open []gap
	for _, g := range s.at.Gaps {
		records, err := s.config.Source.Records(ctx, g.Index, g.End)
		if err != nil {
			return err
		}
		t, err := s.tally(ctx, g.Epoch, g.Epoch, g.From-1, g.To, records)
		if err != nil {
			return err
		}
		if g.Part != partOfAll {
			if !t.parts[g.From][g.Part] {
				open = append(open, g)
			}
			continue
		}
		t.missing(g, func(still gap) { open = append(open, still) })
	}
	s.at.Gaps = open
	s.count()
	return nil
}

// count tells how many messages are missing.
func (s *Scrubber) count() {
	var n uint64
	for _, g := range s.at.Gaps {
		n += g.To - g.From + 1
	}
	s.note(func(st *Status) { st.Unaccounted = n })
}

// disclosures looks at the oldest one that waits for its entry.
func (s *Scrubber) disclosures(ctx context.Context) error {
	oldest, err := s.config.Source.PendingAccess(ctx, 1)
	if err != nil {
		return fmt.Errorf("scrub: disclosures: %w", err)
	}
	var age time.Duration
	if len(oldest) > 0 {
		age = max(s.config.Now().Sub(time.UnixMilli(oldest[0].Time)), time.Millisecond)
	}
	was := s.Status().Waiting
	s.note(func(st *Status) { st.Waiting = age })
	if age > unchained && was <= unchained {
		s.metrics.alarm(ctx, AlarmName(ErrUnchained))
		s.config.Log.ErrorContext(ctx, "disclosure: not in the ledger in time", "count", 1, "reason", AlarmName(ErrUnchained))
	}
	return nil
}
