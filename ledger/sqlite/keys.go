package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/dosewire/dosewire/ledger"
)

// Keys is the key database: wrapped keys and the patient index. Make it with OpenKeys.
type Keys struct{ file }

var _ ledger.KeyStore = (*Keys)(nil)

// OpenKeys opens a migrated key database, with the refusals of Open.
func OpenKeys(ctx context.Context, path string) (*Keys, error) {
	f, err := openFile(ctx, path, keymigrations, "keymigrations")
	if err != nil {
		return nil, err
	}
	return &Keys{f}, nil
}

// Deployment returns the wrapped deployment key, storing first if none is stored yet and first is not nil.
func (k *Keys) Deployment(ctx context.Context, first []byte) (stored []byte, err error) {
	if first == nil {
		err = k.read.QueryRowContext(ctx, `SELECT blob FROM deployment`).Scan(&stored)
		if errors.Is(err, sql.ErrNoRows) {
			return nil, nil
		}
		return stored, refuse(err, "deployment key")
	}
	err = k.change(ctx, "deployment key", func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO deployment (one, blob) VALUES (1, ?) ON CONFLICT DO NOTHING`, blob(first)); err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, `SELECT blob FROM deployment`).Scan(&stored)
	})
	return stored, err
}

// FindPatients returns for each index key the patient it belongs to.
func (k *Keys) FindPatients(ctx context.Context, keys []ledger.Key) (map[ledger.Key]ledger.ID, error) {
	const q = askedKeys + `SELECT x.org, x.hash, x.patient FROM asked JOIN patient_index x USING (org, hash)`
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
func (k *Keys) AddPatients(ctx context.Context, ps []ledger.NewPatient) error {
	if len(ps) == 0 {
		return nil
	}
	return k.change(ctx, "add patients", func(tx *sql.Tx) error {
		key, err := tx.PrepareContext(ctx, `INSERT INTO patient_key (id, patient, org, blob) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`)
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
			if _, err := key.ExecContext(ctx, p.Key.ID[:], p.Patient[:], p.Key.Org[:], blob(p.Key.Blob)); err != nil {
				return err
			}
			for j := range p.Index {
				if _, err := index.ExecContext(ctx, p.Index[j].Org[:], p.Index[j].Hash[:], p.Patient[:]); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// PatientKeys returns the newest wrapped key of each patient; absent (erased) ones are absent.
func (k *Keys) PatientKeys(ctx context.Context, patients []ledger.ID) (map[ledger.ID]ledger.WrappedKey, error) {
	const q = askedIDs + `SELECT k.id, k.org, k.patient, k.blob FROM asked JOIN patient_key k ON k.patient = asked.id ORDER BY k.id`
	return k.wrapped(ctx, q, patients, func(w ledger.WrappedKey) ledger.ID { return w.Patient }) // the last, so the newest, stays
}

// Keys returns wrapped keys by key id; absent (erased) ones are absent.
func (k *Keys) Keys(ctx context.Context, ids []ledger.ID) (map[ledger.ID]ledger.WrappedKey, error) {
	const q = askedIDs + `SELECT k.id, k.org, k.patient, k.blob FROM asked JOIN patient_key k USING (id)`
	return k.wrapped(ctx, q, ids, func(w ledger.WrappedKey) ledger.ID { return w.ID })
}

func (k *Keys) wrapped(ctx context.Context, query string, ids []ledger.ID, by func(ledger.WrappedKey) ledger.ID) (map[ledger.ID]ledger.WrappedKey, error) {
	found := make(map[ledger.ID]ledger.WrappedKey, len(ids))
	err := scan(ctx, k.read, func(rows *sql.Rows) error {
		var w ledger.WrappedKey
		err := rows.Scan(&w.ID, &w.Org, &w.Patient, &w.Blob)
		found[by(w)] = w
		return err
	}, query, joinIDs(ids), len(ids))
	return found, refuse(err, "read keys")
}
