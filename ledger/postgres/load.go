package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/dosewire/dosewire/ledger"
)

const prescriptionColumns = `p.id, p.clinic, p.patient, p.record, p.status, p.pharmacy, p.holder, p.claim, p.fills_allowed,
  p.fills_done, p.identity, p.group_id, p.due_at, p.version, p.therapy, p.state`

const dispenseColumns = `d.pharmacy, d.hash, d.resource, d.prescription, d.claim, d.status, d.version`

// deliveredTo is what a prescription's pharmacies are read with.
const deliveredTo = `, ARRAY (SELECT d.pharmacy FROM delivered d WHERE d.prescription = p.id)`

// Load returns what w names, in one round trip. Its queries may see what another recorder commits in between: then the head
// has moved, and what is decided of it cannot be committed. Lists of prescriptions are oldest first;
// every map is there, though it may be empty. Prescriptions holds also those that found dispenses serve.
func (s *Store) Load(ctx context.Context, w ledger.Want) (ledger.Have, error) {
	have := ledger.Have{
		Messages:      make(map[ledger.Key]ledger.Message, len(w.Messages)),
		Prescriptions: map[ledger.ID]ledger.Prescription{},
		Identities:    map[ledger.Key]ledger.ID{},
		Citations:     map[ledger.Key][]ledger.ID{},
		Delivered:     map[[2]ledger.ID]bool{},
		Dispenses:     map[ledger.Key]ledger.Dispense{},
		Nominations:   map[ledger.ID]ledger.ID{},
		Waiting:       map[ledger.ID][]ledger.ID{},
		Linked:        map[ledger.ID][]ledger.ID{},
		Tokens:        map[ledger.ID][]byte{},
		Therapies:     map[ledger.ID][]ledger.ID{},
	}
	l := loader{&pgx.Batch{}, &have}
	l.messages(w.Messages)
	l.identities(w.Identities)
	l.prescriptions(w.Prescriptions)
	l.citations(w.Citations)
	l.dispenses(w.Dispenses)
	l.nominations(w.Patients)
	l.waiting(w.Waiting)
	l.linked(w.Linked)
	l.tokens(w.Tokens)
	l.therapies(w.Therapies)
	return have, s.send(ctx, l.batch, "load")
}

// loader queues one query for each kind of thing that is wanted; each reads its rows into have.
type loader struct {
	batch *pgx.Batch
	have  *ledger.Have
}

