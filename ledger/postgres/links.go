package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dosewire/dosewire/ledger"
)

// queueLinks writes what a commit links, and what it ends.
func queueLinks(q *statements, links []ledger.PatientLink) {
	var ended, made []ledger.PatientLink
	for _, l := range latest(links, func(l *ledger.PatientLink) ledger.ID { return l.Patient }) {
		if l.Person == (ledger.ID{}) {
			ended = append(ended, l)
		} else {
			made = append(made, l)
		}
	}
	patient := func(l *ledger.PatientLink) *ledger.ID { return &l.Patient }
	if len(ended) > 0 {
		q.add("unlink", `DELETE FROM patient_link WHERE patient = ANY ($1)`, ids(ended, patient).whole())
	}
	if len(made) > 0 {
		q.insert("link", `INSERT INTO patient_link (patient, person) SELECT * FROM unnest($1::uuid[], $2::uuid[])
		  ON CONFLICT (patient) DO UPDATE SET person = excluded.person`,
			ids(made, patient), ids(made, func(l *ledger.PatientLink) *ledger.ID { return &l.Person }))
	}
}

const linked = `SELECT a.patient, b.patient FROM patient_link a JOIN patient_link b USING (person)
  WHERE a.patient = ANY ($1) ORDER BY a.patient, b.patient`

func (l loader) linked(patients []ledger.ID) {
	if len(patients) > 0 {
		l.ask(linked, func(rows pgx.Rows) error { return addLinked(rows, l.have.Linked) }, uuids(patients))
	}
}

func addLinked(rows pgx.Rows, to map[ledger.ID][]ledger.ID) error {
	var of, with ledger.ID
	err := rows.Scan(idInto{&of}, idInto{&with})
	to[of] = append(to[of], with)
	return err
}

// Linked returns for each of these patients all that belong to the same person.
func (s *Store) Linked(ctx context.Context, patients []ledger.ID) (map[ledger.ID][]ledger.ID, error) {
	all := map[ledger.ID][]ledger.ID{}
	rows, err := s.pool.Query(ctx, linked, uuids(patients))
	_, err = collect(rows, err, func(r pgx.Rows) (struct{}, error) { return struct{}{}, addLinked(r, all) })
	return all, refuse(err, "read links")
}

// Links returns every link of the persons to which these patients belong, by patient; with nil every link.
func (s *Store) Links(ctx context.Context, patients []ledger.ID) ([]ledger.PatientLink, error) {
	q, asked := `SELECT patient, person FROM patient_link ORDER BY patient`, []any{}
	if patients != nil {
		q = `SELECT patient, person FROM patient_link WHERE person IN
		  (SELECT person FROM patient_link WHERE patient = ANY ($1)) ORDER BY patient`
		asked = append(asked, uuids(patients))
	}
	rows, err := s.pool.Query(ctx, q, asked...)
	all, err := collect(rows, err, func(r pgx.Rows) (l ledger.PatientLink, err error) {
		err = r.Scan(idInto{&l.Patient}, idInto{&l.Person})
		return l, err
	})
	return all, refuse(err, "read links")
}

// joinable is an invitation ($1) that is good at a time ($3) for Redeem, or for Join by a patient ($2).
const joinable = `hash = $1 AND until > $3 AND (used_at IS NULL OR joined_by = $2)`

// Invited returns whom an invitation that is still good is for.
func (s *Store) Invited(ctx context.Context, invitation ledger.Hash, by ledger.ID, now time.Time) (patient ledger.ID, err error) {
	err = s.pool.QueryRow(ctx, `SELECT patient FROM invitation WHERE `+joinable, invitation[:], id(by), now.UnixMilli()).Scan(idInto{&patient})
	return patient, refuse(err, "read invitation")
}

// Join uses an invitation once for a patient whose inbox is open already; again by the same is the same.
func (s *Store) Join(ctx context.Context, invitation ledger.Hash, by ledger.ID, now time.Time) (patient ledger.ID, err error) {
	const q = `UPDATE invitation SET used_at = coalesce(used_at, $3), joined_by = $2 WHERE ` + joinable + ` AND patient <> $2 RETURNING patient`
	err = s.pool.QueryRow(ctx, q, invitation[:], id(by), now.UnixMilli()).Scan(idInto{&patient})
	return patient, refuse(err, "join")
}
