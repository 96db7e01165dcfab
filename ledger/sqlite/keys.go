package sqlite

import (
	"context"
	"database/sql"

	"github.com/dosewire/dosewire/ledger"
)

// Keys is the key database: wrapped keys and the patient index. Make it with OpenKeys.
type Keys struct{ file }

var _ ledger.Generations = (*Keys)(nil)

// OpenKeys opens a migrated key database, with the refusals of Open.
func OpenKeys(ctx context.Context, path string) (*Keys, error) {
	f, err := openFile(ctx, path, keymigrations, "keymigrations")
	if err != nil {
		return nil, err
	}
	return &Keys{f}, nil
}

// FindPatients returns for each index key the patient it belongs to.
func (k *Keys) FindPatients(ctx context.Context, keys []ledger.Key) (map[ledger.Key]ledger.ID, error) {
	const q = askedKeys + `SELECT x.org, x.hash, x.patient FROM asked CROSS JOIN patient_index x USING (org, hash)`
	found := make(map[ledger.Key]ledger.ID, len(keys))
	err := scan(ctx, k.read, func(rows *sql.Rows) error {
		var (
			key     ledger.Key
			patient ledger.ID
		)
		err := rows.Scan(&key.Org, hashInto{&key.Hash}, &patient)
		found[key] = patient
		return err
	}, q, joinKeys(keys), len(keys))
	return found, refuse(err, "find patients")
}

// AddPatients stores keys and index rows in one durable transaction. A key or an index row that
// exists already stays as it is, so naming a known patient with the key it has adds index rows, and
// with a new key a newer key.
func (k *Keys) AddPatients(ctx context.Context, ps []ledger.NewPatient) (all bool, err error) {
	if len(ps) == 0 {
		return true, nil
	}
	all = true
	err = k.change(ctx, "add patients", func(tx *sql.Tx) error {
		key, err := tx.PrepareContext(ctx, `INSERT INTO patient_key (id, patient, org, generation, blob) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`)
		if err != nil {
			return err
		}
		defer key.Close()
		index, err := tx.PrepareContext(ctx, `INSERT INTO patient_index (org, hash, patient) VALUES (?, ?, ?) ON CONFLICT (org, hash) DO NOTHING`)
		if err != nil {
			return err
		}
		defer index.Close()
		for i := range ps {
			p := &ps[i]
			if _, err := key.ExecContext(ctx, p.Key.ID[:], p.Patient[:], p.Key.Org[:], p.Key.Generation, blob(p.Key.Blob)); err != nil {
				return dangling(err, ledger.ErrGeneration)
			}
			for j := range p.Index {
				res, err := index.ExecContext(ctx, p.Index[j].Org[:], p.Index[j].Hash[:], p.Patient[:])
				if err != nil {
					return err
				}
				n, err := res.RowsAffected()
				if err != nil {
					return err
				}
				all = all && n == 1
			}
		}
		return nil
	})
	return all && err == nil, err
}

// newestKeyQuery has the newest key of each patient last.
const newestKeyQuery = askedIDs + `SELECT ` + keyColumns + ` FROM asked CROSS JOIN patient_key k ON k.patient = asked.id ORDER BY k.id`

// PatientKeys returns the newest wrapped key of each patient; absent (erased) ones are absent.
func (k *Keys) PatientKeys(ctx context.Context, patients []ledger.ID) (map[ledger.ID]ledger.WrappedKey, error) {
	return k.wrapped(ctx, newestKeyQuery, patients, func(w ledger.WrappedKey) ledger.ID { return w.Patient }) // the last, so the newest, stays
}

// Keys returns wrapped keys by key id; absent (erased) ones are absent.
func (k *Keys) Keys(ctx context.Context, ids []ledger.ID) (map[ledger.ID]ledger.WrappedKey, error) {
	const q = askedIDs + `SELECT ` + keyColumns + ` FROM asked CROSS JOIN patient_key k USING (id)`
	return k.wrapped(ctx, q, ids, func(w ledger.WrappedKey) ledger.ID { return w.ID })
}

func (k *Keys) wrapped(ctx context.Context, query string, ids []ledger.ID, by func(ledger.WrappedKey) ledger.ID) (map[ledger.ID]ledger.WrappedKey, error) {
	found := make(map[ledger.ID]ledger.WrappedKey, len(ids))
	err := scan(ctx, k.read, func(rows *sql.Rows) error {
		w, err := scanKey(rows)
		found[by(w)] = w
		return err
	}, query, joinIDs(ids), len(ids))
	return found, refuse(err, "read keys")
}

const keyColumns = `k.id, k.org, k.patient, k.generation, k.blob`

func scanKey(rows *sql.Rows) (w ledger.WrappedKey, err error) {
	err = rows.Scan(&w.ID, &w.Org, &w.Patient, &w.Generation, &w.Blob)
	return w, err
}
