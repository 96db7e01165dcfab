package notary

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger/trust"
)

// checkpointName is where C2SP tlog-tiles has the checkpoint.
const checkpointName = "checkpoint"

// published is what `checkpoint` holds, and what waits for it.
type published struct {
	note       []byte // nil = nothing yet
	checkpoint trust.Checkpoint
	cosigned   []trust.Cosignature
	at         time.Time // when it was published or found

	first int64    // time of the first entry that it does not cover, unix ms; 0 = none
	full  []string // tiles whose partial ones can go
}

// waiting notes that entries from this time on are not covered.
func (p *published) waiting(first int64) {
	if p.first == 0 {
		p.first = first
	}
}

// unpublished is the age of the oldest entry that is not covered.
func (n *Notary) unpublished(now time.Time) time.Duration {
	if n.out.first == 0 {
		return 0
	}
	return max(now.Sub(time.UnixMilli(n.out.first)), time.Millisecond)
}

// findPublished reads `checkpoint`. One that this key signed and that is larger than the state was
// made by a notary that knew more.
func (n *Notary) findPublished(ctx context.Context) error {
	b, err := n.config.Tiles.Get(ctx, checkpointName)
	if errors.Is(err, ErrNoObject) {
		n.out = published{}
		if n.state.Size > 0 {
			n.out.waiting(n.state.Time)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("notary: read checkpoint: %w", err)
	}
	v, err := trust.Solo(n.config.Verifier).Open(b)
	if err != nil {
		return ErrState.Wrap(fmt.Errorf("what is published was not signed with this key: %w", err))
	}
	if n.stored != nil && (v.Size > n.state.Size || v.Size == n.state.Size && v.Root != n.state.root()) {
		return n.unlessMoved(ctx, ErrFork.Wrap(fmt.Errorf("size %d is published, the state has %d", v.Size, n.state.Size)))
	}
	cosigned, _ := n.config.Policy.Open(b) // without its quorum it stays published: the policy may be newer
	n.out = published{note: b, checkpoint: v.Checkpoint, cosigned: cosigned.Cosigned, at: n.config.Now()}
	if v.Size < n.state.Size {
		n.out.waiting(n.state.Time)
	}
	return nil
}

// publish has the signed checkpoint cosigned and replaces `checkpoint`, if there is reason to.
func (n *Notary) publish(ctx context.Context) error {
	if !n.due() {
		return nil
	}
	signed, c := []byte(n.state.Signed), n.state.checkpoint()
	cosigned, sizes, fork, err := n.cosign(ctx, signed, c)
	if err != nil {
		return err
	}
	verdict, err := n.config.Policy.Open(cosigned)
	if fork != nil && err != nil {
		return n.unlessMoved(ctx, fork)
	}
	if errors.Is(err, trust.ErrQuorum) {
		return ErrQuorum.Wrap(fmt.Errorf("%d of %d witnesses", len(verdict.Cosigned), len(n.witnesses)))
	}
	if err != nil {
		return fmt.Errorf("notary: %w", err)
	}
	if fork != nil {
		// The policy is satisfied without this witness: its word alone, which proves nothing, must not stop
		// the log. What does prove a fork, a note with our own signature, findPublished refuses.
		n.warn(ctx, AlarmName(fork), "a witness that the quorum does not need claims another tree")
	}
	if err := n.config.Tiles.Replace(ctx, checkpointName, n.out.note, cosigned); err != nil {
		return fmt.Errorf("notary: publish: %w", err)
	}
	full := n.out.full
	n.out = published{note: cosigned, checkpoint: c, cosigned: verdict.Cosigned, at: n.config.Now()}
	n.checkWitnessClocks(ctx, verdict.Cosigned)
	s := n.state
	s.Published, s.Witnesses = c.Size, sizes
	return errors.Join(n.swap(ctx, s), prune(ctx, n.config.Tiles, full))
}

// unlessMoved is the alarm, or ErrMoved when another notary with this state has gone on meanwhile,
// which explains it.
func (n *Notary) unlessMoved(ctx context.Context, alarm error) error {
	now, err := n.config.State.Get(ctx, stateName)
	if err != nil {
		return errors.Join(alarm, err)
	}
	if !bytes.Equal(now, n.stored) {
		return ErrMoved
	}
	return alarm
}

// due: something is signed that is not published, or the cosignatures have grown old.
func (n *Notary) due() bool {
	if n.out.note == nil || n.out.checkpoint != n.state.checkpoint() {
		return true
	}
	return len(n.witnesses) > 0 && n.config.Now().Sub(n.out.at) >= n.config.Refresh
}

// checkWitnessClocks compares the newest entry with clocks that are not ours. They count in seconds.
func (n *Notary) checkWitnessClocks(ctx context.Context, by []trust.Cosignature) {
	for _, c := range by {
		if !c.Time.IsZero() && time.UnixMilli(n.state.Time).After(c.Time.Add(time.Second+ahead)) {
			n.warn(ctx, "clock", "the newest entry is later than a witness's clock")
			return
		}
	}
}

// merge adds verified signature lines to a note.
func merge(signed []byte, log note.Verifier, lines []note.Signature) ([]byte, error) {
	m, err := note.Open(signed, note.VerifierList(log))
	if err != nil {
		return nil, fault.New(fault.Internal, "notary: own signature").Wrap(err)
	}
	m.Sigs = append(m.Sigs, lines...)
	b, err := note.Sign(m)
	if err != nil {
		return nil, fault.New(fault.Internal, "notary: merge cosignatures").Wrap(err)
	}
	return b, nil
}
