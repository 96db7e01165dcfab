package rest

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/dosewire/dosewire/internal/fault"
)

// budgetWait is how long a request waits for room before it is sent away.
const budgetWait = 5 * time.Second

// budget bounds the bytes of bodies in flight.
type budget struct{ bytes *semaphore.Weighted }

func newBudget(n int64) *budget { return &budget{semaphore.NewWeighted(n)} }

// take reserves n bytes. CodeBusy when there is no room in time.
func (b *budget) take(ctx context.Context, n int64) (give func(), err error) {
	if !b.bytes.TryAcquire(n) {
		ctx, cancel := context.WithTimeout(ctx, budgetWait)
		defer cancel()
		if err := b.bytes.Acquire(ctx, n); err != nil {
			return nil, fault.Of(fault.CodeBusy).After(time.Second).Wrap(fmt.Errorf("rest: bodies in flight: %w", err))
		}
	}
	return func() { b.bytes.Release(n) }, nil
}
