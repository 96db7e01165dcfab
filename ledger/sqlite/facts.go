package sqlite

import (
	"context"

	"github.com/dosewire/dosewire/ledger"
)

// Facts returns the records of the hub's facts under these keys, in the order of their entries.
func (s *Store) Facts(ctx context.Context, keys []ledger.ID) ([]ledger.Record, error) {
	const q = askedIDs + `SELECT ` + recordColumns + ` FROM record r
	  WHERE r.key_id IN (SELECT id FROM asked) AND r.type = '` + ledger.TypeFact + `' ORDER BY r.idx`
	return list(ctx, s, "read facts", scanRecord, q, joinIDs(keys), len(keys))
}
