package ledger

import (
	"context"

	"github.com/dosewire/dosewire/internal/fault"
)

// ErrOwnKey: the hub's own key, which every deployment has from its first entry on, is not in the key
// database. Restore it: other keys will be missing too.
var ErrOwnKey = fault.New(fault.Tampered, "ledger: the hub's own key is gone from the key database: restore it from its backup")

// Check asks the key database, past every cache, whether the hub's own key is there and opens. It tells
// the loss of keys from the erasure of a patient. ErrOwnKey, or the kind Tampered for a key that was
// changed.
func (k *Keyring) Check(ctx context.Context) error {
	index := k.Index(ID{}, nameHub)
	found, err := k.store.FindPatients(ctx, []Key{index})
	if err != nil {
		return err
	}
	keys, err := k.store.PatientKeys(ctx, []ID{found[index]})
	if err != nil {
		return err
	}
	wrapped, ok := keys[found[index]]
	if !ok {
		return ErrOwnKey
	}
	_, err = k.unwrap(ctx, wrapped)
	return err
}
