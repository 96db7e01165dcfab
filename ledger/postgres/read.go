package postgres

import (
	"context"
	"iter"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/dosewire/dosewire/ledger"
)

const recordColumns = `r.id, r.org, r.key_id, r.type, r.version, r.of, r.epoch, r.seq, r.sub, r.sealed, r.idx, coalesce(r.erased_by, 0)`

func scanRecord(row pgx.Row) (r ledger.Record, err error) {
	err = row.Scan(idInto{&r.ID}, idInto{&r.Org}, idInto{&r.KeyID}, &r.Type, &r.Version, idInto{&r.Of}, &r.Epoch, &r.Seq, &r.Sub, &r.Sealed, &r.Index, &r.ErasedBy)
	return r, err
}

// Record returns one record by its own id: ledger.ErrNotFound, or ledger.ErrErased when only its
// shell is left.
func (s *Store) Record(ctx context.Context, rec ledger.ID) (ledger.Record, error) {
	r, err := scanRecord(s.pool.QueryRow(ctx, `SELECT `+recordColumns+` FROM record r WHERE r.id = $1`, id(rec)))
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
	rows, err := s.pool.Query(ctx, `SELECT `+recordColumns+` FROM record r WHERE r.of = $1 ORDER BY r.version, r.idx`, id(of))
	all, err := collect(rows, err, func(r pgx.Rows) (ledger.Record, error) { return scanRecord(r) })
	return all, refuse(err, "read versions")
}

// Prescription returns one by hub id; ledger.ErrErased, or ledger.ErrNotFound.
func (s *Store) Prescription(ctx context.Context, rx ledger.ID) (ledger.Prescription, error) {
	p, err := scanPrescription(s.pool.QueryRow(ctx, `SELECT `+prescriptionColumns+` FROM prescription p WHERE p.id = $1`, id(rx)))
	return p, s.orErased(ctx, rx, refuse(err, "read prescription"))
}

// PatientPrescriptions returns a patient's, newest first.
func (s *Store) PatientPrescriptions(ctx context.Context, patient ledger.ID) ([]ledger.Prescription, error) {
	rows, err := s.pool.Query(ctx, `SELECT `+prescriptionColumns+` FROM prescription p WHERE p.patient = $1 ORDER BY p.id DESC`, id(patient))
	all, err := collect(rows, err, func(r pgx.Rows) (ledger.Prescription, error) { return scanPrescription(r) })
	return all, refuse(err, "read prescriptions")
}

// Due returns the prescriptions that time changes by now, the longest due first.
func (s *Store) Due(ctx context.Context, now int64, limit int) ([]ledger.Prescription, error) {
	rows, err := s.pool.Query(ctx, `SELECT `+prescriptionColumns+` FROM prescription p WHERE p.due_at <= $1 ORDER BY p.due_at, p.id LIMIT $2`, now, max(limit, 0))
	all, err := collect(rows, err, func(r pgx.Rows) (ledger.Prescription, error) { return scanPrescription(r) })
	return all, refuse(err, "read what is due")
}

// Unfetched returns the deliveries to a pharmacy that it has not acknowledged, of prescriptions that wait there.
func (s *Store) Unfetched(ctx context.Context, pharmacy ledger.ID, after uint64, limit int) ([]ledger.Unfetched, error) {
	rows, err := s.pool.Query(ctx, `SELECT e.number, e.time, `+prescriptionColumns+`
	  FROM effect e JOIN prescription p ON p.record = e.record AND p.pharmacy = e.org AND p.status = 'ready'
	  WHERE e.org = $1 AND e.number > greatest($2, coalesce((SELECT number FROM acknowledged WHERE org = $1), 0))
	    AND e.record IS NOT NULL ORDER BY e.number LIMIT $3`, id(pharmacy), after, max(limit, 0))
	all, err := collect(rows, err, func(r pgx.Rows) (u ledger.Unfetched, err error) {
		err = r.Scan(append([]any{&u.Number, &u.Time}, prescriptionInto(&u.Prescription)...)...)
		return u, err
	})
	return all, refuse(err, "read what is not fetched")
}

