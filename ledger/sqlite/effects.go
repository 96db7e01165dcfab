package sqlite

import (
	"context"
	"database/sql"

	"github.com/dosewire/dosewire/ledger"
)

// Effects returns effects with Number > after in order, at most limit. A zero org means all
// receivers, wakes included.
func (s *Store) Effects(ctx context.Context, org ledger.ID, after uint64, limit int) ([]ledger.Effect, error) {
	const columns = `SELECT number, kind, type, state, org, patient, record, prescription, claim, seq, idx, time, items, body FROM effect `
	const all = columns + `WHERE number > ? ORDER BY number LIMIT ?`
	const ofOne = columns + `WHERE org = ? AND number > ? ORDER BY number LIMIT ?`
	if org == (ledger.ID{}) {
		return list(ctx, s, "read effects", scanEffect, all, after, max(limit, 0))
	}
	return list(ctx, s, "read effects", scanEffect, ofOne, org[:], after, max(limit, 0))
}

func scanEffect(src row) (e ledger.Effect, err error) {
	var items *string
	err = src.Scan(&e.Number, &e.Kind, &e.Type, &e.State, &e.Org, &e.Patient, &e.Record, &e.Prescription,
		&e.Claim, &e.Seq, indexInto{&e.Index}, &e.Time, &items, &e.Body)
	if err != nil {
		return e, err
	}
	e.Items, err = readList[int](items)
	return e, err
}

// Acknowledged returns for each organisation the number up to which it has acknowledged.
func (s *Store) Acknowledged(ctx context.Context) (map[ledger.ID]uint64, error) {
	upTo := map[ledger.ID]uint64{}
	err := scan(ctx, s.read, func(rows *sql.Rows) error {
		var (
			org    ledger.ID
			number uint64
		)
		err := rows.Scan(&org, &number)
		upTo[org] = number
		return err
	}, `SELECT org, number FROM acknowledged`)
	return upTo, refuse(err, "read acknowledgements")
}

// SetAcknowledged raises these numbers; a lower number than the stored one changes nothing.
func (s *Store) SetAcknowledged(ctx context.Context, upTo map[ledger.ID]uint64) error {
	if len(upTo) == 0 {
		return nil
	}
	const raise = `INSERT INTO acknowledged (org, number) VALUES (?, ?)
	  ON CONFLICT (org) DO UPDATE SET number = max(number, excluded.number)`
	return s.change(ctx, "store acknowledgements", func(tx *sql.Tx) error {
		for org, number := range upTo {
			if _, err := tx.ExecContext(ctx, raise, org[:], number); err != nil {
				return err
			}
		}
		return nil
	})
}
