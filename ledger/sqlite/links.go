package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

// errLink: somebody would be linked with nobody. Nothing was written.
var errLink = fault.New(fault.Invalid, "sqlite: a person of one patient")

// link writes what a commit links, and what it ends.
func link(ctx context.Context, tx *sql.Tx, links []ledger.PatientLink) error {
	if len(links) == 0 {
		return nil
	}
	x := executor{ctx: ctx, tx: tx}
	for _, l := range links {
		if l.Person == (ledger.ID{}) {
			x.do(`DELETE FROM patient_link WHERE patient = ?`, l.Patient[:])
			continue
		}
		x.do(`INSERT INTO patient_link (patient, person) VALUES (?, ?)
		  ON CONFLICT (patient) DO UPDATE SET person = excluded.person`, l.Patient[:], l.Person[:])
	}
	if x.err != nil {
		return refuse(x.err, "links")
	}
	var alone bool
	const q = `SELECT EXISTS (SELECT 1 FROM patient_link GROUP BY person HAVING count(*) = 1)`
	if err := tx.QueryRowContext(ctx, q).Scan(&alone); err != nil {
		return refuse(err, "links")
	}
	if alone {
		return errLink
	}
	return nil
}

const linked = askedIDs + `SELECT a.patient, b.patient FROM asked CROSS JOIN patient_link a ON a.patient = asked.id
  JOIN patient_link b ON b.person = a.person ORDER BY a.patient, b.patient`

func (l loader) linked(w ledger.Want) error {
	return l.ids(w.Linked, linked, func(rows *sql.Rows) error { return addLinked(rows, l.have.Linked) })
}

func addLinked(rows *sql.Rows, to map[ledger.ID][]ledger.ID) error {
	var of, with ledger.ID
	err := rows.Scan(&of, &with)
	to[of] = append(to[of], with)
	return err
}

// Linked returns for each of these patients all that belong to the same person.
func (s *Store) Linked(ctx context.Context, patients []ledger.ID) (map[ledger.ID][]ledger.ID, error) {
	all := map[ledger.ID][]ledger.ID{}
	if len(patients) == 0 {
		return all, nil
	}
	err := scan(ctx, s.read, func(rows *sql.Rows) error { return addLinked(rows, all) }, linked, joinIDs(patients), len(patients))
	return all, refuse(err, "read links")
}

// Links returns every link of the persons to which these patients belong, by patient; with nil every link.
func (s *Store) Links(ctx context.Context, patients []ledger.ID) ([]ledger.PatientLink, error) {
	one := func(r row) (l ledger.PatientLink, err error) {
		err = r.Scan(&l.Patient, &l.Person)
		return l, err
	}
	if patients == nil {
		return list(ctx, s, "read links", one, `SELECT patient, person FROM patient_link ORDER BY patient`)
	}
	const q = askedIDs + `SELECT patient, person FROM patient_link WHERE person IN
	  (SELECT person FROM asked CROSS JOIN patient_link ON patient = asked.id) ORDER BY patient`
	return list(ctx, s, "read links", one, q, joinIDs(patients), len(patients))
}

// joinable is an invitation (?1) that is good at a time (?3) for Redeem, or for Join by a patient (?2).
const joinable = `hash = ?1 AND until > ?3 AND (used_at IS NULL OR joined_by = ?2)`

// Invited returns whom an invitation that is still good is for.
func (s *Store) Invited(ctx context.Context, invitation ledger.Hash, by ledger.ID, now time.Time) (patient ledger.ID, err error) {
	err = s.read.QueryRowContext(ctx, `SELECT patient FROM invitation WHERE `+joinable, invitation[:], by[:], now.UnixMilli()).Scan(&patient)
	return patient, refuse(err, "read invitation")
}

// Join uses an invitation once for a patient whose inbox is open already; again by the same is the same.
func (s *Store) Join(ctx context.Context, invitation ledger.Hash, by ledger.ID, now time.Time) (patient ledger.ID, err error) {
	const q = `UPDATE invitation SET used_at = coalesce(used_at, ?3), joined_by = ?2 WHERE ` + joinable + ` AND patient <> ?2 RETURNING patient`
	err = s.change(ctx, "join", func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, q, invitation[:], by[:], now.UnixMilli()).Scan(&patient)
	})
	if err != nil {
		return ledger.ID{}, err
	}
	return patient, nil
}
