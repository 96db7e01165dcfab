package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/filekey"
	"github.com/dosewire/dosewire/ledger/sqlite"
)

// keyDB is a real key database that counts how often it is asked.
type keyDB struct {
	ledger.KeyStore
	wrapper ledger.KeyWrapper
	calls   atomic.Int64
}

func (d *keyDB) FindPatients(ctx context.Context, keys []ledger.Key) (map[ledger.Key]ledger.ID, error) {
	d.calls.Add(1)
	return d.KeyStore.FindPatients(ctx, keys)
}

func (d *keyDB) PatientKeys(ctx context.Context, ids []ledger.ID) (map[ledger.ID]ledger.WrappedKey, error) {
	d.calls.Add(1)
	return d.KeyStore.PatientKeys(ctx, ids)
}

func (d *keyDB) AddPatients(ctx context.Context, ps []ledger.NewPatient) (bool, error) {
	d.calls.Add(1)
	return d.KeyStore.AddPatients(ctx, ps)
}

func newKeyDB(t testing.TB) *keyDB {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "keys.db")
	if err := sqlite.MigrateKeys(t.Context(), path); err != nil {
		t.Fatalf("MigrateKeys: %v", err)
	}
	s, err := sqlite.OpenKeys(t.Context(), path)
	if err != nil {
		t.Fatalf("OpenKeys: %v", err)
	}
	t.Cleanup(func() { s.Close() })
	w, err := filekey.Open(filepath.Join(dir, "kek", "deployment.key"))
	if err != nil {
		t.Fatalf("filekey: %v", err)
	}
	return &keyDB{KeyStore: s, wrapper: w}
}

func (d *keyDB) open(t testing.TB) *ledger.Keyring {
	t.Helper()
	k, err := ledger.OpenKeyring(t.Context(), d, d.wrapper)
	if err != nil {
		t.Fatalf("OpenKeyring: %v", err)
	}
	return k
}

func patients(t testing.TB, k *ledger.Keyring, refs ...ledger.PatientRef) []ledger.PatientKey {
	t.Helper()
	keys, err := k.Patients(t.Context(), refs)
	if err != nil {
		t.Fatalf("Patients: %v", err)
	}
	return keys
}

func TestPatients(t *testing.T) {
	db := newKeyDB(t)
	k := db.open(t)
	org := ledger.ID{1}
	id := func(v string) ledger.Key { return k.Index(org, "urn:mrn", v) }
	ref := func(keys ...ledger.Key) ledger.PatientRef { return ledger.PatientRef{Org: org, Index: keys} }

	got := patients(t, k, ref(id("a")), ref(id("b")), ref(id("a")), ref(id("x"), id("b")), ref(id("x")))
	a, b := got[0], got[1]
	if a.Patient == b.Patient || string(a.Key) == string(b.Key) || len(a.Key) != ledger.KeySize || a.Org != org {
		t.Errorf("two patients: %v, %v", a, b)
	}
	for i, want := range []ledger.ID{a.Patient, b.Patient, a.Patient, b.Patient, b.Patient} {
		if got[i].Patient != want {
			t.Errorf("ref %d became another patient", i)
		}
	}

	for i := range got {
		if !got[i].Made {
			t.Errorf("ref %d was made by the call, which does not say so", i)
		}
	}

	fresh := db.open(t) // another process: nothing cached
	for _, ring := range []*ledger.Keyring{k, fresh, fresh} {
		again := patients(t, ring, ref(id("x")), ref(id("new"), id("a")), ref(id("new")))
		for i, want := range []ledger.PatientKey{b, a, a} {
			if again[i].Patient != want.Patient || string(again[i].Key) != string(want.Key) || again[i].KeyID != want.KeyID || again[i].Made {
				t.Errorf("ref %d: %v, want %v", i, again[i], want)
			}
		}
	}
	if other := patients(t, k, ledger.PatientRef{Org: ledger.ID{2}, Index: []ledger.Key{k.Index(ledger.ID{2}, "urn:mrn", "a")}}); other[0].Patient == a.Patient {
		t.Error("two organisations share a patient")
	}

	found, ok, err := db.open(t).Find(t.Context(), []ledger.PatientRef{ref(id("unknown")), ref(id("unknown"), id("b")), {Org: org}})
	if err != nil || ok[0] || !ok[1] || ok[2] || found[1].Patient != b.Patient {
		t.Errorf("Find: %v, %v, %v", found, ok, err)
	}
	for _, ring := range []*ledger.Keyring{k, db.open(t)} {
		byPatient, err := ring.ForPatient(t.Context(), a.Patient)
		if err != nil || string(byPatient.Key) != string(a.Key) {
			t.Errorf("ForPatient: %v, %v", byPatient, err)
		}
		byID, err := ring.Key(t.Context(), b.KeyID)
		if err != nil || string(byID.Key) != string(b.Key) || byID.Patient != b.Patient {
			t.Errorf("Key: %v, %v", byID, err)
		}
		if _, err := ring.ForPatient(t.Context(), ledger.ID{9}); !errors.Is(err, ledger.ErrErased) {
			t.Errorf("ForPatient of nobody: %v, want ErrErased", err)
		}
		if _, err := ring.Key(t.Context(), ledger.ID{9}); !errors.Is(err, ledger.ErrErased) {
			t.Errorf("Key of nothing: %v, want ErrErased", err)
		}
	}
	if _, err := k.Patients(t.Context(), []ledger.PatientRef{{Org: org}}); err == nil {
		t.Error("a ref without index keys was taken")
	}
	if s := fmt.Sprintf("%v %+v %#v", a, a, a); len(s) > 200 {
		t.Errorf("a printed key shows more than its id: %d characters", len(s))
	}
}

