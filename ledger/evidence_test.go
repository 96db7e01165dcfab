package ledger_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/dosewire/dosewire/ledger"
)

func sealWith(t testing.TB, plaintext, evidence []byte) (ledger.PatientKey, ledger.Record, ledger.Hash) {
	t.Helper()
	key, r := fixture()
	commitment, err := ledger.SealWith(key, &r, plaintext, evidence)
	if err != nil {
		t.Fatalf("SealWith: %v", err)
	}
	return key, r, commitment
}

func TestSealWithEvidence(t *testing.T) {
	for _, c := range []struct{ plaintext, evidence []byte }{
		{[]byte("{}"), []byte(`{"verdict":"verified"}`)},
		{nil, []byte("e")},
		{bytes.Repeat([]byte("medicine"), 1<<17), bytes.Repeat([]byte("proof"), 1<<12)},
	} {
		key, r, commitment := sealWith(t, c.plaintext, c.evidence)
		if got, want := len(r.Sealed), len(c.plaintext)+len(c.evidence)+4+ledger.SealedOverhead; got != want || r.Sealed[0] != 2 {
			t.Errorf("sealed %d bytes of version %d, want %d", got, r.Sealed[0], want)
		}
		o, err := ledger.OpenAll(key, r, &commitment)
		if err != nil || !bytes.Equal(o.Plaintext, c.plaintext) || !bytes.Equal(o.Evidence, c.evidence) {
			t.Fatalf("OpenAll: %v", err)
		}
		// a receipt shows opening and plaintext, and nothing of the evidence
		if commitment != sha256.Sum256(append(slices.Clone(o.Opening[:]), c.plaintext...)) {
			t.Error("the commitment is not SHA-256(opening ‖ plaintext)")
		}
		if plain, err := ledger.Open(key, r, &commitment); err != nil || !bytes.Equal(plain, c.plaintext) {
			t.Errorf("Open: %v", err)
		}
	}
	_, r, _ := sealWith(t, []byte("{}"), nil)
	if r.Sealed[0] != 1 {
		t.Error("a record without evidence is not of version 1")
	}
	key, plain, commitment := seal(t, []byte("{}"))
	if o, err := ledger.OpenAll(key, plain, &commitment); err != nil || o.Evidence != nil || commitment != sha256.Sum256(append(slices.Clone(o.Opening[:]), "{}"...)) {
		t.Errorf("version 1: %v", err)
	}
}

// TestEvidenceCannotBeChanged: neither by turning one version into the other nor, by whoever has the
// key, by sealing other evidence beside the same plaintext.
func TestEvidenceCannotBeChanged(t *testing.T) {
	key, r, commitment := sealWith(t, []byte("{}"), []byte("verified"))
	for version := range byte(4) {
		turned := r
		turned.Sealed = slices.Clone(r.Sealed)
		turned.Sealed[0] = version
		if _, err := ledger.OpenAll(key, turned, nil); (version == 2) != (err == nil) || err != nil && !errors.Is(err, ledger.ErrSealed) {
			t.Errorf("as version %d: %v", version, err)
		}
	}
	_, one, oneCommitment := seal(t, []byte("{}"))
	one.Sealed[0] = 2
	if _, err := ledger.OpenAll(key, one, &oneCommitment); !errors.Is(err, ledger.ErrSealed) {
		t.Errorf("version 1 as 2: %v", err)
	}
	opened := unseal(t, key, r)
	for name, forged := range map[string][]byte{
		"evidence":        bytes.Replace(opened, []byte("verified"), []byte("rejected"), 1),
		"length, shorter": length(opened, 7),
		"length, longer":  length(opened, 9),
		"length 0":        length(opened, 0),
		"length too long": length(opened, 1<<31),
		"no length":       opened[:34],
	} {
		r.Sealed = sealedAs(t, key, r, 2, bytes.Repeat([]byte{1}, 12), forged)
		if _, err := ledger.OpenAll(key, r, &commitment); !errors.Is(err, ledger.ErrSealed) {
			t.Errorf("%s: %v, want ErrSealed", name, err)
		}
	}
}

func length(opened []byte, n uint32) []byte {
	changed := slices.Clone(opened)
	binary.BigEndian.PutUint32(changed[32:], n)
	return changed
}

