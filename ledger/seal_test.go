package ledger_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

// fixture is a key and a record that it seals, always the same.
func fixture() (ledger.PatientKey, ledger.Record) {
	id := func(n byte) ledger.ID { return uuid.UUID(bytes.Repeat([]byte{n}, 16)) }
	key := ledger.PatientKey{Patient: id(9), Org: id(3), KeyID: id(2), Key: bytes.Repeat([]byte{7}, ledger.KeySize)}
	return key, ledger.Record{ID: id(1), KeyID: key.KeyID, Org: key.Org, Type: "MedicationRequest", Version: 1, Of: id(1)}
}

func seal(t testing.TB, plaintext []byte) (ledger.PatientKey, ledger.Record, ledger.Hash) {
	t.Helper()
	key, r := fixture()
	commitment, err := ledger.Seal(key, &r, plaintext)
	if err != nil {
		t.Fatalf("Seal: %v", err)
	}
	return key, r, commitment
}

func TestSealOpen(t *testing.T) {
	for _, plaintext := range [][]byte{{}, []byte("{}"), bytes.Repeat([]byte("medicine"), 1<<17)} {
		key, r, commitment := seal(t, plaintext)
		if got, want := len(r.Sealed), len(plaintext)+ledger.SealedOverhead; got != want {
			t.Errorf("sealed %d bytes, want %d", got, want)
		}
		got, err := ledger.Open(key, r, &commitment)
		if err != nil || !bytes.Equal(got, plaintext) {
			t.Errorf("Open: %d bytes, %v", len(got), err)
		}
		if len(plaintext) > 16 && bytes.Contains(r.Sealed, plaintext[:16]) {
			t.Error("the ciphertext shows the plaintext")
		}
	}
	if ledger.SealedOverhead != 61 {
		t.Errorf("overhead %d, want 61", ledger.SealedOverhead)
	}
}

func TestSealIsNeverTheSame(t *testing.T) {
	_, a, ca := seal(t, []byte("{}"))
	_, b, cb := seal(t, []byte("{}"))
	if bytes.Equal(a.Sealed, b.Sealed) || ca == cb {
		t.Error("equal plaintexts can be recognised")
	}
	if ca == ledger.Hash(sha256.Sum256([]byte("{}"))) {
		t.Error("the commitment has no salt")
	}
}

// TestOpenRefuses changes one thing at a time: header, ciphertext, key, commitment.
func TestOpenRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*ledger.PatientKey, *ledger.Record, *ledger.Hash){
		"record id":     func(_ *ledger.PatientKey, r *ledger.Record, _ *ledger.Hash) { r.ID[0]++ },
		"org":           func(_ *ledger.PatientKey, r *ledger.Record, _ *ledger.Hash) { r.Org[0]++ },
		"type":          func(_ *ledger.PatientKey, r *ledger.Record, _ *ledger.Hash) { r.Type = "MedicationDispense" },
		"version":       func(_ *ledger.PatientKey, r *ledger.Record, _ *ledger.Hash) { r.Version++ },
		"of":            func(_ *ledger.PatientKey, r *ledger.Record, _ *ledger.Hash) { r.Of[15]++ },
		"key id":        func(k *ledger.PatientKey, r *ledger.Record, _ *ledger.Hash) { k.KeyID[0]++; r.KeyID[0]++ },
		"key":           func(k *ledger.PatientKey, _ *ledger.Record, _ *ledger.Hash) { k.Key[0]++ },
		"version byte":  func(_ *ledger.PatientKey, r *ledger.Record, _ *ledger.Hash) { r.Sealed[0]++ },
		"nonce":         func(_ *ledger.PatientKey, r *ledger.Record, _ *ledger.Hash) { r.Sealed[1]++ },
		"opening":       func(_ *ledger.PatientKey, r *ledger.Record, _ *ledger.Hash) { r.Sealed[14]++ },
		"tag":           func(_ *ledger.PatientKey, r *ledger.Record, _ *ledger.Hash) { r.Sealed[len(r.Sealed)-1]++ },
		"cut":           func(_ *ledger.PatientKey, r *ledger.Record, _ *ledger.Hash) { r.Sealed = r.Sealed[:60] },
		"emptied":       func(_ *ledger.PatientKey, r *ledger.Record, _ *ledger.Hash) { r.Sealed = []byte{} },
		"commitment":    func(_ *ledger.PatientKey, _ *ledger.Record, c *ledger.Hash) { c[0]++ },
		"type too long": func(_ *ledger.PatientKey, r *ledger.Record, _ *ledger.Hash) { r.Type = strings.Repeat("t", 300) },
	} {
		key, r, commitment := seal(t, []byte(`{"resourceType":"MedicationRequest"}`))
		spoil(&key, &r, &commitment)
		if got, err := ledger.Open(key, r, &commitment); !errors.Is(err, ledger.ErrSealed) || got != nil {
			t.Errorf("%s: %q, %v, want ErrSealed", name, got, err)
		}
	}
	key, r, commitment := seal(t, []byte("{}"))
	erased := r
	erased.Sealed, erased.KeyID = nil, ledger.ID{}
	if _, err := ledger.Open(key, erased, &commitment); !errors.Is(err, ledger.ErrErased) {
		t.Errorf("erased: %v, want ErrErased", err)
	}
	key.KeyID[0]++
	if _, err := ledger.Open(key, r, nil); fault.KindOf(err) != fault.Internal || err == nil {
		t.Errorf("another key's id: %v, want an internal kind", err)
	}
}

