package sqlite

import (
	"context"
	"database/sql"

	"github.com/dosewire/dosewire/ledger"
)

// querier is a snapshot or the pool of readers.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// row is what both sql.Row and sql.Rows are.
type row interface{ Scan(...any) error }

// scan runs a query and each for every row of its answer.
func scan(ctx context.Context, q querier, each func(*sql.Rows) error, query string, args ...any) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// list collects the rows of a query, or those before an error.
func list[T any](ctx context.Context, s *Store, what string, read func(row) (T, error), query string, args ...any) ([]T, error) {
	var all []T
	err := scan(ctx, s.read, func(rows *sql.Rows) error {
		v, err := read(rows)
		if err == nil {
			all = append(all, v)
		}
		return err
	}, query, args...)
	return all, refuse(err, what)
}

const recordColumns = `r.id, r.org, r.key_id, r.type, r.version, r.of, r.epoch, r.seq, r.sub, r.sealed, r.idx, coalesce(r.erased_by, 0)`

func scanRecord(src row) (r ledger.Record, err error) {
	err = src.Scan(&r.ID, &r.Org, &r.KeyID, &r.Type, &r.Version, &r.Of, &r.Epoch, &r.Seq, &r.Sub, &r.Sealed, &r.Index, &r.ErasedBy)
	return r, err
}

// Record returns one record by its own id: ledger.ErrNotFound, or ledger.ErrErased when only its
// shell is left.
func (s *Store) Record(ctx context.Context, id ledger.ID) (ledger.Record, error) {
	r, err := scanRecord(s.read.QueryRowContext(ctx, `SELECT `+recordColumns+` FROM record r WHERE r.id = ?`, id[:]))
	if err != nil {
		return ledger.Record{}, refuse(err, "read record")
	}
	if r.KeyID == (ledger.ID{}) {
		return r, ledger.ErrErased
	}
	return r, nil
}

// Versions returns the records of a resource, oldest first; an unknown resource has none.
func (s *Store) Versions(ctx context.Context, of ledger.ID) ([]ledger.Record, error) {
	const q = `SELECT ` + recordColumns + ` FROM record r WHERE r.of = ? ORDER BY r.version, r.idx`
	return list(ctx, s, "read versions", scanRecord, q, of[:])
}

func scanPrescription(src row, before ...any) (p ledger.Prescription, err error) {
	var due *int64
	err = src.Scan(append(before, &p.ID, &p.Clinic, &p.Patient, &p.Record, &p.Status, &p.Pharmacy, &p.Holder, &p.Claim,
		&p.FillsAllowed, &p.FillsDone, hashInto{&p.Identity}, hashInto{&p.Group}, &due, &p.Version, &p.Therapy, &p.State)...)
	if due != nil {
		p.DueAt = *due
	}
	return p, err
}

// Prescription returns one by hub id; ledger.ErrErased, or ledger.ErrNotFound.
func (s *Store) Prescription(ctx context.Context, id ledger.ID) (ledger.Prescription, error) {
	const q = `SELECT ` + prescriptionColumns + ` FROM prescription p WHERE p.id = ?`
	p, err := scanPrescription(s.read.QueryRowContext(ctx, q, id[:]))
	return p, s.orErased(ctx, id, refuse(err, "read prescription"))
}

// PatientPrescriptions returns a patient's, newest first.
func (s *Store) PatientPrescriptions(ctx context.Context, patient ledger.ID) ([]ledger.Prescription, error) {
	const q = `SELECT ` + prescriptionColumns + ` FROM prescription p WHERE p.patient = ? ORDER BY p.id DESC`
	one := func(r row) (ledger.Prescription, error) { return scanPrescription(r) }
	return list(ctx, s, "read prescriptions", one, q, patient[:])
}

// Due returns the prescriptions that time changes by now, the longest due first.
func (s *Store) Due(ctx context.Context, now int64, limit int) ([]ledger.Prescription, error) {
	const q = `SELECT ` + prescriptionColumns + ` FROM prescription p WHERE p.due_at <= ? ORDER BY p.due_at, p.id LIMIT ?`
	one := func(r row) (ledger.Prescription, error) { return scanPrescription(r) }
	return list(ctx, s, "read what is due", one, q, now, max(limit, 0))
}

// unfetchedQuery goes through the deliveries in their order, and ends with the last of the page.
const unfetchedQuery = `SELECT e.number, e.time, ` + prescriptionColumns + `
	  FROM effect e CROSS JOIN prescription p ON p.record = e.record AND p.pharmacy = e.org AND p.status = 'ready'
	  WHERE e.org = ?1 AND e.number > max(?2, coalesce((SELECT number FROM acknowledged WHERE org = ?1), 0))
	    AND e.record IS NOT NULL ORDER BY e.number LIMIT ?3`

