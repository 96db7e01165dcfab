package sqlite

import (
	"context"
	"database/sql"

	"github.com/dosewire/dosewire/ledger"
)

const prescriptionColumns = `p.id, p.clinic, p.patient, p.record, p.status, p.pharmacy, p.holder, p.claim, p.fills_allowed,
  p.fills_done, p.identity, p.group_id, p.due_at, p.version, p.therapy, p.state`

// Load returns one consistent view of what w names. Lists of prescriptions are oldest first; every
// map is there, though it may be empty. Prescriptions holds also those that found dispenses serve.
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
	err := s.view(ctx, "load", func(tx *sql.Tx) error {
		l := loader{ctx, tx, &have}
		for _, step := range []func(ledger.Want) error{
			l.messages, l.identities, l.prescriptions, l.citations, l.dispenses, l.patients, l.linked, l.tokens, l.therapies, l.delivered,
		} {
			if err := step(w); err != nil {
				return err
			}
		}
		return nil
	})
	return have, err
}

type loader struct {
	ctx  context.Context
	tx   *sql.Tx
	have *ledger.Have
}

// keys runs a query over the asked keys, if there are any.
func (l loader) keys(keys []ledger.Key, query string, row func(*sql.Rows) error) error {
	if len(keys) == 0 {
		return nil
	}
	return scan(l.ctx, l.tx, row, query, joinKeys(keys), len(keys))
}

// ids runs a query over the asked ids, if there are any.
func (l loader) ids(ids []ledger.ID, query string, row func(*sql.Rows) error) error {
	if len(ids) == 0 {
		return nil
	}
	return scan(l.ctx, l.tx, row, query, joinIDs(ids), len(ids))
}

func (l loader) messages(w ledger.Want) error {
	const q = askedKeys + `SELECT m.org, m.hash, m.body, m.record, m.seq, m.answer FROM asked CROSS JOIN message m USING (org, hash)`
	return l.keys(w.Messages, q, func(rows *sql.Rows) error {
		var m ledger.Message
		if err := rows.Scan(&m.Org, hashInto{&m.Hash}, hashInto{&m.Body}, &m.Record, &m.Seq, &m.Answer); err != nil {
			return err
		}
		l.have.Messages[m.Key] = m
		return nil
	})
}

func (l loader) identities(w ledger.Want) error {
	const q = askedKeys + `SELECT ` + prescriptionColumns + ` FROM asked CROSS JOIN prescription p ON p.clinic = asked.org AND p.identity = asked.hash`
	return l.keys(w.Identities, q, func(rows *sql.Rows) error {
		p, err := l.add(rows)
		l.have.Identities[ledger.Key{Org: p.Clinic, Hash: p.Identity}] = p.ID
		return err
	})
}

// namedQuery finds prescriptions by hub id, by the record in force, and by any record that is a version.
const namedQuery = askedIDs + `SELECT ` + prescriptionColumns + ` FROM prescription p WHERE p.id IN (
	  SELECT id FROM asked
	  UNION SELECT x.id FROM asked CROSS JOIN prescription x ON x.record = asked.id
	  UNION SELECT r.of FROM asked CROSS JOIN record r ON r.id = asked.id)`

func (l loader) prescriptions(w ledger.Want) error {
	return l.ids(w.Prescriptions, namedQuery, func(rows *sql.Rows) error {
		_, err := l.add(rows)
		return err
	})
}

// citedQuery finds them by what they were delivered under.
const citedQuery = askedKeys + `, found(org, hash, rx) AS (
	    SELECT d.pharmacy, d.identifier, d.prescription FROM asked CROSS JOIN delivered d ON d.pharmacy = asked.org AND d.identifier = asked.hash
	    UNION
	    SELECT d.pharmacy, d.local, d.prescription FROM asked CROSS JOIN delivered d ON d.pharmacy = asked.org AND d.local = asked.hash)
	  SELECT found.org, found.hash, ` + prescriptionColumns + ` FROM found CROSS JOIN prescription p ON p.id = found.rx ORDER BY p.id`

func (l loader) citations(w ledger.Want) error {
	return l.keys(w.Citations, citedQuery, func(rows *sql.Rows) error {
		var cited ledger.Key
		p, err := l.add(rows, &cited.Org, hashInto{&cited.Hash})
		l.have.Citations[cited] = append(l.have.Citations[cited], p.ID)
		return err
	})
}

func (l loader) dispenses(w ledger.Want) error {
	const q = askedKeys + `SELECT ` + dispenseColumns + ` FROM asked CROSS JOIN dispense d ON d.pharmacy = asked.org AND d.hash = asked.hash`
	var served []ledger.ID
	err := l.keys(w.Dispenses, q, func(rows *sql.Rows) error {
		d, err := scanDispense(rows)
		if d.Prescription != (ledger.ID{}) {
			served = append(served, d.Prescription)
		}
		l.have.Dispenses[d.Key] = d
		return err
	})
	if err != nil {
		return err
	}
	const byID = askedIDs + `SELECT ` + prescriptionColumns + ` FROM asked CROSS JOIN prescription p USING (id)`
	return l.ids(served, byID, func(rows *sql.Rows) error {
		_, err := l.add(rows)
		return err
	})
}

// waitingQuery finds those that wait for their patient's choice.
const waitingQuery = askedIDs + `SELECT ` + prescriptionColumns + ` FROM asked CROSS JOIN prescription p ON p.patient = asked.id
	  WHERE p.pharmacy IS NULL ORDER BY p.id`

func (l loader) patients(w ledger.Want) error {
	const chosen = askedIDs + `SELECT c.patient, c.pharmacy FROM asked CROSS JOIN nomination c ON c.patient = asked.id`
	err := l.ids(w.Patients, chosen, func(rows *sql.Rows) error {
		var c ledger.Nomination
		err := rows.Scan(&c.Patient, &c.Pharmacy)
		l.have.Nominations[c.Patient] = c.Pharmacy
		return err
	})
	if err != nil {
		return err
	}
	return l.ids(w.Waiting, waitingQuery, func(rows *sql.Rows) error {
		p, err := l.add(rows)
		l.have.Waiting[p.Patient] = append(l.have.Waiting[p.Patient], p.ID)
		return err
	})
}

// delivered comes last: it asks for every prescription that was found.
func (l loader) delivered(ledger.Want) error {
	found := make([]ledger.ID, 0, len(l.have.Prescriptions))
	for id := range l.have.Prescriptions {
		found = append(found, id)
	}
	const q = askedIDs + `SELECT d.pharmacy, d.prescription FROM asked CROSS JOIN delivered d ON d.prescription = asked.id`
	return l.ids(found, q, func(rows *sql.Rows) error {
		var pair [2]ledger.ID
		err := rows.Scan(&pair[0], &pair[1])
		l.have.Delivered[pair] = true
		return err
	})
}

// add scans a prescription after the columns in before, and keeps it.
func (l loader) add(rows *sql.Rows, before ...any) (ledger.Prescription, error) {
	p, err := scanPrescription(rows, before...)
	if err == nil {
		l.have.Prescriptions[p.ID] = p
	}
	return p, err
}
