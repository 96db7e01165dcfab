package ledger_test

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/dosewire/dosewire/ledger"
)

// erasedChain is a chain of 12 entries in which entry 12 erases records 3 and 5. old is the form of earlier
// programs, which states their number alone.
func erasedChain(old bool) *memory {
	m := chained(12, 20)
	r := &ledger.Record{ID: id(99), Type: ledger.TypeErasure, Version: 3, Sealed: make([]byte, 61)}
	if !old {
		r.State([]ledger.Emptied{{Index: 5, Record: id(5)}, {Index: 3, Record: id(3)}})
	}
	row := ledger.Row{Record: r}
	row.Entry, m.head = ledger.Link(m.head, ledger.KindErasure, time.UnixMilli(9000), r.Digest(), ledger.Hash{})
	m.rows = append(m.rows, row)
	m.empty(3)
	m.empty(5)
	return m
}

func (m *memory) empty(index int) {
	r := *m.rows[index].Record
	r.Sealed, r.KeyID, r.ErasedBy = nil, ledger.ID{}, 12
	m.rows[index].Record = &r
}

func (m *memory) fill(index int) {
	r := *m.rows[index].Record
	r.Sealed, r.ErasedBy = make([]byte, 20), 0
	m.rows[index].Record = &r
}

// TestAnErasureSaysWhatItEmptied: a record that was emptied under cover of another's erasure is named, with
// no key; so is one that is there again.
func TestAnErasureSaysWhatItEmptied(t *testing.T) {
	for name, tt := range map[string]struct {
		old  bool
		do   func(*memory)
		from uint64
		want error
		at   uint64
	}{
		"as written":             {do: func(*memory) {}},
		"one more emptied":       {do: func(m *memory) { m.empty(4) }, want: ledger.ErrErasure, at: 4},
		"one more, behind them":  {do: func(m *memory) { m.empty(8) }, want: ledger.ErrErasure, at: 8},
		"one instead of another": {do: func(m *memory) { m.empty(4); m.fill(5) }, want: ledger.ErrErasure, at: 4},
		"one returned":           {do: func(m *memory) { m.fill(3) }, want: ledger.ErrReturned, at: 3},
		"a shell under another id": {do: func(m *memory) {
			r := *m.rows[5].Record
			r.ID = id(77)
			m.rows[5].Record = &r
		}, want: ledger.ErrErasure, at: 5},
		"one more, seen from entry 4":    {do: func(m *memory) { m.empty(6) }, from: 4, want: ledger.ErrErasure, at: 6},
		"as written, seen from entry 4":  {do: func(*memory) {}, from: 4},
		"as written by an earlier one":   {old: true, do: func(*memory) {}},
		"one more, by an earlier one":    {old: true, do: func(m *memory) { m.empty(4) }, want: ledger.ErrErasure, at: 12},
		"list changed":                   {do: func(m *memory) { m.rows[12].Record.Sealed[12] = 4 }, want: ledger.ErrDigest, at: 12},
		"list changed, and who names it": {do: func(m *memory) { m.rows[12].Record.Sealed[12] = 4; m.empty(4); m.fill(3) }, want: ledger.ErrDigest, at: 12},
	} {
		t.Run(name, func(t *testing.T) {
			m := erasedChain(tt.old)
			tt.do(m)
			from := ledger.Head{Leaf: ledger.Origin(walkOrigin)}
			for _, row := range m.rows[:tt.from] {
				from = ledger.Head{Size: row.Entry.Index + 1, Leaf: row.Entry.Leaf(), Time: row.Entry.Time}
			}
			for _, verify := range []func() error{
				func() error { _, _, err := ledger.Verify(t.Context(), m, from, nil); return err },
				func() error { _, _, err := ledger.Walk{From: from}.Verify(t.Context(), m); return err },
			} {
				err := verify()
				bad, named := errors.AsType[*ledger.BadEntry](err)
				if !errors.Is(err, tt.want) || named && bad.Index != tt.at {
					t.Errorf("%v, want %v at entry %d", err, tt.want, tt.at)
				}
			}
		})
	}
}

