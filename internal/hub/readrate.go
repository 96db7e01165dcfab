package hub

import (
	"sync"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

// readBurst is for how many seconds of its rate a reader may read at once.
const readBurst = 10

// manyReaders is when those who have not read for a while are forgotten.
const manyReaders = 4096

// ReadRate bounds how often each organisation, and each patient, may read plaintext. Every read is an entry
// that the ledger keeps for ever and a commit that others wait for. Safe for concurrent use.
type ReadRate struct {
	perSecond float64
	mu        sync.Mutex // guards readers
	readers   map[ledger.ID]allowance
}

// allowance is what a reader may still do without waiting.
type allowance struct {
	left float64
	at   time.Time // when that was so
}

// NewReadRate allows so many reads a second, and ten times as many at once. 0 or less means any number.
func NewReadRate(perSecond int) *ReadRate {
	return &ReadRate{perSecond: float64(perSecond), readers: map[ledger.ID]allowance{}}
}

// take is fault.CodeReads, with the time to wait, for one read too many.
func (r *ReadRate) take(who ledger.ID, now time.Time) error {
	if r == nil || r.perSecond <= 0 {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	a, known := r.readers[who]
	if a = r.grown(a, now); !known {
		r.forget(now)
		a = allowance{readBurst * r.perSecond, now}
	}
	if a.left < 1 {
		return fault.Of(fault.CodeReads).After(time.Duration((1 - a.left) / r.perSecond * float64(time.Second)))
	}
	a.left--
	r.readers[who] = a
	return nil
}

// grown is an allowance as it has become by now.
func (r *ReadRate) grown(a allowance, now time.Time) allowance {
	return allowance{min(a.left+max(now.Sub(a.at).Seconds(), 0)*r.perSecond, readBurst*r.perSecond), now}
}

// forget lets go of readers whose allowance is whole again.
func (r *ReadRate) forget(now time.Time) {
	if len(r.readers) < manyReaders {
		return
	}
	for who, a := range r.readers {
		if r.grown(a, now).left >= readBurst*r.perSecond {
			delete(r.readers, who)
		}
	}
}
