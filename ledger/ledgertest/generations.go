package ledgertest

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/dosewire/dosewire/ledger"
)

// TestGenerations runs the suite of a key database whose deployment key can be replaced. open is
// called once for each subtest.
func TestGenerations(t *testing.T, open func(testing.TB) ledger.Generations) {
	for name, run := range map[string]func(*testing.T, ledger.Generations){
		"RewrapReplacesOnly": testRewrap,
		"RetireOnlyWhatIs":   testRetire,
		"Move":               testMove,
		"KeysUnder":          testKeysUnder,
		"RotateAndRewrap":    testRotateAndRewrap,
		"RetiredElsewhere":   testRetiredElsewhere,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, open(t))
		})
	}
}

func rewrap(t *testing.T, s ledger.Generations, keys ...ledger.WrappedKey) int {
	t.Helper()
	n, err := s.Rewrap(t.Context(), keys)
	if err != nil {
		t.Fatalf("Rewrap: %v", err)
	}
	return n
}

func anew(w ledger.WrappedKey, generation int) ledger.WrappedKey {
	w.Generation, w.Blob = generation, randomBytes(60)
	return w
}

func testRewrap(t *testing.T, s ledger.Generations) {
	deploy(t, s, newGeneration(1), newGeneration(2), newGeneration(3))
	a, b, erased := newPatient(), newPatient(), newPatient()
	addPatients(t, s, a, b)
	third := anew(b.Key, 3)
	if n := rewrap(t, s, anew(erased.Key, 2), third); n != 1 {
		t.Errorf("replaced %d, want 1: what is not there must not come back", n)
	}
	second := anew(a.Key, 2)
	if n := rewrap(t, s, second, anew(b.Key, 2)); n != 1 {
		t.Errorf("replaced %d, want 1: no key goes back to an older generation", n)
	}
	if n := rewrap(t, s, anew(a.Key, 2)); n != 0 {
		t.Errorf("replaced %d, want 0: the first of two wins", n)
	}
	got, err := s.Keys(t.Context(), []ledger.ID{a.Key.ID, b.Key.ID, erased.Key.ID})
	if err != nil {
		t.Fatalf("Keys: %v", err)
	}
	same(t, "keys", got, map[ledger.ID]ledger.WrappedKey{a.Key.ID: second, b.Key.ID: third})
	if _, err := s.Rewrap(t.Context(), []ledger.WrappedKey{anew(a.Key, 9)}); !errors.Is(err, ledger.ErrGeneration) {
		t.Errorf("under a generation that is not stored: %v, want ErrGeneration", err)
	}
}

func testRetire(t *testing.T, s ledger.Generations) {
	all := deploy(t, s, newGeneration(0), newGeneration(1), newGeneration(2))
	p := newPatient()
	addPatients(t, s, p)
	if err := s.Retire(t.Context(), 1); !errors.Is(err, ledger.ErrInUse) {
		t.Errorf("Retire one in use: %v, want ErrInUse", err)
	}
	rewrap(t, s, anew(p.Key, 2))
	for _, generation := range []int{0, 2, 7} { // the index key, the newest, none
		if err := s.Retire(t.Context(), generation); err != nil {
			t.Errorf("Retire %d: %v", generation, err)
		}
	}
	same(t, "generations", deploy(t, s), all)
	if err := s.Retire(t.Context(), 1); err != nil {
		t.Errorf("Retire: %v", err)
	}
	same(t, "after retiring", deploy(t, s), []ledger.DeploymentKey{all[0], all[2]})
	if _, err := s.AddPatients(t.Context(), []ledger.NewPatient{newPatient()}); !errors.Is(err, ledger.ErrGeneration) {
		t.Errorf("a key under a retired generation: %v, want ErrGeneration", err)
	}
	counts, err := s.CountKeys(t.Context())
	if err != nil {
		t.Fatalf("CountKeys: %v", err)
	}
	same(t, "counts", counts, map[int]uint64{2: 1})
}

