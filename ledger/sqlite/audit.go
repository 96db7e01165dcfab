package sqlite

import (
	"context"

	"github.com/dosewire/dosewire/ledger"
)

// Records returns which messages of the intake the records with from <= index < to stand for, in order.
func (s *Store) Records(ctx context.Context, from, to uint64) ([]ledger.Account, error) {
	const q = `SELECT seq, sub, idx FROM record WHERE idx >= ? AND idx < ? AND epoch > 0 ORDER BY idx`
	return list(ctx, s, "read records", scanAccount, q, position(from), position(to))
}

// Others returns which messages with after < sequence <= upTo were refused or repeated.
func (s *Store) Others(ctx context.Context, epoch, after, upTo uint64) ([]ledger.Account, error) {
	const q = `SELECT seq, sub, NULL FROM quarantine WHERE epoch = ?1 AND seq > ?2 AND seq <= ?3
	  UNION ALL SELECT seq, sub, NULL FROM quarantine_gone WHERE epoch = ?1 AND seq > ?2 AND seq <= ?3
	  UNION ALL SELECT seq, sub, NULL FROM replay WHERE epoch = ?1 AND seq > ?2 AND seq <= ?3`
	return list(ctx, s, "read refusals", scanAccount, q, position(epoch), position(after), position(upTo))
}

func scanAccount(r row) (a ledger.Account, err error) {
	err = r.Scan(&a.Seq, &a.Sub, indexInto{&a.Index})
	return a, err
}

// strays compares rows with from <= index < to with the kind of their entries, in one snapshot.
const strays = `
  SELECT r.idx, 0 FROM record r LEFT JOIN ledger l ON l.idx = r.idx
    WHERE r.idx >= ?1 AND r.idx < ?2 AND (l.idx IS NULL OR substr(l.entry, 2, 1) NOT IN (x'01', x'02'))
  UNION ALL SELECT a.idx, 0 FROM access a LEFT JOIN ledger l ON l.idx = a.idx
    WHERE a.idx >= ?1 AND a.idx < ?2 AND (l.idx IS NULL OR substr(l.entry, 2, 1) <> x'04')
  UNION ALL SELECT s.idx, 0 FROM statement s LEFT JOIN ledger l ON l.idx = s.idx
    WHERE s.idx >= ?1 AND s.idx < ?2 AND (l.idx IS NULL OR substr(l.entry, 2, 1) NOT IN (x'00', x'02', x'03'))
  UNION ALL SELECT r.idx, 1 FROM record r LEFT JOIN ledger e ON e.idx = r.erased_by AND e.idx > r.idx AND substr(e.entry, 2, 1) = x'02'
    WHERE r.idx >= ?1 AND r.idx < ?2 AND (r.sealed IS NULL OR r.erased_by IS NOT NULL) AND e.idx IS NULL
  ORDER BY 1`

// Strays returns the rows with from <= index < to that do not fit the entry whose index they have.
func (s *Store) Strays(ctx context.Context, from, to uint64) ([]ledger.Stray, error) {
	return list(ctx, s, "read strays", func(r row) (found ledger.Stray, err error) {
		var emptied bool
		err = r.Scan(&found.Index, &emptied)
		found.Err = ledger.ErrOrphan
		if emptied {
			found.Err = ledger.ErrErasure
		}
		return found, err
	}, strays, position(from), position(to))
}

// Prescriptions returns those with an id above after, in the order of ids, at most limit.
func (s *Store) Prescriptions(ctx context.Context, after ledger.ID, limit int) ([]ledger.Prescription, error) {
	const q = `SELECT ` + prescriptionColumns + ` FROM prescription p WHERE p.id > ? ORDER BY p.id LIMIT ?`
	one := func(r row) (ledger.Prescription, error) { return scanPrescription(r) }
	return list(ctx, s, "read prescriptions", one, q, after[:], max(limit, 0))
}

// position is a number as SQLite holds it; what it cannot hold is beyond every row.
func position(n uint64) int64 { return int64(min(n, 1<<63-1)) }
