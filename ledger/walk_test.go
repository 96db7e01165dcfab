package ledger_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/dosewire/dosewire/ledger"
)

// memory is a chain in memory.
type memory struct {
	head ledger.Head
	rows []ledger.Row
	fail error // ends the rows
}

func (m *memory) Head(context.Context) (ledger.Head, error) { return m.head, nil }

func (m *memory) Rows(_ context.Context, from uint64) iter.Seq2[ledger.Row, error] {
	return func(yield func(ledger.Row, error) bool) {
		for i := from; i < uint64(len(m.rows)); i++ {
			if !yield(m.rows[i], nil) {
				return
			}
		}
		if m.fail != nil {
			yield(ledger.Row{}, m.fail)
		}
	}
}

const walkOrigin = "dosewire.example/log"

// chained is a good chain of n entries: records of size bytes, and now and then something else.
func chained(n, size int) *memory {
	m := &memory{head: ledger.Head{Leaf: ledger.Origin(walkOrigin)}}
	body := make([]byte, size)
	for i := range n {
		var row ledger.Row
		kind, digest := ledger.KindRecord, ledger.Hash{}
		switch {
		case i == 0:
			kind, row.Statement = ledger.KindGenesis, &ledger.Statement{Text: walkOrigin}
			digest = sha256.Sum256([]byte(walkOrigin))
		case i%10 == 7:
			kind, row.Access = ledger.KindAccess, &ledger.Access{ID: id(byte(i)), Time: int64(i)}
			digest = sha256.Sum256(row.Access.Bytes())
		default:
			row.Record = &ledger.Record{ID: id(byte(i)), Type: "MedicationRequest", Version: 1, Sealed: body}
			digest = row.Record.Digest()
		}
		row.Entry, m.head = ledger.Link(m.head, kind, time.UnixMilli(int64(1000+i)), digest, ledger.Hash{})
		m.rows = append(m.rows, row)
	}
	return m
}

// TestWalkFindsWhatVerifyFinds spoils chains at random places; the plain walk is the oracle.
func TestWalkFindsWhatVerifyFinds(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	origin := ledger.Head{Leaf: ledger.Origin(walkOrigin)}
	for n := range 300 {
		m := chained(1+random.IntN(900), 20)
		at := random.IntN(len(m.rows))
		row := &m.rows[at]
		switch n % 9 {
		case 0: // good
		case 1:
			row.Entry.Digest[3]++
		case 2:
			row.Entry.Time -= 2000
		case 3:
			m.rows = append(m.rows[:at], m.rows[at+1:]...)
		case 4:
			*row = ledger.Row{Entry: row.Entry}
		case 5:
			if row.Record != nil {
				r := *row.Record
				r.Sealed, r.ErasedBy = nil, uint64(random.IntN(len(m.rows)+1))
				row.Record = &r
			}
		case 6:
			if row.Record != nil {
				r := *row.Record
				r.Type = "Bundle"
				row.Record = &r
			}
		case 7:
			m.fail = &ledger.BadEntry{Index: uint64(len(m.rows)), Err: ledger.ErrEntry}
			row.Entry.Prev[0]++
		case 8:
			m.fail = errors.New("the network")
		}
		from := ledger.Head{Size: 0, Leaf: origin.Leaf}
		wantHead, wantSeen, want := ledger.Verify(t.Context(), m, from, nil)
		var each uint64
		w := ledger.Walk{From: from, Workers: 1 + n%3, Each: func(e ledger.Entry, leaf ledger.Hash) {
			if e.Index != each || leaf != e.Leaf() {
				t.Errorf("%d: entry %d with leaf %x comes as number %d", n, e.Index, leaf, each)
			}
			each++
		}}
		head, seen, err := w.Verify(t.Context(), m)
		if head != wantHead || seen != wantSeen || fmt.Sprint(err) != fmt.Sprint(want) || each != head.Size {
			t.Errorf("%d: %+v, %+v, %v, %d seen; want %+v, %+v, %v", n, head, seen, err, each, wantHead, wantSeen, want)
		}
		if (err == nil) != (want == nil) || n%9 == 0 && err != nil || n%9 == 1 && err == nil {
			t.Errorf("%d: %v", n, err)
		}
	}
}

func TestWalkReportsProgress(t *testing.T) {
	m := chained(3000, 10)
	var seen []uint64
	w := ledger.Walk{From: ledger.Head{Leaf: ledger.Origin(walkOrigin)}, Progress: func(n uint64) { seen = append(seen, n) }}
	if _, _, err := w.Verify(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(seen) != "[1024 2048 3000]" {
		t.Errorf("progress %v", seen)
	}
}

// BenchmarkVerify compares the plain walk with the one on all cores, over records of 2 kB in memory,
// and both without bodies.
func BenchmarkVerify(b *testing.B) {
	for _, size := range []int{0, 2048} {
		m := chained(50_000, size)
		from := ledger.Head{Leaf: ledger.Origin(walkOrigin)}
		for name, verify := range map[string]func() error{
			"plain": func() error { _, _, err := ledger.Verify(b.Context(), m, from, nil); return err },
			"cores": func() error { _, _, err := ledger.Walk{From: from}.Verify(b.Context(), m); return err },
		} {
			b.Run(fmt.Sprintf("%s/bytes=%d", name, size), func(b *testing.B) {
				for b.Loop() {
					if err := verify(); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.N)*float64(len(m.rows))/b.Elapsed().Seconds(), "entries/s")
			})
		}
	}
}