// byHand is the cipher of version 2 in other words.
func byHand(t testing.TB, key ledger.PatientKey, r ledger.Record) cipher.AEAD {
	t.Helper()
	k, err := hkdf.Key(sha256.New, key.Key, nil, "dosewire/record/v2"+string(r.ID[:]), 32)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(k)
	if err != nil {
		t.Fatal(err)
	}
	var gcm cipher.AEAD
	fips140.WithoutEnforcement(func() { gcm, err = cipher.NewGCM(block) })
	if err != nil {
		t.Fatal(err)
	}
	return gcm
}

func unseal(t *testing.T, key ledger.PatientKey, r ledger.Record) []byte {
	t.Helper()
	opened, err := byHand(t, key, r).Open(nil, r.Sealed[1:13], r.Sealed[13:], r.Header())
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

func sealedAs(t testing.TB, key ledger.PatientKey, r ledger.Record, version byte, nonce, opened []byte) []byte {
	t.Helper()
	gcm, sealed := byHand(t, key, r), append([]byte{version}, nonce...)
	fips140.WithoutEnforcement(func() { sealed = gcm.Seal(sealed, nonce, opened, r.Header()) }) // a given nonce is for tests only
	return sealed
}

type evidenceVector struct {
	Name       string    `json:"name"`
	Record     ledger.ID `json:"record"`
	KeyID      ledger.ID `json:"keyId"`
	Org        ledger.ID `json:"org"`
	PatientKey hexed     `json:"patientKey"`
	Type       string    `json:"type"`
	Version    int       `json:"version"`
	Of         ledger.ID `json:"of"`
	Nonce      hexed     `json:"nonce"`
	Salt       hexed     `json:"salt"`
	Evidence   string    `json:"evidence"`
	Plaintext  string    `json:"plaintext"`
	Header     hexed     `json:"header"`
	Opening    hexed     `json:"opening"`
	Sealed     hexed     `json:"sealed"`
	Digest     hexed     `json:"digest"`
	Commitment hexed     `json:"commitment"`
}

func TestVectorsSealEvidence(t *testing.T) {
	made := []evidenceVector{
		{Name: "verified", Record: id(1), KeyID: id(2), Org: id(3), Type: "MedicationRequest", Version: 1, Of: id(1),
			Evidence:  `{"v":1,"policy":"record","verdict":"verified","time":1790000000123}`,
			Plaintext: `{"resourceType":"MedicationRequest","status":"active"}`},
		{Name: "absent, a later version", Record: id(4), KeyID: id(2), Org: id(3), Type: "Bundle", Version: 3, Of: id(1),
			Evidence: `{"v":1,"policy":"record","verdict":"absent","time":1790000000124}`, Plaintext: "½"},
	}
	for i := range made {
		v := &made[i]
		v.PatientKey = bytes.Repeat([]byte{byte(0x40 + i)}, 32)
		v.Nonce = bytes.Repeat([]byte{byte(0x50 + i)}, 12)
		v.Salt = bytes.Repeat([]byte{byte(0x60 + i)}, 32)
		key, r := v.parts()
		opening := sha256.Sum256(slices.Concat([]byte("dosewire/opening/v2"), v.Salt, []byte(v.Evidence)))
		opened := binary.BigEndian.AppendUint32(slices.Clone(v.Salt), uint32(len(v.Evidence)))
		opened = append(append(opened, v.Evidence...), v.Plaintext...)
		v.Header, v.Opening = r.Header(), opening[:]
		v.Sealed = sealedAs(t, key, r, 2, v.Nonce, opened)
		commitment := sha256.Sum256(append(opening[:], v.Plaintext...))
		digest := sha256.Sum256(slices.Concat(v.Header, v.Sealed))
		v.Commitment, v.Digest = commitment[:], digest[:]
	}
	for _, v := range vector(t, "seal-evidence.json", made) {
		key, r := v.parts()
		r.Sealed = v.Sealed
		commitment := ledger.Hash(v.Commitment)
		o, err := ledger.OpenAll(key, r, &commitment)
		if err != nil || string(o.Plaintext) != v.Plaintext || string(o.Evidence) != v.Evidence || o.Opening != ledger.Hash(v.Opening) {
			t.Errorf("%s: %v", v.Name, err)
		}
		if r.Digest() != ledger.Hash(v.Digest) {
			t.Errorf("%s: digest differs", v.Name)
		}
	}
}

func (v evidenceVector) parts() (ledger.PatientKey, ledger.Record) {
	return ledger.PatientKey{KeyID: v.KeyID, Org: v.Org, Key: v.PatientKey},
		ledger.Record{ID: v.Record, KeyID: v.KeyID, Org: v.Org, Type: v.Type, Version: v.Version, Of: v.Of}
}