// PrescriptionDispenses returns the dispenses that serve a prescription, oldest first.
func (s *Store) PrescriptionDispenses(ctx context.Context, rx ledger.ID) ([]ledger.Dispense, error) {
	rows, err := s.pool.Query(ctx, `SELECT `+dispenseColumns+` FROM dispense d WHERE d.prescription = $1 ORDER BY d.resource`, id(rx))
	all, err := collect(rows, err, func(r pgx.Rows) (ledger.Dispense, error) { return scanDispense(r) })
	return all, refuse(err, "read dispenses")
}

// DispenseByResource finds the dispense whose hub id is given; ledger.ErrErased, or ledger.ErrNotFound.
func (s *Store) DispenseByResource(ctx context.Context, resource ledger.ID) (ledger.Dispense, error) {
	d, err := scanDispense(s.pool.QueryRow(ctx, `SELECT `+dispenseColumns+` FROM dispense d WHERE d.resource = $1`, id(resource)))
	return d, s.orErased(ctx, resource, refuse(err, "read dispense"))
}

// WasDelivered reports whether the prescription was ever sent to the pharmacy.
func (s *Store) WasDelivered(ctx context.Context, pharmacy, prescription ledger.ID) (was bool, err error) {
	err = s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM delivered WHERE pharmacy = $1 AND prescription = $2)`, id(pharmacy), id(prescription)).Scan(&was)
	return was, refuse(err, "read deliveries")
}

// rowsAtOnce is how many entries a walk reads in one query.
const rowsAtOnce = 1000

// Rows yields entries from index from on in order, each with the row it covers. Every thousand is a
// snapshot of its own: rows that are covered never change, and the chain only grows.
func (s *Store) Rows(ctx context.Context, from uint64) iter.Seq2[ledger.Row, error] {
	return func(yield func(ledger.Row, error) bool) {
		for {
			page, err := s.Page(ctx, from, rowsAtOnce)
			for _, r := range page {
				if !yield(r, nil) {
					return
				}
			}
			if err != nil {
				yield(ledger.Row{}, err)
				return
			}
			if len(page) < rowsAtOnce {
				return
			}
			from = page[len(page)-1].Entry.Index + 1
		}
	}
}

// Page returns entries from index from on in order, at most limit, each with the row it covers; with an
// error, those before it.
func (s *Store) Page(ctx context.Context, from uint64, limit int) ([]ledger.Row, error) {
	const q = `SELECT l.idx, l.entry, ` + recordColumns + `, a.id, a.org, a.patient, a.client, a.person, a.purpose, a.action, a.records, a.time, s.text
	  FROM ledger l LEFT JOIN record r ON r.idx = l.idx LEFT JOIN access a ON a.idx = l.idx LEFT JOIN statement s ON s.idx = l.idx
	  WHERE l.idx >= $1 ORDER BY l.idx LIMIT $2`
	rows, err := s.pool.Query(ctx, q, position(from), max(limit, 0))
	all, err := collect(rows, err, scanRow)
	return all, refuse(err, "read ledger")
}

// scanRow reads one line of the walk: the entry and whichever row it covers.
func scanRow(rows pgx.Rows) (ledger.Row, error) {
	var (
		index                                 int64
		entry, sealed, ids                    []byte
		rid, org, key, of, aid, aorg, apat, c pgtype.UUID
		kind, person, purpose, action, text   pgtype.Text
		version, epoch, seq, sub, ridx        pgtype.Int8
		erased, at                            pgtype.Int8
	)
	err := rows.Scan(&index, &entry, &rid, &org, &key, &kind, &version, &of, &epoch, &seq, &sub, &sealed, &ridx, &erased,
		&aid, &aorg, &apat, &c, &person, &purpose, &action, &ids, &at, &text)
	if err != nil {
		return ledger.Row{}, err
	}
	var row ledger.Row
	if row.Entry, err = ledger.Parse(entry); err != nil {
		return ledger.Row{}, &ledger.BadEntry{Index: uint64(index), Err: err}
	}
	if row.Entry.Index != uint64(index) {
		return ledger.Row{}, &ledger.BadEntry{Index: uint64(index), Err: ledger.ErrChain}
	}
	if rid.Valid {
		row.Record = &ledger.Record{ID: rid.Bytes, Org: org.Bytes, KeyID: key.Bytes, Type: kind.String, Version: int(version.Int64), Of: of.Bytes,
			Epoch: uint64(epoch.Int64), Seq: uint64(seq.Int64), Sub: int(sub.Int64), Sealed: sealed, Index: uint64(ridx.Int64), ErasedBy: uint64(erased.Int64)}
	}
	if aid.Valid {
		row.Access = &ledger.Access{ID: aid.Bytes, Org: aorg.Bytes, Patient: apat.Bytes, Client: c.Bytes, Person: person.String,
			Purpose: purpose.String, Action: action.String, Records: splitIDs(ids), Time: at.Int64, Index: uint64(index)}
	}
	if text.Valid {
		row.Statement = &ledger.Statement{Index: uint64(index), Text: text.String}
	}
	return row, nil
}

// joinIDs and splitIDs are the access row's list of records.
func joinIDs(ids []ledger.ID) []byte {
	b := make([]byte, 0, 16*len(ids))
	for _, v := range ids {
		b = append(b, v[:]...)
	}
	return b
}

func splitIDs(b []byte) []ledger.ID {
	var ids []ledger.ID
	for ; len(b) >= 16; b = b[16:] {
		ids = append(ids, ledger.ID(b[:16]))
	}
	return ids
}

// InsertAccess stores a disclosure durably before plaintext leaves.
func (s *Store) InsertAccess(ctx context.Context, a ledger.Access) error {
	_, err := s.pool.Exec(ctx, `INSERT INTO access (id, time, org, patient, client, person, purpose, action, records)
	  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, id(a.ID), a.Time, maybe(a.Org), maybe(a.Patient), maybe(a.Client), a.Person, a.Purpose, a.Action, joinIDs(a.Records))
	return refuse(err, "store access")
}

