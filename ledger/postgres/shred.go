package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/dosewire/dosewire/ledger"
)

// PatientKeyIDs returns the ids of all keys of a patient, newest first.
func (k *Keys) PatientKeyIDs(ctx context.Context, patient ledger.ID) ([]ledger.ID, error) {
	rows, err := k.pool.Query(ctx, `SELECT id FROM patient_key WHERE patient = $1 ORDER BY id DESC`, id(patient))
	all, err := collect(rows, err, scanID)
	return all, refuse(err, "read keys")
}

// EraseKeys deletes the patients that own one of these keys, keys and index rows. The server's files
// hold the deleted rows until Scrub, its log and its backups until they expire: docs/erasure.md.
func (k *Keys) EraseKeys(ctx context.Context, ids []ledger.ID) (found int, err error) {
	if len(ids) == 0 {
		return 0, nil
	}
	err = pgx.BeginFunc(ctx, k.pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT patient FROM patient_key WHERE id = ANY ($1)`, uuids(ids))
		owners, err := collect(rows, err, scanID)
		if err != nil || len(owners) == 0 {
			return err
		}
		found = len(owners)
		if _, err := tx.Exec(ctx, `DELETE FROM patient_index WHERE patient = ANY ($1)`, uuids(owners)); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM patient_key WHERE patient = ANY ($1)`, uuids(owners))
		return err
	})
	if err != nil {
		return 0, refuse(err, "erase keys")
	}
	return found, nil
}

// scrubUpTo is the size of a table that is still written anew as a whole, bytes: about a second, during
// which nobody reads it.
const scrubUpTo = 256 << 20

// Scrub writes the tables anew, so that no deleted row is left in their files. Of a table that is too
// large for that it only frees the space, which new rows then overwrite.
func (k *Keys) Scrub(ctx context.Context) error {
	for _, table := range []string{"patient_key", "patient_index"} {
		var size int64
		if err := k.pool.QueryRow(ctx, `SELECT pg_total_relation_size($1::text::regclass)`, table).Scan(&size); err != nil {
			return refuse(err, "scrub keys")
		}
		vacuum := "VACUUM (FULL) "
		if size > scrubUpTo {
			vacuum = "VACUUM "
		}
		if _, err := k.pool.Exec(ctx, vacuum+table); err != nil {
			return refuse(err, "scrub keys")
		}
	}
	return nil
}
