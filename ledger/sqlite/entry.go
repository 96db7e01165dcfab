package sqlite

import (
	"context"

	"github.com/dosewire/dosewire/ledger"
)

// Entry returns the entry at an index, or ledger.ErrNotFound.
func (s *Store) Entry(ctx context.Context, index uint64) (ledger.Entry, error) {
	var raw []byte
	at := int64(min(index, 1<<63-1))
	if err := s.read.QueryRowContext(ctx, `SELECT entry FROM ledger WHERE idx = ?`, at).Scan(&raw); err != nil {
		return ledger.Entry{}, refuse(err, "read entry")
	}
	return entryOf(at, raw)
}