func testMove(t *testing.T, s ledger.Generations) {
	first := newGeneration(1)
	deploy(t, s, first)
	moved := first
	moved.Wrapper, moved.Blob = "other", randomBytes(90)
	if err := s.Move(t.Context(), first, moved); err != nil {
		t.Fatalf("Move: %v", err)
	}
	if err := s.Move(t.Context(), first, first); !errors.Is(err, ledger.ErrRotated) {
		t.Errorf("Move what was moved: %v, want ErrRotated", err)
	}
	same(t, "moved", deploy(t, s), []ledger.DeploymentKey{moved})
}

func testKeysUnder(t *testing.T, s ledger.Generations) {
	deploy(t, s, newGeneration(1), newGeneration(2))
	var want []ledger.WrappedKey
	for i := range 25 {
		p := newPatient()
		if i%5 == 0 {
			p.Key.Generation = 2
		} else {
			want = append(want, p.Key)
		}
		addPatients(t, s, p)
	}
	var got []ledger.WrappedKey
	var after ledger.ID
	for {
		page, err := s.KeysUnder(t.Context(), 1, after, 7)
		if err != nil {
			t.Fatalf("KeysUnder: %v", err)
		}
		if len(page) == 0 {
			break
		}
		got, after = append(got, page...), page[len(page)-1].ID
	}
	same(t, "keys", got, want)
}

// plainWrapper is enough where the store is what is tested: it hides nothing and compares the aad.
type plainWrapper struct{}

func (plainWrapper) Name() string { return "plain" }

func (plainWrapper) Wrap(_ context.Context, key, aad []byte) ([]byte, error) {
	return slices.Concat(key, aad), nil
}

func (plainWrapper) Unwrap(_ context.Context, blob, aad []byte) ([]byte, error) {
	key, ok := bytes.CutSuffix(blob, aad)
	if !ok || len(key) != ledger.KeySize {
		return nil, errors.New("wrapped for something else")
	}
	return key, nil
}

func openRing(t *testing.T, s ledger.KeyStore) *ledger.Keyring {
	t.Helper()
	k, err := ledger.OpenKeyring(t.Context(), s, plainWrapper{})
	if err != nil {
		t.Fatalf("OpenKeyring: %v", err)
	}
	return k
}

func ringPatient(t *testing.T, k *ledger.Keyring, name string) ledger.PatientKey {
	t.Helper()
	keys, err := k.Patients(t.Context(), []ledger.PatientRef{{Index: []ledger.Key{k.Index(ledger.ID{}, name)}}})
	if err != nil {
		t.Fatalf("Patients: %v", err)
	}
	return keys[0]
}

// testRotateAndRewrap has two processes that add patients and two that rewrap, all at once.
func testRotateAndRewrap(t *testing.T, s ledger.Generations) {
	rings := []*ledger.Keyring{openRing(t, s), openRing(t, s)}
	const each = 300
	before := make(map[string]ledger.PatientKey, each)
	for i := range each {
		name := "old-" + string(rune('a'+i%26)) + string(rune('a'+i/26))
		before[name] = ringPatient(t, rings[0], name)
	}
	if _, err := rings[0].Rotate(t.Context()); err != nil {
		t.Fatalf("Rotate: %v", err)
	}
	var wg sync.WaitGroup
	var added [2]ledger.PatientKey
	for i, k := range rings {
		wg.Go(func() {
			if _, err := k.Rewrap(t.Context(), s, nil); err != nil {
				t.Errorf("Rewrap: %v", err)
			}
		})
		wg.Go(func() {
			for j := range 50 {
				ref := ledger.PatientRef{Index: []ledger.Key{k.Index(ledger.ID{}, "new", string(rune('a'+i)), string(rune('a'+j)))}}
				keys, err := k.Patients(t.Context(), []ledger.PatientRef{ref})
				if err != nil {
					t.Errorf("Patients while rewrapping: %v", err)
					return
				}
				added[i] = keys[0]
			}
		})
	}
	wg.Wait()
	counts, err := s.CountKeys(t.Context())
	if err != nil {
		t.Fatalf("CountKeys: %v", err)
	}
	same(t, "keys by generation", counts, map[int]uint64{2: each + 100})
	if all := deploy(t, s); len(all) != 2 || all[0].Generation != 0 || all[1].Generation != 2 {
		t.Errorf("generations: %d, want the index key and 2", len(all))
	}
	fresh := openRing(t, s)
	for name, want := range before {
		if got := ringPatient(t, fresh, name); got.KeyID != want.KeyID || string(got.Key) != string(want.Key) {
			t.Fatalf("%s: %v, want %v", name, got, want)
		}
	}
	for _, want := range added {
		if got, err := fresh.Key(t.Context(), want.KeyID); err != nil || string(got.Key) != string(want.Key) {
			t.Errorf("added meanwhile: %v, %v", got, err)
		}
	}
}

