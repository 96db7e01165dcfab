package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/dosewire/dosewire/ledger"
)

// inserts holds the prepared statements of a commit, on the one connection that writes.
type inserts struct {
	entry, record, statement, access                                *sql.Stmt
	message, replay, begun, prescription, fill, dispense, delivered *sql.Stmt
	effect, quarantine                                              *sql.Stmt
	organization, dropIdentifiers, identifier, client, choice       *sql.Stmt
}

const insertPrescription = `INSERT INTO prescription (id, clinic, patient, record, status, pharmacy, holder, claim, fills_allowed, fills_done,
			  identity, group_id, due_at, version, therapy, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

func (s *inserts) prepare(ctx context.Context, db *sql.DB) (err error) {
	for _, p := range []struct {
		stmt **sql.Stmt
		sql  string
	}{
		{&s.entry, `INSERT INTO ledger (idx, entry, leaf) VALUES (?, ?, ?)`},
		{&s.record, `INSERT INTO record (idx, id, org, of, version, epoch, seq, sub, type, key_id, sealed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`},
		{&s.statement, `INSERT INTO statement (idx, text) VALUES (?, ?)`},
		{&s.access, `UPDATE access SET idx = ?2 WHERE id = ?1 AND idx IS NULL`},
		{&s.message, `INSERT INTO message (org, hash, body, record, seq, answer) VALUES (?, ?, ?, ?, ?, ?)`},
		{&s.replay, `INSERT INTO replay (epoch, seq, sub, org, hash) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`},
		{&s.begun, insertPrescription},
		{&s.prescription, insertPrescription + `
			ON CONFLICT (id) DO UPDATE SET clinic = excluded.clinic, patient = excluded.patient, record = excluded.record,
			  status = excluded.status, pharmacy = excluded.pharmacy, holder = excluded.holder, claim = excluded.claim,
			  fills_allowed = excluded.fills_allowed, fills_done = excluded.fills_done, identity = excluded.identity,
			  group_id = excluded.group_id, due_at = excluded.due_at, version = excluded.version,
			  therapy = excluded.therapy, state = excluded.state`},
		{&s.fill, `INSERT INTO fill (prescription, number, pharmacy, claim, record) VALUES (?, ?, ?, ?, ?)`},
		{&s.dispense, `
			INSERT INTO dispense (pharmacy, hash, resource, prescription, claim, status, version) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (pharmacy, hash) DO UPDATE SET resource = excluded.resource, prescription = excluded.prescription,
			  claim = excluded.claim, status = excluded.status, version = excluded.version`},
		{&s.delivered, `
			INSERT INTO delivered (pharmacy, prescription, identifier, local) VALUES (?, ?, ?, ?)
			ON CONFLICT (pharmacy, prescription) DO UPDATE SET identifier = coalesce(excluded.identifier, identifier),
			  local = coalesce(excluded.local, local)`},
		{&s.effect, `
			INSERT INTO effect (number, kind, type, state, org, patient, record, prescription, claim, seq, idx, time, items, body)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`},
		{&s.quarantine, `INSERT INTO quarantine (epoch, seq, sub, org, key_id, code, time, sealed) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`},
		{&s.organization, `
			INSERT INTO organization (id, kind, name, sandbox, disabled, intents, signature, anchors) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, name = excluded.name, sandbox = excluded.sandbox,
			  disabled = excluded.disabled, intents = excluded.intents, signature = excluded.signature, anchors = excluded.anchors`},
		{&s.dropIdentifiers, `DELETE FROM organization_identifier WHERE org = ?`},
		{&s.identifier, `INSERT INTO organization_identifier (org, position, system, value) VALUES (?, ?, ?, ?)`},
		{&s.client, `
			INSERT INTO client (id, org, secret, disabled) VALUES (?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET org = excluded.org, secret = excluded.secret, disabled = excluded.disabled`},
		{&s.choice, `
			INSERT INTO nomination (patient, pharmacy) VALUES (?, ?)
			ON CONFLICT (patient) DO UPDATE SET pharmacy = excluded.pharmacy`},
	} {
		if *p.stmt, err = db.PrepareContext(ctx, p.sql); err != nil {
			return fmt.Errorf("%s: %w", p.sql, err)
		}
	}
	return nil
}

// batch writes every row of b but the head, each after the rows that it refers to.
func (s *inserts) batch(ctx context.Context, tx *sql.Tx, b *ledger.Batch) error {
	w := &writer{ctx: ctx, tx: tx}
	each(w, "entries", s.entry, b.Entries, func(e *ledger.Entry, add add) {
		raw, leaf := e.Bytes(), e.Leaf()
		add(e.Index, raw[:], leaf[:])
	})
	each(w, "records", s.record, b.Records, func(r *ledger.Record, add add) {
		add(r.Index, r.ID[:], r.Org[:], r.Of[:], r.Version, r.Epoch, r.Seq, r.Sub, r.Type, r.KeyID[:], blob(r.Sealed))
	})
	each(w, "statements", s.statement, b.Statements, func(t *ledger.Statement, add add) {
		add(t.Index, t.Text)
	})
	w.exactlyOne = true // an access row that is absent or chained already is a mistake
	each(w, "accesses", s.access, b.Accesses, func(a *ledger.AccessIndex, add add) {
		add(a.ID[:], a.Index)
	})
	w.exactlyOne = false
	s.decisions(w, b)
	s.directory(w, b)
	return w.err
}

// decisions writes what was decided and what follows from it.
func (s *inserts) decisions(w *writer, b *ledger.Batch) {
	each(w, "messages", s.message, b.Messages, func(m *ledger.Message, add add) {
		add(m.Org[:], m.Hash[:], m.Body[:], idOrNull(m.Record), m.Seq, blob(m.Answer))
	})
	each(w, "replays", s.replay, b.Replays, func(r *ledger.Replay, add add) {
		add(r.Epoch, r.Seq, r.Sub, r.Key.Org[:], r.Key.Hash[:])
	})
	prescription := func(p *ledger.Prescription, add add) {
		add(p.ID[:], p.Clinic[:], p.Patient[:], p.Record[:], p.Status, idOrNull(p.Pharmacy), idOrNull(p.Holder), p.Claim,
			p.FillsAllowed, p.FillsDone, p.Identity[:], hashOrNull(p.Group), intOrNull(p.DueAt), p.Version,
			blobOrNull(p.Therapy), blob(p.State))
	}
	each(w, "begun", s.begun, b.Begun, prescription)
	each(w, "prescriptions", s.prescription, b.Prescriptions, prescription)
	each(w, "fills", s.fill, b.Fills, func(f *ledger.Fill, add add) {
		add(f.Prescription[:], f.Number, f.Pharmacy[:], f.Claim, f.Record[:])
	})
	each(w, "dispenses", s.dispense, b.Dispenses, func(d *ledger.Dispense, add add) {
		add(d.Org[:], d.Hash[:], d.Resource[:], idOrNull(d.Prescription), d.Claim, d.Status, d.Version)
	})
	each(w, "delivered", s.delivered, b.Delivered, func(d *ledger.Delivered, add add) {
		add(d.Pharmacy[:], d.Prescription[:], hashOrNull(d.Identifier), hashOrNull(d.Local))
	})
	each(w, "effects", s.effect, b.Effects, func(e *ledger.Effect, add add) {
		items, err := listOrNull(e.Items)
		w.fail(err)
		add(e.Number, e.Kind, e.Type, e.State, idOrNull(e.Org), idOrNull(e.Patient), idOrNull(e.Record), idOrNull(e.Prescription),
			e.Claim, e.Seq, indexOrNull(e.Index), e.Time, items, blobOrNull(e.Body))
	})
	each(w, "quarantined", s.quarantine, b.Quarantined, func(q *ledger.Quarantined, add add) {
		add(q.Epoch, q.Seq, q.Sub, q.Org[:], q.KeyID[:], q.Code, q.Time, blob(q.Sealed))
	})
}

// directory writes organisations and their rights. All identifiers are dropped before any is added,
// so that one may pass from one organisation to another in a batch.
func (s *inserts) directory(w *writer, b *ledger.Batch) {
	each(w, "organisations", s.organization, b.Organizations, func(o *ledger.Organization, add add) {
		intents, err := listOrNull(o.Intents)
		w.fail(err)
		add(o.ID[:], o.Kind, o.Name, o.Sandbox, o.Disabled, intents, o.Signature, o.Anchors)
	})
	each(w, "organisations", s.dropIdentifiers, b.Organizations, func(o *ledger.Organization, add add) {
		add(o.ID[:])
	})
	each(w, "identifiers", s.identifier, b.Organizations, func(o *ledger.Organization, add add) {
		for i, d := range o.Identifiers {
			add(o.ID[:], i, d.System, d.Value)
		}
	})
	each(w, "clients", s.client, b.Clients, func(c *ledger.Client, add add) {
		add(c.ID[:], c.Org[:], c.Secret[:], c.Disabled)
	})
	each(w, "nominations", s.choice, b.Nominations, func(n *ledger.Nomination, add add) {
		add(n.Patient[:], n.Pharmacy[:])
	})
}

// add writes one row with these column values.
type add func(args ...any)

// writer writes rows until the first error, which stays in err.
type writer struct {
	ctx        context.Context
	tx         *sql.Tx
	exactlyOne bool // each statement must touch one row
	err        error
}

func (w *writer) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// each writes list through stmt; row says which values one element has.
func each[T any](w *writer, what string, stmt *sql.Stmt, list []T, row func(*T, add)) {
	if len(list) == 0 || w.err != nil {
		return
	}
	stmt = w.tx.StmtContext(w.ctx, stmt)
	for i := range list {
		row(&list[i], func(args ...any) {
			if w.err != nil {
				return
			}
			done, err := stmt.ExecContext(w.ctx, args...)
			if err == nil && w.exactlyOne {
				err = touchedOne(done)
			}
			w.fail(refuse(err, what))
		})
		if w.err != nil {
			return
		}
	}
}

func touchedOne(done sql.Result) error {
	n, err := done.RowsAffected()
	if err != nil || n == 1 {
		return err
	}
	return errData
}
