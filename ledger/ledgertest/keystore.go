package ledgertest

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dosewire/dosewire/ledger"
)

// TestKeyStore runs the suite of the second database. open is called once for each subtest.
func TestKeyStore(t *testing.T, open func(testing.TB) ledger.KeyStore) {
	for name, run := range map[string]func(*testing.T, ledger.KeyStore){
		"Deployment":       testDeployment,
		"Patients":         testPatients,
		"IndexKeepsItsOwn": testIndexConflict,
		"MoreIndexKeys":    testMoreIndexKeys,
		"ManyPatients":     testManyPatients,
		"NewestKeyRules":   testNewestKey,
		"EraseKeys":        testEraseKeys,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			if name != "Deployment" {
				deploy(t, s, newGeneration(1))
			}
			run(t, s)
		})
	}
}

func newGeneration(n int) ledger.DeploymentKey {
	return ledger.DeploymentKey{Generation: n, ID: newID(), Wrapper: "test", Made: int64(n) * 1000, Blob: randomBytes(60)}
}

func deploy(t *testing.T, s ledger.KeyStore, add ...ledger.DeploymentKey) []ledger.DeploymentKey {
	t.Helper()
	all, err := s.Deployment(t.Context(), add...)
	if err != nil {
		t.Fatalf("Deployment: %v", err)
	}
	return all
}

// testDeployment lets many nodes start at once: all must end with one key.
func testDeployment(t *testing.T, s ledger.KeyStore) {
	if none, err := s.Deployment(t.Context()); err != nil || len(none) != 0 {
		t.Errorf("Deployment before there is one: %d bytes, %v", len(none), err)
	}
	const nodes = 8
	var (
		wg  sync.WaitGroup
		got [nodes][]ledger.DeploymentKey
	)
	if none := deploy(t, s); len(none) != 0 {
		t.Errorf("a new database holds %v", none)
	}
	for i := range nodes {
		wg.Go(func() {
			var err error
			if got[i], err = s.Deployment(t.Context(), newGeneration(1), newGeneration(0)); err != nil {
				t.Errorf("Deployment: %v", err)
			}
		})
	}
	wg.Wait()
	for i := range nodes {
		same(t, "deployment keys", got[i], got[0])
	}
	if len(got[0]) != 2 || got[0][0].Generation != 0 || got[0][1].Generation != 1 {
		t.Errorf("stored: %v, want generations 0 and 1", got[0])
	}
	second := newGeneration(2)
	same(t, "with a second", deploy(t, s, second), append(got[0], second))
}

func newPatient(index ...ledger.Key) ledger.NewPatient {
	p := ledger.NewPatient{Patient: newID(), Index: index}
	p.Key = ledger.WrappedKey{ID: newID(), Org: newID(), Patient: p.Patient, Generation: 1, Blob: randomBytes(60)}
	return p
}

func addPatients(t *testing.T, s ledger.KeyStore, ps ...ledger.NewPatient) (all bool) {
	t.Helper()
	all, err := s.AddPatients(t.Context(), ps)
	if err != nil {
		t.Fatalf("AddPatients: %v", err)
	}
	return all
}

func findPatients(t *testing.T, s ledger.KeyStore, keys ...ledger.Key) map[ledger.Key]ledger.ID {
	t.Helper()
	got, err := s.FindPatients(t.Context(), keys)
	if err != nil {
		t.Fatalf("FindPatients: %v", err)
	}
	return got
}

func testPatients(t *testing.T, s ledger.KeyStore) {
	org := newID()
	k1, k2, absent := key(org), key(org), key(org)
	p, hub := newPatient(k1, k2), newPatient()
	hub.Key.Org = ledger.ID{}
	if !addPatients(t, s, p, hub) || !addPatients(t, s) {
		t.Error("not all index rows of new patients are said to be new")
	}

	stranger := ledger.Key{Org: newID(), Hash: k1.Hash}
	same(t, "index", findPatients(t, s, k1, absent, k2, stranger, k1), map[ledger.Key]ledger.ID{k1: p.Patient, k2: p.Patient})
	same(t, "nothing asked", findPatients(t, s), map[ledger.Key]ledger.ID{})

	byPatient, err := s.PatientKeys(t.Context(), []ledger.ID{p.Patient, newID(), hub.Patient})
	if err != nil {
		t.Fatalf("PatientKeys: %v", err)
	}
	same(t, "by patient", byPatient, map[ledger.ID]ledger.WrappedKey{p.Patient: p.Key, hub.Patient: hub.Key})
	byID, err := s.Keys(t.Context(), []ledger.ID{hub.Key.ID, p.Key.ID, newID()})
	if err != nil {
		t.Fatalf("Keys: %v", err)
	}
	same(t, "by key id", byID, map[ledger.ID]ledger.WrappedKey{p.Key.ID: p.Key, hub.Key.ID: hub.Key})
}

