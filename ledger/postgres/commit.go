package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/dosewire/dosewire/ledger"
)

// Commit writes b in one transaction: in one round trip, or when many rows are copied in a few. The first statement locks the head and
// fails everything when it moved; kinds without rows send nothing.
func (s *Store) Commit(ctx context.Context, b *ledger.Batch) error {
	if b.To.Term != b.From.Term {
		return errData.Wrap(errors.New("postgres: a commit cannot change the term"))
	}
	var q statements
	f, t := b.From, b.To
	q.add("fence", `SELECT dosewire_fence($1, $2, $3, $4, $5, $6, $7)`,
		bigint(f.Epoch), bigint(f.Seq), bigint(f.Size), f.Leaf[:], bigint(uint64(f.Time)), bigint(f.Deliveries), bigint(f.Term))
	queueLedger(&q, b)
	queueMessages(&q, b)
	queueState(&q, b)
	queueEffects(&q, b)
	queueDirectory(&q, b)
	queueKeeping(&q, b)
	q.add("advance", `SELECT dosewire_advance($1, $2, $3, $4, $5, $6, $7)`,
		bigint(t.Epoch), bigint(t.Seq), bigint(t.Size), t.Leaf[:], bigint(uint64(t.Time)), bigint(t.Deliveries), bigint(uint64(ledger.Lease.Milliseconds())))
	err := s.run(ctx, q, "commit")
	if errors.Is(err, errData) {
		return s.headBehind(ctx, err)
	}
	return err
}

// send runs a batch as one implicit transaction.
func (d db) send(ctx context.Context, q *pgx.Batch, what string) error {
	return refuse(d.pool.SendBatch(ctx, q).Close(), what)
}

// queueLedger writes entries and what they are of.
func queueLedger(q *statements, b *ledger.Batch) {
	if rows := b.Entries; len(rows) > 0 {
		encoded := make([][ledger.EntrySize]byte, len(rows))
		for i, e := range rows {
			encoded[i] = e.Bytes()
		}
		q.insert("ledger", `INSERT INTO ledger (idx, entry) SELECT * FROM unnest($1::bigint[], $2::bytea[])`,
			bigints(rows, func(r *ledger.Entry) uint64 { return r.Index }),
			blobs(encoded, func(r *[ledger.EntrySize]byte) []byte { return r[:] }))
	}
	if rows := b.Records; len(rows) > 0 {
		q.insert("record", `INSERT INTO record (idx, seq, epoch, version, id, org, of, key_id, type, sealed, sub)
		  SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::int[], $5::uuid[], $6::uuid[], $7::uuid[], $8::uuid[], $9::text[], $10::bytea[], $11::bigint[])`,
			bigints(rows, func(r *ledger.Record) uint64 { return r.Index }),
			bigints(rows, func(r *ledger.Record) uint64 { return r.Seq }),
			bigints(rows, func(r *ledger.Record) uint64 { return r.Epoch }),
			ints(rows, func(r *ledger.Record) int { return r.Version }),
			ids(rows, func(r *ledger.Record) *ledger.ID { return &r.ID }),
			ids(rows, func(r *ledger.Record) *ledger.ID { return &r.Org }),
			ids(rows, func(r *ledger.Record) *ledger.ID { return &r.Of }),
			ids(rows, func(r *ledger.Record) *ledger.ID { return &r.KeyID }),
			texts(rows, func(r *ledger.Record) string { return r.Type }),
			blobs(rows, func(r *ledger.Record) []byte { return r.Sealed }),
			bigints(rows, func(r *ledger.Record) uint64 { return uint64(r.Sub) }))
	}
	if rows := b.Statements; len(rows) > 0 {
		q.insert("statement", `INSERT INTO statement (idx, text) SELECT * FROM unnest($1::bigint[], $2::text[])`,
			bigints(rows, func(r *ledger.Statement) uint64 { return r.Index }),
			texts(rows, func(r *ledger.Statement) string { return r.Text }))
	}
	if rows := b.Accesses; len(rows) > 0 {
		q.add("access", `SELECT dosewire_chain($1::uuid[], $2::bigint[])`,
			ids(rows, func(r *ledger.AccessIndex) *ledger.ID { return &r.ID }).whole(),
			bigints(rows, func(r *ledger.AccessIndex) uint64 { return r.Index }).whole())
	}
}