// TestDigestCoversHeaderAndCiphertext: the auditor's check needs no key.
func TestDigestCoversHeaderAndCiphertext(t *testing.T) {
	_, r, _ := seal(t, []byte("{}"))
	want := sha256.Sum256(slices.Concat(r.Header(), r.Sealed))
	if r.Digest() != ledger.Hash(want) {
		t.Error("digest is not SHA-256(header ‖ sealed)")
	}
	two := r // type and version number cannot flow into each other
	two.Type = r.Type[:len(r.Type)-1]
	if bytes.Equal(two.Header(), r.Header()) || two.Digest() == r.Digest() {
		t.Error("two headers are equal")
	}
}

// FuzzOpen: nothing but what was sealed opens, and nothing panics.
func FuzzOpen(f *testing.F) {
	_, r, _ := seal(f, []byte(`{"resourceType":"MedicationRequest"}`))
	f.Add(r.Sealed)
	f.Add(r.Sealed[:ledger.SealedOverhead])
	_, with, _ := sealWith(f, []byte("{}"), []byte("evidence"))
	f.Add(with.Sealed)
	f.Add([]byte{1})
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, sealed []byte) {
		key, r := fixture()
		r.Sealed = sealed
		got, err := ledger.OpenAll(key, r, nil)
		size := len(got.Plaintext) + ledger.SealedOverhead
		if got.Evidence != nil {
			size += 4 + len(got.Evidence)
		}
		if err == nil && size != len(sealed) {
			t.Errorf("opened %d bytes out of %d", len(got.Plaintext), len(sealed))
		}
		if err != nil && !errors.Is(err, ledger.ErrSealed) && !errors.Is(err, ledger.ErrErased) {
			t.Errorf("error %v, want ErrSealed or ErrErased", err)
		}
	})
}

func BenchmarkSeal2kB(b *testing.B) {
	key, r := fixture()
	plaintext := make([]byte, 2048)
	b.SetBytes(2048)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ledger.Seal(key, &r, plaintext); err != nil {
			b.Fatal(err)
		}
		r.Digest()
	}
}

// BenchmarkSHA256of2kB is the reference for sealing, which hashes a record twice.
func BenchmarkSHA256of2kB(b *testing.B) {
	plaintext := make([]byte, 2048)
	b.SetBytes(2048)
	for b.Loop() {
		sha256.Sum256(plaintext)
	}
}
