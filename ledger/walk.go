package ledger

import (
	"context"
	"runtime"
	"sync"
)

// Walk is Verify on several cores: rows are hashed in groups beside the reading, and followed in
// order. It finds exactly what Verify finds. The zero value of a field means its default.
type Walk struct {
	From     Head                     // as Verify's from
	Workers  int                      // goroutines that hash; default the number of CPUs
	Progress func(n uint64)           // as Verify's progress
	Each     func(e Entry, leaf Hash) // called for each good entry in order, from the walking goroutine
}

// groupSize is how many rows are hashed at a time, groupBytes how much sealed text at most.
const (
	groupSize  = 256
	groupBytes = 1 << 20
)

// group is some rows in order and what was computed of them. ready is closed when it was.
type group struct {
	rows   []Row
	leaf   []Hash
	digest []Hash
	ready  chan struct{}
}

func (g *group) compute() {
	g.leaf, g.digest = make([]Hash, len(g.rows)), make([]Hash, len(g.rows))
	for i, row := range g.rows {
		g.leaf[i], g.digest[i] = row.Entry.Leaf(), row.digest()
	}
	close(g.ready)
}

// Verify is as the function Verify. It owns its goroutines: none is left when it returns.
func (w Walk) Verify(ctx context.Context, c Chain) (Head, Verdict, error) {
	stored, err := c.Head(ctx)
	if err != nil {
		return w.From, Verdict{}, err
	}
	v := newVerifier(w.From, stored)
	if err := v.start(); err != nil {
		return v.at, v.seen, err
	}
	if err := w.walk(ctx, c, v); err != nil {
		return v.at, v.seen, err
	}
	if w.Progress != nil {
		w.Progress(v.seen.Entries)
	}
	last, err := c.Head(ctx)
	if err != nil {
		return v.at, v.seen, err
	}
	return v.at, v.seen, v.end(last)
}

// walk reads and follows; workers hash in between.
func (w Walk) walk(ctx context.Context, c Chain, v *verifier) error {
	workers := w.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	work := make(chan *group, workers)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for g := range work {
				g.compute()
			}
		})
	}
	defer wg.Wait()
	defer close(work)

	var ahead []*group // given to the workers, oldest first
	follow := func(keep int) error {
		for len(ahead) > keep {
			if err := w.follow(ahead[0], v); err != nil {
				return err
			}
			ahead = ahead[1:]
		}
		return nil
	}
	rows, size := make([]Row, 0, groupSize), 0
	give := func() {
		g := &group{rows: rows, ready: make(chan struct{})}
		work <- g
		ahead = append(ahead, g)
		rows, size = make([]Row, 0, groupSize), 0
	}
	for row, err := range c.Rows(ctx, w.From.Size) {
		if err != nil {
			give()
			if earlier := follow(0); earlier != nil {
				return earlier // what is wrong before the place where reading ended
			}
			return err
		}
		rows = append(rows, row)
		if row.Record != nil {
			size += len(row.Record.Sealed)
		}
		if len(rows) < groupSize && size < groupBytes {
			continue
		}
		give()
		if err := follow(2 * workers); err != nil {
			return err
		}
	}
	give()
	return follow(0)
}

// follow waits for a group and walks it.
func (w Walk) follow(g *group, v *verifier) error {
	<-g.ready
	for i, row := range g.rows {
		if err := v.step(row, g.leaf[i], g.digest[i]); err != nil {
			return err
		}
		if w.Each != nil {
			w.Each(row.Entry, g.leaf[i])
		}
		if w.Progress != nil && v.seen.Entries%progressEvery == 0 {
			w.Progress(v.seen.Entries)
		}
	}
	return nil
}
