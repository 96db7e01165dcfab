package sqlite

import (
	"context"
	"database/sql"

	"github.com/dosewire/dosewire/ledger"
)

// InsertAccess stores a disclosure durably before plaintext leaves. Its index is the recorder's to
// give; the one in a is not looked at.
func (s *Store) InsertAccess(ctx context.Context, a ledger.Access) error {
	const q = `INSERT INTO access (id, org, patient, client, person, purpose, action, records, time)
	  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`
	return s.change(ctx, "store access", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, q, a.ID[:], idOrNull(a.Org), idOrNull(a.Patient), idOrNull(a.Client),
			a.Person, a.Purpose, a.Action, joinIDs(a.Records), a.Time)
		return err
	})
}

// PendingAccess returns accesses without an entry, oldest first, at most limit.
func (s *Store) PendingAccess(ctx context.Context, limit int) ([]ledger.Access, error) {
	const q = `SELECT id, org, patient, client, person, purpose, action, records, time FROM access
	  WHERE idx IS NULL ORDER BY time, id LIMIT ?`
	return list(ctx, s, "read accesses", func(src row) (ledger.Access, error) {
		a := ledger.Access{Index: ledger.NoIndex}
		var records []byte
		err := src.Scan(&a.ID, &a.Org, &a.Patient, &a.Client, &a.Person, &a.Purpose, &a.Action, &records, &a.Time)
		a.Records = splitIDs(records)
		return a, err
	}, q, max(limit, 0))
}
