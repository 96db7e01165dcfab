package ledger_test

import (
	"errors"
	"testing"
	"time"

	"github.com/dosewire/dosewire/ledger"
)

func TestLinkAndCheck(t *testing.T) {
	head := ledger.Head{Leaf: ledger.Origin("dosewire.test/ledger/1"), Seq: 9, Deliveries: 4, Term: 2}
	at := time.UnixMilli(5000)
	e0, h1 := ledger.Link(head, ledger.KindGenesis, at, ledger.Hash{1}, ledger.Hash{})
	e1, h2 := ledger.Link(h1, ledger.KindRecord, at.Add(-time.Second), ledger.Hash{2}, ledger.Hash{3})
	if e1.Time != e0.Time {
		t.Errorf("time went back to %d", e1.Time)
	}
	if h2.Size != 2 || h2.Leaf != e1.Leaf() || h2.Seq != 9 || h2.Deliveries != 4 || h2.Term != 2 {
		t.Errorf("head after two entries: %+v", h2)
	}
	got, err := ledger.Check(head, e0)
	if err != nil || got != h1 {
		t.Errorf("Check: %+v, %v", got, err)
	}
	for name, spoil := range map[string]func(*ledger.Entry){
		"index": func(e *ledger.Entry) { e.Index++ },
		"prev":  func(e *ledger.Entry) { e.Prev[31]++ },
		"time":  func(e *ledger.Entry) { e.Time-- },
	} {
		e := e1
		spoil(&e)
		if got, err := ledger.Check(h1, e); !errors.Is(err, ledger.ErrChain) || got != h1 {
			t.Errorf("%s: %+v, %v, want ErrChain and the head unmoved", name, got, err)
		}
	}
}

// FuzzParse: what is accepted encodes to the same bytes, so there is one encoding of each entry.
func FuzzParse(f *testing.F) {
	e, _ := ledger.Link(ledger.Head{Size: 3}, ledger.KindRecord, time.UnixMilli(1), ledger.Hash{1}, ledger.Hash{2})
	b := e.Bytes()
	f.Add(b[:])
	f.Add(b[:113])
	f.Add(append(b[:], 0))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, in []byte) {
		e, err := ledger.Parse(in)
		if err != nil {
			if !errors.Is(err, ledger.ErrEntry) {
				t.Errorf("error %v, want ErrEntry", err)
			}
			return
		}
		if out := e.Bytes(); string(out[:]) != string(in) {
			t.Errorf("parsed and encoded: %x, want %x", out, in)
		}
	})
}
