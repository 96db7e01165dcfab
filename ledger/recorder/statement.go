package recorder

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/streams"
)

// FactKeys says that the deployment key has a new generation. It becomes a statement: an entry whose
// text every auditor can read.
const FactKeys = "keys"

// KeysFact is JSON on rx.fact.keys, with the message id hub.<ID>: said again, it is no second entry.
type KeysFact struct {
	Generation int       `json:"generation"` // from 2
	ID         ledger.ID `json:"id"`         // random, of the generation; no secret
}

// rotated decides a KeysFact.
func (t *draft) rotated() {
	var f KeysFact
	if err := strictJSON(t.unit.body, &f); err != nil {
		t.unit.refuse(err)
		return
	}
	if f.Generation < 2 || f.ID == (ledger.ID{}) || t.unit.message.ID != hubIDs+f.ID.String() {
		t.unit.refuse(fault.Of(fault.CodeFact))
		return
	}
	t.statement = "dosewire keys\ngeneration: " + strconv.Itoa(f.Generation) + "\nid: " + f.ID.String() + "\n"
	t.resources = append(t.resources, streams.Resource{Type: "keys", ID: f.ID.String(), Status: 201})
}

// linkStatement writes the entry of a statement. It has no record: its text is public.
func linkStatement(b *ledger.Batch, u *unit, at time.Time) {
	res := &u.result
	var e ledger.Entry
	e, b.To = ledger.Link(b.To, ledger.KindStatement, at, sha256.Sum256([]byte(res.statement)), ledger.Hash{})
	index, leaf := e.Index, b.To.Leaf
	res.index, res.answer.Index, res.answer.Leaf, res.answer.Record = index, &index, hex.EncodeToString(leaf[:]), ""
	b.Entries = append(b.Entries, e)
	b.Statements = append(b.Statements, ledger.Statement{Index: index, Text: res.statement})
	answer, _ := json.Marshal(res.answer) // strings and numbers only: cannot fail
	b.Messages = append(b.Messages, ledger.Message{Key: u.name, Body: u.print, Answer: answer, Seq: u.message.Seq})
	// no record accounts for the sequence, so this does
	b.Replays = append(b.Replays, ledger.Replay{Epoch: b.From.Epoch, Seq: u.message.Seq, Sub: u.place(), Key: u.name})
}
