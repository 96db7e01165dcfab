package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/dosewire/dosewire/ledger"
)

// Facts returns the records of the hub's facts under these keys, in the order of their entries.
func (s *Store) Facts(ctx context.Context, keys []ledger.ID) ([]ledger.Record, error) {
	rows, err := s.pool.Query(ctx, `SELECT `+recordColumns+` FROM record r
	  WHERE r.key_id = ANY ($1) AND r.type = '`+ledger.TypeFact+`' ORDER BY r.idx`, uuids(keys))
	all, err := collect(rows, err, func(r pgx.Rows) (ledger.Record, error) { return scanRecord(r) })
	return all, refuse(err, "read facts")
}