// ask queues a query whose rows are read one by one.
func (l loader) ask(query string, row func(pgx.Rows) error, args ...any) {
	l.batch.Queue(query, args...).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			if err := row(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

func (l loader) messages(ks []ledger.Key) {
	if len(ks) == 0 {
		return
	}
	from, orgs, hashes := asked(ks)
	l.ask(`SELECT m.org, m.hash, m.body, m.record, m.seq, m.answer FROM `+from+` AS asked (org, hash) JOIN message m USING (org, hash)`, func(rows pgx.Rows) error {
		var m ledger.Message
		err := rows.Scan(idInto{&m.Org}, hashInto{&m.Hash}, hashInto{&m.Body}, idInto{&m.Record}, &m.Seq, &m.Answer)
		l.have.Messages[m.Key] = m
		return err
	}, orgs, hashes)
}

func (l loader) identities(ks []ledger.Key) {
	if len(ks) == 0 {
		return
	}
	from, orgs, hashes := asked(ks)
	l.ask(`SELECT `+prescriptionColumns+deliveredTo+` FROM `+from+` AS asked (org, hash)
	  JOIN prescription p ON p.clinic = asked.org AND p.identity = asked.hash`, func(rows pgx.Rows) error {
		p, err := l.add(rows)
		l.have.Identities[ledger.Key{Org: p.Clinic, Hash: p.Identity}] = p.ID
		return err
	}, orgs, hashes)
}

// prescriptions finds them by hub id, by the record in force, and by any record that is a version.
func (l loader) prescriptions(ids []ledger.ID) {
	if len(ids) == 0 {
		return
	}
	l.ask(`SELECT `+prescriptionColumns+deliveredTo+` FROM prescription p WHERE p.id IN (
	    SELECT unnest($1::uuid[])
	    UNION SELECT x.id FROM prescription x WHERE x.record = ANY ($1)
	    UNION SELECT r.of FROM record r WHERE r.id = ANY ($1))`, func(rows pgx.Rows) error {
		_, err := l.add(rows)
		return err
	}, uuids(ids))
}

func (l loader) citations(ks []ledger.Key) {
	if len(ks) == 0 {
		return
	}
	from, orgs, hashes := asked(ks)
	l.ask(`WITH asked AS (SELECT * FROM `+from+` AS a (org, hash)), found AS (
	    SELECT a.org, a.hash, d.prescription FROM asked a JOIN delivered d ON d.pharmacy = a.org AND d.identifier = a.hash
	    UNION
	    SELECT a.org, a.hash, d.prescription FROM asked a JOIN delivered d ON d.pharmacy = a.org AND d.local = a.hash)
	  SELECT found.org, found.hash, `+prescriptionColumns+deliveredTo+` FROM found JOIN prescription p ON p.id = found.prescription ORDER BY p.id`,
		func(rows pgx.Rows) error {
			var cited ledger.Key
			p, err := l.add(rows, idInto{&cited.Org}, hashInto{&cited.Hash})
			l.have.Citations[cited] = append(l.have.Citations[cited], p.ID)
			return err
		}, orgs, hashes)
}

func (l loader) dispenses(ks []ledger.Key) {
	if len(ks) == 0 {
		return
	}
	from, orgs, hashes := asked(ks)
	from = ` FROM ` + from + ` AS asked (org, hash) JOIN dispense d ON d.pharmacy = asked.org AND d.hash = asked.hash `
	l.ask(`SELECT `+dispenseColumns+from, func(rows pgx.Rows) error {
		d, err := scanDispense(rows)
		l.have.Dispenses[d.Key] = d
		return err
	}, orgs, hashes)
	l.ask(`SELECT `+prescriptionColumns+deliveredTo+from+`JOIN prescription p ON p.id = d.prescription`, func(rows pgx.Rows) error {
		_, err := l.add(rows)
		return err
	}, orgs, hashes)
}

func (l loader) nominations(ids []ledger.ID) {
	if len(ids) == 0 {
		return
	}
	l.ask(`SELECT patient, pharmacy FROM nomination WHERE patient = ANY ($1)`, func(rows pgx.Rows) error {
		var n ledger.Nomination
		err := rows.Scan(idInto{&n.Patient}, idInto{&n.Pharmacy})
		l.have.Nominations[n.Patient] = n.Pharmacy
		return err
	}, uuids(ids))
}

func (l loader) waiting(ids []ledger.ID) {
	if len(ids) == 0 {
		return
	}
	l.ask(`SELECT `+prescriptionColumns+deliveredTo+` FROM prescription p WHERE p.patient = ANY ($1) AND p.pharmacy IS NULL ORDER BY p.id`, func(rows pgx.Rows) error {
		p, err := l.add(rows)
		l.have.Waiting[p.Patient] = append(l.have.Waiting[p.Patient], p.ID)
		return err
	}, uuids(ids))
}

// add scans a prescription after the columns in before, and the pharmacies that it was delivered to, and keeps both.
func (l loader) add(rows pgx.Rows, before ...any) (p ledger.Prescription, err error) {
	var pharmacies []pgtype.UUID
	if err = rows.Scan(append(append(before, prescriptionInto(&p)...), &pharmacies)...); err != nil {
		return p, err
	}
	l.have.Prescriptions[p.ID] = p
	for _, pharmacy := range pharmacies {
		l.have.Delivered[[2]ledger.ID{pharmacy.Bytes, p.ID}] = true
	}
	return p, nil
}

func scanPrescription(row pgx.Row) (p ledger.Prescription, err error) {
	err = row.Scan(prescriptionInto(&p)...)
	return p, err
}

func prescriptionInto(p *ledger.Prescription) []any {
	return []any{idInto{&p.ID}, idInto{&p.Clinic}, idInto{&p.Patient}, idInto{&p.Record}, &p.Status,
		idInto{&p.Pharmacy}, idInto{&p.Holder}, &p.Claim, &p.FillsAllowed, &p.FillsDone, hashInto{&p.Identity}, hashInto{&p.Group},
		timeInto{&p.DueAt}, &p.Version, &p.Therapy, &p.State}
}

func scanDispense(row pgx.Row) (d ledger.Dispense, err error) {
	err = row.Scan(idInto{&d.Org}, hashInto{&d.Hash}, idInto{&d.Resource}, idInto{&d.Prescription}, &d.Claim, &d.Status, &d.Version)
	return d, err
}
