package recorder

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/streams"
)

// OpenDetached leads a recorder that reads no stream and announces nothing: whoever tests it hands it
// messages, at times of their choice.
func OpenDetached(ctx context.Context, c Config, d Deps) (*Recorder, error) {
	c.setDefaults()
	r := &Recorder{config: c, deps: d, log: c.Log}
	var err error
	if r.metrics, err = newMetrics(c.Meter); err != nil {
		return nil, err
	}
	if err := r.acquire(ctx); err != nil {
		return nil, err
	}
	r.announcer = &announcer{r: r, wake: make(chan struct{}, 1), bytes: queueBytes}
	return r, r.genesis(ctx)
}

// Begin writes the genesis entry as if the clock showed at.
func Begin(ctx context.Context, c Config, d Deps, at time.Time) error {
	c.setDefaults()
	r := &Recorder{config: c, deps: d, log: c.Log}
	if err := r.acquire(ctx); err != nil {
		return err
	}
	if err := d.Store.SetOrigin(ctx, c.Origin); err != nil {
		return err
	}
	r.head.Leaf = ledger.Origin(c.Origin)
	text := "dosewire ledger\norigin: " + c.Origin + "\n"
	entry, to := ledger.Link(r.head, ledger.KindGenesis, at, sha256.Sum256([]byte(text)), ledger.Hash{})
	b := &ledger.Batch{From: r.head, To: to, Entries: []ledger.Entry{entry}, Statements: []ledger.Statement{{Index: 0, Text: text}}}
	if err := d.Store.Commit(ctx, b); err != nil {
		return err
	}
	return d.Store.Release(ctx, to.Term)
}

// Take brings messages into the ledger.
func (r *Recorder) Take(ctx context.Context, messages []streams.Message) error {
	arrivals := make([]arrival, len(messages))
	for i := range messages {
		arrivals[i].message = &messages[i]
	}
	return r.step(ctx, arrivals)
}

// Position is the head as this recorder knows it.
func (r *Recorder) Position() ledger.Head { return r.head }
