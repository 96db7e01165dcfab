package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/dosewire/dosewire/ledger"
)

// Deployment returns the wrapped deployment key, storing first if none is stored yet and first is not nil.
func (k *Keys) Deployment(ctx context.Context, first []byte) (stored []byte, err error) {
	if first != nil {
		if _, err := k.pool.Exec(ctx, `INSERT INTO deployment (one, blob) VALUES (1, $1) ON CONFLICT DO NOTHING`, blob(first)); err != nil {
			return nil, refuse(err, "deployment key")
		}
	}
	err = k.pool.QueryRow(ctx, `SELECT blob FROM deployment`).Scan(&stored)
	if first == nil && errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return stored, refuse(err, "deployment key")
}

// FindPatients returns for each index key the patient it belongs to.
func (k *Keys) FindPatients(ctx context.Context, asked []ledger.Key) (map[ledger.Key]ledger.ID, error) {
	found := make(map[ledger.Key]ledger.ID, len(asked))
	orgs, hashes := keys(asked)
	rows, err := k.pool.Query(ctx, `SELECT x.org, x.hash, x.patient
	  FROM unnest($1::uuid[], $2::bytea[]) AS asked (org, hash) JOIN patient_index x USING (org, hash)`, orgs, hashes)
	_, err = collect(rows, err, func(r pgx.Rows) (struct{}, error) {
		var key ledger.Key
		var patient ledger.ID
		err := r.Scan(idInto{&key.Org}, hashInto{&key.Hash}, idInto{&patient})
		found[key] = patient
		return struct{}{}, err
	})
	return found, refuse(err, "find patients")
}

// AddPatients stores keys and index rows in one durable transaction and one round trip. A key or an
// index row that exists already stays as it is, so naming a known patient with the key it has adds
// index rows, and with a new key a newer key.
func (k *Keys) AddPatients(ctx context.Context, ps []ledger.NewPatient) error {
	if len(ps) == 0 {
		return nil
	}
	var orgs, patients []pgtype.UUID
	var hashes [][]byte
	for i := range ps {
		for j := range ps[i].Index {
			orgs, hashes = append(orgs, id(ps[i].Index[j].Org)), append(hashes, ps[i].Index[j].Hash[:])
			patients = append(patients, id(ps[i].Patient))
		}
	}
	q := &pgx.Batch{}
	q.Queue(`INSERT INTO patient_key (id, patient, org, blob) SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bytea[]) ON CONFLICT (id) DO NOTHING`,
		column(ps, func(p *ledger.NewPatient) pgtype.UUID { return id(p.Key.ID) }),
		column(ps, func(p *ledger.NewPatient) pgtype.UUID { return id(p.Patient) }),
		column(ps, func(p *ledger.NewPatient) pgtype.UUID { return id(p.Key.Org) }),
		column(ps, func(p *ledger.NewPatient) []byte { return blob(p.Key.Blob) }))
	// sorted, so that two writers cannot wait for each other
	q.Queue(`INSERT INTO patient_index (org, hash, patient) SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::uuid[]) AS x (org, hash, patient)
	  ORDER BY org, hash ON CONFLICT (org, hash) DO NOTHING`, orgs, hashes, patients)
	return k.send(ctx, q, "add patients")
}

// PatientKeys returns the newest wrapped key of each patient; absent (erased) ones are absent.
func (k *Keys) PatientKeys(ctx context.Context, patients []ledger.ID) (map[ledger.ID]ledger.WrappedKey, error) {
	const q = `SELECT DISTINCT ON (patient) id, org, patient, blob FROM patient_key WHERE patient = ANY ($1) ORDER BY patient, id DESC`
	return k.wrapped(ctx, q, patients, func(w ledger.WrappedKey) ledger.ID { return w.Patient })
}

// Keys returns wrapped keys by key id; absent (erased) ones are absent.
func (k *Keys) Keys(ctx context.Context, ids []ledger.ID) (map[ledger.ID]ledger.WrappedKey, error) {
	return k.wrapped(ctx, `SELECT id, org, patient, blob FROM patient_key WHERE id = ANY ($1)`, ids, func(w ledger.WrappedKey) ledger.ID { return w.ID })
}

func (k *Keys) wrapped(ctx context.Context, query string, ids []ledger.ID, by func(ledger.WrappedKey) ledger.ID) (map[ledger.ID]ledger.WrappedKey, error) {
	found := make(map[ledger.ID]ledger.WrappedKey, len(ids))
	rows, err := k.pool.Query(ctx, query, uuids(ids))
	_, err = collect(rows, err, func(r pgx.Rows) (struct{}, error) {
		var w ledger.WrappedKey
		err := r.Scan(idInto{&w.ID}, idInto{&w.Org}, idInto{&w.Patient}, &w.Blob)
		found[by(w)] = w
		return struct{}{}, err
	})
	return found, refuse(err, "read keys")
}
