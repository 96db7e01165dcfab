package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/dosewire/dosewire/ledger"
)

// Deployment stores each of add whose generation is not stored yet, and returns all that are.
func (k *Keys) Deployment(ctx context.Context, add ...ledger.DeploymentKey) (all []ledger.DeploymentKey, err error) {
	if len(add) > 0 {
		err := k.change(ctx, "deployment key", func(tx *sql.Tx) error {
			for _, d := range add {
				if _, err := tx.ExecContext(ctx, `INSERT INTO deployment_key (generation, id, wrapper, made, blob) VALUES (?, ?, ?, ?, ?)
				  ON CONFLICT (generation) DO NOTHING`, d.Generation, d.ID[:], d.Wrapper, d.Made, blob(d.Blob)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	err = scan(ctx, k.read, func(rows *sql.Rows) error {
		var d ledger.DeploymentKey
		err := rows.Scan(&d.Generation, &d.ID, &d.Wrapper, &d.Made, &d.Blob)
		all = append(all, d)
		return err
	}, `SELECT generation, id, wrapper, made, blob FROM deployment_key ORDER BY generation`)
	return all, refuse(err, "deployment key")
}

// Move replaces the wrapped form of a generation if it is still from's.
func (k *Keys) Move(ctx context.Context, from, to ledger.DeploymentKey) error {
	return k.change(ctx, "move deployment key", func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `UPDATE deployment_key SET wrapper = ?, blob = ? WHERE generation = ? AND blob = ?`,
			to.Wrapper, blob(to.Blob), from.Generation, blob(from.Blob))
		return oneRow(r, err, ledger.ErrRotated)
	})
}

// Retire deletes a generation that wraps no key any more.
func (k *Keys) Retire(ctx context.Context, generation int) error {
	err := k.change(ctx, "retire deployment key", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM deployment_key WHERE generation = ?1 AND generation > 0
		  AND generation < (SELECT max(generation) FROM deployment_key)`, generation)
		return dangling(err, ledger.ErrInUse)
	})
	return err
}

// CountKeys returns the number of data keys by generation.
func (k *Keys) CountKeys(ctx context.Context) (map[int]uint64, error) {
	counts := map[int]uint64{}
	err := scan(ctx, k.read, func(rows *sql.Rows) error {
		var generation int
		var n uint64
		err := rows.Scan(&generation, &n)
		counts[generation] = n
		return err
	}, `SELECT generation, count(*) FROM patient_key GROUP BY generation`)
	return counts, refuse(err, "count keys")
}

// KeysUnder returns the keys of one generation with an id greater than after.
func (k *Keys) KeysUnder(ctx context.Context, generation int, after ledger.ID, limit int) (keys []ledger.WrappedKey, err error) {
	err = scan(ctx, k.read, func(rows *sql.Rows) error {
		w, err := scanKey(rows)
		keys = append(keys, w)
		return err
	}, `SELECT `+keyColumns+` FROM patient_key k WHERE generation = ? AND id > ? ORDER BY id LIMIT ?`, generation, after[:], limit)
	return keys, refuse(err, "read keys")
}

// Rewrap replaces those keys that are still there and still of an older generation.
func (k *Keys) Rewrap(ctx context.Context, keys []ledger.WrappedKey) (replaced int, err error) {
	if len(keys) == 0 {
		return 0, nil
	}
	err = k.change(ctx, "rewrap", func(tx *sql.Tx) error {
		replaced = 0
		update, err := tx.PrepareContext(ctx, `UPDATE patient_key SET blob = ?1, generation = ?2 WHERE id = ?3 AND generation < ?2`)
		if err != nil {
			return err
		}
		defer update.Close()
		for i := range keys {
			r, err := update.ExecContext(ctx, blob(keys[i].Blob), keys[i].Generation, keys[i].ID[:])
			if err != nil {
				return dangling(err, ledger.ErrGeneration)
			}
			n, err := r.RowsAffected()
			if err != nil {
				return err
			}
			replaced += int(n)
		}
		return nil
	})
	return replaced, err
}

func oneRow(r sql.Result, err error, none error) error {
	if err != nil {
		return err
	}
	n, err := r.RowsAffected()
	if err == nil && n == 0 {
		return none
	}
	return err
}

// dangling is refusal when a foreign key says no.
func dangling(err, refusal error) error {
	if e, ok := errors.AsType[*sqlite.Error](err); ok && e.Code() == lib.SQLITE_CONSTRAINT_FOREIGNKEY {
		return refusal
	}
	return err
}
