package sqlite

import (
	"context"
	"database/sql"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

var errTerm = fault.New(fault.Invalid, "sqlite: a commit does not change the term")

// Commit writes b if the head still equals b.From, moves the head to b.To and renews the lease.
//
// A crash before the transaction's commit record is synced leaves nothing; after it, everything. The
// caller that never heard back finds out from the head.
func (s *Store) Commit(ctx context.Context, b *ledger.Batch) error {
	if b.From.Term != b.To.Term {
		return errTerm
	}
	return s.change(ctx, "commit", func(tx *sql.Tx) error {
		// The transaction is immediate: nobody else writes between this look and the update.
		at, _, err := headToMove(ctx, tx)
		if err != nil {
			return err
		}
		if at != b.From {
			return ledger.ErrHeadMoved
		}
		if err := s.insert.batch(ctx, tx, b); err != nil {
			return err
		}
		if err := s.keeping(ctx, tx, b); err != nil {
			return err
		}
		return s.moveHead(ctx, tx, b.To)
	})
}

// moveHead comes last: the head's foreign key and trigger demand that it is the end of the chain.
func (s *Store) moveHead(ctx context.Context, tx *sql.Tx, h ledger.Head) error {
	_, err := tx.ExecContext(ctx,
		`UPDATE head SET epoch = ?, seq = ?, size = ?, leaf = ?, time = ?, deliveries = ?, lease_until = ?`,
		h.Epoch, h.Seq, h.Size, h.Leaf[:], h.Time, h.Deliveries, s.now().Add(ledger.Lease).UnixMilli())
	return err
}
