package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/dosewire/dosewire/ledger"
)

// Records returns which messages of the intake the records with from <= index < to stand for, in order.
func (s *Store) Records(ctx context.Context, from, to uint64) ([]ledger.Account, error) {
	rows, err := s.pool.Query(ctx, `SELECT seq, sub, idx FROM record WHERE idx >= $1 AND idx < $2 AND epoch > 0 ORDER BY idx`, position(from), position(to))
	all, err := collect(rows, err, scanAccount)
	return all, refuse(err, "read records")
}

// Others returns which messages with after < sequence <= upTo were refused or repeated.
func (s *Store) Others(ctx context.Context, epoch, after, upTo uint64) ([]ledger.Account, error) {
	rows, err := s.pool.Query(ctx, `SELECT seq, sub, NULL::bigint FROM quarantine WHERE epoch = $1 AND seq > $2 AND seq <= $3
	  UNION ALL SELECT seq, sub, NULL::bigint FROM quarantine_gone WHERE epoch = $1 AND seq > $2 AND seq <= $3
	  UNION ALL SELECT seq, sub, NULL::bigint FROM replay WHERE epoch = $1 AND seq > $2 AND seq <= $3`,
		position(epoch), position(after), position(upTo))
	all, err := collect(rows, err, scanAccount)
	return all, refuse(err, "read refusals")
}

func scanAccount(r pgx.Rows) (a ledger.Account, err error) {
	err = r.Scan(&a.Seq, &a.Sub, indexInto{&a.Index})
	return a, err
}

// strays compares rows with from <= index < to with the kind of their entries, in one snapshot. The range is
// said of both sides of each join: from one side alone the planner does not conclude it for the other, and
// reads all of the ledger.
const strays = `
  SELECT r.idx, false FROM record r LEFT JOIN ledger l ON l.idx = r.idx AND l.idx >= $1 AND l.idx < $2
    WHERE r.idx >= $1 AND r.idx < $2 AND (l.idx IS NULL OR substr(l.entry, 2, 1) NOT IN ('\x01', '\x02'))
  UNION ALL SELECT a.idx, false FROM access a LEFT JOIN ledger l ON l.idx = a.idx AND l.idx >= $1 AND l.idx < $2
    WHERE a.idx >= $1 AND a.idx < $2 AND (l.idx IS NULL OR substr(l.entry, 2, 1) <> '\x04')
  UNION ALL SELECT s.idx, false FROM statement s LEFT JOIN ledger l ON l.idx = s.idx AND l.idx >= $1 AND l.idx < $2
    WHERE s.idx >= $1 AND s.idx < $2 AND (l.idx IS NULL OR substr(l.entry, 2, 1) NOT IN ('\x00', '\x02', '\x03'))
  UNION ALL SELECT r.idx, true FROM record r LEFT JOIN ledger e ON e.idx = r.erased_by AND e.idx > r.idx AND substr(e.entry, 2, 1) = '\x02'
    WHERE r.idx >= $1 AND r.idx < $2 AND (r.sealed IS NULL OR r.erased_by IS NOT NULL) AND e.idx IS NULL
  ORDER BY 1`

// Strays returns the rows with from <= index < to that do not fit the entry whose index they have.
func (s *Store) Strays(ctx context.Context, from, to uint64) ([]ledger.Stray, error) {
	rows, err := s.pool.Query(ctx, strays, position(from), position(to))
	all, err := collect(rows, err, func(r pgx.Rows) (found ledger.Stray, err error) {
		var emptied bool
		err = r.Scan(&found.Index, &emptied)
		found.Err = ledger.ErrOrphan
		if emptied {
			found.Err = ledger.ErrErasure
		}
		return found, err
	})
	return all, refuse(err, "read strays")
}

// Prescriptions returns those with an id above after, in the order of ids, at most limit.
func (s *Store) Prescriptions(ctx context.Context, after ledger.ID, limit int) ([]ledger.Prescription, error) {
	rows, err := s.pool.Query(ctx, `SELECT `+prescriptionColumns+` FROM prescription p WHERE p.id > $1 ORDER BY p.id LIMIT $2`, id(after), max(limit, 0))
	all, err := collect(rows, err, func(r pgx.Rows) (ledger.Prescription, error) { return scanPrescription(r) })
	return all, refuse(err, "read prescriptions")
}

// position is a number as PostgreSQL holds it; what it cannot hold is beyond every row.
func position(n uint64) int64 { return int64(min(n, 1<<63-1)) }
