package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/dosewire/dosewire/ledger"
)

// State reads the state tables in one snapshot.
func (s *Store) State(ctx context.Context, begin func(ledger.Head) error, row func(ledger.StateRow) error) error {
	tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return refuse(err, "read state")
	}
	defer tx.Rollback(ctx) // it only reads
	head, err := scanHead(tx.QueryRow(ctx, `SELECT `+headColumns+` FROM head`))
	if err != nil {
		return refuse(err, "read state")
	}
	if err := begin(head); err != nil {
		return err
	}
	for _, table := range stateTables {
		rows, err := tx.Query(ctx, table.query)
		if err != nil {
			return refuse(err, "read state")
		}
		for rows.Next() {
			r, err := table.read(rows)
			if err != nil {
				rows.Close()
				return refuse(err, "read state")
			}
			if err := row(r); err != nil {
				rows.Close()
				return err
			}
		}
		if err := rows.Err(); err != nil {
			return refuse(err, "read state")
		}
	}
	return nil
}

// stateTables reads every state table in the order of ledger.StateTables.
var stateTables = []struct {
	query string
	read  func(pgx.Rows) (ledger.StateRow, error)
}{
	{selectOrganizations, func(r pgx.Rows) (ledger.StateRow, error) {
		o, err := scanOrganization(r)
		return o.StateRow(), err
	}},
	{`SELECT id, org, secret, disabled FROM client ORDER BY id`, func(r pgx.Rows) (ledger.StateRow, error) {
		var c ledger.Client
		err := r.Scan(idInto{&c.ID}, idInto{&c.Org}, hashInto{&c.Secret}, &c.Disabled)
		return c.StateRow(), err
	}},
	{`SELECT patient, pharmacy FROM nomination ORDER BY patient`, func(r pgx.Rows) (ledger.StateRow, error) {
		var n ledger.Nomination
		err := r.Scan(idInto{&n.Patient}, idInto{&n.Pharmacy})
		return n.StateRow(), err
	}},
	{`SELECT ` + prescriptionColumns + ` FROM prescription p ORDER BY p.id`, func(r pgx.Rows) (ledger.StateRow, error) {
		p, err := scanPrescription(r)
		return p.StateRow(), err
	}},
	{`SELECT prescription, number, pharmacy, claim, record FROM fill ORDER BY prescription, number`, func(r pgx.Rows) (ledger.StateRow, error) {
		var f ledger.Fill
		err := r.Scan(idInto{&f.Prescription}, &f.Number, idInto{&f.Pharmacy}, &f.Claim, idInto{&f.Record})
		return f.StateRow(), err
	}},
	{`SELECT ` + dispenseColumns + ` FROM dispense d ORDER BY d.pharmacy, d.hash`, func(r pgx.Rows) (ledger.StateRow, error) {
		d, err := scanDispense(r)
		return d.StateRow(), err
	}},
	{`SELECT pharmacy, prescription, identifier, local FROM delivered ORDER BY pharmacy, prescription`, func(r pgx.Rows) (ledger.StateRow, error) {
		var d ledger.Delivered
		err := r.Scan(idInto{&d.Pharmacy}, idInto{&d.Prescription}, hashInto{&d.Identifier}, hashInto{&d.Local})
		return d.StateRow(), err
	}},
	{`SELECT org, hash, body, record, seq, answer FROM message WHERE record IS NOT NULL ORDER BY org, hash`, func(r pgx.Rows) (ledger.StateRow, error) {
		var m ledger.Message
		err := r.Scan(idInto{&m.Org}, hashInto{&m.Hash}, hashInto{&m.Body}, idInto{&m.Record}, &m.Seq, &m.Answer)
		return m.StateRow(), err
	}},
	{`SELECT id, org, patient, time FROM hold ORDER BY id`, func(r pgx.Rows) (ledger.StateRow, error) {
		var h ledger.Hold
		err := r.Scan(idInto{&h.ID}, idInto{&h.Org}, idInto{&h.Patient}, &h.Time)
		return h.StateRow(), err
	}},
	{`SELECT id, patient, kind, time FROM patient_request ORDER BY id`, func(r pgx.Rows) (ledger.StateRow, error) {
		var p ledger.PatientRequest
		err := r.Scan(idInto{&p.ID}, idInto{&p.Patient}, &p.Kind, &p.Time)
		return p.StateRow(), err
	}},
	{`SELECT patient, person FROM patient_link ORDER BY patient`, func(r pgx.Rows) (ledger.StateRow, error) {
		var l ledger.PatientLink
		err := r.Scan(idInto{&l.Patient}, idInto{&l.Person})
		return l.StateRow(), err
	}},
}
