package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/dosewire/dosewire/ledger"
)

var _ ledger.Eraser = (*Store)(nil)

// erasedAnswer is what a repeat of an erased message is answered.
const erasedAnswer = `{"status":410,"code":"RX_ERASED"}`

// queueKeeping writes holds and requests, and last an erasure.
func queueKeeping(q *statements, b *ledger.Batch) {
	if rows := b.Holds; len(rows) > 0 {
		q.insert("hold", `INSERT INTO hold (id, org, patient, time) SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[])`,
			ids(rows, func(r *ledger.Hold) *ledger.ID { return &r.ID }),
			ids(rows, func(r *ledger.Hold) *ledger.ID { return &r.Org }),
			maybeIDs(rows, func(r *ledger.Hold) *ledger.ID { return &r.Patient }),
			bigints(rows, func(r *ledger.Hold) uint64 { return uint64(r.Time) }))
	}
	if rows := b.Released; len(rows) > 0 {
		q.add("release-hold", `DELETE FROM hold WHERE id = ANY ($1)`, ids(rows, func(r *ledger.ID) *ledger.ID { return r }).whole())
	}
	if rows := b.Requests; len(rows) > 0 {
		q.insert("patient-request", `INSERT INTO patient_request (id, patient, kind, time) SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[])`,
			ids(rows, func(r *ledger.PatientRequest) *ledger.ID { return &r.ID }),
			ids(rows, func(r *ledger.PatientRequest) *ledger.ID { return &r.Patient }),
			texts(rows, func(r *ledger.PatientRequest) string { return r.Kind }),
			bigints(rows, func(r *ledger.PatientRequest) uint64 { return uint64(r.Time) }))
	}
	queueLinks(q, b.Links)
	if e := b.Erasure; e != nil {
		q.add("erase", `SELECT dosewire_erase($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			bigint(e.Index), e.Patient[:], ids(e.Keys, func(v *ledger.ID) *ledger.ID { return v }).whole(), bigint(uint64(e.Records)),
			ids(e.Resources, func(v *ledger.ID) *ledger.ID { return v }).whole(),
			bigints(e.Quarantined, func(p *ledger.Place) uint64 { return p.Epoch }).whole(),
			bigints(e.Quarantined, func(p *ledger.Place) uint64 { return p.Seq }).whole(),
			bigints(e.Quarantined, func(p *ledger.Place) uint64 { return uint64(p.Sub) }).whole(),
			[]byte(erasedAnswer), blob(e.Job))
	}
}

// orErased turns "not found" into "erased" for an id that once named something.
func (s *Store) orErased(ctx context.Context, v ledger.ID, err error) error {
	if !errors.Is(err, ledger.ErrNotFound) {
		return err
	}
	var gone bool
	if e := s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM erased_resource WHERE id = $1)`, id(v)).Scan(&gone); e != nil {
		return refuse(e, "read erased")
	}
	if gone {
		return ledger.ErrErased
	}
	return err
}

// Erasable looks at everything of a patient of org whose keys have these ids.
func (s *Store) Erasable(ctx context.Context, org, patient ledger.ID, keys []ledger.ID) (e ledger.Erasable, err error) {
	tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return e, refuse(err, "look at a patient")
	}
	defer tx.Rollback(ctx) // it only reads
	rows, err := tx.Query(ctx, `SELECT r.id, r.epoch, r.seq, r.idx, (SELECT m.answer FROM message m WHERE m.record = r.id)
	  FROM record r WHERE r.key_id = ANY ($1) ORDER BY r.idx`, uuids(keys))
	e.Records, err = collect(rows, err, func(r pgx.Rows) (sh ledger.Shell, err error) {
		var answer []byte
		err = r.Scan(idInto{&sh.ID}, &sh.Epoch, &sh.Seq, &sh.Index, &answer)
		if answer != nil {
			e.Answers = append(e.Answers, answer)
		}
		return sh, err
	})
	if err != nil {
		return e, refuse(err, "look at a patient")
	}
	rows, err = tx.Query(ctx, `SELECT p.epoch, p.seq, p.sub FROM replay p JOIN message m USING (org, hash) JOIN record r ON r.id = m.record
	  WHERE p.epoch > 0 AND r.key_id = ANY ($1) ORDER BY p.epoch, p.seq, p.sub`, uuids(keys))
	e.Copies, err = collect(rows, err, func(r pgx.Rows) (p ledger.Place, err error) {
		err = r.Scan(&p.Epoch, &p.Seq, &p.Sub)
		return p, err
	})
	if err != nil {
		return e, refuse(err, "look at a patient")
	}
	if n := len(e.Records); n > 0 {
		var raw []byte
		if err := tx.QueryRow(ctx, `SELECT l.entry FROM record r JOIN ledger l USING (idx) WHERE r.id = $1`, id(e.Records[n-1].ID)).Scan(&raw); err != nil {
			return e, refuse(err, "look at a patient")
		}
		entry, err := ledger.Parse(raw)
		if err != nil {
			return e, err
		}
		e.Last = entry.Time
	}
	if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM erased_key WHERE key_id = ANY ($1))`, uuids(keys)).Scan(&e.Erased); err != nil {
		return e, refuse(err, "look at a patient")
	}
	const rx = `(SELECT id FROM prescription WHERE patient = $1)`
	for _, look := range []struct {
		into  *[]ledger.ID
		query string
		args  []any
	}{
		{&e.Prescriptions, `SELECT id FROM prescription WHERE patient = $1 ORDER BY id`, []any{id(patient)}},
		{&e.Dispenses, `SELECT resource FROM dispense WHERE prescription IN ` + rx + ` ORDER BY resource`, []any{id(patient)}},
		{&e.Pharmacies, `SELECT DISTINCT pharmacy FROM delivered WHERE prescription IN ` + rx + ` ORDER BY pharmacy`, []any{id(patient)}},
		{&e.Devices, `SELECT id FROM device WHERE patient = $1 ORDER BY id`, []any{id(patient)}},
		{&e.Holds, `SELECT id FROM hold WHERE org = $1 AND (patient IS NULL OR patient = $2) ORDER BY id`, []any{id(org), id(patient)}},
	} {
		rows, err := tx.Query(ctx, look.query, look.args...)
		if *look.into, err = collect(rows, err, scanID); err != nil {
			return e, refuse(err, "look at a patient")
		}
	}
	return e, nil
}

func scanID(r pgx.Rows) (v ledger.ID, err error) {
	err = r.Scan(idInto{&v})
	return v, err
}

// Erasures returns those with work left, oldest first.
func (s *Store) Erasures(ctx context.Context) ([]ledger.Erasing, error) {
	rows, err := s.pool.Query(ctx, `SELECT idx, job FROM erasure WHERE job IS NOT NULL ORDER BY idx`)
	all, err := collect(rows, err, func(r pgx.Rows) (e ledger.Erasing, err error) {
		err = r.Scan(&e.Index, &e.Job)
		return e, err
	})
	return all, refuse(err, "read erasures")
}

// FinishErasure forgets the job of one.
func (s *Store) FinishErasure(ctx context.Context, index uint64) error {
	_, err := s.pool.Exec(ctx, `UPDATE erasure SET job = NULL WHERE idx = $1`, int64(index))
	return refuse(err, "finish erasure")
}

// ErasedKeys returns ids of erased keys above after in order.
func (s *Store) ErasedKeys(ctx context.Context, after ledger.ID, limit int) ([]ledger.ID, error) {
	rows, err := s.pool.Query(ctx, `SELECT key_id FROM erased_key WHERE key_id > $1 ORDER BY key_id LIMIT $2`, id(after), limit)
	all, err := collect(rows, err, scanID)
	return all, refuse(err, "read erased keys")
}

// LiveKeys returns the newest key ids under which records are sealed, one look into the index for each.
func (s *Store) LiveKeys(ctx context.Context, limit int) ([]ledger.ID, error) {
	const newest = `(SELECT key_id FROM record WHERE key_id IS NOT NULL %s ORDER BY key_id DESC LIMIT 1)`
	q := `WITH RECURSIVE k (id) AS (` + fmt.Sprintf(newest, "") + ` UNION ALL SELECT ` + fmt.Sprintf(newest, "AND key_id < k.id") + ` FROM k WHERE k.id IS NOT NULL)
	  SELECT id FROM k WHERE id IS NOT NULL LIMIT $1`
	rows, err := s.pool.Query(ctx, q, limit)
	all, err := collect(rows, err, scanID)
	return all, refuse(err, "read live keys")
}

// Quarantine returns quarantined messages behind after, in order.
func (s *Store) Quarantine(ctx context.Context, after ledger.Place, limit int) ([]ledger.Quarantined, error) {
	rows, err := s.pool.Query(ctx, `SELECT epoch, seq, sub, org, key_id, sealed, code, time FROM quarantine
	  WHERE (epoch, seq, sub) > ($1, $2, $3) ORDER BY epoch, seq, sub LIMIT $4`, int64(after.Epoch), int64(after.Seq), int64(after.Sub), limit)
	all, err := collect(rows, err, func(r pgx.Rows) (q ledger.Quarantined, err error) {
		err = r.Scan(&q.Epoch, &q.Seq, &q.Sub, idInto{&q.Org}, idInto{&q.KeyID}, &q.Sealed, &q.Code, &q.Time)
		return q, err
	})
	return all, refuse(err, "read quarantine")
}

// DropQuarantine deletes those from before a time.
func (s *Store) DropQuarantine(ctx context.Context, before int64) (int, error) {
	done, err := s.pool.Exec(ctx, `DELETE FROM quarantine WHERE time < $1`, before)
	return int(done.RowsAffected()), refuse(err, "drop quarantine")
}

// Holds returns the holds that stand, oldest first.
func (s *Store) Holds(ctx context.Context) ([]ledger.Hold, error) {
	rows, err := s.pool.Query(ctx, `SELECT id, org, patient, time FROM hold ORDER BY time, id`)
	all, err := collect(rows, err, func(r pgx.Rows) (h ledger.Hold, err error) {
		err = r.Scan(idInto{&h.ID}, idInto{&h.Org}, idInto{&h.Patient}, &h.Time)
		return h, err
	})
	return all, refuse(err, "read holds")
}

// PatientRequests returns a patient's requests, oldest first.
func (s *Store) PatientRequests(ctx context.Context, patient ledger.ID) ([]ledger.PatientRequest, error) {
	rows, err := s.pool.Query(ctx, `SELECT id, patient, kind, time FROM patient_request WHERE patient = $1 ORDER BY time, id`, id(patient))
	all, err := collect(rows, err, func(r pgx.Rows) (p ledger.PatientRequest, err error) {
		err = r.Scan(idInto{&p.ID}, idInto{&p.Patient}, &p.Kind, &p.Time)
		return p, err
	})
	return all, refuse(err, "read requests")
}
