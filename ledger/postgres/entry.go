package postgres

import (
	"context"

	"github.com/dosewire/dosewire/ledger"
)

// Entry returns the entry at an index, or ledger.ErrNotFound.
func (s *Store) Entry(ctx context.Context, index uint64) (ledger.Entry, error) {
	var raw []byte
	at := int64(min(index, 1<<63-1))
	if err := s.pool.QueryRow(ctx, `SELECT entry FROM ledger WHERE idx = $1`, at).Scan(&raw); err != nil {
		return ledger.Entry{}, refuse(err, "read entry")
	}
	e, err := ledger.Parse(raw)
	if err != nil {
		return ledger.Entry{}, &ledger.BadEntry{Index: index, Err: err}
	}
	return e, nil
}