// TestPatientsInBatchesOrAlone: the patients do not depend on how messages were batched.
func TestPatientsInBatchesOrAlone(t *testing.T) {
	org := ledger.ID{1}
	shapes := [][]string{{"a"}, {"b"}, {"a", "b"}, {"c", "b"}, {"c"}, {"d", "c", "a"}, {"d"}, {"b", "a"}}
	groups := func(step int) (same [][]int) {
		k := newKeyDB(t).open(t)
		var refs []ledger.PatientRef
		for _, names := range shapes {
			r := ledger.PatientRef{Org: org}
			for _, n := range names {
				r.Index = append(r.Index, k.Index(org, n))
			}
			refs = append(refs, r)
		}
		first := map[ledger.ID]int{}
		for i := 0; i < len(refs); i += step {
			for j, p := range patients(t, k, refs[i:min(i+step, len(refs))]...) {
				if _, seen := first[p.Patient]; !seen {
					first[p.Patient] = i + j
				}
				same = append(same, []int{i + j, first[p.Patient]})
			}
		}
		return same
	}
	alone := fmt.Sprint(groups(1))
	for _, step := range []int{2, 3, len(shapes)} {
		if got := fmt.Sprint(groups(step)); got != alone {
			t.Errorf("batches of %d: %s, want %s", step, got, alone)
		}
	}
}

