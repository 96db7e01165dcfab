package hub

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/receipt"
	"github.com/dosewire/dosewire/ledger/scrub"
)

// shelf is a Reader of a few records. Calls of anything else end the test.
type shelf struct {
	ledger.Reader
	records  map[ledger.ID]ledger.Record
	entries  []ledger.Entry
	accesses []ledger.Access
	refuse   error // of InsertAccess
}

func (s *shelf) Record(_ context.Context, id ledger.ID) (ledger.Record, error) {
	r, ok := s.records[id]
	if !ok {
		return r, ledger.ErrNotFound
	}
	return r, nil
}

func (s *shelf) Entry(_ context.Context, index uint64) (ledger.Entry, error) {
	if index >= uint64(len(s.entries)) {
		return ledger.Entry{}, ledger.ErrNotFound
	}
	return s.entries[index], nil
}

func (s *shelf) Page(_ context.Context, from uint64, limit int) (page []ledger.Row, err error) {
	for _, e := range s.entries[min(from, uint64(len(s.entries))):] {
		row := ledger.Row{Entry: e}
		for _, r := range s.records {
			if r.Index == e.Index {
				row.Record = &r
			}
		}
		page = append(page, row)
	}
	return page[:min(limit, len(page))], nil
}

// empty takes a record's content and adds an entry that says why: that it, or another, was erased.
func (s *shelf) empty(id ledger.ID, kind ledger.Kind, instead ...ledger.Emptied) {
	r := s.records[id]
	r.Sealed, r.KeyID, r.ErasedBy = nil, ledger.ID{}, uint64(len(s.entries))
	s.records[id] = r
	if instead == nil {
		instead = []ledger.Emptied{{Index: r.Index, Record: id}}
	}
	statement := ledger.Record{ID: ledger.ID{15: 9}, Type: ledger.TypeErasure, Version: 1 + len(instead), Index: r.ErasedBy, Sealed: make([]byte, 61)}
	statement.State(instead)
	s.records[statement.ID] = statement
	s.entries = append(s.entries, ledger.Entry{Kind: kind, Index: r.ErasedBy, Digest: statement.Digest()})
}

func (s *shelf) InsertAccess(_ context.Context, a ledger.Access) error {
	if s.refuse == nil {
		s.accesses = append(s.accesses, a)
	}
	return s.refuse
}

// keyStore is a KeyStore in memory: enough for one patient.
type keyStore struct {
	ledger.KeyStore // the rest is not asked
	deployment      []ledger.DeploymentKey
	patients        []ledger.NewPatient
}

func (k *keyStore) Deployment(_ context.Context, add ...ledger.DeploymentKey) ([]ledger.DeploymentKey, error) {
	k.deployment = append(k.deployment, add...)
	slices.SortFunc(k.deployment, func(a, b ledger.DeploymentKey) int { return a.Generation - b.Generation })
	return k.deployment, nil
}

func (k *keyStore) FindPatients(_ context.Context, keys []ledger.Key) (map[ledger.Key]ledger.ID, error) {
	found := map[ledger.Key]ledger.ID{}
	for _, p := range k.patients {
		for _, i := range p.Index {
			found[i] = p.Patient
		}
	}
	return found, nil
}

func (k *keyStore) AddPatients(_ context.Context, ps []ledger.NewPatient) (bool, error) {
	k.patients = append(k.patients, ps...)
	return true, nil
}

func (k *keyStore) PatientKeys(context.Context, []ledger.ID) (map[ledger.ID]ledger.WrappedKey, error) {
	found := map[ledger.ID]ledger.WrappedKey{}
	for _, p := range k.patients {
		found[p.Patient] = p.Key
	}
	return found, nil
}

func (k *keyStore) Keys(context.Context, []ledger.ID) (map[ledger.ID]ledger.WrappedKey, error) {
	found := map[ledger.ID]ledger.WrappedKey{}
	for _, p := range k.patients {
		found[p.Key.ID] = p.Key
	}
	return found, nil
}

