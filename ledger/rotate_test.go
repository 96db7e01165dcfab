package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

// generations is the real key database behind d.
func (d *keyDB) generations() ledger.Generations { return d.KeyStore.(ledger.Generations) }

// TestRewrapResumes: stopped after some batches, it goes on with what is left.
func TestRewrapResumes(t *testing.T) {
	db := newKeyDB(t)
	k := db.open(t)
	patients(t, k, batchOfRefs(k, 1800)...)
	if _, err := k.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	first, err := k.Rewrap(ctx, db.generations(), func(done, total uint64) {
		if done >= 1000 {
			cancel()
		}
	})
	if fault.KindOf(err) != fault.Unavailable || first.Keys != 1000 || first.Total != 1800 || len(first.Retired) != 0 {
		t.Fatalf("stopped: %+v, %v", first, err)
	}
	second, err := db.open(t).Rewrap(t.Context(), db.generations(), nil)
	if err != nil || second.Keys != 800 || second.Total != 800 || len(second.Retired) != 1 {
		t.Errorf("resumed: %+v, %v", second, err)
	}
	third, err := k.Rewrap(t.Context(), db.generations(), nil)
	if err != nil || third.Keys != 0 || len(third.Retired) != 0 {
		t.Errorf("again: %+v, %v", third, err)
	}
}

// TestRewrapLeavesWhatIsDamaged: one key that cannot be unwrapped is named and stays, with its
// generation; all others move.
func TestRewrapLeavesWhatIsDamaged(t *testing.T) {
	db := newKeyDB(t)
	k := db.open(t)
	good := patients(t, k, batchOfRefs(k, 10)...)
	bad := ledger.NewPatient{Patient: ledger.ID{9}, Key: ledger.WrappedKey{ID: ledger.ID{9}, Patient: ledger.ID{9}, Generation: 1, Blob: make([]byte, 60)}}
	if _, err := db.AddPatients(t.Context(), []ledger.NewPatient{bad}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, err := k.Rewrap(t.Context(), db.generations(), nil)
	if err != nil || r.Keys != 10 || r.Damaged != 1 || r.First != bad.Key.ID || len(r.Retired) != 0 {
		t.Errorf("Rewrap: %+v, %v", r, err)
	}
	fresh := db.open(t)
	for _, want := range good {
		if got, err := fresh.Key(t.Context(), want.KeyID); err != nil || string(got.Key) != string(want.Key) {
			t.Errorf("%v: %v", want, err)
		}
	}
	if _, err := fresh.Key(t.Context(), bad.Key.ID); fault.KindOf(err) != fault.Tampered {
		t.Errorf("the damaged key: %v", err)
	}
}

// TestOneOfManyRotates: of several at once one makes the generation, the others are told.
func TestOneOfManyRotates(t *testing.T) {
	db := newKeyDB(t)
	a, b := db.open(t), db.open(t)
	var made int
	results := make(chan error, 8)
	for i := range 8 {
		go func() {
			_, err := []*ledger.Keyring{a, b}[i%2].Rotate(context.Background())
			results <- err
		}()
	}
	for range 8 {
		switch err := <-results; {
		case err == nil:
			made++
		case !errors.Is(err, ledger.ErrRotated):
			t.Errorf("Rotate: %v", err)
		}
	}
	status, err := ledger.StatusOfKeys(t.Context(), db.generations())
	if err != nil || len(status) != made+2 || !status[len(status)-1].Newest { // the index key, the first, those made
		t.Errorf("%d rotations, status %+v, %v", made, status, err)
	}
}

func BenchmarkRewrap(b *testing.B) {
	db := newKeyDB(b)
	k := db.open(b)
	const keys = 10_000
	for i := range keys / 1000 {
		refs := make([]ledger.PatientRef, 1000)
		for j := range refs {
			refs[j].Index = []ledger.Key{k.Index(ledger.ID{}, fmt.Sprint(i), fmt.Sprint(j))}
		}
		patients(b, k, refs...)
	}
	for b.Loop() {
		b.StopTimer()
		if _, err := k.Rotate(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if r, err := k.Rewrap(b.Context(), db.generations(), nil); err != nil || r.Keys != keys {
			b.Fatalf("%+v, %v", r, err)
		}
	}
	b.ReportMetric(float64(keys)*float64(b.N)/b.Elapsed().Seconds(), "keys/s")
}
