package recorder

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/internal/directory"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/signature"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/streams"
)

// ErrDecided: a record is decided otherwise than it was. The record, the program or what they depend on
// is not what it was then.
var ErrDecided = fault.New(fault.Tampered, "recorder: the record is now decided otherwise")

// Rebuilt is the state tables, made again from sealed records alone: every record is opened and decided
// again, in the order of the ledger, by the decider that decided it. Erased patients are not in it. It is
// not safe for concurrent use.
type Rebuilt struct {
	Keep bool // rows of table message are kept whole, so that Write has them; set it before the first Follow

	Entries, Records, Erased uint64 // met so far: of them records, and of those emptied ones

	// lapsed are records about nobody whose key has been deleted with its day's quarantine, as all such keys
	// are. They changed nothing; only that they were decided is remembered.
	lapsed map[ledger.ID]bool

	source  Rows
	keys    *ledger.Keyring
	decider *decider
	record  ledger.ID // in hand

	orgs        map[ledger.ID]ledger.Organization
	clients     map[ledger.ID]ledger.Client
	nominations map[ledger.ID]ledger.ID
	fills       map[ledger.ID][]ledger.Fill
	delivered   map[[2]ledger.ID]ledger.Delivered
	messages    map[ledger.Key]memory
	holds       []ledger.Hold
	requests    map[ledger.ID]ledger.PatientRequest
	links       map[ledger.ID]ledger.ID // patient → person
}

// memory is a row of table message.
type memory struct {
	record ledger.ID
	sum    ledger.Hash // SHA-256 of its text
	text   string      // "" unless kept
}

// Rows is what records are read from.
type Rows interface {
	Rows(ctx context.Context, from uint64) iter.Seq2[ledger.Row, error]
}

// NewRebuilt begins before the first entry.
func NewRebuilt(source Rows, keys *ledger.Keyring) *Rebuilt {
	b := &Rebuilt{source: source, keys: keys, orgs: map[ledger.ID]ledger.Organization{}, clients: map[ledger.ID]ledger.Client{},
		nominations: map[ledger.ID]ledger.ID{}, fills: map[ledger.ID][]ledger.Fill{}, delivered: map[[2]ledger.ID]ledger.Delivered{},
		messages: map[ledger.Key]memory{}, lapsed: map[ledger.ID]bool{}, requests: map[ledger.ID]ledger.PatientRequest{},
		links: map[ledger.ID]ledger.ID{}}
	b.decider = &decider{keys: keys, directory: directory.New(nil, nil), policy: recalled{}, scales: scales{recalled: true}, view: newView(ledger.Have{}, 0),
		names: map[ledger.Key]*unit{}, orgs: map[ledger.ID]ledger.Organization{}, newID: func(*unit) ledger.ID { return b.record }}
	return b
}

// recalled is the policy that the records remember.
type recalled struct{}

func (recalled) words(u *unit) words { return u.words }

// Follow decides every record up to the entry of index end, exclusive; end 0 is all there are. progress
// may be nil. What cannot be opened or is decided otherwise is a *ledger.BadEntry.
func (b *Rebuilt) Follow(ctx context.Context, end uint64, progress func(entries uint64)) error {
	if end > 0 && b.Entries >= end {
		return nil
	}
	for row, err := range b.source.Rows(ctx, b.Entries) {
		if err != nil {
			return fmt.Errorf("recorder: rebuild: %w", err)
		}
		if row.Entry.Index != b.Entries {
			return &ledger.BadEntry{Index: b.Entries, Err: ledger.ErrChain}
		}
		if err := b.add(ctx, row); err != nil {
			if fault.KindOf(err) == fault.Unavailable || ctx.Err() != nil {
				return fmt.Errorf("recorder: rebuild: %w", err)
			}
			return &ledger.BadEntry{Index: row.Entry.Index, Err: err}
		}
		b.Entries++
		if progress != nil {
			progress(b.Entries)
		}
		if b.Entries == end {
			return nil
		}
	}
	return ctx.Err()
}

// add takes the next entry of the ledger.
func (b *Rebuilt) add(ctx context.Context, row ledger.Row) error {
	rec := row.Record
	if rec == nil {
		if row.Entry.Kind == ledger.KindRecord {
			return ledger.ErrDigest
		}
		return nil
	}
	b.Records++
	if rec.Sealed == nil {
		b.Erased++
		return nil
	}
	key, err := b.keys.Key(ctx, rec.KeyID)
	if errors.Is(err, ledger.ErrErased) { // or since the row was read: its erasure is still to come
		b.Erased++
		b.lapsed[rec.ID] = true
		return nil
	}
	if err != nil {
		return err
	}
	opened, err := ledger.OpenAll(key, *rec, &row.Entry.Commitment)
	if err != nil {
		return err
	}
	c, err := parseCircumstances(opened.Evidence)
	if err != nil {
		return err
	}
	u, err := b.unit(rec, key, opened, c)
	if err != nil {
		return err
	}
	if row.Entry.Kind == ledger.KindErasure {
		if err := b.forget(opened.Plaintext); err != nil {
			return err
		}
	}
	if u.kind == FactLink || u.kind == FactUnlink {
		if err := b.relink(opened.Plaintext); err != nil {
			return err
		}
	}
	if a, ok := c.answered(); ok {
		u.result.answer = a
	} else if err := b.decide(u, rec); err != nil {
		return err
	}
	return b.remember(u, row)
}