// TestManyMakeOnePatient races goroutines of two processes for the same new patients.
func TestManyMakeOnePatient(t *testing.T) {
	db := newKeyDB(t)
	rings := []*ledger.Keyring{db.open(t), db.open(t)}
	const callers, shared = 16, 5
	var (
		wg  sync.WaitGroup
		got [callers][]ledger.PatientKey
	)
	for i := range callers {
		k := rings[i%len(rings)]
		wg.Go(func() {
			var refs []ledger.PatientRef
			for j := range shared {
				refs = append(refs, ledger.PatientRef{Index: []ledger.Key{k.Index(ledger.ID{}, fmt.Sprint(j))}})
			}
			var err error
			if got[i], err = k.Patients(t.Context(), refs); err != nil {
				t.Errorf("Patients: %v", err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	for i := range got {
		for j := range got[i] {
			if got[i][j].Patient != got[0][j].Patient || string(got[i][j].Key) != string(got[0][j].Key) {
				t.Fatalf("caller %d has another patient %d", i, j)
			}
		}
	}
}

// TestFewQueries: a batch asks the store a fixed number of times, a warm one not at all.
func TestFewQueries(t *testing.T) {
	db := newKeyDB(t)
	k := db.open(t)
	refs := batchOfRefs(k, 1000)
	for _, tt := range []struct {
		name string
		ring *ledger.Keyring
		most int64
	}{{"new", k, 2}, {"warm", k, 0}, {"cold", db.open(t), 2}} {
		db.calls.Store(0)
		patients(t, tt.ring, refs...)
		if n := db.calls.Load(); n > tt.most {
			t.Errorf("%s: %d calls for 1000 patients, want at most %d", tt.name, n, tt.most)
		}
	}
	k.Forget(patients(t, k, refs[0])[0].Patient)
	db.calls.Store(0)
	if patients(t, k, refs[0]); db.calls.Load() == 0 {
		t.Error("a forgotten patient came out of the cache")
	}
}

func TestCacheIsBounded(t *testing.T) {
	db := newKeyDB(t)
	k := db.open(t)
	for range 3 {
		patients(t, k, batchOfRefs(k, 5000)...)
	}
	if n := k.Cached(); n > 10_000 {
		t.Errorf("%d patients cached", n)
	}
}

func TestOwnKeys(t *testing.T) {
	db := newKeyDB(t)
	k := db.open(t)
	seen := map[ledger.ID]string{}
	for name, get := range map[string]func(*ledger.Keyring) (ledger.PatientKey, error){
		"hub":   func(k *ledger.Keyring) (ledger.PatientKey, error) { return k.Hub(t.Context()) },
		"day 1": func(k *ledger.Keyring) (ledger.PatientKey, error) { return k.Quarantine(t.Context(), 1) },
		"day 2": func(k *ledger.Keyring) (ledger.PatientKey, error) { return k.Quarantine(t.Context(), 2) },
	} {
		first, err := get(k)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if other, taken := seen[first.KeyID]; taken {
			t.Errorf("%s has the key of %s", name, other)
		}
		seen[first.KeyID] = name
		again, err := get(db.open(t))
		if err != nil || again.KeyID != first.KeyID || string(again.Key) != string(first.Key) {
			t.Errorf("%s in another process: %v, %v", name, again, err)
		}
	}
}

func TestIndexAndFingerprint(t *testing.T) {
	db := newKeyDB(t)
	k, other := db.open(t), newKeyDB(t).open(t)
	a := k.Index(ledger.ID{1}, "s", "v")
	if a != db.open(t).Index(ledger.ID{1}, "s", "v") {
		t.Error("the index differs between processes")
	}
	if a.Hash == k.Index(ledger.ID{1}, "sv").Hash || a.Hash == other.Index(ledger.ID{1}, "s", "v").Hash {
		t.Error("two indexes are equal")
	}
	if a.Org != (ledger.ID{1}) || a.Hash != k.Fingerprint([]byte("s\x00v")) {
		t.Error("the index is not the HMAC of the parts joined by 0x00")
	}
}

// TestWrongDeploymentKey: a key database and a key file that do not belong together say so.
func TestWrongDeploymentKey(t *testing.T) {
	db := newKeyDB(t)
	db.open(t)
	_, err := ledger.OpenKeyring(t.Context(), db, newKeyDB(t).wrapper)
	if !errors.Is(err, filekey.ErrUnwrap) || fault.KindOf(err) != fault.Tampered {
		t.Errorf("OpenKeyring: %v, want ErrUnwrap", err)
	}
}

func batchOfRefs(k *ledger.Keyring, n int) []ledger.PatientRef {
	refs := make([]ledger.PatientRef, n)
	for i := range refs {
		org := ledger.ID{byte(i), byte(n)}
		name := uuid.NewString() // another patient in each batch
		refs[i] = ledger.PatientRef{Org: org, Index: []ledger.Key{k.Index(org, "urn:mrn", name), k.Index(org, "local", name)}}
	}
	return refs
}

func BenchmarkPatientsWarm1000(b *testing.B) {
	k := newKeyDB(b).open(b)
	refs := batchOfRefs(k, 1000)
	patients(b, k, refs...)
	b.ReportAllocs()
	for b.Loop() {
		patients(b, k, refs...)
	}
}

func BenchmarkPatientsNew1000(b *testing.B) {
	k := newKeyDB(b).open(b)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		refs := batchOfRefs(k, 1000)
		b.StartTimer()
		patients(b, k, refs...)
	}
}
