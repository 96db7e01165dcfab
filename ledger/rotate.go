package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// rewrapBatch is how many keys are wrapped anew in one transaction: what is locked at once stays short.
const rewrapBatch = 500

// maxRewrapRounds bounds how often Rewrap looks again for keys that other processes wrapped under an
// old generation meanwhile.
const maxRewrapRounds = 16

// Generations is what rotation needs of a key database. Both stores have it and pass
// ledgertest.TestGenerations. All methods are safe for concurrent use and durable when they return nil.
type Generations interface {
	KeyStore
	// Move replaces the wrapped form of a generation if it is still from's. ErrRotated otherwise.
	Move(ctx context.Context, from, to DeploymentKey) error
	// Retire deletes a generation that wraps no key any more. The newest and the index key stay.
	// ErrInUse when keys are wrapped under it still.
	Retire(ctx context.Context, generation int) error
	// CountKeys returns the number of data keys by generation. Generations without any are absent.
	CountKeys(ctx context.Context) (map[int]uint64, error)
	// KeysUnder returns the keys of one generation with an id greater than after, by id, at most limit.
	KeysUnder(ctx context.Context, generation int, after ID, limit int) ([]WrappedKey, error)
	// Rewrap replaces the blob and generation of those keys that are still there and still of an older
	// generation, in one transaction, and returns how many. It never adds a key: what was erased
	// meanwhile stays erased.
	Rewrap(ctx context.Context, keys []WrappedKey) (int, error)
}

// Rotate makes the next generation of the deployment key. From then on this process wraps new data
// keys under it, and the others as soon as they have seen it (Refresh). What is wrapped stays as it is
// until Rewrap. ErrRotated.
func (k *Keyring) Rotate(ctx context.Context) (DeploymentKey, error) {
	if err := k.Refresh(ctx); err != nil {
		return DeploymentKey{}, err
	}
	made, err := wrapDeployment(ctx, k.wrapper, k.held.Load().newest+1, newKey())
	if err != nil {
		return DeploymentKey{}, fmt.Errorf("new deployment key: %w", err)
	}
	stored, err := k.store.Deployment(ctx, made)
	if err != nil {
		return DeploymentKey{}, fmt.Errorf("new deployment key: %w", err)
	}
	if err := k.hold(ctx, stored); err != nil {
		return DeploymentKey{}, err
	}
	if !slices.ContainsFunc(stored, func(d DeploymentKey) bool { return d.ID == made.ID }) {
		return DeploymentKey{}, ErrRotated
	}
	return made, nil
}

// Rewrapped is what a Rewrap did.
type Rewrapped struct {
	Keys    uint64 // wrapped anew by this call
	Total   uint64 // that were under old generations when it began
	Damaged uint64 // that cannot be unwrapped; they stay, and so does their generation
	First   ID     // id of the first damaged key
	Retired []int  // generations that are gone
}

// Rewrap wraps every data key of s under the newest generation of the deployment key and retires the
// older ones. Records and their digests do not change. It can be stopped at any time and called again,
// while hubs run, and by several at once: each key is replaced in its row, or left. progress may be
// nil; it is called after each batch.
func (k *Keyring) Rewrap(ctx context.Context, s Generations, progress func(done, total uint64)) (r Rewrapped, err error) {
	if err := k.Refresh(ctx); err != nil {
		return r, err
	}
	newest := k.held.Load().newest
	counts, err := s.CountKeys(ctx)
	if err != nil {
		return r, err
	}
	for generation, n := range counts {
		if generation < newest {
			r.Total += n
		}
	}
	stored, err := s.Deployment(ctx)
	if err != nil {
		return r, err
	}
	for _, d := range stored {
		if d.Generation == indexGeneration || d.Generation >= newest {
			continue
		}
		if err := k.empty(ctx, s, d.Generation, &r, progress); err != nil {
			return r, err
		}
	}
	return r, nil
}