// unit is what stood before the decider then.
func (b *Rebuilt) unit(rec *ledger.Record, key ledger.PatientKey, o ledger.Opened, c circumstances) (*unit, error) {
	u := &unit{message: &streams.Message{Seq: rec.Seq}, body: o.Plaintext, print: b.keys.Fingerprint(o.Plaintext)}
	c.restore(u)
	if c.Print != "" {
		u.print = parseHash(c.Print)
	}
	if u.kind == "" {
		sender, ok := b.decider.directory.Organization(rec.Org)
		if !ok {
			return nil, ErrDecided
		}
		u.sender = sender
	}
	u.name = nameOf(b.keys, u)
	if c.Answer != nil || u.kind != "" {
		return u, nil
	}
	evidence, err := signature.ParseEvidence(o.Evidence)
	switch {
	case err == nil:
		u.evidence = &evidence
	case !errors.Is(err, signature.ErrNone):
		return nil, err
	}
	if u.doc, err = fhir.Decode(u.body); err != nil {
		return nil, err
	}
	u.read, _ = fhir.Read(u.doc) // its issues are among those kept
	if u.needsPatient() {
		u.patient, u.keyed = key, true
	}
	return u, nil
}

// decide lets the decider decide u again and gathers what it changes.
func (b *Rebuilt) decide(u *unit, rec *ledger.Record) error {
	d, v := b.decider, b.decider.view
	clear(d.names)
	clear(d.orgs)
	clear(d.tries) // who must wait is refused, and on no record
	clear(v.claimed)
	v.keeping = keeping{known: true, holds: b.holds}
	b.record = rec.ID
	if err := d.decide(u, time.UnixMilli(u.message.Time.UnixMilli())); err != nil {
		return err
	}
	if r := u.result.record; u.result.fate != recorded || u.result.idle || r.Of != rec.Of || r.Version != rec.Version || r.Type != rec.Type {
		return ErrDecided
	}
	b.gather(v)
	return nil
}

// gather takes over what one decision has changed.
func (b *Rebuilt) gather(v *view) {
	for _, f := range v.fills {
		b.fills[f.Prescription] = append(b.fills[f.Prescription], f)
	}
	for _, d := range v.delivered {
		b.delivered[[2]ledger.ID{d.Pharmacy, d.Prescription}] = d
	}
	for patient, pharmacy := range v.nominations {
		b.nominations[patient] = pharmacy
	}
	for _, o := range v.organizations {
		b.orgs[o.ID] = o
	}
	for _, c := range v.clients {
		b.clients[c.ID] = c
	}
	b.decider.directory.Apply(v.organizations, v.clients)
	b.holds = append(b.holds, v.holds...)
	b.holds = slices.DeleteFunc(b.holds, func(h ledger.Hold) bool { return slices.Contains(v.released, h.ID) })
	for _, r := range v.requests {
		b.requests[r.ID] = r
	}
	for _, id := range v.dirty {
		p := v.states[id]
		p.listed = false
		if p.state.Pharmacy != "" {
			v.Waiting[p.row.Patient] = slices.DeleteFunc(v.Waiting[p.row.Patient], func(w ledger.ID) bool { return w == id })
		}
	}
	v.fills, v.delivered, v.organizations, v.clients, v.dirty = nil, nil, nil, nil, nil
	v.holds, v.released, v.requests = nil, nil, nil
	clear(v.nominations)
}

// remember keeps the memory of the message.
func (b *Rebuilt) remember(u *unit, row ledger.Row) error {
	index, leaf := row.Entry.Index, row.Entry.Leaf()
	u.result.answer.Index, u.result.answer.Leaf = &index, hex.EncodeToString(leaf[:])
	answer, err := json.Marshal(u.result.answer)
	if err != nil {
		return err
	}
	text := ledger.Message{Key: u.name, Body: u.print, Record: row.Record.ID, Answer: answer, Seq: u.message.Seq}.StateRow().Text
	m := memory{record: row.Record.ID, sum: sha256.Sum256([]byte(text))}
	if b.Keep {
		m.text = text
	}
	b.messages[u.name] = m
	return nil
}

// forget lets go of a patient whose records were still there when they were read.
func (b *Rebuilt) forget(statement []byte) error {
	var s ErasureStatement
	if err := strictJSON(statement, &s); err != nil {
		return err
	}
	v, patient := b.decider.view, s.Fact.Patient
	gone := map[ledger.ID]bool{}
	for _, id := range slices.Concat(s.Records, s.Resources) {
		gone[id] = true
	}
	for id, p := range v.states {
		if p.row.Patient == patient {
			gone[id] = true
			delete(v.states, id)
			delete(b.fills, id)
		}
	}
	for key, id := range v.Identities {
		if gone[id] {
			delete(v.Identities, key)
		}
	}
	for key, ids := range v.Citations {
		v.Citations[key] = slices.DeleteFunc(ids, func(id ledger.ID) bool { return gone[id] })
	}
	for pair := range b.delivered {
		if gone[pair[1]] {
			delete(b.delivered, pair)
			delete(v.Delivered, pair)
		}
	}
	for key, d := range v.Dispenses {
		if gone[d.Prescription] || gone[d.Resource] {
			delete(v.Dispenses, key)
		}
	}
	for id := range b.lapsed {
		if gone[id] {
			delete(b.lapsed, id)
		}
	}
	for key, m := range b.messages {
		if gone[m.record] {
			delete(b.messages, key)
		}
	}
	for id, r := range b.requests {
		if r.Patient == patient {
			delete(b.requests, id)
		}
	}
	b.part(patient)
	delete(b.nominations, patient)
	delete(v.Nominations, patient)
	delete(v.Waiting, patient)
	delete(v.Therapies, patient)
	return nil
}
