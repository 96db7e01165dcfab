package ledger_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/dosewire/dosewire/ledger"
)

// The vectors are for other implementations; docs/ledger-format.md says how to read them. They are
// written by go test ./ledger -run TestVectors -update, and a change of one is a change of format.

func vector[T any](t *testing.T, name string, made T) (read T) {
	t.Helper()
	path := filepath.Join("..", "testdata", "vectors", "ledger", name)
	b, err := json.MarshalIndent(made, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if f := flag.Lookup("update"); f != nil && f.Value.String() == "true" {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, append(b, '\n'), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	stored, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(stored, &read); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(read, made); d != "" {
		t.Errorf("%s (-committed +computed):\n%s", name, d)
	}
	return read
}

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write the test vectors anew")
	flag.Parse()
	os.Exit(m.Run())
}

// hexed prints as hexadecimal in JSON.
type hexed []byte

func (h hexed) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

func (h *hexed) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

func filled(b byte) (h ledger.Hash) {
	copy(h[:], bytes.Repeat([]byte{b}, len(h)))
	return h
}

func id(n byte) ledger.ID {
	u := uuid.MustParse("01920000-0000-7000-8000-000000000000")
	u[15] = n
	return u
}

type entryVector struct {
	Name       string      `json:"name"`
	Kind       ledger.Kind `json:"kind"`
	Index      uint64      `json:"index"`
	Time       int64       `json:"time"`
	Prev       hexed       `json:"prev"`
	Digest     hexed       `json:"digest"`
	Commitment hexed       `json:"commitment"`
	Bytes      hexed       `json:"bytes"`
	Leaf       hexed       `json:"leaf"`
}

type badVector struct {
	Name  string `json:"name"`
	Bytes hexed  `json:"bytes"`
}

type entryVectors struct {
	Valid   []entryVector `json:"valid"`
	Invalid []badVector   `json:"invalid"`
}

func TestVectorsEntries(t *testing.T) {
	var v entryVectors
	for _, e := range []struct {
		name string
		ledger.Entry
	}{
		{"genesis", ledger.Entry{Kind: ledger.KindGenesis, Time: 1_790_000_000_000, Prev: ledger.Origin("dosewire.example/ledger/1"), Digest: filled(0xd1)}},
		{"record", ledger.Entry{Kind: ledger.KindRecord, Index: 1, Time: 1_790_000_000_001, Prev: filled(0xa0), Digest: filled(0xb0), Commitment: filled(0xc0)}},
		{"far index and time", ledger.Entry{Kind: ledger.KindAccess, Index: 1<<63 - 1, Time: 1<<63 - 1, Prev: filled(0xff), Digest: filled(0xfe)}},
	} {
		raw, leaf := e.Bytes(), e.Leaf()
		v.Valid = append(v.Valid, entryVector{e.name, e.Kind, e.Index, e.Time, e.Prev[:], e.Digest[:], e.Commitment[:], raw[:], leaf[:]})
		if got, err := ledger.Parse(raw[:]); err != nil || got != e.Entry {
			t.Errorf("%s: %+v, %v", e.name, got, err)
		}
	}
	good := v.Valid[1].Bytes
	spoilt := func(at int, b byte) hexed { c := bytes.Clone(good); c[at] = b; return c }
	v.Invalid = []badVector{
		{"empty", hexed{}},
		{"short", good[:113]},
		{"long", append(bytes.Clone(good), 0)},
		{"version 0", spoilt(0, 0)},
		{"version 2", spoilt(0, 2)},
		{"kind 5", spoilt(1, 5)},
		{"time before 1970", spoilt(10, 0x80)},
	}
	for _, bad := range vector(t, "entries.json", v).Invalid {
		if _, err := ledger.Parse(bad.Bytes); !errors.Is(err, ledger.ErrEntry) {
			t.Errorf("%s: %v, want ErrEntry", bad.Name, err)
		}
	}
}

type chainVectors struct {
	Origin  string        `json:"origin"`
	Entries []hexed       `json:"entries"`
	Leaf    hexed         `json:"leaf"` // of the last entry
	Broken  []brokenChain `json:"broken"`
}

type brokenChain struct {
	Name    string  `json:"name"`
	Entries []hexed `json:"entries"`
	At      uint64  `json:"at"` // the first entry that is wrong
}

func TestVectorsChain(t *testing.T) {
	v := chainVectors{Origin: "dosewire.example/ledger/1"}
	head := ledger.Head{Leaf: ledger.Origin(v.Origin)}
	var entries []ledger.Entry
	kinds := []ledger.Kind{ledger.KindGenesis, ledger.KindRecord, ledger.KindRecord, ledger.KindAccess, ledger.KindStatement}
	for i, kind := range kinds {
		var commitment ledger.Hash
		if kind == ledger.KindRecord {
			commitment = filled(byte(0x80 + i))
		}
		var e ledger.Entry
		e, head = ledger.Link(head, kind, time.UnixMilli(1_790_000_000_000+int64(i/2)*250), filled(byte(i)), commitment)
		entries = append(entries, e)
	}
	encode := func(es ...ledger.Entry) (all []hexed) {
		for _, e := range es {
			raw := e.Bytes()
			all = append(all, raw[:])
		}
		return all
	}
	v.Entries, v.Leaf = encode(entries...), head.Leaf[:]
	with := func(i int, edit func(*ledger.Entry)) []hexed {
		c := append([]ledger.Entry(nil), entries...)
		edit(&c[i])
		return encode(c...)
	}
	v.Broken = []brokenChain{
		{"another origin", with(0, func(e *ledger.Entry) { e.Prev = ledger.Origin("dosewire.example/ledger/2") }), 0},
		{"entry 2 changed", with(2, func(e *ledger.Entry) { e.Digest[0] ^= 1 }), 3},
		{"entry 2 absent", encode(entries[0], entries[1], entries[3], entries[4]), 2},
		{"entries 2 and 3 swapped", encode(entries[0], entries[1], entries[3], entries[2], entries[4]), 2},
		{"entry 1 twice", encode(entries[0], entries[1], entries[1], entries[2], entries[3], entries[4]), 2},
		{"time goes back", with(4, func(e *ledger.Entry) { e.Time = 1 }), 4},
	}
	read := vector(t, "chain.json", v)
	if at, err := follow(read.Origin, read.Entries); err != nil || at.Size != 5 || !bytes.Equal(at.Leaf[:], read.Leaf) {
		t.Errorf("good chain: %+v, %v", at, err)
	}
	for _, b := range read.Broken {
		if at, err := follow(read.Origin, b.Entries); !errors.Is(err, ledger.ErrChain) || at.Size != b.At {
			t.Errorf("%s: stopped at %d, %v, want ErrChain at %d", b.Name, at.Size, err, b.At)
		}
	}
}

func follow(origin string, entries []hexed) (ledger.Head, error) {
	at := ledger.Head{Leaf: ledger.Origin(origin)}
	for _, raw := range entries {
		e, err := ledger.Parse(raw)
		if err != nil {
			return at, err
		}
		if at, err = ledger.Check(at, e); err != nil {
			return at, err
		}
	}
	return at, nil
}

type sealVector struct {
	Name       string    `json:"name"`
	PatientKey hexed     `json:"patientKey"`
	Record     ledger.ID `json:"record"`
	KeyID      ledger.ID `json:"keyId"`
	Org        ledger.ID `json:"org"`
	Type       string    `json:"type"`
	Version    int       `json:"version"`
	Of         ledger.ID `json:"of"`
	Nonce      hexed     `json:"nonce"`
	Opening    hexed     `json:"opening"`
	Plaintext  string    `json:"plaintext"`
	Header     hexed     `json:"header"`
	RecordKey  hexed     `json:"recordKey"`
	Sealed     hexed     `json:"sealed"`
	Digest     hexed     `json:"digest"`
	Commitment hexed     `json:"commitment"`
}

// sealByHand is the specification in other words: cipher.NewGCM with a given nonce.
func sealByHand(t *testing.T, v *sealVector) {
	t.Helper()
	r := ledger.Record{ID: v.Record, KeyID: v.KeyID, Org: v.Org, Type: v.Type, Version: v.Version, Of: v.Of}
	v.Header = r.Header()
	key, err := hkdf.Key(sha256.New, v.PatientKey, nil, "dosewire/record/v1"+string(v.Record[:]), 32)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	var gcm cipher.AEAD
	fips140.WithoutEnforcement(func() { gcm, err = cipher.NewGCM(block) })
	if err != nil {
		t.Fatal(err)
	}
	opened := append(bytes.Clone(v.Opening), v.Plaintext...)
	v.RecordKey = key
	fips140.WithoutEnforcement(func() { // a given nonce is for vectors only
		v.Sealed = gcm.Seal(append([]byte{1}, v.Nonce...), v.Nonce, opened, v.Header)
	})
	commitment := sha256.Sum256(opened)
	digest := sha256.Sum256(append(bytes.Clone(v.Header), v.Sealed...))
	v.Commitment, v.Digest = commitment[:], digest[:]
}

func TestVectorsSeal(t *testing.T) {
	made := []sealVector{
		{Name: "first version", Record: id(1), KeyID: id(2), Org: id(3), Type: "MedicationRequest", Version: 1, Of: id(1),
			Plaintext: `{"resourceType":"MedicationRequest","status":"active"}`},
		{Name: "third version, text beyond ASCII", Record: id(4), KeyID: id(2), Org: id(3), Type: "Bundle", Version: 3, Of: id(1),
			Plaintext: "{\"resourceType\":\"Bundle\",\"note\":\"für Ängstliche – ½ Tablette\"}"},
		{Name: "the hub's own, empty", Record: id(5), KeyID: id(6), Org: ledger.ID{}, Type: "fact", Version: 1, Of: id(5)},
	}
	for i := range made {
		v := &made[i]
		v.PatientKey = bytes.Repeat([]byte{byte(0x40 + i)}, 32)
		v.Nonce = bytes.Repeat([]byte{byte(0x50 + i)}, 12)
		v.Opening = bytes.Repeat([]byte{byte(0x60 + i)}, 32)
		fips140.WithoutEnforcement(func() { sealByHand(t, v) }) // vectors need fixed nonces, which the hub never uses
	}
	for _, v := range vector(t, "seal.json", made) {
		r := ledger.Record{ID: v.Record, KeyID: v.KeyID, Org: v.Org, Type: v.Type, Version: v.Version, Of: v.Of, Sealed: v.Sealed}
		commitment := ledger.Hash(v.Commitment)
		got, err := ledger.Open(ledger.PatientKey{KeyID: v.KeyID, Org: v.Org, Key: v.PatientKey}, r, &commitment)
		if err != nil || string(got) != v.Plaintext {
			t.Errorf("%s: %q, %v", v.Name, got, err)
		}
		if r.Digest() != ledger.Hash(v.Digest) {
			t.Errorf("%s: digest differs", v.Name)
		}
	}
}

type accessVector struct {
	ID      ledger.ID   `json:"id"`
	Org     ledger.ID   `json:"org"`
	Patient ledger.ID   `json:"patient"`
	Client  ledger.ID   `json:"client"`
	Person  string      `json:"person"`
	Purpose string      `json:"purpose"`
	Action  string      `json:"action"`
	Records []ledger.ID `json:"records"`
	Time    int64       `json:"time"`
	Bytes   hexed       `json:"bytes"`
	Digest  hexed       `json:"digest"`
}

func TestVectorsAccess(t *testing.T) {
	made := []accessVector{
		{ID: id(1), Org: id(2), Client: id(3), Person: "dr-77", Purpose: "TREAT", Action: "read", Records: []ledger.ID{id(4), id(5)}, Time: 1_790_000_000_123},
		{ID: id(6), Patient: id(7), Client: id(8), Action: "read", Records: []ledger.ID{id(4)}, Time: 1_790_000_000_124},
		{ID: id(9), Org: id(2), Client: id(3), Action: "search", Records: []ledger.ID{}, Time: 0},
	}
	for i := range made {
		v := &made[i]
		v.Bytes = access(*v).Bytes()
		digest := sha256.Sum256(v.Bytes)
		v.Digest = digest[:]
	}
	vector(t, "access.json", made)

	a := access(made[0])
	chained := a
	chained.Index = 77
	if !bytes.Equal(a.Bytes(), chained.Bytes()) {
		t.Error("the index is part of the encoding")
	}
	shifted := a // lengths keep fields apart
	shifted.Person, shifted.Purpose = "dr-77T", "REAT"
	if bytes.Equal(a.Bytes(), shifted.Bytes()) {
		t.Error("two rows have one encoding")
	}
}

func access(v accessVector) ledger.Access {
	return ledger.Access{ID: v.ID, Org: v.Org, Patient: v.Patient, Client: v.Client, Person: v.Person, Purpose: v.Purpose,
		Action: v.Action, Records: v.Records, Time: v.Time, Index: ledger.NoIndex}
}

type indexVector struct {
	DeploymentKey hexed    `json:"deploymentKey"`
	IndexKey      hexed    `json:"indexKey"`
	Parts         []string `json:"parts"`
	Hash          hexed    `json:"hash"`
}

// fixedKey unwraps to the same deployment key always.
type fixedKey []byte

func (k fixedKey) Name() string                                           { return "fixed" }
func (k fixedKey) Wrap(context.Context, []byte, []byte) ([]byte, error)   { return []byte{1}, nil }
func (k fixedKey) Unwrap(context.Context, []byte, []byte) ([]byte, error) { return k, nil }

func TestVectorsIndex(t *testing.T) {
	kek := bytes.Repeat([]byte{0x70}, 32)
	index, err := hkdf.Key(sha256.New, kek, nil, "dosewire/index/v1", 32)
	if err != nil {
		t.Fatal(err)
	}
	k, err := ledger.OpenKeyring(t.Context(), newKeyDB(t), fixedKey(kek))
	if err != nil {
		t.Fatal(err)
	}
	var made []indexVector
	for _, parts := range [][]string{{"urn:oid:2.16.840.1.113883.4.1", "123-45-6789"}, {"one"}, {"", ""}} {
		h := k.Index(ledger.ID{}, parts...).Hash
		made = append(made, indexVector{kek, index, parts, h[:]})
	}
	vector(t, "index.json", made)
}
