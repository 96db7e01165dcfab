package recorder

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

// Difference is the first place where stored tables are not what the records say.
type Difference struct {
	Table  string `json:"table"`
	Key    string `json:"key"`              // primary key as text
	Column string `json:"column,omitempty"` // the first that differs, if it can be told
	Reason string `json:"reason"`
}

// Reasons of a Difference.
const (
	DiffersRow = "the row is not what the records say"
	MissingRow = "the row is missing"
	ForeignRow = "no record says that there is such a row"
)

func (d *Difference) Error() string {
	where := d.Table + " " + d.Key
	if d.Column != "" {
		where += ", column " + d.Column
	}
	return where + ": " + d.Reason
}

// Unwrap makes it tampered data.
func (d *Difference) Unwrap() error { return errDifference }

var errDifference = fault.New(fault.Tampered, "recorder: stored state is not what the records say")

// Check compares stored tables with the rebuilt ones, of the same moment: it follows the ledger up to the
// head of the snapshot first. It returns nil, a *Difference, or why it could not compare. rows says how many
// rows were compared.
func (b *Rebuilt) Check(ctx context.Context, stored ledger.StateReader, progress func(entries uint64)) (rows uint64, err error) {
	var table string
	var expected map[string]string
	done := -1 // position of table in ledger.StateTables
	lapsed := map[ledger.ID]bool{}
	// upTo ends the tables before the nth: what is left of them is missing.
	upTo := func(n int) error {
		for done < n {
			if len(expected) > 0 {
				return &Difference{Table: table, Key: slices.Min(slices.Collect(maps.Keys(expected))), Reason: MissingRow}
			}
			if done++; done == len(ledger.StateTables) {
				return nil
			}
			table = ledger.StateTables[done]
			var err error
			if expected, err = b.table(table); err != nil {
				return err
			}
		}
		return nil
	}
	begin := func(h ledger.Head) error { return b.Follow(ctx, h.Size, progress) }
	err = stored.State(ctx, begin, func(r ledger.StateRow) error {
		if err := upTo(slices.Index(ledger.StateTables[:], r.Table)); err != nil {
			return err
		}
		rows++
		want, ok := expected[r.Key]
		if !ok && r.Table == "message" && b.lapses(r.Text, lapsed) {
			return nil
		}
		if !ok {
			return &Difference{Table: r.Table, Key: r.Key, Reason: ForeignRow}
		}
		delete(expected, r.Key)
		if want == r.Text || len(want) == sha256.Size && want == summary(r.Text) {
			return nil
		}
		return &Difference{Table: r.Table, Key: r.Key, Column: firstColumn(want, r.Text), Reason: DiffersRow}
	})
	if err == nil {
		err = upTo(len(ledger.StateTables))
	}
	if err == nil {
		err = b.remembered(lapsed)
	}
	if d, ok := errors.AsType[*Difference](err); ok {
		return rows, d
	}
	if err != nil {
		return rows, fmt.Errorf("recorder: compare: %w", err)
	}
	return rows, nil
}

// lapses reports whether a row of table message is the memory of a message whose record can no longer be
// opened, so that it cannot be made again. There is one for each.
func (b *Rebuilt) lapses(text string, seen map[ledger.ID]bool) bool {
	var row struct{ Record ledger.ID }
	if json.Unmarshal([]byte(text), &row) != nil || !b.lapsed[row.Record] || seen[row.Record] {
		return false
	}
	seen[row.Record] = true
	return true
}

// remembered demands that every such memory is there.
func (b *Rebuilt) remembered(seen map[ledger.ID]bool) error {
	for id := range b.lapsed {
		if !seen[id] {
			return &Difference{Table: "message", Key: "of record " + id.String(), Reason: MissingRow}
		}
	}
	return nil
}

// Write writes every row as a line of JSON: table, key, and the row.
func (b *Rebuilt) Write(w io.Writer) error {
	out := bufio.NewWriter(w)
	line := json.NewEncoder(out)
	for _, table := range ledger.StateTables {
		rows, err := b.table(table)
		if err != nil {
			return err
		}
		for _, key := range slices.Sorted(maps.Keys(rows)) {
			err := line.Encode(struct {
				Table string          `json:"table"`
				Key   string          `json:"key"`
				Row   json.RawMessage `json:"row"`
			}{table, key, json.RawMessage(rows[key])})
			if err != nil {
				return fmt.Errorf("recorder: write %s: %w", table, err)
			}
		}
	}
	return out.Flush()
}

// Rows counts the rows of each table.
func (b *Rebuilt) Rows() (map[string]int, error) {
	counts := map[string]int{}
	for _, table := range ledger.StateTables {
		rows, err := b.table(table)
		if err != nil {
			return nil, err
		}
		counts[table] = len(rows)
	}
	return counts, nil
}

// table is one table as texts by key; of messages that are not kept whole, summaries.
func (b *Rebuilt) table(name string) (map[string]string, error) {
	rows := map[string]string{}
	put := func(r ledger.StateRow) { rows[r.Key] = r.Text }
	v := b.decider.view
	switch name {
	case "organization":
		for _, o := range b.orgs {
			put(o.StateRow())
		}
	case "client":
		for _, c := range b.clients {
			put(c.StateRow())
		}
	case "nomination":
		for patient, pharmacy := range b.nominations {
			put(ledger.Nomination{Patient: patient, Pharmacy: pharmacy}.StateRow())
		}
	case "prescription":
		for _, p := range v.states {
			row, err := p.write()
			if err != nil {
				return nil, fmt.Errorf("recorder: state: %w", err)
			}
			mark(b.keys, &row)
			put(row.StateRow())
		}
	case "fill":
		for _, fills := range b.fills {
			for _, f := range fills {
				put(f.StateRow())
			}
		}
	case "dispense":
		for _, d := range v.Dispenses {
			put(d.StateRow())
		}
	case "delivered":
		for _, d := range b.delivered {
			put(d.StateRow())
		}
	case "message":
		for key, m := range b.messages {
			text := m.text
			if text == "" {
				text = string(m.sum[:])
			}
			rows[ledger.Message{Key: key}.StateRow().Key] = text
		}
	case "hold":
		for _, h := range b.holds {
			put(h.StateRow())
		}
	case "patient_request":
		for _, r := range b.requests {
			put(r.StateRow())
		}
	case "patient_link":
		for patient, person := range b.links {
			put(ledger.PatientLink{Patient: patient, Person: person}.StateRow())
		}
	}
	return rows, nil
}

// summary stands for a text that is not kept.
func summary(text string) string {
	sum := sha256.Sum256([]byte(text))
	return string(sum[:])
}

// firstColumn names the first column in which two rows differ, "" when one is a summary.
func firstColumn(a, b string) string {
	var x, y map[string]json.RawMessage
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return ""
	}
	for _, name := range slices.Sorted(maps.Keys(x)) {
		if string(x[name]) != string(y[name]) {
			return name
		}
	}
	return ""
}