// queueMessages accounts for every message that came.
func queueMessages(q *statements, b *ledger.Batch) {
	if rows := b.Messages; len(rows) > 0 {
		q.insert("message", `INSERT INTO message (org, hash, body, record, seq, answer)
		  SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::bytea[], $4::uuid[], $5::bigint[], $6::bytea[])`,
			ids(rows, func(r *ledger.Message) *ledger.ID { return &r.Org }),
			blobs(rows, func(r *ledger.Message) []byte { return r.Hash[:] }),
			blobs(rows, func(r *ledger.Message) []byte { return r.Body[:] }),
			maybeIDs(rows, func(r *ledger.Message) *ledger.ID { return &r.Record }),
			bigints(rows, func(r *ledger.Message) uint64 { return r.Seq }),
			blobs(rows, func(r *ledger.Message) []byte { return r.Answer }))
	}
	if rows := b.Replays; len(rows) > 0 {
		q.insert("replay", `INSERT INTO replay (epoch, seq, sub, org, hash)
		  SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::uuid[], $5::bytea[]) ON CONFLICT DO NOTHING`,
			bigints(rows, func(r *ledger.Replay) uint64 { return r.Epoch }),
			bigints(rows, func(r *ledger.Replay) uint64 { return r.Seq }),
			bigints(rows, func(r *ledger.Replay) uint64 { return uint64(r.Sub) }),
			ids(rows, func(r *ledger.Replay) *ledger.ID { return &r.Key.Org }),
			blobs(rows, func(r *ledger.Replay) []byte { return r.Key.Hash[:] }))
	}
	if rows := b.Quarantined; len(rows) > 0 {
		q.insert("quarantine", `INSERT INTO quarantine (epoch, seq, sub, org, key_id, code, time, sealed)
		  SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::uuid[], $5::uuid[], $6::text[], $7::bigint[], $8::bytea[])
		  ON CONFLICT DO NOTHING`,
			bigints(rows, func(r *ledger.Quarantined) uint64 { return r.Epoch }),
			bigints(rows, func(r *ledger.Quarantined) uint64 { return r.Seq }),
			bigints(rows, func(r *ledger.Quarantined) uint64 { return uint64(r.Sub) }),
			ids(rows, func(r *ledger.Quarantined) *ledger.ID { return &r.Org }),
			ids(rows, func(r *ledger.Quarantined) *ledger.ID { return &r.KeyID }),
			texts(rows, func(r *ledger.Quarantined) string { return r.Code }),
			bigints(rows, func(r *ledger.Quarantined) uint64 { return uint64(r.Time) }),
			blobs(rows, func(r *ledger.Quarantined) []byte { return r.Sealed }))
	}
}

// queueState writes what later decisions depend on.
func queueState(q *statements, b *ledger.Batch) {
	queuePrescriptions(q, "begun", b.Begun, "")
	queuePrescriptions(q, "prescription", b.Prescriptions, `
		  ON CONFLICT (id) DO UPDATE SET clinic = excluded.clinic, patient = excluded.patient, record = excluded.record, status = excluded.status,
		    pharmacy = excluded.pharmacy, holder = excluded.holder, claim = excluded.claim, fills_allowed = excluded.fills_allowed,
		    fills_done = excluded.fills_done, identity = excluded.identity, group_id = excluded.group_id, due_at = excluded.due_at,
		    version = excluded.version, therapy = excluded.therapy, state = excluded.state`)
	if rows := b.Fills; len(rows) > 0 {
		q.insert("fill", `INSERT INTO fill (prescription, number, pharmacy, claim, record)
		  SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::bigint[], $5::uuid[])`,
			ids(rows, func(r *ledger.Fill) *ledger.ID { return &r.Prescription }),
			bigints(rows, func(r *ledger.Fill) uint64 { return uint64(r.Number) }),
			ids(rows, func(r *ledger.Fill) *ledger.ID { return &r.Pharmacy }),
			bigints(rows, func(r *ledger.Fill) uint64 { return r.Claim }),
			ids(rows, func(r *ledger.Fill) *ledger.ID { return &r.Record }))
	}
	if rows := b.Dispenses; len(rows) > 0 {
		q.insert("dispense", `INSERT INTO dispense (pharmacy, hash, resource, prescription, claim, status, version)
		  SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::uuid[], $4::uuid[], $5::bigint[], $6::text[], $7::bigint[])
		  ON CONFLICT (pharmacy, hash) DO UPDATE SET resource = excluded.resource, prescription = excluded.prescription,
		    claim = excluded.claim, status = excluded.status, version = excluded.version`,
			ids(rows, func(r *ledger.Dispense) *ledger.ID { return &r.Org }),
			blobs(rows, func(r *ledger.Dispense) []byte { return r.Hash[:] }),
			ids(rows, func(r *ledger.Dispense) *ledger.ID { return &r.Resource }),
			maybeIDs(rows, func(r *ledger.Dispense) *ledger.ID { return &r.Prescription }),
			bigints(rows, func(r *ledger.Dispense) uint64 { return r.Claim }),
			texts(rows, func(r *ledger.Dispense) string { return r.Status }),
			bigints(rows, func(r *ledger.Dispense) uint64 { return uint64(r.Version) }))
	}
	if rows := b.Nominations; len(rows) > 0 {
		q.insert("nomination", `INSERT INTO nomination (patient, pharmacy) SELECT * FROM unnest($1::uuid[], $2::uuid[])
		  ON CONFLICT (patient) DO UPDATE SET pharmacy = excluded.pharmacy`,
			ids(rows, func(r *ledger.Nomination) *ledger.ID { return &r.Patient }),
			ids(rows, func(r *ledger.Nomination) *ledger.ID { return &r.Pharmacy }))
	}
}

