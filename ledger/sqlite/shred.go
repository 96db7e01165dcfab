package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/dosewire/dosewire/ledger"
)

// PatientKeyIDs returns the ids of all keys of a patient, newest first.
func (k *Keys) PatientKeyIDs(ctx context.Context, patient ledger.ID) (ids []ledger.ID, err error) {
	err = scan(ctx, k.read, func(rows *sql.Rows) error {
		id, err := scanID(rows)
		ids = append(ids, id)
		return err
	}, `SELECT id FROM patient_key WHERE patient = ? ORDER BY id DESC`, patient[:])
	return ids, refuse(err, "read keys")
}

// EraseKeys deletes the patients that own one of these keys, keys and index rows. Deleted bytes are
// overwritten (secure_delete) and the write-ahead log, which held them, is folded into the file and cut.
func (k *Keys) EraseKeys(ctx context.Context, ids []ledger.ID) (found int, err error) {
	if len(ids) == 0 {
		return 0, nil
	}
	joined, n := joinIDs(ids), len(ids)
	err = k.change(ctx, "erase keys", func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `PRAGMA secure_delete = ON`); err != nil {
			return err
		}
		var owners []ledger.ID
		if err := scan(ctx, tx, func(rows *sql.Rows) error {
			id, err := scanID(rows)
			owners = append(owners, id)
			return err
		}, askedIDs+`SELECT k.patient FROM asked CROSS JOIN patient_key k USING (id)`, joined, n); err != nil {
			return err
		}
		found = len(owners)
		x := executor{ctx: ctx, tx: tx}
		for _, owner := range owners {
			x.do(`DELETE FROM patient_index WHERE patient = ?`, owner[:])
			x.do(`DELETE FROM patient_key WHERE patient = ?`, owner[:])
		}
		return x.err
	})
	if err != nil || found == 0 {
		return 0, err
	}
	return found, k.cut(ctx)
}

// Scrub writes the file anew: moving rows within a page can leave copies that secure_delete does not
// see.
func (k *Keys) Scrub(ctx context.Context) error {
	if _, err := k.write.ExecContext(ctx, `VACUUM`); err != nil {
		return refuse(err, "vacuum keys")
	}
	return k.cut(ctx)
}

// cut folds the write-ahead log into the file and truncates it. It waits for readers as long as for any
// other lock.
func (k *Keys) cut(ctx context.Context) error {
	var busy, log, moved int
	if err := k.write.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &log, &moved); err != nil {
		return refuse(err, "cut the log of keys")
	}
	if busy != 0 {
		return errUnavailable.Wrap(errors.New("sqlite: the log of keys is in use"))
	}
	return nil
}
