package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/hub/admin"
	"github.com/dosewire/dosewire/internal/telemetry"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/recorder"
)

const (
	// keysEvery is how often a hub looks for generations that others have made.
	keysEvery = time.Minute
	// keysTries is how often the deployment key is asked for at start, with growing pauses of keysPause
	// at first: about a minute and a half in all, beside what the wrapper itself tries.
	keysTries = 6
	keysPause = 3 * time.Second
)

// ErrNoKeys: the hub cannot start, because nothing can be sealed or opened.
var ErrNoKeys = fault.New(fault.Unavailable, "hub: the deployment key cannot be unwrapped now, so the hub cannot start; a hub that runs is not affected")

// openKeyring unwraps the deployment key. What passes by itself is waited for, and said.
func (h *Hub) openKeyring(ctx context.Context) (*ledger.Keyring, error) {
	pause := keysPause
	for try := 1; ; try++ {
		k, err := ledger.OpenKeyring(ctx, h.databases.keys, h.databases.wrapper)
		if err == nil || fault.KindOf(err) != fault.Unavailable {
			return k, err
		}
		if try == keysTries || ctx.Err() != nil {
			return nil, ErrNoKeys.Wrap(err)
		}
		h.log.WarnContext(ctx, "the deployment key cannot be unwrapped; trying again", telemetry.Err(err), slog.Int("try", try), slog.Duration("pause", pause))
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
		pause *= 2
	}
}

