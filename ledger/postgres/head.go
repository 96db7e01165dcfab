package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dosewire/dosewire/ledger"
)

const headColumns = `epoch, seq, size, leaf, time, deliveries, term`

func scanHead(row pgx.Row, more ...any) (h ledger.Head, err error) {
	err = row.Scan(append([]any{&h.Epoch, &h.Seq, &h.Size, hashInto{&h.Leaf}, &h.Time, &h.Deliveries, &h.Term}, more...)...)
	return h, err
}

// Head returns the head as last committed.
func (s *Store) Head(ctx context.Context) (ledger.Head, error) {
	h, err := scanHead(s.pool.QueryRow(ctx, `SELECT `+headColumns+` FROM head`))
	if err = refuse(err, "read head"); errors.Is(err, ledger.ErrNotFound) { // the row is there from the first day on
		err = ledger.ErrHead.Wrap(err)
	}
	return h, err
}

// chainEnds says whether the chain ends where and when the head says: there, and nowhere behind.
const chainEnds = `((size = 0 AND time = 0 OR EXISTS (SELECT 1 FROM ledger l WHERE l.idx = head.last AND l.leaf = head.leaf AND substr(l.entry, 11, 8) = int8send(head.time)))
	AND NOT EXISTS (SELECT 1 FROM ledger l WHERE l.idx >= head.size))`

// headBehind turns a commit that the database refused into ledger.ErrHead when that is why: the chain
// does not end where the head says, so nothing can be appended.
func (s *Store) headBehind(ctx context.Context, refusal error) error {
	var ends bool
	if err := s.pool.QueryRow(ctx, `SELECT `+chainEnds+` FROM head`).Scan(&ends); err == nil && !ends {
		return ledger.ErrHead.Wrap(refusal)
	}
	return refusal
}

// SetOrigin puts SHA-256(origin) into the head while the chain is empty. Once entry 0 exists it
// changes nothing: nil when the chain was begun under this origin, else ledger.ErrOrigin.
func (s *Store) SetOrigin(ctx context.Context, origin string) error {
	want := ledger.Origin(origin)
	if _, err := s.pool.Exec(ctx, `UPDATE head SET origin = $1, leaf = $1 WHERE size = 0 AND origin <> $1`, want[:]); err != nil {
		return refuse(err, "set origin")
	}
	var same bool
	if err := s.pool.QueryRow(ctx, `SELECT origin = $1 FROM head`, want[:]).Scan(&same); err != nil {
		return refuse(err, "set origin")
	}
	if !same {
		return ledger.ErrOrigin
	}
	return nil
}

// Acquire takes the next term if the lease of the present one has ended, or renews it for its
// holder. Term 0 is nobody's: it always asks for a new one. The clock is the database's.
func (s *Store) Acquire(ctx context.Context, term uint64) (ledger.Head, time.Time, error) {
	const take = `UPDATE head SET
	    term = CASE WHEN $1 <> 0 AND term = $1 THEN term ELSE term + 1 END,
	    lease_until = clock_timestamp() + $2 * interval '1 millisecond'
	  WHERE $1 <> 0 AND term = $1 OR lease_until <= clock_timestamp()
	  RETURNING ` + headColumns + `, clock_timestamp(), ` + chainEnds
	var now time.Time
	var ends bool
	h, err := scanHead(s.pool.QueryRow(ctx, take, int64(term), ledger.Lease.Milliseconds()), &now, &ends)
	switch err = refuse(err, "acquire lease"); {
	case err == nil && !ends:
		return s.lookAgain(ctx, h, now)
	case err == nil:
		return h, now, nil
	case err == error(ledger.ErrNotFound):
		return ledger.Head{}, time.Time{}, ledger.ErrLeased
	}
	return ledger.Head{}, time.Time{}, err
}

// lookAgain asks in a statement of its own whether the chain ends at the head: an update that waited for
// another's commit sees its head, and the entries as they were before.
func (s *Store) lookAgain(ctx context.Context, h ledger.Head, now time.Time) (ledger.Head, time.Time, error) {
	var ends bool
	if err := s.pool.QueryRow(ctx, `SELECT `+chainEnds+` FROM head`).Scan(&ends); err != nil {
		return ledger.Head{}, time.Time{}, refuse(err, "acquire lease")
	}
	if !ends {
		return ledger.Head{}, time.Time{}, ledger.ErrHead
	}
	return h, now, nil
}

// Release ends the lease of term; it does nothing when another has begun.
func (s *Store) Release(ctx context.Context, term uint64) error {
	_, err := s.pool.Exec(ctx, `UPDATE head SET lease_until = '-infinity' WHERE term = $1`, int64(term))
	return refuse(err, "release lease")
}