func queuePrescriptions(q *statements, name string, rows []ledger.Prescription, present string) {
	if len(rows) == 0 {
		return
	}
	q.insert(name, `INSERT INTO prescription (id, clinic, patient, record, status, pharmacy, holder, claim, fills_allowed, fills_done,
		    identity, group_id, due_at, version, therapy, state)
		  SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::uuid[], $7::uuid[], $8::bigint[], $9::bigint[], $10::bigint[],
		    $11::bytea[], $12::bytea[], $13::bigint[], $14::bigint[], $15::bytea[], $16::bytea[])`+present,
		ids(rows, func(r *ledger.Prescription) *ledger.ID { return &r.ID }),
		ids(rows, func(r *ledger.Prescription) *ledger.ID { return &r.Clinic }),
		ids(rows, func(r *ledger.Prescription) *ledger.ID { return &r.Patient }),
		ids(rows, func(r *ledger.Prescription) *ledger.ID { return &r.Record }),
		texts(rows, func(r *ledger.Prescription) string { return r.Status }),
		maybeIDs(rows, func(r *ledger.Prescription) *ledger.ID { return &r.Pharmacy }),
		maybeIDs(rows, func(r *ledger.Prescription) *ledger.ID { return &r.Holder }),
		bigints(rows, func(r *ledger.Prescription) uint64 { return r.Claim }),
		bigints(rows, func(r *ledger.Prescription) uint64 { return uint64(r.FillsAllowed) }),
		bigints(rows, func(r *ledger.Prescription) uint64 { return uint64(r.FillsDone) }),
		blobs(rows, func(r *ledger.Prescription) []byte { return r.Identity[:] }),
		maybeBlobs(rows, func(r *ledger.Prescription) []byte { return maybeHash(&r.Group) }),
		maybeBigints(rows, func(r *ledger.Prescription) (uint64, bool) { return uint64(r.DueAt), r.DueAt != 0 }),
		bigints(rows, func(r *ledger.Prescription) uint64 { return uint64(r.Version) }),
		maybeBlobs(rows, func(r *ledger.Prescription) []byte { return r.Therapy }),
		blobs(rows, func(r *ledger.Prescription) []byte { return r.State }))
}

// queueEffects writes what is to happen outside.
func queueEffects(q *statements, b *ledger.Batch) {
	begun := make(map[ledger.ID]bool, len(b.Begun))
	for i := range b.Begun {
		begun[b.Begun[i].ID] = true
	}
	first, other := partition(b.Delivered, func(d *ledger.Delivered) bool { return begun[d.Prescription] })
	queueDelivered(q, "delivered-first", first, "")
	queueDelivered(q, "delivered", other, ` ON CONFLICT (pharmacy, prescription) DO NOTHING`)
	if rows := b.Effects; len(rows) > 0 {
		q.insert("effect", `INSERT INTO effect (number, kind, type, state, org, patient, record, prescription, claim, seq, idx, time, items, body)
		  SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::uuid[], $6::uuid[], $7::uuid[], $8::uuid[], $9::bigint[],
		    $10::bigint[], $11::bigint[], $12::bigint[], $13::text[], $14::bytea[])`,
			bigints(rows, func(r *ledger.Effect) uint64 { return r.Number }),
			texts(rows, func(r *ledger.Effect) string { return r.Kind }),
			texts(rows, func(r *ledger.Effect) string { return r.Type }),
			texts(rows, func(r *ledger.Effect) string { return r.State }),
			maybeIDs(rows, func(r *ledger.Effect) *ledger.ID { return &r.Org }),
			maybeIDs(rows, func(r *ledger.Effect) *ledger.ID { return &r.Patient }),
			maybeIDs(rows, func(r *ledger.Effect) *ledger.ID { return &r.Record }),
			maybeIDs(rows, func(r *ledger.Effect) *ledger.ID { return &r.Prescription }),
			bigints(rows, func(r *ledger.Effect) uint64 { return r.Claim }),
			bigints(rows, func(r *ledger.Effect) uint64 { return r.Seq }),
			maybeBigints(rows, func(r *ledger.Effect) (uint64, bool) { return r.Index, r.Index != ledger.NoIndex }),
			bigints(rows, func(r *ledger.Effect) uint64 { return uint64(r.Time) }),
			lists(rows, func(r *ledger.Effect) []int { return r.Items }),
			maybeBlobs(rows, func(r *ledger.Effect) []byte { return r.Body }))
	}
}

