package recorder

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/signature"
	"github.com/dosewire/dosewire/ledger"
)

// Tampering halts the recorder, unless it concerns only what one message touches (ledger.ErrDamaged): that
// message stands alone, and the line goes on.

// fenced makes the error of a stored key that was changed one of the message that needs it.
func fenced(err error) error {
	if fault.KindOf(err) == fault.Tampered {
		return ledger.ErrDamaged.Wrap(err)
	}
	return err
}

// continues demands that the head which is about to be led from is the end of the chain, and that it
// continues the head that this recorder knows: a database that was set back or rewritten under it is
// no reason to go on from there. A *ledger.BadEntry of ledger.ErrHead, or the error of reading.
func (r *Recorder) continues(ctx context.Context, next ledger.Head) error {
	known := r.head
	if next.Size < known.Size || next.Epoch < known.Epoch || next.Seq < known.Seq || next.Deliveries < known.Deliveries {
		return &ledger.BadEntry{Index: next.Size, Err: ledger.ErrHead}
	}
	if err := r.ends(ctx, known); err != nil {
		return err
	}
	return r.ends(ctx, next)
}

// ends demands that the last entry of a head is stored.
func (r *Recorder) ends(ctx context.Context, h ledger.Head) error {
	if h.Size == 0 {
		return nil
	}
	e, err := r.deps.Reader.Entry(ctx, h.Size-1)
	if _, unreadable := errors.AsType[*ledger.BadEntry](err); err != nil && !unreadable && !errors.Is(err, ledger.ErrNotFound) {
		return fmt.Errorf("recorder: last entry: %w", err)
	}
	if err != nil || e.Leaf() != h.Leaf {
		return &ledger.BadEntry{Index: h.Size - 1, Err: ledger.ErrHead}
	}
	return nil
}

// intact is Intact, with the alarm.
func (r *Recorder) intact(ctx context.Context, p ledger.Prescription) error {
	if err := Intact(r.deps.Keys, p); err != nil {
		r.config.Damaged(ctx, 0, p.ID, err)
		return ledger.ErrDamaged.Wrap(err)
	}
	return nil
}

// missingOr is err, or that the row is missing: what effects name was committed with them.
func missingOr(err error) error {
	if errors.Is(err, ledger.ErrNotFound) {
		return ledger.ErrDamaged.Wrap(ledger.ErrMissing)
	}
	return err
}

// opened reads a stored record, compares it with its entry and decrypts it. Damage is ledger.ErrDamaged.
func (a *announcer) opened(ctx context.Context, id ledger.ID) (body []byte, verdict string, err error) {
	rec, err := a.r.deps.Reader.Record(ctx, id)
	if err != nil {
		return nil, "", fmt.Errorf("recorder: announce record: %w", missingOr(err))
	}
	e, err := a.r.deps.Reader.Entry(ctx, rec.Index)
	if err != nil {
		return nil, "", fmt.Errorf("recorder: announce entry: %w", missingOr(err))
	}
	if rec.Digest() != e.Digest {
		return nil, "", a.damaged(ctx, rec.Index, ledger.ErrDigest)
	}
	key, err := a.r.deps.Keys.Key(ctx, rec.KeyID)
	if err != nil {
		return nil, "", fmt.Errorf("recorder: announce key: %w", fenced(err))
	}
	opened, err := ledger.OpenAll(key, rec, &e.Commitment)
	if errors.Is(err, ledger.ErrSealed) {
		return nil, "", a.damaged(ctx, rec.Index, err)
	}
	if err != nil {
		return nil, "", err
	}
	verdict, err = signature.VerdictOf(opened.Evidence)
	return opened.Plaintext, verdict, err
}

func (a *announcer) damaged(ctx context.Context, index uint64, err error) error {
	a.r.config.Damaged(ctx, index, ledger.ID{}, err)
	return ledger.ErrDamaged.Wrap(err)
}

// relearn is learn after a commit of which nothing was heard. A database that is away is waited for.
func (r *Recorder) relearn(ctx context.Context) error {
	for {
		err := r.learn(ctx)
		if fault.KindOf(err) != fault.Unavailable {
			return err
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// learn brings the directory up to date: while this recorder stood by, another has recorded what changed it.
func (r *Recorder) learn(ctx context.Context) error {
	orgs, clients, err := r.deps.Reader.Directory(ctx)
	if err != nil {
		return fmt.Errorf("recorder: directory: %w", err)
	}
	r.deps.Directory.Apply(orgs, clients)
	return nil
}