// testRetiredElsewhere: a process that has slept through a rotation and its end adds patients all the
// same, under the new generation, and reads what the others wrapped.
func testRetiredElsewhere(t *testing.T, s ledger.Generations) {
	busy, asleep := openRing(t, s), openRing(t, s)
	old := ringPatient(t, busy, "old")
	if _, err := busy.Rotate(t.Context()); err != nil {
		t.Fatalf("Rotate: %v", err)
	}
	if r, err := busy.Rewrap(t.Context(), s, nil); err != nil || r.Keys != 1 || len(r.Retired) != 1 {
		t.Fatalf("Rewrap: %+v, %v", r, err)
	}
	ringPatient(t, asleep, "added")
	if got := ringPatient(t, asleep, "old"); string(got.Key) != string(old.Key) {
		t.Error("the key of another generation differs")
	}
	counts, err := s.CountKeys(t.Context())
	if err != nil {
		t.Fatalf("CountKeys: %v", err)
	}
	same(t, "keys by generation", counts, map[int]uint64{2: 2})
}

// Legacy is what a key database of schema 1 held: one deployment key, and a patient under it.
type Legacy struct {
	Deployment []byte // for deployment.blob
	Key        ledger.WrappedKey
	Index      ledger.Key

	plain []byte
}

// NewLegacy makes such contents by the rules of schema 1 (docs/ledger-format.md).
func NewLegacy(t testing.TB) Legacy {
	t.Helper()
	kek := randomBytes(ledger.KeySize)
	index, err := hkdf.Key(sha256.New, kek, nil, "dosewire/index/v1", ledger.KeySize)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(kek)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		t.Fatal(err)
	}
	l := Legacy{Deployment: append(kek, "dosewire/kek/v1"...), plain: randomBytes(ledger.KeySize)}
	l.Key = ledger.WrappedKey{ID: newID(), Org: newID(), Patient: newID(), Generation: 1}
	l.Key.Blob = aead.Seal(nil, nil, l.plain, slices.Concat(l.Key.Org[:], l.Key.ID[:]))
	mac := hmac.New(sha256.New, index)
	mac.Write([]byte("mrn\x001"))
	l.Index.Org = l.Key.Org
	mac.Sum(l.Index.Hash[:0])
	return l
}

// Check opens a migrated database that held l: the patient is found by the same index and has the same
// key, before and after a rotation that ends the first generation.
func (l Legacy) Check(t *testing.T, s ledger.Generations) {
	t.Helper()
	for round := range 3 {
		k := openRing(t, s)
		if got := k.Index(l.Index.Org, "mrn", "1"); got != l.Index {
			t.Fatalf("round %d: the index changed", round)
		}
		got, err := k.Patients(t.Context(), []ledger.PatientRef{{Org: l.Index.Org, Index: []ledger.Key{l.Index}}})
		if err != nil || got[0].Patient != l.Key.Patient || !bytes.Equal(got[0].Key, l.plain) {
			t.Fatalf("round %d: the patient is %v, %v", round, got, err)
		}
		if _, err := k.Rotate(t.Context()); err != nil {
			t.Fatalf("Rotate: %v", err)
		}
		if r, err := k.Rewrap(t.Context(), s, nil); err != nil || r.Keys != 1 || len(r.Retired) != 1 || r.Retired[0] != round+1 {
			t.Fatalf("Rewrap: %+v, %v", r, err)
		}
	}
}
