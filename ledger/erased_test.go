package ledger_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/filekey"
	"github.com/dosewire/dosewire/ledger/sqlite"
)

// TestErasedKeysLeaveTheCache: at once in the process that erases, and within five minutes in every
// other, however often it uses the key meanwhile.
func TestErasedKeysLeaveTheCache(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.db")
	if err := sqlite.MigrateKeys(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	db, err := sqlite.OpenKeys(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	w, err := filekey.Open(filepath.Join(t.TempDir(), "kek", "file"))
	if err != nil {
		t.Fatal(err)
	}
	store := &keyDB{KeyStore: db, wrapper: w}
	eraser, other := store.open(t), store.open(t)
	clock := time.Now()
	other.SetClock(func() time.Time { return clock })
	ref := ledger.PatientRef{Org: ledger.ID{1}, Index: []ledger.Key{eraser.Index(ledger.ID{1}, "mrn", "1")}}
	key := patients(t, eraser, ref)[0]
	patients(t, other, ref)

	raw, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	for _, q := range []string{`DELETE FROM patient_key WHERE patient = ?`, `DELETE FROM patient_index WHERE patient = ?`} {
		if _, err := raw.ExecContext(t.Context(), q, key.Patient[:]); err != nil {
			t.Fatal(err)
		}
	}
	eraser.Forget(key.Patient)
	gone := func(k *ledger.Keyring) bool {
		_, byPatient := k.ForPatient(t.Context(), key.Patient)
		_, byID := k.Key(t.Context(), key.KeyID)
		_, ok, err := k.Find(t.Context(), []ledger.PatientRef{ref})
		if err != nil {
			t.Fatal(err)
		}
		if errors.Is(byPatient, ledger.ErrErased) != errors.Is(byID, ledger.ErrErased) || ok[0] != (byID == nil) {
			t.Errorf("by patient %v, by id %v, by index %v", byPatient, byID, ok[0])
		}
		return errors.Is(byID, ledger.ErrErased)
	}
	if !gone(eraser) {
		t.Error("the process that erased still serves the key")
	}
	var lasted time.Duration
	for begin := clock; !gone(other) && lasted < time.Hour; lasted = clock.Sub(begin) {
		clock = clock.Add(10 * time.Second) // used every ten seconds: use does not make it younger
	}
	if lasted == 0 || lasted > 5*time.Minute {
		t.Errorf("another process served the key for %v, want more than nothing and 5 minutes at most", lasted)
	}
	if again := patients(t, other, ref)[0]; again.Patient == key.Patient || string(again.Key) == string(key.Key) {
		t.Error("the erased patient came back")
	}
}