// watchKeys learns new generations and sees to it that each is stated in the ledger. A wrapper that
// fails stops nothing: the keys that are held stay.
func (h *Hub) watchKeys(ctx context.Context) error {
	ticker := time.NewTicker(keysEvery)
	defer ticker.Stop()
	for {
		if err := errors.Join(h.keys.Refresh(ctx), h.stateKeys(ctx)); err != nil && ctx.Err() == nil {
			h.log.WarnContext(ctx, "generations of the deployment key not seen to", telemetry.Err(err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// stateKeys brings every generation after the first into the ledger, once: a repeated fact is no
// second entry, whoever says it.
func (h *Hub) stateKeys(ctx context.Context) error {
	stored, err := h.databases.keys.Deployment(ctx)
	if err != nil {
		return fmt.Errorf("hub: generations: %w", err)
	}
	for _, d := range stored {
		if _, done := h.stated.Load(d.ID); done || d.Generation < 2 {
			continue
		}
		if err := h.stateAs(ctx, d.ID, recorder.FactKeys, recorder.KeysFact{Generation: d.Generation, ID: d.ID}); err != nil {
			return err
		}
		h.stated.Store(d.ID, true)
	}
	return nil
}

// KeyStatus, RotateKeys and RewrapKeys are as in admin.KeyService.
func (h *Hub) KeyStatus(ctx context.Context) (admin.KeyStatus, error) {
	s, err := keyStatus(ctx, h.databases.keys, h.databases.wrapper.Name())
	cached := h.keys.Cached()
	s.Running, s.Cached = true, &cached
	return s, err
}

func (h *Hub) RotateKeys(ctx context.Context) (admin.Rotation, error) {
	d, err := h.keys.Rotate(ctx)
	if err != nil {
		return admin.Rotation{}, fmt.Errorf("hub: rotate: %w", err)
	}
	h.log.InfoContext(ctx, "the deployment key was rotated", slog.Int("generation", d.Generation))
	r := admin.Rotation{Generation: d.Generation, ID: d.ID.String()}
	if err := h.stateKeys(ctx); err != nil { // watchKeys will
		h.log.WarnContext(ctx, "the rotation is not stated in the ledger yet", telemetry.Err(err))
		return r, nil
	}
	r.Stated = true
	return r, nil
}

func (h *Hub) RewrapKeys(ctx context.Context, progress func(admin.Progress)) (admin.Rewrap, error) {
	return rewrapKeys(ctx, h.keys, h.databases.keys, progress)
}

// KeyDesk is admin.KeyService on a key database that no hub serves. Close it.
type KeyDesk struct {
	keys    ledger.Generations
	wrapper ledger.KeyWrapper
	closer  io.Closer
}

var _ admin.KeyService = (*KeyDesk)(nil)

// OpenKeyDesk opens the key database and the wrapper that the configuration names.
func OpenKeyDesk(ctx context.Context, c Config) (*KeyDesk, error) {
	c = c.WithDefaults()
	keys, closer, err := openKeyDatabase(ctx, c)
	if err != nil {
		return nil, err
	}
	w, err := openWrapper(ctx, c.Keys)
	if err != nil {
		return nil, errors.Join(err, closer.Close())
	}
	return &KeyDesk{keys, w, closer}, nil
}

// Close lets go of the database.
func (d *KeyDesk) Close() error { return d.closer.Close() }

// KeyStatus, RotateKeys and RewrapKeys are as in admin.KeyService. A rotation is stated in the ledger
// by the next hub that runs.
func (d *KeyDesk) KeyStatus(ctx context.Context) (admin.KeyStatus, error) {
	return keyStatus(ctx, d.keys, d.wrapper.Name())
}

func (d *KeyDesk) RotateKeys(ctx context.Context) (admin.Rotation, error) {
	ring, err := ledger.OpenKeyring(ctx, d.keys, d.wrapper)
	if err != nil {
		return admin.Rotation{}, fmt.Errorf("hub: keyring: %w", err)
	}
	made, err := ring.Rotate(ctx)
	return admin.Rotation{Generation: made.Generation, ID: made.ID.String()}, err
}

func (d *KeyDesk) RewrapKeys(ctx context.Context, progress func(admin.Progress)) (admin.Rewrap, error) {
	ring, err := ledger.OpenKeyring(ctx, d.keys, d.wrapper)
	if err != nil {
		return admin.Rewrap{}, fmt.Errorf("hub: keyring: %w", err)
	}
	return rewrapKeys(ctx, ring, d.keys, progress)
}

// Move wraps the deployment key by what to names, KMS before File. Hubs that run are not affected;
// before they are started again their configuration must name it too.
func (d *KeyDesk) Move(ctx context.Context, to Keys) (moved int, wrapper string, err error) {
	w, err := openWrapper(ctx, to)
	if err != nil {
		return 0, "", err
	}
	moved, err = ledger.MoveDeployment(ctx, d.keys, d.wrapper, w)
	return moved, w.Name(), err
}

func rewrapKeys(ctx context.Context, k *ledger.Keyring, s ledger.Generations, progress func(admin.Progress)) (admin.Rewrap, error) {
	r, err := k.Rewrap(ctx, s, func(done, total uint64) {
		if progress != nil {
			progress(admin.Progress{Entries: done, Total: total})
		}
	})
	a := admin.Rewrap{Keys: r.Keys, Damaged: r.Damaged, Retired: r.Retired}
	if r.First != (uuid.UUID{}) {
		a.First = r.First.String()
	}
	if err != nil {
		return a, fmt.Errorf("hub: rewrap: %w", err)
	}
	return a, nil
}

func keyStatus(ctx context.Context, s ledger.Generations, wrapper string) (admin.KeyStatus, error) {
	all, err := ledger.StatusOfKeys(ctx, s)
	if err != nil {
		return admin.KeyStatus{}, fmt.Errorf("hub: keys: %w", err)
	}
	status := admin.KeyStatus{Wrapper: wrapper, Generations: []admin.Generation{}}
	for _, g := range all {
		line := admin.Generation{Number: g.Generation, Wrapper: g.Wrapper, Keys: g.Keys, Newest: g.Newest}
		if g.Made > 0 {
			made := time.UnixMilli(g.Made).UTC()
			line.Made = &made
		}
		if g.Generation == 0 {
			status.Index = line
			continue
		}
		status.Generations = append(status.Generations, line)
		if status.Keys += g.Keys; !g.Newest {
			status.Behind += g.Keys
		}
	}
	return status, nil
}
