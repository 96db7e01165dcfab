package hub

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/dosewire/dosewire/internal/hub/admin"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/receipt"
)

// stored is a database of statements.
type stored []ledger.Row

func (s stored) Head(context.Context) (ledger.Head, error) {
	last := s[len(s)-1].Entry
	return ledger.Head{Size: uint64(len(s)), Leaf: last.Leaf(), Time: last.Time}, nil
}

func (s stored) Rows(_ context.Context, from uint64) iter.Seq2[ledger.Row, error] {
	return func(yield func(ledger.Row, error) bool) {
		for _, row := range s[from:] {
			if !yield(row, nil) {
				return
			}
		}
	}
}

// TestVerifyRemembers: database and published log that are set back together are a rollback for whoever
// verified them before.
func TestVerifyRemembers(t *testing.T) {
	const origin = "remembers.example/log"
	var db stored
	var tree receipt.Tree
	roots := map[int]string{}
	head := ledger.Head{Leaf: ledger.Origin(origin)}
	for i := range 32 {
		row := ledger.Row{Statement: &ledger.Statement{Index: uint64(i), Text: "x"}}
		kind := ledger.KindStatement
		if i == 0 {
			kind = ledger.KindGenesis
		}
		row.Entry, head = ledger.Link(head, kind, time.UnixMilli(int64(i)), sha256.Sum256([]byte("x")), ledger.Hash{})
		db = append(db, row)
		tree.Add(head.Leaf)
		root := tree.Root()
		roots[i+1] = hex.EncodeToString(root[:])
	}
	look := func(entries, signed int, state json.RawMessage) (admin.Verdict, error) {
		return verify(t.Context(), db[:entries], origin, receipt.Dir(t.TempDir()), admin.Verification{State: state, At: uint64(signed), Root: roots[signed]}, nil)
	}
	whole, err := look(32, 32, nil)
	if err != nil || whole.Bad != nil {
		t.Fatalf("%+v, %v", whole.Bad, err)
	}
	if v, err := look(12, 12, whole.State); err != nil || v.Bad == nil || v.Bad.Entry != 12 {
		t.Errorf("both set back: %+v, %v", v.Bad, err)
	}
	if v, err := look(32, 12, whole.State); err != nil || v.Bad == nil || !strings.Contains(v.Bad.Reason, receipt.ErrRollback.Error()) {
		t.Errorf("the published log set back: %+v, %v", v.Bad, err)
	}
	unsigned, err := look(32, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := look(32, 12, unsigned.State); err == nil {
		t.Error("a root was compared that lies before the walk")
	}
}
