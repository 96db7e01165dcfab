package sqlite

import (
	"context"
	"database/sql"

	"github.com/dosewire/dosewire/ledger"
)

// State reads the state tables in one snapshot.
func (s *Store) State(ctx context.Context, begin func(ledger.Head) error, row func(ledger.StateRow) error) error {
	var outside error // an error that is not the database's
	err := s.view(ctx, "read state", func(tx *sql.Tx) error {
		head, _, err := scanHead(tx.QueryRowContext(ctx, selectHead))
		if err != nil {
			return err
		}
		if outside = begin(head); outside != nil {
			return outside
		}
		orgs, err := organizations(ctx, tx)
		if err != nil {
			return err
		}
		for _, o := range orgs {
			if outside = row(o.StateRow()); outside != nil {
				return outside
			}
		}
		for _, table := range stateTables {
			err := scan(ctx, tx, func(rows *sql.Rows) error {
				r, err := table.read(rows)
				if err == nil {
					outside = row(r)
					err = outside
				}
				return err
			}, table.query)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if outside != nil {
		return outside
	}
	return err
}

// stateTables reads every state table but the organisations', in the order of ledger.StateTables.
var stateTables = []struct {
	query string
	read  func(*sql.Rows) (ledger.StateRow, error)
}{
	{`SELECT id, org, secret, disabled FROM client ORDER BY id`, func(r *sql.Rows) (ledger.StateRow, error) {
		var c ledger.Client
		err := r.Scan(&c.ID, &c.Org, hashInto{&c.Secret}, &c.Disabled)
		return c.StateRow(), err
	}},
	{`SELECT patient, pharmacy FROM nomination ORDER BY patient`, func(r *sql.Rows) (ledger.StateRow, error) {
		var n ledger.Nomination
		err := r.Scan(&n.Patient, &n.Pharmacy)
		return n.StateRow(), err
	}},
	{`SELECT ` + prescriptionColumns + ` FROM prescription p ORDER BY p.id`, func(r *sql.Rows) (ledger.StateRow, error) {
		p, err := scanPrescription(r)
		return p.StateRow(), err
	}},
	{`SELECT prescription, number, pharmacy, claim, record FROM fill ORDER BY prescription, number`, func(r *sql.Rows) (ledger.StateRow, error) {
		var f ledger.Fill
		err := r.Scan(&f.Prescription, &f.Number, &f.Pharmacy, &f.Claim, &f.Record)
		return f.StateRow(), err
	}},
	{`SELECT ` + dispenseColumns + ` FROM dispense d ORDER BY d.pharmacy, d.hash`, func(r *sql.Rows) (ledger.StateRow, error) {
		d, err := scanDispense(r)
		return d.StateRow(), err
	}},
	{`SELECT pharmacy, prescription, identifier, local FROM delivered ORDER BY pharmacy, prescription`, func(r *sql.Rows) (ledger.StateRow, error) {
		var d ledger.Delivered
		err := r.Scan(&d.Pharmacy, &d.Prescription, hashInto{&d.Identifier}, hashInto{&d.Local})
		return d.StateRow(), err
	}},
	{`SELECT org, hash, body, record, seq, answer FROM message WHERE record IS NOT NULL ORDER BY org, hash`, func(r *sql.Rows) (ledger.StateRow, error) {
		var m ledger.Message
		err := r.Scan(&m.Org, hashInto{&m.Hash}, hashInto{&m.Body}, &m.Record, &m.Seq, &m.Answer)
		return m.StateRow(), err
	}},
	{`SELECT id, org, patient, time FROM hold ORDER BY id`, func(r *sql.Rows) (ledger.StateRow, error) {
		var h ledger.Hold
		err := r.Scan(&h.ID, &h.Org, &h.Patient, &h.Time)
		return h.StateRow(), err
	}},
	{`SELECT id, patient, kind, time FROM patient_request ORDER BY id`, func(r *sql.Rows) (ledger.StateRow, error) {
		var p ledger.PatientRequest
		err := r.Scan(&p.ID, &p.Patient, &p.Kind, &p.Time)
		return p.StateRow(), err
	}},
	{`SELECT patient, person FROM patient_link ORDER BY patient`, func(r *sql.Rows) (ledger.StateRow, error) {
		var l ledger.PatientLink
		err := r.Scan(&l.Patient, &l.Person)
		return l.StateRow(), err
	}},
}