// clear wraps nothing: the test is not about it.
type clear struct{}

func (clear) Name() string { return "clear" }

func (clear) Wrap(_ context.Context, key, _ []byte) ([]byte, error)    { return key, nil }
func (clear) Unwrap(_ context.Context, blob, _ []byte) ([]byte, error) { return blob, nil }

func newID(t *testing.T) ledger.ID {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// library has two sealed records of one patient.
func library(t *testing.T) (*Records, *shelf, []ledger.ID) {
	t.Helper()
	keys, err := ledger.OpenKeyring(t.Context(), &keyStore{}, clear{})
	if err != nil {
		t.Fatal(err)
	}
	org := newID(t)
	patients, err := keys.Patients(t.Context(), []ledger.PatientRef{{Org: org, Index: []ledger.Key{keys.Index(org, "patient", "s", "v")}}})
	if err != nil {
		t.Fatal(err)
	}
	s := &shelf{records: map[ledger.ID]ledger.Record{}}
	var ids []ledger.ID
	for _, body := range []string{"first", "second"} {
		r := ledger.Record{ID: newID(t), Org: org, KeyID: patients[0].KeyID, Type: "MedicationRequest", Version: 1}
		commitment, err := ledger.Seal(patients[0], &r, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Index = uint64(len(s.entries))
		s.entries = append(s.entries, ledger.Entry{Index: r.Index, Digest: r.Digest(), Commitment: commitment})
		s.records[r.ID] = r
		ids = append(ids, r.ID)
	}
	return NewRecords(s, keys, func() time.Time { return time.UnixMilli(1234) }, receipt.Dir(t.TempDir())), s, ids
}

func TestEveryReadLeavesOneAccessRow(t *testing.T) {
	records, s, ids := library(t)
	who := adapters.Reader{Org: newID(t), Client: newID(t), Person: "nurse-7", Purpose: "TREAT", Action: "deliver"}
	plain, err := records.ReadAll(t.Context(), who, []ledger.ID{ids[1], ids[0]})
	if err != nil {
		t.Fatal(err)
	}
	if len(plain) != 2 || string(plain[0].Body) != "second" || string(plain[1].Body) != "first" {
		t.Errorf("read %d records, not the two in the order asked for", len(plain))
	}
	if len(s.accesses) != 1 {
		t.Fatalf("%d access rows, want 1", len(s.accesses))
	}
	got := s.accesses[0]
	if got.ID.Version() != 7 {
		t.Errorf("access id %v is not a UUIDv7", got.ID)
	}
	got.ID = ledger.ID{}
	want := ledger.Access{Org: who.Org, Client: who.Client, Person: "nurse-7", Purpose: "TREAT", Action: "deliver",
		Records: []ledger.ID{ids[1], ids[0]}, Time: 1234, Index: ledger.NoIndex}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("access row (-want +got):\n%s", diff)
	}
}

func TestNothingLeavesWithoutAnAccessRow(t *testing.T) {
	patient := adapters.Reader{Patient: newID(t), Action: "read"}
	for name, row := range map[string]struct {
		who    adapters.Reader
		change func(*shelf, []ledger.ID)
		want   error
	}{
		"the row cannot be stored": {patient, func(s *shelf, _ []ledger.ID) { s.refuse = fault.Of(fault.CodeUnavailable) }, fault.Of(fault.CodeUnavailable)},
		"nobody reads":             {adapters.Reader{Action: "read"}, func(*shelf, []ledger.ID) {}, fault.New(fault.Internal, "hub: a reader is an organisation or a patient")},
		"two read as one":          {adapters.Reader{Org: newID(t), Patient: newID(t)}, func(*shelf, []ledger.ID) {}, fault.New(fault.Internal, "hub: a reader is an organisation or a patient")},
		"one is erased":            {patient, func(s *shelf, ids []ledger.ID) { s.empty(ids[0], ledger.KindErasure) }, ledger.ErrErased},
	} {
		t.Run(name, func(t *testing.T) {
			records, s, ids := library(t)
			row.change(s, ids)
			plain, err := records.ReadAll(t.Context(), row.who, ids)
			if !errors.Is(err, row.want) {
				t.Errorf("err = %v, want %v", err, row.want)
			}
			if plain != nil || len(s.accesses) != 0 {
				t.Errorf("%d records left, %d access rows", len(plain), len(s.accesses))
			}
		})
	}
}

func TestReadingNothingLeavesNoRow(t *testing.T) {
	records, s, _ := library(t)
	if plain, err := records.ReadAll(t.Context(), adapters.Reader{Patient: newID(t)}, nil); err != nil || plain != nil || len(s.accesses) != 0 {
		t.Errorf("%v, %v, %d rows", plain, err, len(s.accesses))
	}
}

// alarms is a Watch that remembers.
type alarms struct{ names []string }

func (a *alarms) Report(_ context.Context, _ scrub.Place, err error) {
	a.names = append(a.names, scrub.AlarmName(err))
}
func (a *alarms) Restored(context.Context, scrub.Place) {}

// TestDamageIsFencedOffAlone: what is damaged is refused by a name of its own, with an alarm; what is
// beside it is served.
func TestDamageIsFencedOffAlone(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*shelf, ledger.ID)
		want   error
		alarm  string
	}{
		"row missing": {func(s *shelf, id ledger.ID) { delete(s.records, id) }, ledger.ErrMissing, "missing"},
		"ciphertext":  {func(s *shelf, id ledger.ID) { s.records[id].Sealed[40] ^= 1 }, ledger.ErrDigest, "digest"},
		"header": {func(s *shelf, id ledger.ID) {
			r := s.records[id]
			r.Org[0] ^= 1
			s.records[id] = r
		}, ledger.ErrDigest, "digest"},
		"emptied, and no erasure says so": {func(s *shelf, id ledger.ID) { s.empty(id, ledger.KindStatement) }, ledger.ErrErasure, "erasure"},
		"emptied, and an erasure says so of another": {func(s *shelf, id ledger.ID) {
			s.empty(id, ledger.KindErasure, ledger.Emptied{Index: s.records[id].Index, Record: newID(t)})
		}, ledger.ErrErasure, "erasure"},
		"emptied, and no erasure is there": {func(s *shelf, id ledger.ID) {
			s.empty(id, ledger.KindErasure)
			s.entries = s.entries[:len(s.entries)-1]
		}, ledger.ErrErasure, "erasure"},
		"entry missing": {func(s *shelf, id ledger.ID) { s.entries = s.entries[:1] }, ledger.ErrMissing, "missing"},
		"row and entry agree, the plaintext is another": {func(s *shelf, id ledger.ID) {
			s.entries[1].Commitment[0] ^= 1
		}, ledger.ErrSealed, "sealed"},
	} {
		t.Run(name, func(t *testing.T) {
			records, s, ids := library(t)
			var heard alarms
			records.WatchedBy(&heard)
			row.change(s, ids[1])
			who := adapters.Reader{Patient: newID(t), Action: "read"}
			plain, err := records.ReadAll(t.Context(), who, ids)
			if err != nil || len(plain) != 2 || string(plain[0].Body) != "first" || plain[1].Body != nil {
				t.Fatalf("%d records, %v", len(plain), err)
			}
			_, alone := records.Read(t.Context(), who, ids[1])
			for _, err := range []error{plain[1].Err, alone} {
				if !errors.Is(err, ledger.ErrDamaged) || !errors.Is(err, row.want) || fault.KindOf(err) != fault.Tampered || fault.CodeOf(err) != fault.CodeDamaged {
					t.Errorf("damaged: %v, want %v", err, row.want)
				}
			}
			if len(heard.names) != 2 || heard.names[0] != row.alarm {
				t.Errorf("alarms: %v, want %s", heard.names, row.alarm)
			}
		})
	}
}
