package rest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

const (
	// bodiesInFlight bounds the bytes of bodies that are being read or wait for their answer, and of
	// answers being built.
	bodiesInFlight = 16 << 20
	// budgetWait is how long a request waits for room before it is sent away.
	budgetWait = 5 * time.Second
)

// budget bounds bytes in flight. An organisation may hold as much as it leaves free for the others: one
// alone has half, a second a quarter, and there is always room for small messages of a third. Who
// waits stands in nobody's way.
//
// Bodies take their room as they arrive, so that those of one organisation could hold all of its share and
// wait for each other: the first that finds no room may go beyond it, as far as it leaves half of what is
// free.
type budget struct {
	mu     sync.Mutex // guards what follows
	free   int64
	held   map[ledger.ID]int64
	beyond map[ledger.ID]*room // who may go beyond the organisation's share
	given  chan struct{}       // closed when something was given back
}

func newBudget(n int64) *budget {
	return &budget{free: n, held: map[ledger.ID]int64{}, beyond: map[ledger.ID]*room{}, given: make(chan struct{})}
}

// room is what one request holds of a budget. One goroutine uses it.
type room struct {
	budget *budget
	org    ledger.ID
	held   int64
}

// of is room for a request of org, empty so far.
func (b *budget) of(org ledger.ID) *room { return &room{budget: b, org: org} }

// take adds n bytes. fault.CodeBusy when there is no room in time; what it had it keeps.
func (r *room) take(ctx context.Context, n int64) error {
	given, ok := r.try(n)
	if ok {
		return nil
	}
	timer := time.NewTimer(budgetWait)
	defer timer.Stop()
	busy := fault.Of(fault.CodeBusy).After(time.Second)
	for !ok {
		select {
		case <-given:
		case <-timer.C:
			return busy.Wrap(errNoRoom)
		case <-ctx.Done():
			return busy.Wrap(ctx.Err())
		}
		given, ok = r.try(n)
	}
	return nil
}

var errNoRoom = errors.New("rest: bytes in flight")

// try takes n bytes, or returns what is closed when trying again may help.
func (r *room) try(n int64) (given <-chan struct{}, ok bool) {
	b := r.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held[r.org]+n > b.free-n {
		if b.beyond[r.org] == nil && r.held > 0 {
			b.beyond[r.org] = r
		}
		if b.beyond[r.org] != r || n > b.free/2 {
			return b.given, false
		}
	}
	b.free -= n
	b.held[r.org] += n
	r.held += n
	return nil, true
}

// give gives back all of it. It may be called twice.
func (r *room) give() {
	if r.held == 0 {
		return
	}
	b := r.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free += r.held
	if b.held[r.org] -= r.held; b.held[r.org] == 0 {
		delete(b.held, r.org)
	}
	if b.beyond[r.org] == r {
		delete(b.beyond, r.org)
	}
	r.held = 0
	close(b.given)
	b.given = make(chan struct{})
}