// PendingAccess returns accesses without an entry, oldest first, at most limit.
func (s *Store) PendingAccess(ctx context.Context, limit int) ([]ledger.Access, error) {
	rows, err := s.pool.Query(ctx, `SELECT id, org, patient, client, person, purpose, action, records, time FROM access
	  WHERE idx IS NULL ORDER BY time, id LIMIT $1`, max(limit, 0))
	all, err := collect(rows, err, func(r pgx.Rows) (a ledger.Access, err error) {
		var ids []byte
		err = r.Scan(idInto{&a.ID}, idInto{&a.Org}, idInto{&a.Patient}, idInto{&a.Client}, &a.Person, &a.Purpose, &a.Action, &ids, &a.Time)
		a.Records, a.Index = splitIDs(ids), ledger.NoIndex
		return a, err
	})
	return all, refuse(err, "read accesses")
}

// Effects returns effects with Number > after in order, at most limit. A zero org means all
// receivers, wakes included.
func (s *Store) Effects(ctx context.Context, org ledger.ID, after uint64, limit int) ([]ledger.Effect, error) {
	const columns = `SELECT number, kind, type, state, org, patient, record, prescription, claim, seq, idx, time, items, body FROM effect `
	var rows pgx.Rows
	var err error
	if org == (ledger.ID{}) {
		rows, err = s.pool.Query(ctx, columns+`WHERE number > $1 ORDER BY number LIMIT $2`, int64(after), max(limit, 0))
	} else {
		rows, err = s.pool.Query(ctx, columns+`WHERE org = $3 AND number > $1 ORDER BY number LIMIT $2`, int64(after), max(limit, 0), id(org))
	}
	all, err := collect(rows, err, scanEffect)
	return all, refuse(err, "read effects")
}