func TestStatedErasureOpens(t *testing.T) {
	key := ledger.PatientKey{KeyID: id(2), Key: make([]byte, ledger.KeySize)}
	r := ledger.Record{ID: id(1), KeyID: id(2), Type: ledger.TypeErasure, Version: 3}
	commitment, err := ledger.SealWith(key, &r, []byte("why"), []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if list, ok, err := r.Stated(); list != nil || ok || err != nil {
		t.Errorf("before: %v, %v, %v", list, ok, err)
	}
	r.State([]ledger.Emptied{{Index: 7, Record: id(7)}, {Index: 4, Record: id(4)}})
	list, ok, err := r.Stated()
	if !ok || err != nil || !slices.Equal(list, []ledger.Emptied{{Index: 4, Record: id(4)}, {Index: 7, Record: id(7)}}) {
		t.Errorf("stated %v, %v, %v", list, ok, err)
	}
	o, err := ledger.OpenAll(key, r, &commitment)
	if err != nil || string(o.Plaintext) != "why" || string(o.Evidence) != "{}" {
		t.Errorf("opened %q, %q, %v", o.Plaintext, o.Evidence, err)
	}
	for name, change := range map[string]func(*ledger.Record){
		"another count":    func(r *ledger.Record) { binary.BigEndian.PutUint32(r.Sealed[1:], 3) },
		"another version":  func(r *ledger.Record) { r.Version = 2 },
		"not an erasure":   func(r *ledger.Record) { r.Type = "fact" },
		"out of order":     func(r *ledger.Record) { binary.BigEndian.PutUint64(r.Sealed[5:], 7) },
		"cut in the list":  func(r *ledger.Record) { r.Sealed = r.Sealed[:40] },
		"cut in the count": func(r *ledger.Record) { r.Sealed = r.Sealed[:3] },
	} {
		spoilt := r
		spoilt.Sealed = slices.Clone(r.Sealed)
		change(&spoilt)
		if _, _, err := spoilt.Stated(); !errors.Is(err, ledger.ErrSealed) {
			t.Errorf("%s: %v, want ErrSealed", name, err)
		}
	}
}

type erasureVector struct {
	Name    string    `json:"name"`
	Record  ledger.ID `json:"record"`
	KeyID   ledger.ID `json:"keyId"`
	Version int       `json:"version"`
	Inner   hexed     `json:"inner"` // the sealed form of version 1 or 2
	Emptied []struct {
		Index  uint64    `json:"index"`
		Record ledger.ID `json:"record"`
	} `json:"emptied"`
	Sealed hexed `json:"sealed"`
	Digest hexed `json:"digest"`
}

func TestVectorsSealErasure(t *testing.T) {
	made := make([]erasureVector, 2)
	for i := range made {
		v := &made[i]
		v.Name, v.Record, v.KeyID, v.Version = []string{"two records", "none"}[i], id(byte(1+i)), id(2), 3-2*i
		v.Inner = make([]byte, 61+i)
		v.Inner[0] = byte(1 + i)
		r := ledger.Record{ID: v.Record, KeyID: v.KeyID, Type: ledger.TypeErasure, Version: v.Version, Of: v.Record, Sealed: slices.Clone(v.Inner)}
		var list []ledger.Emptied
		for n := range v.Version - 1 {
			e := ledger.Emptied{Index: uint64(300 * (n + 1)), Record: id(byte(9 - n))}
			list = append(list, e)
			v.Emptied = append(v.Emptied, struct {
				Index  uint64    `json:"index"`
				Record ledger.ID `json:"record"`
			}(e))
		}
		r.State(list)
		digest := r.Digest()
		v.Sealed, v.Digest = r.Sealed, digest[:]
	}
	for _, v := range vector(t, "seal-erasure.json", made) {
		r := ledger.Record{ID: v.Record, KeyID: v.KeyID, Type: ledger.TypeErasure, Version: v.Version, Of: v.Record, Sealed: slices.Clone(v.Sealed)}
		list, ok, err := r.Stated()
		if !ok || err != nil || len(list) != len(v.Emptied) || r.Digest() != ledger.Hash(v.Digest) {
			t.Errorf("%s: %v, %v, %v", v.Name, list, ok, err)
		}
		for i, e := range list {
			if e.Index != v.Emptied[i].Index || e.Record != v.Emptied[i].Record {
				t.Errorf("%s: %v", v.Name, e)
			}
		}
	}
}
