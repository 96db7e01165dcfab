package sqlite

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"time"

	"github.com/dosewire/dosewire/ledger"
)

const selectHead = `SELECT epoch, seq, size, leaf, time, deliveries, term, lease_until FROM head`

// Head returns the head as last committed.
func (s *Store) Head(ctx context.Context) (ledger.Head, error) {
	h, _, err := scanHead(s.read.QueryRowContext(ctx, selectHead))
	if err = refuse(err, "read head"); errors.Is(err, ledger.ErrNotFound) { // the row is there from the first day on
		err = ledger.ErrHead.Wrap(err)
	}
	return h, err
}

func scanHead(row *sql.Row) (h ledger.Head, leaseUntil int64, err error) {
	err = row.Scan(&h.Epoch, &h.Seq, &h.Size, hashInto{&h.Leaf}, &h.Time, &h.Deliveries, &h.Term, &leaseUntil)
	return h, leaseUntil, err
}

// headToMove is the head for one who is about to write behind it. ledger.ErrHead when the chain does not
// end where and when it says: whatever was appended would be refused, or hide that.
func headToMove(ctx context.Context, tx *sql.Tx) (h ledger.Head, leaseUntil int64, err error) {
	if h, leaseUntil, err = scanHead(tx.QueryRowContext(ctx, selectHead)); err != nil {
		return h, leaseUntil, err
	}
	var ends bool
	at := binary.BigEndian.AppendUint64(nil, uint64(h.Time)) // as the entry has it
	const q = `SELECT (?1 = 0 AND ?4 = 0 OR EXISTS (SELECT 1 FROM ledger WHERE idx = ?1 - 1 AND leaf = ?2 AND substr(entry, 11, 8) = ?3))
	  AND NOT EXISTS (SELECT 1 FROM ledger WHERE idx >= ?1)`
	if err := tx.QueryRowContext(ctx, q, int64(h.Size), h.Leaf[:], at, h.Time).Scan(&ends); err != nil {
		return h, leaseUntil, err
	}
	if !ends {
		return h, leaseUntil, ledger.ErrHead
	}
	return h, leaseUntil, nil
}

// SetOrigin puts SHA-256(origin) into the head while the chain is empty. Once entry 0 exists it
// changes nothing: nil when the chain was begun under this origin, else ledger.ErrOrigin.
func (s *Store) SetOrigin(ctx context.Context, origin string) error {
	want := ledger.Origin(origin)
	return s.change(ctx, "set origin", func(tx *sql.Tx) error {
		var (
			size int64
			has  ledger.Hash
		)
		if err := tx.QueryRowContext(ctx, `SELECT size, origin FROM head`).Scan(&size, hashInto{&has}); err != nil {
			return err
		}
		switch {
		case has == want:
			return nil
		case size > 0:
			return ledger.ErrOrigin
		}
		_, err := tx.ExecContext(ctx, `UPDATE head SET origin = ?1, leaf = ?1`, want[:])
		return err
	})
}

// Acquire takes the next term if the lease of the present one has ended, or renews it for its
// holder. Term 0 is nobody's: it always asks for a new one.
func (s *Store) Acquire(ctx context.Context, term uint64) (head ledger.Head, now time.Time, err error) {
	err = s.change(ctx, "acquire lease", func(tx *sql.Tx) error {
		h, until, err := headToMove(ctx, tx)
		if err != nil {
			return err
		}
		now = s.now()
		holds := term != 0 && term == h.Term
		if !holds && now.UnixMilli() < until {
			return ledger.ErrLeased
		}
		if !holds {
			h.Term++
		}
		head = h
		_, err = tx.ExecContext(ctx, `UPDATE head SET term = ?, lease_until = ?`, h.Term, now.Add(ledger.Lease).UnixMilli())
		return err
	})
	if err != nil {
		return ledger.Head{}, time.Time{}, err
	}
	return head, now, nil
}

// Release ends the lease of term; it does nothing when another has begun.
func (s *Store) Release(ctx context.Context, term uint64) error {
	return s.exec(ctx, "release lease", `UPDATE head SET lease_until = 0 WHERE term = ?`, term)
}
