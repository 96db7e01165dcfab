package ledger_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/ledger"
)

// slowDB lets somebody do something while a key is on its way from the database.
type slowDB struct {
	ledger.KeyStore
	meanwhile func()
}

func (d *slowDB) PatientKeys(ctx context.Context, ids []ledger.ID) (map[ledger.ID]ledger.WrappedKey, error) {
	keys, err := d.KeyStore.PatientKeys(ctx, ids)
	if do := d.meanwhile; do != nil {
		d.meanwhile = nil
		do()
	}
	return keys, err
}

func TestShred(t *testing.T) {
	ctx, db, org := t.Context(), newKeyDB(t), uuid.Must(uuid.NewV7())
	k := db.open(t)
	ref := func(name string) ledger.PatientRef {
		return ledger.PatientRef{Org: org, Index: []ledger.Key{k.Index(org, "patient", name)}}
	}
	all := patients(t, k, ref("a"), ref("b"))
	if found, err := k.Shred(ctx, []ledger.ID{all[0].KeyID}); err != nil || found != 1 {
		t.Fatalf("Shred: %d, %v", found, err)
	}
	if _, err := k.Key(ctx, all[0].KeyID); !errors.Is(err, ledger.ErrErased) {
		t.Errorf("Key: %v, want ErrErased", err)
	}
	if _, err := k.ForPatient(ctx, all[0].Patient); !errors.Is(err, ledger.ErrErased) {
		t.Errorf("ForPatient: %v, want ErrErased", err)
	}
	if missing, err := k.MissingKeys(ctx, []ledger.ID{all[0].KeyID, all[1].KeyID}); err != nil || len(missing) != 1 || missing[0] != all[0].KeyID {
		t.Errorf("MissingKeys: %v, %v", missing, err)
	}
	again := patients(t, k, ref("a"), ref("b"))
	if again[0].Patient == all[0].Patient || again[1].Patient != all[1].Patient {
		t.Error("the erased patient is still the same one, or another is not")
	}
}

// A key that is read while its patient is erased is not kept.
func TestShredWhileReading(t *testing.T) {
	ctx, db, org := t.Context(), newKeyDB(t), uuid.Must(uuid.NewV7())
	writer := db.open(t)
	slow := &slowDB{KeyStore: db.KeyStore}
	k, err := ledger.OpenKeyring(ctx, slow, db.wrapper)
	if err != nil {
		t.Fatal(err)
	}
	ref := ledger.PatientRef{Org: org, Index: []ledger.Key{k.Index(org, "patient", "a")}}
	who := patients(t, writer, ref)[0]
	slow.meanwhile = func() {
		if _, err := k.Shred(ctx, []ledger.ID{who.KeyID}); err != nil {
			t.Error(err)
		}
	}
	if _, _, err := k.Find(ctx, []ledger.PatientRef{ref}); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := k.Find(ctx, []ledger.PatientRef{ref}); err != nil || ok[0] {
		t.Errorf("the erased patient is found: %v", err)
	}
	if _, err := k.Key(ctx, who.KeyID); !errors.Is(err, ledger.ErrErased) {
		t.Errorf("Key: %v, want ErrErased", err)
	}
}