// testIndexConflict races for one index key: it belongs to the first, for ever.
func testIndexConflict(t *testing.T, s ledger.KeyStore) {
	k := key(newID())
	var wg sync.WaitGroup
	var first atomic.Int64
	for range 8 {
		wg.Go(func() {
			all, err := s.AddPatients(t.Context(), []ledger.NewPatient{newPatient(k), newPatient(key(k.Org))})
			if err != nil {
				t.Errorf("AddPatients: %v", err)
			}
			if all {
				first.Add(1)
			}
		})
	}
	wg.Wait()
	if first.Load() != 1 {
		t.Errorf("%d callers are said to be the first", first.Load())
	}
	owner := findPatients(t, s, k)
	if len(owner) != 1 {
		t.Fatal("nobody owns the index key")
	}
	if addPatients(t, s, newPatient(k)) {
		t.Error("an index row of another patient is said to be new")
	}
	same(t, "owner", findPatients(t, s, k), owner)
}

// testMoreIndexKeys adds index rows to a known patient by naming it with the key it has.
func testMoreIndexKeys(t *testing.T, s ledger.KeyStore) {
	k1, k2, k3 := key(newID()), key(newID()), key(newID())
	p, other := newPatient(k1), newPatient(k3)
	addPatients(t, s, p, other)
	addPatients(t, s, ledger.NewPatient{Patient: p.Patient, Key: p.Key, Index: []ledger.Key{k1, k2, k3}})
	same(t, "index", findPatients(t, s, k1, k2, k3), map[ledger.Key]ledger.ID{k1: p.Patient, k2: p.Patient, k3: other.Patient})
	keys, err := s.PatientKeys(t.Context(), []ledger.ID{p.Patient})
	if err != nil {
		t.Fatalf("PatientKeys: %v", err)
	}
	same(t, "key", keys, map[ledger.ID]ledger.WrappedKey{p.Patient: p.Key})
}

// testManyPatients is one batch of the recorder: every list at its full length.
func testManyPatients(t *testing.T, s ledger.KeyStore) {
	const n = 1000
	var (
		ps    []ledger.NewPatient
		index []ledger.Key
		ids   []ledger.ID
	)
	for range n {
		p := newPatient(key(newID()), key(newID()), key(newID()))
		ps, index, ids = append(ps, p), append(index, p.Index...), append(ids, p.Patient)
	}
	addPatients(t, s, ps...)
	if got := len(findPatients(t, s, index...)); got != 3*n {
		t.Errorf("found %d index keys, want %d", got, 3*n)
	}
	keys, err := s.PatientKeys(t.Context(), ids)
	if err != nil || len(keys) != n {
		t.Errorf("found %d keys, want %d: %v", len(keys), n, err)
	}
}

// testNewestKey gives a patient a second key: new records use it, old ones stay readable.
func testNewestKey(t *testing.T, s ledger.KeyStore) {
	p := newPatient(key(newID()))
	next := ledger.WrappedKey{ID: newID(), Org: p.Key.Org, Patient: p.Patient, Generation: 1, Blob: randomBytes(60)}
	addPatients(t, s, p)
	addPatients(t, s, ledger.NewPatient{Patient: p.Patient, Key: next})
	current, err := s.PatientKeys(t.Context(), []ledger.ID{p.Patient})
	if err != nil {
		t.Fatalf("PatientKeys: %v", err)
	}
	same(t, "current", current, map[ledger.ID]ledger.WrappedKey{p.Patient: next})
	both, err := s.Keys(t.Context(), []ledger.ID{p.Key.ID, next.ID})
	if err != nil {
		t.Fatalf("Keys: %v", err)
	}
	same(t, "both", both, map[ledger.ID]ledger.WrappedKey{p.Key.ID: p.Key, next.ID: next})
}
