package recorder

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/streams"
)

// genesis writes entry 0 of a new ledger: its statement names the origin.
func (r *Recorder) genesis(ctx context.Context) error {
	if r.head.Size > 0 {
		if err := r.deps.Store.SetOrigin(ctx, r.config.Origin); err != nil { // compares it
			return fmt.Errorf("recorder: origin: %w", err)
		}
		return nil
	}
	if _, err := r.deps.Keys.Hub(ctx); err != nil {
		return fmt.Errorf("recorder: own key: %w", err)
	}
	if err := r.deps.Store.SetOrigin(ctx, r.config.Origin); err != nil {
		return fmt.Errorf("recorder: origin: %w", err)
	}
	r.head.Leaf = sha256.Sum256([]byte(r.config.Origin))
	return r.state(ctx, ledger.KindGenesis, r.head, "dosewire ledger\norigin: "+r.config.Origin+"\n")
}

// state commits one statement entry; from there on the head is as next says, plus the entry.
func (r *Recorder) state(ctx context.Context, kind ledger.Kind, next ledger.Head, text string) error {
	digest := sha256.Sum256([]byte(text))
	entry, to := ledger.Link(next, kind, time.Now(), digest, ledger.Hash{})
	b := &ledger.Batch{From: r.head, To: to, Entries: []ledger.Entry{entry},
		Statements: []ledger.Statement{{Index: entry.Index, Text: text}}}
	if err := r.deps.Store.Commit(ctx, b); err != nil {
		return fmt.Errorf("recorder: statement: %w", err)
	}
	r.head = to
	return nil
}

// openStreams makes the streams. If RX_INTAKE is gone although the ledger has read from it, it is
// made anew behind the cursor under a new epoch, which is itself an entry. If it is there but ends
// before the cursor, its next messages would reuse sequences that the ledger has seen: halt.
func (r *Recorder) openStreams(ctx context.Context) error {
	stream, err := r.js.Stream(ctx, streams.Intake)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		if r.head.Seq > 0 {
			next := r.head
			next.Epoch++
			text := "dosewire epoch\nepoch: " + strconv.FormatUint(next.Epoch, 10) +
				"\nfirst: " + strconv.FormatUint(next.Seq+1, 10) + "\n"
			if err := r.state(ctx, ledger.KindStatement, next, text); err != nil {
				return err
			}
			r.log.WarnContext(ctx, "RX_INTAKE was lost: a new epoch begins", "epoch", r.head.Epoch, "seq", r.head.Seq+1)
		}
	case err != nil:
		return fmt.Errorf("recorder: look at %s: %w", streams.Intake, err)
	default:
		switch state := stream.CachedInfo().State; {
		case state.LastSeq < r.head.Seq:
			return fmt.Errorf("recorder: last sequence %d, cursor %d: %w", state.LastSeq, r.head.Seq, ErrRolledBack)
		case state.FirstSeq > r.head.Seq+1:
			return fmt.Errorf("recorder: first sequence %d, cursor %d: %w", state.FirstSeq, r.head.Seq, ErrRestored)
		}
	}
	s := r.deps.Streams
	s.Epoch, s.FirstSeq = r.head.Epoch, r.head.Seq+1
	if err := streams.Ensure(ctx, r.js, s); err != nil {
		return fmt.Errorf("recorder: streams: %w", err)
	}
	return nil
}
