package postgres

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/dosewire/dosewire/ledger"
)

// FindPatients returns for each index key the patient it belongs to.
func (k *Keys) FindPatients(ctx context.Context, ks []ledger.Key) (map[ledger.Key]ledger.ID, error) {
	found := make(map[ledger.Key]ledger.ID, len(ks))
	from, orgs, hashes := asked(ks)
	rows, err := k.pool.Query(ctx, `SELECT x.org, x.hash, x.patient
	  FROM `+from+` AS asked (org, hash) JOIN patient_index x USING (org, hash)`, orgs, hashes)
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
func (k *Keys) AddPatients(ctx context.Context, ps []ledger.NewPatient) (all bool, err error) {
	if len(ps) == 0 {
		return true, nil
	}
	type row struct {
		ledger.Key
		patient ledger.ID
	}
	var index []row
	for i := range ps {
		for _, key := range ps[i].Index {
			index = append(index, row{key, ps[i].Patient})
		}
	}
	// sorted, so that two writers cannot wait for each other
	slices.SortFunc(index, func(a, b row) int {
		return cmp.Or(bytes.Compare(a.Org[:], b.Org[:]), bytes.Compare(a.Hash[:], b.Hash[:]))
	})
	var q statements
	q.insert("patient-key", `INSERT INTO patient_key (id, patient, org, generation, blob)
	  SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::bytea[]) ON CONFLICT (id) DO NOTHING`,
		ids(ps, func(p *ledger.NewPatient) *ledger.ID { return &p.Key.ID }),
		ids(ps, func(p *ledger.NewPatient) *ledger.ID { return &p.Patient }),
		ids(ps, func(p *ledger.NewPatient) *ledger.ID { return &p.Key.Org }),
		bigints(ps, func(p *ledger.NewPatient) uint64 { return uint64(p.Key.Generation) }),
		blobs(ps, func(p *ledger.NewPatient) []byte { return p.Key.Blob }))
	if len(index) > 0 {
		q.insert("patient-index", `INSERT INTO patient_index (org, hash, patient)
		  SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::uuid[]) ON CONFLICT (org, hash) DO NOTHING`,
			ids(index, func(r *row) *ledger.ID { return &r.Org }),
			blobs(index, func(r *row) []byte { return r.Hash[:] }),
			ids(index, func(r *row) *ledger.ID { return &r.patient }))
	}
	added, err := k.exec(ctx, q)
	return err == nil && (len(index) == 0 || added == int64(len(index))), refuse(dangling(err, ledger.ErrGeneration), "add patients")
}

// PatientKeys returns the newest wrapped key of each patient; absent (erased) ones are absent.
func (k *Keys) PatientKeys(ctx context.Context, patients []ledger.ID) (map[ledger.ID]ledger.WrappedKey, error) {
	const q = `SELECT DISTINCT ON (patient) ` + keyColumns + ` FROM patient_key WHERE patient = ANY ($1) ORDER BY patient, id DESC`
	return k.wrapped(ctx, q, patients, func(w ledger.WrappedKey) ledger.ID { return w.Patient })
}

// Keys returns wrapped keys by key id; absent (erased) ones are absent.
func (k *Keys) Keys(ctx context.Context, ids []ledger.ID) (map[ledger.ID]ledger.WrappedKey, error) {
	return k.wrapped(ctx, `SELECT `+keyColumns+` FROM patient_key WHERE id = ANY ($1)`, ids, func(w ledger.WrappedKey) ledger.ID { return w.ID })
}

func (k *Keys) wrapped(ctx context.Context, query string, ids []ledger.ID, by func(ledger.WrappedKey) ledger.ID) (map[ledger.ID]ledger.WrappedKey, error) {
	found := make(map[ledger.ID]ledger.WrappedKey, len(ids))
	rows, err := k.pool.Query(ctx, query, uuids(ids))
	_, err = collect(rows, err, func(r pgx.Rows) (struct{}, error) {
		w, err := scanKey(r)
		found[by(w)] = w
		return struct{}{}, err
	})
	return found, refuse(err, "read keys")
}

const keyColumns = `id, org, patient, generation, blob`

func scanKey(r pgx.Rows) (w ledger.WrappedKey, err error) {
	err = r.Scan(idInto{&w.ID}, idInto{&w.Org}, idInto{&w.Patient}, &w.Generation, &w.Blob)
	return w, err
}
