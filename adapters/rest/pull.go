package rest

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

const (
	deliveriesUsual = 50
	deliveriesMost  = 200
	waitMost        = 30 * time.Second
	lookEvery       = 200 * time.Millisecond
	writeWithin     = time.Minute
)

// pull is a parsed GET $deliveries.
type pull struct {
	after uint64
	given bool // after was stated
	count int
	wait  time.Duration
}

// Deliveries serves GET $deliveries?after=N&_count=M&wait=D: what the hub has for the caller after
// number N, oldest first, waiting up to D while there is nothing. after=N also says that everything
// up to N was taken over; without after the answer begins behind what was taken over last, by REST or
// by NATS, and nothing is acknowledged.
func (s *Service) Deliveries() http.Handler {
	return paged(s.deliveries)
}

// deliveries builds the answer. give must be called when it was written.
func (s *Service) deliveries(r *http.Request) (body []byte, give func(), err error) {
	ctx := r.Context()
	who, err := subject(ctx)
	if err != nil {
		return nil, nil, err
	}
	if err := parameters(r, "after", "_count", "wait"); err != nil {
		return nil, nil, err
	}
	p, err := parsePull(r.URL.Query())
	if err != nil {
		return nil, nil, err
	}
	if err := s.begin(ctx, who, &p); err != nil {
		return nil, nil, err
	}
	effects, err := s.await(ctx, who, p)
	if err != nil {
		return nil, nil, err
	}
	// no page is larger, and few are near it
	room := s.bodies.of(who.Org)
	if err := room.take(ctx, pageBytes*min(int64(len(effects)), 1)); err != nil {
		return nil, nil, err
	}
	page, err := s.page(ctx, who, effects)
	if err == nil {
		body, err = s.bundle(p, page)
	}
	if err != nil {
		room.give()
		return nil, nil, err
	}
	return body, room.give, nil
}

func parsePull(q url.Values) (p pull, err error) {
	p.count = deliveriesUsual
	if v := q.Get("after"); q.Has("after") {
		if p.after, err = strconv.ParseUint(v, 10, 63); err != nil {
			return p, fault.Of(fault.CodeValue).At("query after")
		}
		p.given = true
	}
	if v := q.Get("_count"); q.Has("_count") {
		if p.count, err = strconv.Atoi(v); err != nil || p.count < 1 {
			return p, fault.Of(fault.CodeValue).At("query _count")
		}
		p.count = min(p.count, deliveriesMost)
	}
	if v := q.Get("wait"); q.Has("wait") {
		if p.wait, err = time.ParseDuration(v); err != nil || p.wait < 0 {
			return p, fault.Of(fault.CodeValue).At("query wait")
		}
		p.wait = min(p.wait, waitMost)
	}
	return p, nil
}

// begin finds where the page begins, and stores how far the caller says it has come. A number that was
// never given out is a mistake that would lose deliveries: it is refused.
func (s *Service) begin(ctx context.Context, who auth.Subject, p *pull) error {
	if !p.given {
		upTo, err := s.deps.Records.Acknowledged(ctx)
		p.after = upTo[who.Org]
		return err
	}
	head, err := s.deps.Records.Head(ctx)
	if err != nil {
		return err
	}
	if p.after > head.Deliveries {
		return fault.Of(fault.CodeValue).At("query after")
	}
	if p.after == 0 {
		return nil // from the beginning
	}
	return s.deps.Records.SetAcknowledged(ctx, map[ledger.ID]uint64{who.Org: p.after})
}

// await looks until there is something or the wait is over.
func (s *Service) await(ctx context.Context, who auth.Subject, p pull) ([]ledger.Effect, error) {
	until := time.Now().Add(p.wait)
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		effects, err := s.deps.Records.Effects(ctx, who.Org, p.after, p.count)
		if err != nil || len(effects) > 0 || !time.Now().Before(until) {
			return effects, err
		}
		select {
		case <-ctx.Done(): // the client went away, or the hub stops: nothing has come so far
			return nil, nil
		case <-look.C:
		}
	}
}
