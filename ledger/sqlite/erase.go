package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

var _ ledger.Eraser = (*Store)(nil)

// errErasure: an erasure does not fit what is stored. Nothing was written.
var errErasure = fault.New(fault.Invalid, "sqlite: the erasure does not fit the records")

// erasedAnswer is what a repeat of an erased message is answered.
const erasedAnswer = `{"status":410,"code":"RX_ERASED"}`

// keeping writes holds and requests, and last an erasure.
func (s *Store) keeping(ctx context.Context, tx *sql.Tx, b *ledger.Batch) error {
	for _, h := range b.Holds {
		const q = `INSERT INTO hold (id, org, patient, time) VALUES (?, ?, ?, ?)`
		if _, err := tx.ExecContext(ctx, q, h.ID[:], h.Org[:], idOrNull(h.Patient), h.Time); err != nil {
			return refuse(err, "holds")
		}
	}
	for _, id := range b.Released {
		if _, err := tx.ExecContext(ctx, `DELETE FROM hold WHERE id = ?`, id[:]); err != nil {
			return refuse(err, "holds")
		}
	}
	for _, r := range b.Requests {
		const q = `INSERT INTO patient_request (id, patient, kind, time) VALUES (?, ?, ?, ?)`
		if _, err := tx.ExecContext(ctx, q, r.ID[:], r.Patient[:], r.Kind, r.Time); err != nil {
			return refuse(err, "requests")
		}
	}
	if err := link(ctx, tx, b.Links); err != nil || b.Erasure == nil {
		return err
	}
	return refuse(erase(ctx, tx, b.Erasure), "erase")
}

// erase empties and deletes, each row before what it refers to. The records come first: what follows
// finds them by the entry that emptied them.
func erase(ctx context.Context, tx *sql.Tx, e *ledger.Erasure) error {
	x := executor{ctx: ctx, tx: tx}
	n := x.do(askedIDs+`UPDATE record SET sealed = NULL, key_id = NULL, erased_by = ?3 WHERE key_id IN (SELECT id FROM asked)`, joinIDs(e.Keys), len(e.Keys), e.Index)
	if x.err == nil && n != int64(e.Records) {
		return errErasure
	}
	const ours = `(SELECT id FROM prescription WHERE patient = ?1)`
	x.do(`UPDATE message SET body = zeroblob(32), record = NULL, answer = CAST(?2 AS BLOB)
	  WHERE record IN (SELECT id FROM record WHERE erased_by = ?1)`, e.Index, erasedAnswer)
	x.do(`UPDATE effect SET kind = 'erased', type = '', state = '', org = NULL, patient = NULL, record = NULL, prescription = NULL,
	    claim = 0, idx = NULL, items = NULL, body = NULL
	  WHERE number IN (SELECT number FROM effect WHERE idx IN (SELECT idx FROM record WHERE erased_by = ?2)
	    UNION SELECT number FROM effect WHERE idx IS NULL AND prescription IS NOT NULL AND prescription IN `+ours+`
    UNION SELECT number FROM effect WHERE kind = 'wake' AND prescription IS NULL AND patient = ?1)`, e.Patient[:], e.Index)
	for _, id := range e.Resources {
		x.do(`DELETE FROM dispense WHERE resource = ?`, id[:])
		x.do(`INSERT INTO erased_resource (id) VALUES (?) ON CONFLICT DO NOTHING`, id[:])
	}
	for _, q := range []string{
		`INSERT INTO erased_resource SELECT id FROM prescription WHERE patient = ?1 ON CONFLICT DO NOTHING`,
		`DELETE FROM fill WHERE prescription IN ` + ours,
		`DELETE FROM delivered WHERE prescription IN ` + ours,
		`DELETE FROM dispense WHERE prescription IN ` + ours,
		`DELETE FROM prescription WHERE patient = ?1`,
		`DELETE FROM nomination WHERE patient = ?1`,
		`DELETE FROM receipt WHERE device IN (SELECT id FROM device WHERE patient = ?1)`,
		`DELETE FROM device WHERE patient = ?1`,
		`DELETE FROM session WHERE patient = ?1`,
		`DELETE FROM invitation WHERE patient = ?1`,
		`DELETE FROM invitation WHERE joined_by = ?1`,
		`DELETE FROM patient_link WHERE person = (SELECT person FROM patient_link WHERE patient = ?1)
		  AND (patient = ?1 OR (SELECT count(*) FROM patient_link o WHERE o.person = patient_link.person) = 2)`,
		`DELETE FROM hold WHERE patient = ?1`,
		`DELETE FROM patient_request WHERE patient = ?1`,
	} {
		x.do(q, e.Patient[:])
	}
	for _, p := range e.Quarantined {
		x.do(`DELETE FROM quarantine WHERE epoch = ? AND seq = ? AND sub = ?`, p.Epoch, p.Seq, p.Sub)
	}
	for _, id := range e.Keys {
		x.do(`INSERT INTO erased_key (key_id, idx) VALUES (?, ?)`, id[:], e.Index)
	}
	x.do(`INSERT INTO erasure (idx, job) VALUES (?, ?)`, e.Index, blob(e.Job))
	return x.err
}

