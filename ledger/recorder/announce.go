package recorder

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/streams"
)

// announcer publishes committed effects in their order: from memory while it keeps up, from the
// database otherwise. What it has announced is stored once a second, so that after a crash at most a
// second's worth is announced again, with the same ids.
type announcer struct {
	r       *Recorder
	publish *streams.DeliveryPublisher
	wakes   *streams.Publisher
	woken   recent
	skip    map[ledger.ID]uint64 // after the loss of RX_DELIVERY: what each organisation had acknowledged
	rewound uint64               // effects up to here are announced again, without wakes

	wake chan struct{}

	// Bytes recorded since RX_INTAKE was last purged by size: what was written lately, and what had waited.
	passed, waited atomic.Int64

	mu        sync.Mutex
	queue     []announcement // contiguous, first is next or later
	bytes     int
	target    uint64    // last committed effect
	recorded  uint64    // last intake sequence committed
	since     time.Time // when the first effect was committed that is not announced
	held      bool      // the recorder has more at hand: announce it together
	spared    uint64    // first effect of a large batch with more behind it: it waits for the next commit; 0 = none
	next      uint64    // first effect not announced
	cause     uint64    // intake sequence of the last effect announced that has one
	finishing bool
}

// queueBytes bounds the bodies that wait in memory; beyond it they are read back from the database.
const queueBytes = 8 << 20

// newAnnouncer finds out where to go on. If RX_DELIVERY is new although effects were announced, the
// stream was lost: everything above each organisation's acknowledged number is announced again.
func newAnnouncer(ctx context.Context, r *Recorder) (*announcer, error) {
	term := r.head.Term
	publish, err := streams.NewDeliveryPublisher(ctx, r.js, func(ctx context.Context) error {
		head, err := r.deps.Reader.Head(ctx)
		if err == nil && head.Term != term {
			err = streams.ErrDeposed
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("recorder: announcer: %w", err)
	}
	wakes, err := streams.NewPublisher(r.deps.NATS)
	if err != nil {
		return nil, fmt.Errorf("recorder: announcer: %w", err)
	}
	acknowledged, err := r.deps.Reader.Acknowledged(ctx)
	if err != nil {
		return nil, fmt.Errorf("recorder: announcer: %w", err)
	}
	a := &announcer{r: r, publish: publish, wakes: wakes, wake: make(chan struct{}, 1), target: r.head.Deliveries, recorded: r.head.Seq}
	self := acknowledged[ledger.ID{}]
	a.next = self + 1
	if publish.LastSequence() == 0 && self > 0 {
		a.skip, a.rewound = acknowledged, self
		a.next = 1
		r.log.WarnContext(ctx, "RX_DELIVERY was lost: announcing again from the database", "count", self)
	}
	return a, nil
}

// committed takes over a batch's effects. It never blocks the recorder.
func (a *announcer) committed(effects []announcement, head ledger.Head) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.next > a.target {
		a.since = time.Now()
	}
	if a.spared = 0; a.held && len(effects) >= holdUpTo {
		a.spared = a.target + 1
	}
	a.target, a.recorded = head.Deliveries, head.Seq
	size := 0
	for _, e := range effects {
		size += len(e.body) + len(e.Body)
	}
	if a.bytes+size <= queueBytes {
		if a.bytes += size; len(a.queue) == 0 {
			a.queue = effects
		} else {
			a.queue = append(a.queue, effects...)
		}
	}
	a.poke()
}

func (a *announcer) poke() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// finish lets run return once everything committed is announced.
func (a *announcer) finish() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.finishing = true
	a.poke()
}

// Announced is the number up to which everything was announced.
func (a *announcer) announced() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.next - 1
}

// run announces until finish, then until nothing is left. It returns streams.ErrDeposed when another
// recorder announces, and an error only when going on would be wrong.
func (a *announcer) run(ctx context.Context) error {
	keep, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { a.housekeep(keep) })
	wg.Go(func() { a.finishErasures(keep) })
	defer func() {
		stop()
		wg.Wait()
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		a.store(last)
	}()

	for wait := 50 * time.Millisecond; ; {
		batch, done, err := a.take(ctx)
		if err == nil && done {
			return nil
		}
		if err == nil && len(batch) > 0 {
			err = a.announce(ctx, batch)
			clear(batch)
		}
		switch {
		case err == nil:
			wait = 50 * time.Millisecond
			continue
		case errors.Is(err, streams.ErrDeposed), fault.KindOf(err) == fault.Tampered, ctx.Err() != nil:
			return err
		}
		a.r.log.WarnContext(ctx, "announcing stalled", "kind", fault.KindOf(err).String())
		if a.ended() || pause(ctx, wait) != nil {
			return nil // what is left is announced at the next start
		}
		wait = min(2*wait, 2*time.Second)
	}
}

func (a *announcer) ended() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.finishing
}