func scanEffect(r pgx.Rows) (e ledger.Effect, err error) {
	var items pgtype.Text
	err = r.Scan(&e.Number, &e.Kind, &e.Type, &e.State, idInto{&e.Org}, idInto{&e.Patient}, idInto{&e.Record}, idInto{&e.Prescription},
		&e.Claim, &e.Seq, indexInto{&e.Index}, &e.Time, &items, &e.Body)
	if err != nil {
		return e, err
	}
	e.Items, err = readList[int](items)
	return e, err
}

// Acknowledged returns for each organisation the number up to which it has acknowledged.
func (s *Store) Acknowledged(ctx context.Context) (map[ledger.ID]uint64, error) {
	upTo := map[ledger.ID]uint64{}
	rows, err := s.pool.Query(ctx, `SELECT org, number FROM acknowledged`)
	_, err = collect(rows, err, func(r pgx.Rows) (struct{}, error) {
		var org ledger.ID
		var number uint64
		err := r.Scan(idInto{&org}, &number)
		upTo[org] = number
		return struct{}{}, err
	})
	return upTo, refuse(err, "read acknowledgements")
}

// SetAcknowledged raises these numbers; a lower number than the stored one changes nothing.
func (s *Store) SetAcknowledged(ctx context.Context, upTo map[ledger.ID]uint64) error {
	if len(upTo) == 0 {
		return nil
	}
	var orgs []pgtype.UUID
	var numbers []int64
	for org, number := range upTo {
		orgs, numbers = append(orgs, id(org)), append(numbers, int64(number))
	}
	_, err := s.pool.Exec(ctx, `INSERT INTO acknowledged (org, number) SELECT * FROM unnest($1::uuid[], $2::bigint[]) ORDER BY 1
	  ON CONFLICT (org) DO UPDATE SET number = excluded.number WHERE acknowledged.number < excluded.number`, orgs, numbers)
	return refuse(err, "store acknowledgements")
}

// Directory returns all organisations and clients, oldest first.
func (s *Store) Directory(ctx context.Context) ([]ledger.Organization, []ledger.Client, error) {
	rows, err := s.pool.Query(ctx, selectOrganizations)
	orgs, err := collect(rows, err, scanOrganization)
	if err != nil {
		return nil, nil, refuse(err, "read directory")
	}
	rows, err = s.pool.Query(ctx, `SELECT id, org, secret, disabled FROM client ORDER BY id`)
	clients, err := collect(rows, err, func(r pgx.Rows) (c ledger.Client, err error) {
		err = r.Scan(idInto{&c.ID}, idInto{&c.Org}, hashInto{&c.Secret}, &c.Disabled)
		return c, err
	})
	return orgs, clients, refuse(err, "read directory")
}

const selectOrganizations = `SELECT o.id, o.kind, o.name, o.sandbox, o.disabled, o.intents, o.signature, o.anchors,
    array(SELECT system FROM organization_identifier i WHERE i.org = o.id ORDER BY position),
    array(SELECT value FROM organization_identifier i WHERE i.org = o.id ORDER BY position)
  FROM organization o ORDER BY o.id`

func scanOrganization(r pgx.Rows) (o ledger.Organization, err error) {
	var intents pgtype.Text
	var systems, values []string
	if err = r.Scan(idInto{&o.ID}, &o.Kind, &o.Name, &o.Sandbox, &o.Disabled, &intents, &o.Signature, &o.Anchors, &systems, &values); err != nil {
		return o, err
	}
	for i := range systems {
		o.Identifiers = append(o.Identifiers, ledger.Identifier{System: systems[i], Value: values[i]})
	}
	if o.Intents, err = readList[string](intents); err != nil {
		return o, errIntents
	}
	return o, nil
}
