package ledgertest

import (
	"bytes"
	"context"
	"math"
	"slices"
	"testing"

	"github.com/dosewire/dosewire/ledger"
)

// Audit is what the watch over the stored ledger reads; see scrub.Source.
type Audit interface {
	Page(ctx context.Context, from uint64, limit int) ([]ledger.Row, error)
	Strays(ctx context.Context, from, to uint64) ([]ledger.Stray, error)
	Prescriptions(ctx context.Context, after ledger.ID, limit int) ([]ledger.Prescription, error)
	Records(ctx context.Context, from, to uint64) ([]ledger.Account, error)
	Others(ctx context.Context, epoch, after, upTo uint64) ([]ledger.Account, error)
}

func testAccounts(t *testing.T, s Backend) {
	ctx := t.Context()
	b := newBatch(begin(t, s))
	one := b.record(10)
	part := b.record(10, func(r *ledger.Record) { r.Sub = 2<<20 | 5 })
	b.record(10, func(r *ledger.Record) { r.Epoch, r.Seq, r.Sub = 0, 1, 7<<20 }) // came past the intake
	b.Replays = append(b.Replays, ledger.Replay{Epoch: b.From.Epoch, Seq: b.To.Seq, Sub: 1 << 20, Key: key(one.Org)})
	b.Quarantined = append(b.Quarantined, ledger.Quarantined{Epoch: b.From.Epoch, Seq: b.To.Seq, Sub: 3 << 20, Org: one.Org,
		KeyID: newID(), Sealed: randomBytes(9), Code: "RX_SYNTAX", Time: 1})
	h := commit(t, s, b)
	next := newBatch(h)
	next.Quarantined = append(next.Quarantined, ledger.Quarantined{Epoch: h.Epoch, Seq: next.To.Seq, Org: one.Org,
		KeyID: newID(), Sealed: randomBytes(9), Code: "RX_SYNTAX", Time: 1})
	commit(t, s, next)

	records := func(from, to uint64, want ...ledger.Account) {
		t.Helper()
		got, err := s.Records(ctx, from, to)
		if err != nil {
			t.Fatalf("Records: %v", err)
		}
		same(t, "records", got, want)
	}
	first := ledger.Account{Seq: 1, Index: 1}
	second := ledger.Account{Seq: 1, Sub: 2<<20 | 5, Index: 2}
	records(0, math.MaxUint64, first, second)
	records(2, 3, second)
	records(1, 2, first)
	records(3, 9) // what came past it stands for none
	if second.Part() != 2 || first.Part() != 0 {
		t.Errorf("parts %d, %d, want 2, 0", second.Part(), first.Part())
	}
	same(t, "a record's place", rows(t, s, part.Index)[0].Record.Sub, part.Sub)

	others := func(epoch, after, upTo uint64, subs ...int) {
		t.Helper()
		got, err := s.Others(ctx, epoch, after, upTo)
		if err != nil {
			t.Fatalf("Others: %v", err)
		}
		var have []int
		for _, a := range got {
			if a.Index != ledger.NoIndex || a.Seq <= after || a.Seq > upTo {
				t.Errorf("Others: %+v", a)
			}
			have = append(have, a.Sub)
		}
		slices.Sort(have)
		same(t, "refused or repeated", have, subs)
	}
	others(1, 0, 1, 1<<20, 3<<20)
	others(1, 0, math.MaxUint64, 0, 1<<20, 3<<20)
	others(1, 1, 2, 0)
	others(2, 0, 9)
	// a refusal that expired stays accounted for
	if n, err := s.DropQuarantine(ctx, math.MaxInt64); err != nil || n == 0 {
		t.Errorf("DropQuarantine: %d, %v", n, err)
	}
	others(1, 0, math.MaxUint64, 0, 1<<20, 3<<20)
}

// testStrays: what the hub itself can write is never one.
func testStrays(t *testing.T, s Backend) {
	h := Fill(t, s, 5)
	for _, q := range [][2]uint64{{0, math.MaxUint64}, {2, 4}, {h.Size, math.MaxUint64}} {
		if got, err := s.Strays(t.Context(), q[0], q[1]); err != nil || len(got) != 0 {
			t.Errorf("Strays of %v: %v, %v, want none", q, got, err)
		}
	}
}

func testAllPrescriptions(t *testing.T, s Backend) {
	b := newBatch(begin(t, s))
	full(b, 7, 20)
	commit(t, s, b)
	want := slices.Clone(b.Begun)
	slices.SortFunc(want, func(a, b ledger.Prescription) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	var got []ledger.Prescription
	for after := (ledger.ID{}); ; {
		page, err := s.Prescriptions(t.Context(), after, 3)
		if err != nil {
			t.Fatalf("Prescriptions: %v", err)
		}
		if len(page) == 0 {
			break
		}
		got, after = append(got, page...), page[len(page)-1].ID
	}
	same(t, "prescriptions", got, want)
}

func testPage(t *testing.T, s Backend) {
	h := Fill(t, s, 5)
	all := rows(t, s, 0)
	for _, q := range []struct{ from, limit, want int }{{0, 3, 3}, {3, 100, int(h.Size) - 3}, {int(h.Size), 4, 0}, {1, 0, 0}} {
		page, err := s.Page(t.Context(), uint64(q.from), q.limit)
		if err != nil {
			t.Fatalf("Page: %v", err)
		}
		same(t, "page", page, all[q.from:q.from+q.want])
	}
}