// The effects of several commits are announced together: one sync for all of them. Senders have their answer
// already, and the next commit has the disk. In a backlog one commit has as many; deciding on the next takes every
// core, and while the database commits it there is one for announcing. Whoever is behind does not wait for that.
const (
	holdFor  = 10 * time.Millisecond // whatever comes
	holdLong = 60 * time.Millisecond // while the recorder has more at hand
	holdUpTo = 256                   // effects
)

// hold says whether the recorder has more messages at hand already.
func (a *announcer) hold(more bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.held = more
	if !more {
		a.spared = 0
		a.poke()
	}
}

// commits says that the recorder waits for the database.
func (a *announcer) commits() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.spared > 0 {
		a.spared = 0
		a.poke()
	}
}

// gather waits while what there is should not be announced yet.
func (a *announcer) gather(ctx context.Context) {
	for {
		a.mu.Lock()
		wait := holdFor - time.Since(a.since)
		if a.held {
			wait += holdLong - holdFor
		}
		now := a.finishing || a.next > a.target || a.target-a.next >= holdUpTo && a.next != a.spared || wait <= 0
		a.mu.Unlock()
		if now {
			return
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-a.wake:
		case <-timer.C:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// take waits for effects and returns the next ones in order, from memory or from the database.
func (a *announcer) take(ctx context.Context) (batch []announcement, done bool, err error) {
	for {
		a.gather(ctx)
		a.mu.Lock()
		next, target, finishing := a.next, a.target, a.finishing
		for len(a.queue) > 0 && a.queue[0].Number < next { // announced from the database meanwhile
			clear(a.drop(1))
		}
		if len(a.queue) > 0 && a.queue[0].Number == next {
			n := 1
			for n < len(a.queue) && n < 500 && a.queue[n].Number == next+uint64(n) {
				n++
			}
			batch = a.drop(n)
		}
		a.mu.Unlock()
		switch {
		case len(batch) > 0:
			return batch, false, nil
		case next <= target:
			batch, err = a.read(ctx, next)
			return batch, false, err
		case finishing:
			return nil, true, nil
		}
		select {
		case <-ctx.Done():
			return nil, false, ctx.Err()
		case <-a.wake:
		}
	}
}

// drop takes the first n from the queue; mu is held. They are to be cleared when they are done with: the array lives
// on behind the queue, and must not keep the bodies.
func (a *announcer) drop(n int) []announcement {
	first := a.queue[:n:n]
	for _, e := range first {
		a.bytes -= len(e.body) + len(e.Body)
	}
	if a.queue = a.queue[n:]; len(a.queue) == 0 {
		a.queue = nil
	}
	return first
}

// read fetches effects from the database.
func (a *announcer) read(ctx context.Context, next uint64) ([]announcement, error) {
	effects, err := a.r.deps.Reader.Effects(ctx, ledger.ID{}, next-1, 100)
	if err != nil {
		return nil, fmt.Errorf("recorder: read effects: %w", err)
	}
	if len(effects) == 0 || effects[0].Number != next {
		return nil, fault.New(fault.Tampered, "recorder: effect "+strconv.FormatUint(next, 10)+" is missing")
	}
	out := make([]announcement, len(effects))
	for i, e := range effects {
		out[i] = announcement{Effect: e}
	}
	return out, nil
}

// told moves next behind a run of effects. What came directly has no sequence, and says nothing of those
// before it.
func (a *announcer) told(batch []announcement) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range batch {
		a.next, a.cause = e.Number+1, max(a.cause, e.Seq)
	}
	a.since = time.Now()
}

// announce publishes a run of effects and moves next behind them.
func (a *announcer) announce(ctx context.Context, batch []announcement) error {
	if err := a.r.config.Fault("before announce", batch[0].Number); err != nil {
		return err
	}
	messages := make([]streams.Message, 0, len(batch))
	var wakes []*ledger.Effect
	for i, e := range batch {
		switch {
		case e.Kind == ledger.EffectErased: // only its number is left
		case e.Kind == ledger.EffectWake:
			if e.Number > a.rewound {
				wakes = append(wakes, &batch[i].Effect)
			}
		case e.Number > a.rewound || e.Number > a.skip[e.Org]:
			m, err := a.message(ctx, e)
			if errors.Is(err, ledger.ErrErased) {
				continue // nothing is left to deliver
			}
			if errors.Is(err, ledger.ErrDamaged) {
				m = a.instead(ctx, e, err)
			} else if err != nil {
				return err
			}
			messages = append(messages, m)
		}
	}
	stored, err := a.publish.Publish(ctx, messages)
	if err != nil {
		return fmt.Errorf("recorder: announce: %w", err)
	}
	if err := a.wakeUp(ctx, wakes); err != nil {
		return err
	}
	// A crash here announces the batch again from the stored position: the ids are the same.
	point := "after announce"
	if stored == 0 && len(messages) > 0 {
		point = "found announced" // by a term before, or after, this one
	}
	last := batch[len(batch)-1]
	if err := a.r.config.Fault(point, last.Number); err != nil {
		return err
	}
	a.told(batch)
	a.r.metrics.delivered(ctx, stored, time.UnixMilli(batch[0].Time))
	return nil
}