// executor runs statements until the first error.
type executor struct {
	ctx context.Context
	tx  *sql.Tx
	err error
}

func (x *executor) do(query string, args ...any) (touched int64) {
	if x.err != nil {
		return 0
	}
	var done sql.Result
	if done, x.err = x.tx.ExecContext(x.ctx, query, args...); x.err == nil {
		touched, x.err = done.RowsAffected()
	}
	return touched
}

// orErased turns "not found" into "erased" for an id that once named something.
func (s *Store) orErased(ctx context.Context, id ledger.ID, err error) error {
	if !errors.Is(err, ledger.ErrNotFound) {
		return err
	}
	var gone bool
	const q = `SELECT EXISTS (SELECT 1 FROM erased_resource WHERE id = ?)`
	if e := s.read.QueryRowContext(ctx, q, id[:]).Scan(&gone); e != nil {
		return refuse(e, "read erased")
	}
	if gone {
		return ledger.ErrErased
	}
	return err
}

// Erasable looks at everything of a patient of org whose keys have these ids.
func (s *Store) Erasable(ctx context.Context, org, patient ledger.ID, keys []ledger.ID) (ledger.Erasable, error) {
	var e ledger.Erasable
	ids := func(tx *sql.Tx, into *[]ledger.ID, query string, args ...any) error {
		return scan(ctx, tx, func(rows *sql.Rows) error {
			var id ledger.ID
			err := rows.Scan(&id)
			*into = append(*into, id)
			return err
		}, query, args...)
	}
	err := s.view(ctx, "look at a patient", func(tx *sql.Tx) error {
		joined, n := joinIDs(keys), len(keys)
		if err := scan(ctx, tx, func(rows *sql.Rows) error {
			var r ledger.Shell
			var answer []byte
			err := rows.Scan(&r.ID, &r.Epoch, &r.Seq, &r.Index, &answer)
			e.Records = append(e.Records, r)
			if answer != nil {
				e.Answers = append(e.Answers, answer)
			}
			return err
		}, askedIDs+`SELECT r.id, r.epoch, r.seq, r.idx, (SELECT m.answer FROM message m WHERE m.record = r.id) FROM record r
		  WHERE r.key_id IN (SELECT id FROM asked) ORDER BY r.idx`, joined, n); err != nil {
			return err
		}
		if err := scan(ctx, tx, func(rows *sql.Rows) error {
			var p ledger.Place
			err := rows.Scan(&p.Epoch, &p.Seq, &p.Sub)
			e.Copies = append(e.Copies, p)
			return err
		}, askedIDs+`SELECT p.epoch, p.seq, p.sub FROM replay p JOIN message m USING (org, hash) JOIN record r ON r.id = m.record
		  WHERE p.epoch > 0 AND r.key_id IN (SELECT id FROM asked) ORDER BY p.epoch, p.seq, p.sub`, joined, n); err != nil {
			return err
		}
		if len(e.Records) > 0 {
			var idx int64
			var raw []byte
			last := e.Records[len(e.Records)-1].ID
			const q = `SELECT l.idx, l.entry FROM record r JOIN ledger l ON l.idx = r.idx WHERE r.id = ?`
			if err := tx.QueryRowContext(ctx, q, last[:]).Scan(&idx, &raw); err != nil {
				return err
			}
			entry, err := entryOf(idx, raw)
			if err != nil {
				return err
			}
			e.Last = entry.Time
		}
		if err := tx.QueryRowContext(ctx, askedIDs+`SELECT EXISTS (SELECT 1 FROM erased_key WHERE key_id IN (SELECT id FROM asked))`, joined, n).Scan(&e.Erased); err != nil {
			return err
		}
		const rx = `(SELECT id FROM prescription WHERE patient = ?1)`
		return errors.Join(
			ids(tx, &e.Prescriptions, `SELECT id FROM prescription WHERE patient = ? ORDER BY id`, patient[:]),
			ids(tx, &e.Dispenses, `SELECT resource FROM dispense WHERE prescription IN `+rx+` ORDER BY resource`, patient[:]),
			ids(tx, &e.Pharmacies, `SELECT DISTINCT pharmacy FROM delivered WHERE prescription IN `+rx+` ORDER BY pharmacy`, patient[:]),
			ids(tx, &e.Devices, `SELECT id FROM device WHERE patient = ? ORDER BY id`, patient[:]),
			ids(tx, &e.Holds, `SELECT id FROM hold WHERE org = ? AND (patient IS NULL OR patient = ?) ORDER BY id`, org[:], patient[:]),
		)
	})
	return e, err
}

