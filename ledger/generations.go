package ledger

import (
	"context"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/internal/fault"
)

// Generations of the deployment key are numbered from 1. The index key is stored beside them under
// the number 0: it never changes, or no patient would be found again.
const (
	indexGeneration = 0
	firstGeneration = 1
)

const aadDeployment = "dosewire/kek/v1"

// Errors of generations.
var (
	// ErrGeneration: a data key names a generation of the deployment key that the key database does
	// not hold. Look at the generations again and wrap under the newest.
	ErrGeneration = fault.New(fault.Conflict, "ledger: this generation of the deployment key is not stored")
	// ErrRotated: another process rotated or moved the deployment key at the same time. Look again.
	ErrRotated = fault.New(fault.Conflict, "ledger: the deployment key was changed by another process at the same time")
	// ErrInUse: data keys are wrapped under this generation still.
	ErrInUse     = fault.New(fault.Conflict, "ledger: data keys are wrapped under this generation of the deployment key still")
	errMissing   = fault.New(fault.Tampered, "ledger: a stored key names a generation of the deployment key that is gone")
	errNoFirst   = fault.New(fault.Tampered, "ledger: the index key is gone from the key database")
	errUnrefresh = fault.New(fault.Unavailable, "ledger: a new generation of the deployment key cannot be unwrapped now")
)

// DeploymentKey is one generation of the deployment key, or the index key (Generation 0), wrapped by
// a KeyWrapper.
type DeploymentKey struct {
	Generation int
	ID         ID     // random; part of the AAD. Zero for a key made before there were generations
	Wrapper    string // KeyWrapper.Name of who wrapped it; "" when not noted
	Made       int64  // unix ms; 0 when not noted
	Blob       []byte
}

// aad binds the blob to what it is for. It holds a random id and nothing about anybody.
func (d DeploymentKey) aad() []byte {
	switch {
	case d.Generation == indexGeneration:
		return []byte(infoIndex + "/" + d.ID.String())
	case d.ID == (ID{}):
		return []byte(aadDeployment)
	}
	return []byte(aadDeployment + "/" + d.ID.String())
}

// heldKeys are the generations that a process has unwrapped. It keeps those that were retired since:
// what was read a moment ago may still name them.
type heldKeys struct {
	newest int
	keks   map[int]cipher.AEAD
}

// wrapDeployment protects a key of the deployment by w.
func wrapDeployment(ctx context.Context, w KeyWrapper, generation int, key []byte) (DeploymentKey, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return DeploymentKey{}, fmt.Errorf("ledger: deployment key id: %w", err)
	}
	d := DeploymentKey{Generation: generation, ID: id, Wrapper: w.Name(), Made: time.Now().UnixMilli()}
	if d.Blob, err = w.Wrap(ctx, key, d.aad()); err != nil {
		return DeploymentKey{}, fmt.Errorf("wrap: %w", err)
	}
	return d, nil
}

// unwrapDeployment says who wrapped the key when that was somebody else.
func unwrapDeployment(ctx context.Context, w KeyWrapper, d DeploymentKey) ([]byte, error) {
	key, err := w.Unwrap(ctx, d.Blob, d.aad())
	if err != nil && d.Wrapper != "" && d.Wrapper != w.Name() {
		return nil, fmt.Errorf("unwrap: it was wrapped by %s, and the configuration names %s: %w", d.Wrapper, w.Name(), err)
	}
	if err != nil {
		return nil, fmt.Errorf("unwrap: %w", err)
	}
	return key, nil
}

// addDeployment makes a key of a new generation and returns what is stored then.
func (k *Keyring) addDeployment(ctx context.Context, generation int) ([]DeploymentKey, error) {
	d, err := wrapDeployment(ctx, k.wrapper, generation, newKey())
	if err != nil {
		return nil, err
	}
	return k.store.Deployment(ctx, d)
}

// indexKey is stored apart, so that the first generation can be retired. Until it is, it can be
// derived from that: whoever is first stores it, and all derive the same.
func (k *Keyring) indexKey(ctx context.Context, stored []DeploymentKey) ([]byte, error) {
	if len(stored) == 0 || stored[0].Generation > firstGeneration {
		return nil, errNoFirst
	}
	key, err := unwrapDeployment(ctx, k.wrapper, stored[0])
	if err != nil {
		return nil, fmt.Errorf("deployment key: %w", err)
	}
	if stored[0].Generation == indexGeneration {
		return key, nil
	}
	index, err := hkdf.Key(sha256.New, key, nil, infoIndex, KeySize)
	if err != nil {
		return nil, fmt.Errorf("ledger: derive index key: %w", err)
	}
	d, err := wrapDeployment(ctx, k.wrapper, indexGeneration, index)
	if err != nil {
		return nil, fmt.Errorf("index key: %w", err)
	}
	if _, err := k.store.Deployment(ctx, d); err != nil {
		return nil, fmt.Errorf("index key: %w", err)
	}
	return index, nil
}

// Refresh learns generations that other processes have added. The wrapper is asked for new ones only,
// so a process that knows them all does without it.
func (k *Keyring) Refresh(ctx context.Context) error {
	stored, err := k.store.Deployment(ctx)
	if err != nil {
		return fmt.Errorf("deployment key: %w", err)
	}
	return k.hold(ctx, stored)
}

// hold unwraps the generations that are not held yet.
func (k *Keyring) hold(ctx context.Context, stored []DeploymentKey) error {
	k.refreshing.Lock()
	defer k.refreshing.Unlock()
	before := k.held.Load()
	now := &heldKeys{newest: before.newest, keks: make(map[int]cipher.AEAD, len(before.keks)+1)}
	for generation, kek := range before.keks {
		now.keks[generation] = kek
	}
	for _, d := range stored {
		if d.Generation == indexGeneration || now.keks[d.Generation] != nil {
			continue
		}
		key, err := unwrapDeployment(ctx, k.wrapper, d)
		if err != nil {
			return fmt.Errorf("deployment key %d: %w", d.Generation, err)
		}
		if now.keks[d.Generation], err = newAEAD(key); err != nil {
			return fmt.Errorf("deployment key %d: %w", d.Generation, err)
		}
		now.newest = max(now.newest, d.Generation)
	}
	k.held.Store(now)
	return nil
}

// kek is the deployment key of a generation. One that is not known may have been added by another
// process a moment ago.
func (k *Keyring) kek(ctx context.Context, generation int) (cipher.AEAD, error) {
	if kek := k.held.Load().keks[generation]; kek != nil {
		return kek, nil
	}
	if err := k.Refresh(ctx); err != nil {
		return nil, errUnrefresh.Wrap(err)
	}
	if kek := k.held.Load().keks[generation]; kek != nil {
		return kek, nil
	}
	return nil, errMissing
}