// empty moves all keys out of a generation and retires it.
func (k *Keyring) empty(ctx context.Context, s Generations, generation int, r *Rewrapped, progress func(done, total uint64)) error {
	for range maxRewrapRounds {
		damaged, err := k.pass(ctx, s, generation, r, progress)
		if err != nil {
			return err
		}
		if damaged > 0 {
			r.Damaged += damaged
			return nil
		}
		err = s.Retire(ctx, generation)
		if err == nil {
			r.Retired = append(r.Retired, generation)
			return nil
		}
		if !errors.Is(err, ErrInUse) {
			return err
		}
	}
	return ErrInUse
}

// pass goes over a generation once.
func (k *Keyring) pass(ctx context.Context, s Generations, generation int, r *Rewrapped, progress func(done, total uint64)) (damaged uint64, err error) {
	var after ID
	for {
		old, err := s.KeysUnder(ctx, generation, after, rewrapBatch)
		if err != nil || len(old) == 0 {
			return damaged, err
		}
		after = old[len(old)-1].ID
		anew := make([]WrappedKey, 0, len(old))
		for _, w := range old {
			key, err := k.unwrap(ctx, w)
			switch {
			case errors.Is(err, ErrUnwrap), errors.Is(err, errKeySize):
				if damaged++; r.First == (ID{}) {
					r.First = w.ID
				}
			case err != nil:
				return damaged, err
			default:
				anew = append(anew, k.wrap(key))
			}
		}
		n, err := s.Rewrap(ctx, anew)
		if err != nil {
			return damaged, err
		}
		if r.Keys += uint64(n); progress != nil {
			progress(r.Keys, max(r.Total, r.Keys))
		}
	}
}

// MoveDeployment wraps the generations of the deployment key and the index key by another wrapper. No
// data key is touched. It can be stopped and called again: what is moved already is left. It returns
// how many were moved.
func MoveDeployment(ctx context.Context, s Generations, from, to KeyWrapper) (moved int, err error) {
	stored, err := s.Deployment(ctx)
	if err != nil {
		return 0, fmt.Errorf("deployment key: %w", err)
	}
	for _, d := range stored {
		if d.Wrapper == to.Name() {
			continue
		}
		key, err := unwrapDeployment(ctx, from, d)
		if err != nil {
			return moved, fmt.Errorf("deployment key %d: %w", d.Generation, err)
		}
		next := d
		next.Wrapper = to.Name()
		if next.Blob, err = to.Wrap(ctx, key, next.aad()); err != nil {
			return moved, fmt.Errorf("deployment key %d: wrap: %w", d.Generation, err)
		}
		// Nothing is replaced before the new form has been seen to open.
		again, err := unwrapDeployment(ctx, to, next)
		if err == nil && !bytes.Equal(again, key) {
			err = ErrUnwrap
		}
		if err != nil {
			return moved, fmt.Errorf("deployment key %d: %w", d.Generation, err)
		}
		if err := s.Move(ctx, d, next); err != nil {
			return moved, fmt.Errorf("deployment key %d: %w", d.Generation, err)
		}
		moved++
	}
	return moved, nil
}

// GenerationStatus is one generation of the deployment key, without any secret.
type GenerationStatus struct {
	Generation int    // 0 is the index key
	Wrapper    string // "" when not noted
	Made       int64  // unix ms; 0 when not noted
	Keys       uint64 // data keys wrapped under it
	Newest     bool
}

// StatusOfKeys lists the index key and the generations, lowest first.
func StatusOfKeys(ctx context.Context, s Generations) ([]GenerationStatus, error) {
	stored, err := s.Deployment(ctx)
	if err != nil {
		return nil, err
	}
	counts, err := s.CountKeys(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]GenerationStatus, 0, len(stored))
	for i, d := range stored {
		all = append(all, GenerationStatus{Generation: d.Generation, Wrapper: d.Wrapper, Made: d.Made,
			Keys: counts[d.Generation], Newest: i == len(stored)-1 && d.Generation != indexGeneration})
		delete(counts, d.Generation)
	}
	for _, generation := range slices.Sorted(maps.Keys(counts)) { // a database without its constraint
		all = append(all, GenerationStatus{Generation: generation, Wrapper: "missing", Keys: counts[generation]})
	}
	return all, nil
}
