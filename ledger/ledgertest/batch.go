package ledgertest

import (
	"crypto/rand"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

const origin = "dosewire.test/ledger/1"

// batch builds one commit, chaining entries as the recorder does.
type batch struct {
	ledger.Batch
	at time.Time
}

func newBatch(from ledger.Head) *batch {
	b := &batch{at: time.UnixMilli(1_790_000_000_000)}
	b.From, b.To = from, from
	b.To.Seq++
	return b
}

func (b *batch) entry(kind ledger.Kind, digest, commitment ledger.Hash) uint64 {
	e, to := ledger.Link(b.To, kind, b.at, digest, commitment)
	b.Entries, b.To = append(b.Entries, e), to
	return e.Index
}

// record adds a sealed record of the given size with its entry. Change what makes it special in
// edit, before it is hashed.
func (b *batch) record(size int, edit ...func(*ledger.Record)) ledger.Record {
	r := ledger.Record{ID: newID(), Org: newID(), KeyID: newID(), Type: "MedicationRequest", Version: 1,
		Epoch: b.From.Epoch, Seq: b.To.Seq, Sealed: randomBytes(size)}
	r.Of = r.ID
	for _, f := range edit {
		f(&r)
	}
	r.Index = b.entry(ledger.KindRecord, r.Digest(), randomHash())
	b.Records = append(b.Records, r)
	return r
}

func (b *batch) statement(kind ledger.Kind, text string) {
	i := b.entry(kind, sha256.Sum256([]byte(text)), ledger.Hash{})
	b.Statements = append(b.Statements, ledger.Statement{Index: i, Text: text})
}

// prescription adds one that r issued.
func (b *batch) prescription(r ledger.Record, edit ...func(*ledger.Prescription)) ledger.Prescription {
	p := ledger.Prescription{ID: newID(), Clinic: r.Org, Patient: newID(), Record: r.ID, Status: "ready",
		Pharmacy: newID(), FillsAllowed: 3, Identity: randomHash(), Version: 1, State: []byte(`{"phase":"ready"}`)}
	for _, f := range edit {
		f(&p)
	}
	b.Begun = append(b.Begun, p)
	return p
}

// effect numbers e and adds it.
func (b *batch) effect(e ledger.Effect) ledger.Effect {
	b.To.Deliveries++
	e.Number = b.To.Deliveries
	b.Effects = append(b.Effects, e)
	return e
}

// begin sets the origin, takes a term and commits the genesis entry.
func begin(t testing.TB, s Store) ledger.Head {
	t.Helper()
	ctx := t.Context()
	if err := s.SetOrigin(ctx, origin); err != nil {
		t.Fatalf("SetOrigin: %v", err)
	}
	head, _, err := s.Acquire(ctx, 0)
	if err != nil {
		t.Fatalf("Acquire: %v", err)
	}
	b := newBatch(head)
	b.To.Seq = 0
	b.statement(ledger.KindGenesis, "genesis of "+origin)
	return commit(t, s, b)
}

// commit must succeed; it returns the new head.
func commit(t testing.TB, s Store, b *batch) ledger.Head {
	t.Helper()
	if err := s.Commit(t.Context(), &b.Batch); err != nil {
		t.Fatalf("Commit: %v", err)
	}
	return b.To
}

// refused demands that b is refused as invalid and leaves no trace.
func refused(t testing.TB, s Store, b *batch) {
	t.Helper()
	before := head(t, s)
	err := s.Commit(t.Context(), &b.Batch)
	if err == nil {
		t.Fatal("Commit accepted it")
	}
	if k := fault.KindOf(err); k != fault.Invalid {
		t.Errorf("Commit: kind %v, want invalid: %v", k, err)
	}
	nothingOf(t, s, b, before)
}

// nothingOf demands that the head is where it was and that no row of b can be seen.
func nothingOf(t testing.TB, s Store, b *batch, before ledger.Head) {
	t.Helper()
	if got := head(t, s); got != before {
		t.Errorf("head moved: %+v, want %+v", got, before)
	}
	if n := len(rows(t, s, before.Size)); n != 0 {
		t.Errorf("%d entries were written", n)
	}
	for _, r := range b.Records {
		if _, err := s.Record(t.Context(), r.ID); !isNotFound(err) {
			t.Errorf("Record: %v, want ErrNotFound", err)
		}
	}
}

func head(t testing.TB, s Store) ledger.Head {
	t.Helper()
	h, err := s.Head(t.Context())
	if err != nil {
		t.Fatalf("Head: %v", err)
	}
	return h
}

func rows(t testing.TB, s Store, from uint64) []ledger.Row {
	t.Helper()
	var all []ledger.Row
	for row, err := range s.Rows(t.Context(), from) {
		if err != nil {
			t.Fatalf("Rows: %v", err)
		}
		all = append(all, row)
	}
	return all
}

func load(t testing.TB, s Store, w ledger.Want) ledger.Have {
	t.Helper()
	have, err := s.Load(t.Context(), w)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return have
}

// same compares values; nil and empty slices and maps are equal.
func same(t testing.TB, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func newID() ledger.ID { return uuid.Must(uuid.NewV7()) }

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func randomHash() ledger.Hash { return ledger.Hash(randomBytes(32)) }

func key(org ledger.ID) ledger.Key { return ledger.Key{Org: org, Hash: randomHash()} }
