package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/dosewire/dosewire/ledger"
)

// Deployment stores each of add whose generation is not stored yet, and returns all that are.
func (k *Keys) Deployment(ctx context.Context, add ...ledger.DeploymentKey) ([]ledger.DeploymentKey, error) {
	if len(add) > 0 {
		q := &pgx.Batch{}
		for _, d := range add {
			q.Queue(`INSERT INTO deployment_key (generation, id, wrapper, made, blob) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (generation) DO NOTHING`,
				d.Generation, id(d.ID), d.Wrapper, d.Made, blob(d.Blob))
		}
		if err := k.send(ctx, q, "deployment key"); err != nil {
			return nil, err
		}
	}
	rows, err := k.pool.Query(ctx, `SELECT generation, id, wrapper, made, blob FROM deployment_key ORDER BY generation`)
	all, err := collect(rows, err, func(r pgx.Rows) (d ledger.DeploymentKey, err error) {
		err = r.Scan(&d.Generation, idInto{&d.ID}, &d.Wrapper, &d.Made, &d.Blob)
		return d, err
	})
	return all, refuse(err, "deployment key")
}

// Move replaces the wrapped form of a generation if it is still from's.
func (k *Keys) Move(ctx context.Context, from, to ledger.DeploymentKey) error {
	tag, err := k.pool.Exec(ctx, `UPDATE deployment_key SET wrapper = $1, blob = $2 WHERE generation = $3 AND blob = $4`,
		to.Wrapper, blob(to.Blob), from.Generation, blob(from.Blob))
	if err == nil && tag.RowsAffected() == 0 {
		return ledger.ErrRotated
	}
	return refuse(err, "move deployment key")
}

// Retire deletes a generation that wraps no key any more.
func (k *Keys) Retire(ctx context.Context, generation int) error {
	_, err := k.pool.Exec(ctx, `DELETE FROM deployment_key WHERE generation = $1 AND generation > 0
	  AND generation < (SELECT max(generation) FROM deployment_key)`, generation)
	return refuse(dangling(err, ledger.ErrInUse), "retire deployment key")
}

// CountKeys returns the number of data keys by generation.
func (k *Keys) CountKeys(ctx context.Context) (map[int]uint64, error) {
	counts := map[int]uint64{}
	rows, err := k.pool.Query(ctx, `SELECT generation, count(*) FROM patient_key GROUP BY generation`)
	_, err = collect(rows, err, func(r pgx.Rows) (struct{}, error) {
		var generation int
		var n int64
		err := r.Scan(&generation, &n)
		counts[generation] = uint64(n)
		return struct{}{}, err
	})
	return counts, refuse(err, "count keys")
}

// KeysUnder returns the keys of one generation with an id greater than after.
func (k *Keys) KeysUnder(ctx context.Context, generation int, after ledger.ID, limit int) ([]ledger.WrappedKey, error) {
	rows, err := k.pool.Query(ctx, `SELECT `+keyColumns+` FROM patient_key WHERE generation = $1 AND id > $2 ORDER BY id LIMIT $3`, generation, id(after), limit)
	keys, err := collect(rows, err, scanKey)
	return keys, refuse(err, "read keys")
}

// Rewrap replaces those keys that are still there and still of an older generation. Rows are locked in
// the order of their ids, so that two callers cannot wait for each other.
func (k *Keys) Rewrap(ctx context.Context, keys []ledger.WrappedKey) (int, error) {
	if len(keys) == 0 {
		return 0, nil
	}
	tag, err := k.pool.Exec(ctx, `WITH anew AS (
	    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bytea[]) AS x (id, generation, blob)
	  ), locked AS MATERIALIZED (
	    SELECT k.id FROM patient_key k WHERE k.id = ANY ($1::uuid[]) ORDER BY k.id FOR UPDATE
	  )
	  UPDATE patient_key k SET blob = anew.blob, generation = anew.generation
	  FROM locked JOIN anew USING (id) WHERE k.id = locked.id AND k.generation < anew.generation`,
		column(keys, func(w *ledger.WrappedKey) pgtype.UUID { return id(w.ID) }),
		column(keys, func(w *ledger.WrappedKey) int64 { return int64(w.Generation) }),
		column(keys, func(w *ledger.WrappedKey) []byte { return blob(w.Blob) }))
	return int(tag.RowsAffected()), refuse(dangling(err, ledger.ErrGeneration), "rewrap")
}

// dangling is refusal when the generations' foreign key says no.
func dangling(err, refusal error) error {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == "23503" && pg.ConstraintName == "patient_key_generation_stored" {
		return refusal
	}
	return err
}
