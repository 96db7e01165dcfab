package sqlite

import (
	"bytes"
	"context"
	"iter"

	"github.com/dosewire/dosewire/ledger"
)

// pageSize is how many rows are held at once while the chain is walked: short snapshots, so that a
// long walk does not hold up the write-ahead log.
const pageSize = 256

const selectRows = `SELECT l.idx, l.entry, l.leaf,
    r.id, r.org, r.key_id, r.type, r.version, r.of, r.epoch, r.seq, r.sub, r.sealed, r.erased_by,
    a.id, a.org, a.patient, a.client, a.person, a.purpose, a.action, a.records, a.time, s.text
  FROM ledger l LEFT JOIN record r ON r.idx = l.idx LEFT JOIN access a ON a.idx = l.idx LEFT JOIN statement s ON s.idx = l.idx
  WHERE l.idx >= ? ORDER BY l.idx LIMIT ?`

// Rows yields entries from index from on in order, each with the row it covers, until the end.
func (s *Store) Rows(ctx context.Context, from uint64) iter.Seq2[ledger.Row, error] {
	return func(yield func(ledger.Row, error) bool) {
		for next := from; ; {
			page, err := s.Page(ctx, next, pageSize)
			for i := range page {
				if !yield(page[i], nil) {
					return
				}
			}
			if err != nil {
				yield(ledger.Row{}, err)
				return
			}
			if len(page) < pageSize {
				return
			}
			next = page[len(page)-1].Entry.Index + 1
		}
	}
}

// Page returns entries from index from on in order, at most limit, each with the row it covers; with an
// error, those before it.
func (s *Store) Page(ctx context.Context, from uint64, limit int) ([]ledger.Row, error) {
	return list(ctx, s, "read ledger", scanRow, selectRows, position(from), max(limit, 0))
}

// joined holds the columns of an outer join: all nil where there is no such row.
type joined struct {
	record struct {
		id, org, keyID, of       ledger.ID
		kind                     *string
		version, epoch, seq, sub *int64
		erased                   *int64
		sealed                   []byte
	}
	access struct {
		id, org, patient, client ledger.ID
		person, purpose, action  *string
		records                  []byte
		time                     *int64
	}
	text *string
}

func scanRow(rows row) (row ledger.Row, err error) {
	var (
		idx   int64
		entry []byte
		leaf  []byte
		j     joined
	)
	r, a := &j.record, &j.access
	err = rows.Scan(&idx, &entry, &leaf,
		&r.id, &r.org, &r.keyID, &r.kind, &r.version, &r.of, &r.epoch, &r.seq, &r.sub, &r.sealed, &r.erased,
		&a.id, &a.org, &a.patient, &a.client, &a.person, &a.purpose, &a.action, &a.records, &a.time, &j.text)
	if err != nil {
		return row, err
	}
	if row.Entry, err = entryOf(idx, entry); err != nil {
		return row, err
	}
	if want := row.Entry.Leaf(); !bytes.Equal(leaf, want[:]) { // what the next entry would be linked to
		return row, &ledger.BadEntry{Index: uint64(idx), Err: ledger.ErrEntry}
	}
	if r.kind != nil {
		row.Record = &ledger.Record{ID: r.id, Org: r.org, KeyID: r.keyID, Type: *r.kind, Version: int(*r.version), Of: r.of,
			Epoch: uint64(*r.epoch), Seq: uint64(*r.seq), Sub: int(*r.sub), Sealed: r.sealed, Index: uint64(idx)}
		if r.erased != nil {
			row.Record.ErasedBy = uint64(*r.erased)
		}
	}
	if a.time != nil {
		row.Access = &ledger.Access{ID: a.id, Org: a.org, Patient: a.patient, Client: a.client, Person: *a.person,
			Purpose: *a.purpose, Action: *a.action, Records: splitIDs(a.records), Time: *a.time, Index: uint64(idx)}
	}
	if j.text != nil {
		row.Statement = &ledger.Statement{Index: uint64(idx), Text: *j.text}
	}
	return row, nil
}