// Unfetched returns the deliveries to a pharmacy that it has not acknowledged, of prescriptions that wait there.
func (s *Store) Unfetched(ctx context.Context, pharmacy ledger.ID, after uint64, limit int) ([]ledger.Unfetched, error) {
	one := func(r row) (u ledger.Unfetched, err error) {
		u.Prescription, err = scanPrescription(r, &u.Number, &u.Time)
		return u, err
	}
	return list(ctx, s, "read what is not fetched", one, unfetchedQuery, pharmacy[:], after, max(limit, 0))
}

const dispenseColumns = `d.pharmacy, d.hash, d.resource, d.prescription, d.claim, d.status, d.version`

func scanDispense(src row) (d ledger.Dispense, err error) {
	err = src.Scan(&d.Org, hashInto{&d.Hash}, &d.Resource, &d.Prescription, &d.Claim, &d.Status, &d.Version)
	return d, err
}

// PrescriptionDispenses returns the dispenses that serve a prescription, oldest first.
func (s *Store) PrescriptionDispenses(ctx context.Context, id ledger.ID) ([]ledger.Dispense, error) {
	const q = `SELECT ` + dispenseColumns + ` FROM dispense d WHERE d.prescription = ? ORDER BY d.resource`
	return list(ctx, s, "read dispenses", scanDispense, q, id[:])
}

// DispenseByResource finds the dispense whose hub id is given; ledger.ErrErased, or ledger.ErrNotFound.
func (s *Store) DispenseByResource(ctx context.Context, id ledger.ID) (ledger.Dispense, error) {
	const q = `SELECT ` + dispenseColumns + ` FROM dispense d WHERE d.resource = ?`
	d, err := scanDispense(s.read.QueryRowContext(ctx, q, id[:]))
	return d, s.orErased(ctx, id, refuse(err, "read dispense"))
}

// WasDelivered reports whether the prescription was ever sent to the pharmacy.
func (s *Store) WasDelivered(ctx context.Context, pharmacy, prescription ledger.ID) (was bool, err error) {
	const q = `SELECT EXISTS (SELECT 1 FROM delivered WHERE pharmacy = ? AND prescription = ?)`
	err = s.read.QueryRowContext(ctx, q, pharmacy[:], prescription[:]).Scan(&was)
	return was, refuse(err, "read deliveries")
}

// Directory returns all organisations and clients, oldest first.
func (s *Store) Directory(ctx context.Context) (orgs []ledger.Organization, clients []ledger.Client, err error) {
	err = s.view(ctx, "read directory", func(tx *sql.Tx) error {
		if orgs, err = organizations(ctx, tx); err != nil {
			return err
		}
		return scan(ctx, tx, func(rows *sql.Rows) error {
			var c ledger.Client
			err := rows.Scan(&c.ID, &c.Org, hashInto{&c.Secret}, &c.Disabled)
			clients = append(clients, c)
			return err
		}, `SELECT id, org, secret, disabled FROM client ORDER BY id`)
	})
	return orgs, clients, err
}

func organizations(ctx context.Context, tx *sql.Tx) (orgs []ledger.Organization, err error) {
	at := map[ledger.ID]int{}
	err = scan(ctx, tx, func(rows *sql.Rows) error {
		var (
			o       ledger.Organization
			intents *string
		)
		if err := rows.Scan(&o.ID, &o.Kind, &o.Name, &o.Sandbox, &o.Disabled, &intents, &o.Signature, &o.Anchors); err != nil {
			return err
		}
		if o.Intents, err = readList[string](intents); err != nil {
			return errIntents
		}
		at[o.ID] = len(orgs)
		orgs = append(orgs, o)
		return nil
	}, `SELECT id, kind, name, sandbox, disabled, intents, signature, anchors FROM organization ORDER BY id`)
	if err != nil {
		return nil, err
	}
	err = scan(ctx, tx, func(rows *sql.Rows) error {
		var (
			org ledger.ID
			d   ledger.Identifier
		)
		if err := rows.Scan(&org, &d.System, &d.Value); err != nil {
			return err
		}
		if i, ok := at[org]; ok { // somebody who turned the foreign key off routes nothing to another
			orgs[i].Identifiers = append(orgs[i].Identifiers, d)
		}
		return nil
	}, `SELECT org, system, value FROM organization_identifier ORDER BY org, position`)
	return orgs, err
}