func queueDelivered(q *statements, name string, rows []ledger.Delivered, present string) {
	if len(rows) == 0 {
		return
	}
	q.insert(name, `INSERT INTO delivered (pharmacy, prescription, identifier, local)
		  SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::bytea[])`+present,
		ids(rows, func(r *ledger.Delivered) *ledger.ID { return &r.Pharmacy }),
		ids(rows, func(r *ledger.Delivered) *ledger.ID { return &r.Prescription }),
		maybeBlobs(rows, func(r *ledger.Delivered) []byte { return maybeHash(&r.Identifier) }),
		maybeBlobs(rows, func(r *ledger.Delivered) []byte { return maybeHash(&r.Local) }))
}

// partition keeps the order.
func partition[R any](rows []R, is func(*R) bool) (these, others []R) {
	for i := range rows {
		if is(&rows[i]) {
			these = append(these, rows[i])
		} else {
			others = append(others, rows[i])
		}
	}
	return these, others
}

// queueDirectory is rare.
func queueDirectory(q *statements, b *ledger.Batch) {
	if rows := latest(b.Organizations, func(o *ledger.Organization) ledger.ID { return o.ID }); len(rows) > 0 {
		q.insert("organization", `INSERT INTO organization (id, kind, name, sandbox, disabled, intents, signature, anchors)
		  SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::int[]::boolean[], $5::int[]::boolean[], $6::text[], $7::text[], $8::text[])
		  ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, name = excluded.name, sandbox = excluded.sandbox,
		    disabled = excluded.disabled, intents = excluded.intents, signature = excluded.signature, anchors = excluded.anchors`,
			ids(rows, func(o *ledger.Organization) *ledger.ID { return &o.ID }),
			texts(rows, func(o *ledger.Organization) string { return o.Kind }),
			texts(rows, func(o *ledger.Organization) string { return o.Name }),
			ints(rows, func(o *ledger.Organization) int { return number(o.Sandbox) }),
			ints(rows, func(o *ledger.Organization) int { return number(o.Disabled) }),
			lists(rows, func(o *ledger.Organization) []string { return o.Intents }),
			texts(rows, func(o *ledger.Organization) string { return o.Signature }),
			texts(rows, func(o *ledger.Organization) string { return o.Anchors }))
		queueIdentifiers(q, rows)
	}
	if rows := latest(b.Clients, func(c *ledger.Client) ledger.ID { return c.ID }); len(rows) > 0 {
		q.insert("client", `INSERT INTO client (id, org, secret, disabled)
		  SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::int[]::boolean[])
		  ON CONFLICT (id) DO UPDATE SET org = excluded.org, secret = excluded.secret, disabled = excluded.disabled`,
			ids(rows, func(c *ledger.Client) *ledger.ID { return &c.ID }),
			ids(rows, func(c *ledger.Client) *ledger.ID { return &c.Org }),
			blobs(rows, func(c *ledger.Client) []byte { return c.Secret[:] }),
			ints(rows, func(c *ledger.Client) int { return number(c.Disabled) }))
	}
}

// queueIdentifiers replaces those of the organisations.
func queueIdentifiers(q *statements, orgs []ledger.Organization) {
	type row struct {
		ledger.Identifier
		org      ledger.ID
		position int
	}
	var rows []row
	for _, o := range orgs {
		for i, d := range o.Identifiers {
			rows = append(rows, row{d, o.ID, i})
		}
	}
	q.add("identifier-drop", `DELETE FROM organization_identifier WHERE org = ANY ($1)`, ids(orgs, func(o *ledger.Organization) *ledger.ID { return &o.ID }).whole())
	q.insert("identifier", `INSERT INTO organization_identifier (system, value, org, position) SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[], $4::bigint[])`,
		texts(rows, func(r *row) string { return r.System }), texts(rows, func(r *row) string { return r.Value }),
		ids(rows, func(r *row) *ledger.ID { return &r.org }), bigints(rows, func(r *row) uint64 { return uint64(r.position) }))
}

// latest keeps the last row of each id: one statement cannot change a row twice.
func latest[R any](rows []R, id func(*R) ledger.ID) []R {
	at := make(map[ledger.ID]int, len(rows))
	var kept []R
	for i := range rows {
		key := id(&rows[i])
		if k, ok := at[key]; ok {
			kept[k] = rows[i]
			continue
		}
		at[key] = len(kept)
		kept = append(kept, rows[i])
	}
	return kept
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}
