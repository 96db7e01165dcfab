package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/dosewire/dosewire/ledger"
)

// Commit writes b in one round trip: all statements of a pgx batch are one implicit transaction. The
// first locks the head and fails everything when it moved; kinds without rows send nothing.
func (s *Store) Commit(ctx context.Context, b *ledger.Batch) error {
	if b.To.Term != b.From.Term {
		return errData.Wrap(errors.New("postgres: a commit cannot change the term"))
	}
	q := &pgx.Batch{}
	f := b.From
	q.Queue(`SELECT dosewire_fence($1, $2, $3, $4, $5, $6, $7)`, f.Epoch, f.Seq, f.Size, f.Leaf[:], f.Time, f.Deliveries, f.Term)
	queueLedger(q, b)
	queueState(q, b)
	queueDirectory(q, b)
	t := b.To
	q.Queue(`SELECT dosewire_advance($1, $2, $3, $4, $5, $6, $7)`, t.Epoch, t.Seq, t.Size, t.Leaf[:], t.Time, t.Deliveries, ledger.Lease.Milliseconds())
	return s.send(ctx, q, "commit")
}

// send runs a batch as one implicit transaction.
func (d db) send(ctx context.Context, q *pgx.Batch, what string) error {
	return refuse(d.pool.SendBatch(ctx, q).Close(), what)
}

func queueLedger(q *pgx.Batch, b *ledger.Batch) {
	if rows := b.Entries; len(rows) > 0 {
		encoded := make([][ledger.EntrySize]byte, len(rows))
		index, entry := make([]int64, len(rows)), make([][]byte, len(rows))
		for i, e := range rows {
			encoded[i] = e.Bytes()
			index[i], entry[i] = int64(e.Index), encoded[i][:]
		}
		q.Queue(`INSERT INTO ledger (idx, entry) SELECT * FROM unnest($1::bigint[], $2::bytea[])`, index, entry)
	}
	if rows := b.Records; len(rows) > 0 {
		q.Queue(`INSERT INTO record (idx, seq, epoch, version, id, org, of, key_id, type, sealed)
		  SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::int[], $5::uuid[], $6::uuid[], $7::uuid[], $8::uuid[], $9::text[], $10::bytea[])`,
			column(rows, func(r *ledger.Record) int64 { return int64(r.Index) }),
			column(rows, func(r *ledger.Record) int64 { return int64(r.Seq) }),
			column(rows, func(r *ledger.Record) int64 { return int64(r.Epoch) }),
			column(rows, func(r *ledger.Record) int32 { return int32(r.Version) }),
			column(rows, func(r *ledger.Record) pgtype.UUID { return id(r.ID) }),
			column(rows, func(r *ledger.Record) pgtype.UUID { return id(r.Org) }),
			column(rows, func(r *ledger.Record) pgtype.UUID { return id(r.Of) }),
			column(rows, func(r *ledger.Record) pgtype.UUID { return id(r.KeyID) }),
			column(rows, func(r *ledger.Record) string { return r.Type }),
			column(rows, func(r *ledger.Record) []byte { return blob(r.Sealed) }))
	}
	if rows := b.Statements; len(rows) > 0 {
		q.Queue(`INSERT INTO statement (idx, text) SELECT * FROM unnest($1::bigint[], $2::text[])`,
			column(rows, func(r *ledger.Statement) int64 { return int64(r.Index) }),
			column(rows, func(r *ledger.Statement) string { return r.Text }))
	}
	if rows := b.Accesses; len(rows) > 0 {
		q.Queue(`SELECT dosewire_chain($1::uuid[], $2::bigint[])`,
			column(rows, func(r *ledger.AccessIndex) pgtype.UUID { return id(r.ID) }),
			column(rows, func(r *ledger.AccessIndex) int64 { return int64(r.Index) }))
	}
	if rows := b.Messages; len(rows) > 0 {
		q.Queue(`INSERT INTO message (org, hash, body, record, seq, answer)
		  SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::bytea[], $4::uuid[], $5::bigint[], $6::bytea[])`,
			column(rows, func(r *ledger.Message) pgtype.UUID { return id(r.Org) }),
			column(rows, func(r *ledger.Message) []byte { return r.Hash[:] }),
			column(rows, func(r *ledger.Message) []byte { return r.Body[:] }),
			column(rows, func(r *ledger.Message) pgtype.UUID { return maybe(r.Record) }),
			column(rows, func(r *ledger.Message) int64 { return int64(r.Seq) }),
			column(rows, func(r *ledger.Message) []byte { return blob(r.Answer) }))
	}
	if rows := b.Replays; len(rows) > 0 {
		q.Queue(`INSERT INTO replay (epoch, seq, org, hash) SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::uuid[], $4::bytea[])`,
			column(rows, func(r *ledger.Replay) int64 { return int64(r.Epoch) }),
			column(rows, func(r *ledger.Replay) int64 { return int64(r.Seq) }),
			column(rows, func(r *ledger.Replay) pgtype.UUID { return id(r.Key.Org) }),
			column(rows, func(r *ledger.Replay) []byte { return r.Key.Hash[:] }))
	}
	if rows := b.Quarantined; len(rows) > 0 {
		q.Queue(`INSERT INTO quarantine (epoch, seq, sub, org, key_id, code, time, sealed)
		  SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::uuid[], $5::uuid[], $6::text[], $7::bigint[], $8::bytea[])`,
			column(rows, func(r *ledger.Quarantined) int64 { return int64(r.Epoch) }),
			column(rows, func(r *ledger.Quarantined) int64 { return int64(r.Seq) }),
			column(rows, func(r *ledger.Quarantined) int64 { return int64(r.Sub) }),
			column(rows, func(r *ledger.Quarantined) pgtype.UUID { return id(r.Org) }),
			column(rows, func(r *ledger.Quarantined) pgtype.UUID { return id(r.KeyID) }),
			column(rows, func(r *ledger.Quarantined) string { return r.Code }),
			column(rows, func(r *ledger.Quarantined) int64 { return r.Time }),
			column(rows, func(r *ledger.Quarantined) []byte { return blob(r.Sealed) }))
	}
}