// Erasures returns those with work left, oldest first.
func (s *Store) Erasures(ctx context.Context) ([]ledger.Erasing, error) {
	return list(ctx, s, "read erasures", func(r row) (e ledger.Erasing, err error) {
		err = r.Scan(&e.Index, &e.Job)
		return e, err
	}, `SELECT idx, job FROM erasure WHERE job IS NOT NULL ORDER BY idx`)
}

// vacuumed is up to which size the file is written anew after an erasure, bytes: nobody else writes
// meanwhile, and a recorder must not lose its lease over it.
const vacuumed = 64 << 20

// FinishErasure forgets the job of one, and what it left in freed cells and in the write-ahead log. A file
// that is too large to be written anew keeps copies of moved rows until an operator runs VACUUM.
func (s *Store) FinishErasure(ctx context.Context, index uint64) error {
	var size int64
	const bytes = `SELECT page_count * page_size FROM pragma_page_count, pragma_page_size`
	if err := s.read.QueryRowContext(ctx, bytes).Scan(&size); err != nil {
		return refuse(err, "size of records")
	}
	if size <= vacuumed {
		if _, err := s.write.ExecContext(ctx, `VACUUM`); err != nil {
			return refuse(err, "vacuum records")
		}
	}
	var busy, log, moved int // a reader that is in the way: the log is cut by the next commits
	if err := s.write.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &log, &moved); err != nil {
		return refuse(err, "cut the log of records")
	}
	return s.exec(ctx, "finish erasure", `UPDATE erasure SET job = NULL WHERE idx = ?`, index)
}

func scanID(r row) (id ledger.ID, err error) {
	err = r.Scan(&id)
	return id, err
}

// ErasedKeys returns ids of erased keys above after in order.
func (s *Store) ErasedKeys(ctx context.Context, after ledger.ID, limit int) ([]ledger.ID, error) {
	return list(ctx, s, "read erased keys", scanID, `SELECT key_id FROM erased_key WHERE key_id > ? ORDER BY key_id LIMIT ?`, after[:], limit)
}

// LiveKeys returns the newest key ids under which records are sealed.
func (s *Store) LiveKeys(ctx context.Context, limit int) ([]ledger.ID, error) {
	const q = `WITH RECURSIVE k(id) AS (SELECT max(key_id) FROM record
	  UNION ALL SELECT (SELECT max(key_id) FROM record WHERE key_id < k.id) FROM k WHERE k.id IS NOT NULL)
	  SELECT id FROM k WHERE id IS NOT NULL LIMIT ?`
	return list(ctx, s, "read live keys", scanID, q, limit)
}

// Quarantine returns quarantined messages behind after, in order.
func (s *Store) Quarantine(ctx context.Context, after ledger.Place, limit int) ([]ledger.Quarantined, error) {
	const q = `SELECT epoch, seq, sub, org, key_id, sealed, code, time FROM quarantine
	  WHERE (epoch, seq, sub) > (?, ?, ?) ORDER BY epoch, seq, sub LIMIT ?`
	return list(ctx, s, "read quarantine", func(r row) (q ledger.Quarantined, err error) {
		err = r.Scan(&q.Epoch, &q.Seq, &q.Sub, &q.Org, &q.KeyID, &q.Sealed, &q.Code, &q.Time)
		return q, err
	}, q, after.Epoch, after.Seq, after.Sub, limit)
}

// DropQuarantine deletes those from before a time.
func (s *Store) DropQuarantine(ctx context.Context, before int64) (n int, err error) {
	err = s.change(ctx, "drop quarantine", func(tx *sql.Tx) error {
		x := executor{ctx: ctx, tx: tx}
		n = int(x.do(`DELETE FROM quarantine WHERE time < ?`, before))
		return x.err
	})
	return n, err
}

// Holds returns the holds that stand, oldest first.
func (s *Store) Holds(ctx context.Context) ([]ledger.Hold, error) {
	return list(ctx, s, "read holds", func(r row) (h ledger.Hold, err error) {
		err = r.Scan(&h.ID, &h.Org, &h.Patient, &h.Time)
		return h, err
	}, `SELECT id, org, patient, time FROM hold ORDER BY time, id`)
}

// PatientRequests returns a patient's requests, oldest first.
func (s *Store) PatientRequests(ctx context.Context, patient ledger.ID) ([]ledger.PatientRequest, error) {
	return list(ctx, s, "read requests", func(r row) (p ledger.PatientRequest, err error) {
		err = r.Scan(&p.ID, &p.Patient, &p.Kind, &p.Time)
		return p, err
	}, `SELECT id, patient, kind, time FROM patient_request WHERE patient = ? ORDER BY time, id`, patient[:])
}