func queueState(q *pgx.Batch, b *ledger.Batch) {
	if rows := b.Prescriptions; len(rows) > 0 {
		q.Queue(`INSERT INTO prescription (id, clinic, patient, record, status, pharmacy, holder, claim, fills_allowed, fills_done,
		    identity, group_id, due_at, version, state)
		  SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::uuid[], $7::uuid[], $8::bigint[], $9::bigint[], $10::bigint[],
		    $11::bytea[], $12::bytea[], $13::bigint[], $14::bigint[], $15::bytea[])
		  ON CONFLICT (id) DO UPDATE SET clinic = excluded.clinic, patient = excluded.patient, record = excluded.record, status = excluded.status,
		    pharmacy = excluded.pharmacy, holder = excluded.holder, claim = excluded.claim, fills_allowed = excluded.fills_allowed,
		    fills_done = excluded.fills_done, identity = excluded.identity, group_id = excluded.group_id, due_at = excluded.due_at,
		    version = excluded.version, state = excluded.state`,
			column(rows, func(r *ledger.Prescription) pgtype.UUID { return id(r.ID) }),
			column(rows, func(r *ledger.Prescription) pgtype.UUID { return id(r.Clinic) }),
			column(rows, func(r *ledger.Prescription) pgtype.UUID { return id(r.Patient) }),
			column(rows, func(r *ledger.Prescription) pgtype.UUID { return id(r.Record) }),
			column(rows, func(r *ledger.Prescription) string { return r.Status }),
			column(rows, func(r *ledger.Prescription) pgtype.UUID { return maybe(r.Pharmacy) }),
			column(rows, func(r *ledger.Prescription) pgtype.UUID { return maybe(r.Holder) }),
			column(rows, func(r *ledger.Prescription) int64 { return int64(r.Claim) }),
			column(rows, func(r *ledger.Prescription) int64 { return int64(r.FillsAllowed) }),
			column(rows, func(r *ledger.Prescription) int64 { return int64(r.FillsDone) }),
			column(rows, func(r *ledger.Prescription) []byte { return r.Identity[:] }),
			column(rows, func(r *ledger.Prescription) []byte { return maybeHash(&r.Group) }),
			column(rows, func(r *ledger.Prescription) pgtype.Int8 { return maybeTime(r.DueAt) }),
			column(rows, func(r *ledger.Prescription) int64 { return int64(r.Version) }),
			column(rows, func(r *ledger.Prescription) []byte { return blob(r.State) }))
	}
	if rows := b.Fills; len(rows) > 0 {
		q.Queue(`INSERT INTO fill (prescription, number, pharmacy, claim, record)
		  SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::bigint[], $5::uuid[])`,
			column(rows, func(r *ledger.Fill) pgtype.UUID { return id(r.Prescription) }),
			column(rows, func(r *ledger.Fill) int64 { return int64(r.Number) }),
			column(rows, func(r *ledger.Fill) pgtype.UUID { return id(r.Pharmacy) }),
			column(rows, func(r *ledger.Fill) int64 { return int64(r.Claim) }),
			column(rows, func(r *ledger.Fill) pgtype.UUID { return id(r.Record) }))
	}
	if rows := b.Dispenses; len(rows) > 0 {
		q.Queue(`INSERT INTO dispense (pharmacy, hash, resource, prescription, claim, status, version)
		  SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::uuid[], $4::uuid[], $5::bigint[], $6::text[], $7::bigint[])
		  ON CONFLICT (pharmacy, hash) DO UPDATE SET resource = excluded.resource, prescription = excluded.prescription,
		    claim = excluded.claim, status = excluded.status, version = excluded.version`,
			column(rows, func(r *ledger.Dispense) pgtype.UUID { return id(r.Org) }),
			column(rows, func(r *ledger.Dispense) []byte { return r.Hash[:] }),
			column(rows, func(r *ledger.Dispense) pgtype.UUID { return id(r.Resource) }),
			column(rows, func(r *ledger.Dispense) pgtype.UUID { return maybe(r.Prescription) }),
			column(rows, func(r *ledger.Dispense) int64 { return int64(r.Claim) }),
			column(rows, func(r *ledger.Dispense) string { return r.Status }),
			column(rows, func(r *ledger.Dispense) int64 { return int64(r.Version) }))
	}
	if rows := b.Delivered; len(rows) > 0 {
		q.Queue(`INSERT INTO delivered (pharmacy, prescription, identifier, local)
		  SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::bytea[]) ON CONFLICT (pharmacy, prescription) DO NOTHING`,
			column(rows, func(r *ledger.Delivered) pgtype.UUID { return id(r.Pharmacy) }),
			column(rows, func(r *ledger.Delivered) pgtype.UUID { return id(r.Prescription) }),
			column(rows, func(r *ledger.Delivered) []byte { return maybeHash(&r.Identifier) }),
			column(rows, func(r *ledger.Delivered) []byte { return maybeHash(&r.Local) }))
	}
	if rows := b.Effects; len(rows) > 0 {
		q.Queue(`INSERT INTO effect (number, kind, type, state, org, patient, record, prescription, claim, seq, idx, time, items, body)
		  SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::uuid[], $6::uuid[], $7::uuid[], $8::uuid[], $9::bigint[],
		    $10::bigint[], $11::bigint[], $12::bigint[], $13::text[], $14::bytea[])`,
			column(rows, func(r *ledger.Effect) int64 { return int64(r.Number) }),
			column(rows, func(r *ledger.Effect) string { return r.Kind }),
			column(rows, func(r *ledger.Effect) string { return r.Type }),
			column(rows, func(r *ledger.Effect) string { return r.State }),
			column(rows, func(r *ledger.Effect) pgtype.UUID { return maybe(r.Org) }),
			column(rows, func(r *ledger.Effect) pgtype.UUID { return maybe(r.Patient) }),
			column(rows, func(r *ledger.Effect) pgtype.UUID { return maybe(r.Record) }),
			column(rows, func(r *ledger.Effect) pgtype.UUID { return maybe(r.Prescription) }),
			column(rows, func(r *ledger.Effect) int64 { return int64(r.Claim) }),
			column(rows, func(r *ledger.Effect) int64 { return int64(r.Seq) }),
			column(rows, func(r *ledger.Effect) pgtype.Int8 { return maybeIndex(r.Index) }),
			column(rows, func(r *ledger.Effect) int64 { return r.Time }),
			column(rows, func(r *ledger.Effect) pgtype.Text { return list(r.Items) }),
			column(rows, func(r *ledger.Effect) []byte { return r.Body }))
	}
	if rows := b.Nominations; len(rows) > 0 {
		q.Queue(`INSERT INTO nomination (patient, pharmacy) SELECT * FROM unnest($1::uuid[], $2::uuid[])
		  ON CONFLICT (patient) DO UPDATE SET pharmacy = excluded.pharmacy`,
			column(rows, func(r *ledger.Nomination) pgtype.UUID { return id(r.Patient) }),
			column(rows, func(r *ledger.Nomination) pgtype.UUID { return id(r.Pharmacy) }))
	}
}

// queueDirectory is rare: one statement a row.
func queueDirectory(q *pgx.Batch, b *ledger.Batch) {
	for _, o := range b.Organizations {
		q.Queue(`INSERT INTO organization (id, kind, name, sandbox, disabled, intents) VALUES ($1, $2, $3, $4, $5, $6)
		  ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, name = excluded.name, sandbox = excluded.sandbox,
		    disabled = excluded.disabled, intents = excluded.intents`, id(o.ID), o.Kind, o.Name, o.Sandbox, o.Disabled, list(o.Intents))
		q.Queue(`DELETE FROM organization_identifier WHERE org = $1`, id(o.ID))
		for i, d := range o.Identifiers {
			q.Queue(`INSERT INTO organization_identifier (system, value, org, position) VALUES ($1, $2, $3, $4)`, d.System, d.Value, id(o.ID), i)
		}
	}
	for _, c := range b.Clients {
		q.Queue(`INSERT INTO client (id, org, secret, disabled) VALUES ($1, $2, $3, $4)
		  ON CONFLICT (id) DO UPDATE SET org = excluded.org, secret = excluded.secret, disabled = excluded.disabled`, id(c.ID), id(c.Org), c.Secret[:], c.Disabled)
	}
}
