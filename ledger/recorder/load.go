package recorder

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/streams"
)

// The names under which things are indexed. One function each, so that every reader agrees.

// PrescriptionKey indexes a prescription for its clinic: by its one business identifier, else by the
// resource's own id. The zero org makes the hash under which a pharmacy may cite it.
func PrescriptionKey(k *ledger.Keyring, org ledger.ID, identity fhir.Identifier, local string) (ledger.Key, bool) {
	return identityKey(k, org, "rx", identity, local)
}

func dispenseKey(k *ledger.Keyring, org ledger.ID, identity fhir.Identifier, local string) (ledger.Key, bool) {
	return identityKey(k, org, "md", identity, local)
}

func identityKey(k *ledger.Keyring, org ledger.ID, space string, identity fhir.Identifier, local string) (ledger.Key, bool) {
	switch {
	case identity != (fhir.Identifier{}):
		return k.Index(org, space, identity.System, identity.Value), true
	case local != "":
		return k.Index(org, space+"-id", local), true
	}
	return ledger.Key{}, false
}

// patientKeys names the patient of a message in the scope of an organisation, best first.
func patientKeys(k *ledger.Keyring, org ledger.ID, s fhir.Subject) []ledger.Key {
	keys := make([]ledger.Key, 0, len(s.Identifiers)+1)
	for _, id := range s.Identifiers {
		keys = append(keys, k.Index(org, "patient", id.System, id.Value))
	}
	if s.Local != "" {
		keys = append(keys, k.Index(org, "patient-id", s.Local))
	}
	return keys
}

// view is everything that the decisions of one batch read and change: what was loaded, overlaid with
// what the messages before have done.
type view struct {
	ledger.Have
	absent names                           // that were not asked for, and are taken for absent
	intact func(ledger.Prescription) error // of a row that was loaded
	states map[ledger.ID]*prescription
	dirty  []ledger.ID // in order of first change

	fills         []ledger.Fill
	delivered     []ledger.Delivered
	dispenses     map[ledger.Key]bool // changed
	organizations []ledger.Organization
	clients       []ledger.Client
	nominations   map[ledger.ID]ledger.ID
	claimed       map[string]ledger.ID // identifiers taken in this batch

	keeping  keeping
	holds    []ledger.Hold
	released []ledger.ID
	requests []ledger.PatientRequest
	erasure  *ledger.Erasure

	persons persons
	linking *LinkStatement
	links   []ledger.PatientLink
	told    []ledger.Effect // wakes about links
}

// prescription is a row with its state machine value.
type prescription struct {
	row    ledger.Prescription
	state  stored
	dirty  bool // changed by the draft that holds it
	listed bool // in view.dirty
}

// load fetches, in three round trips at most and often in none, all that the units may touch and the recorder
// does not know without asking.
func (r *Recorder) load(ctx context.Context, units []*unit) (*view, error) {
	var w ledger.Want
	var fresh names
	for _, u := range units {
		if !u.refused() {
			r.want(&w, &fresh, u)
		}
	}
	met := r.meet(units, &w)
	absent := r.usual.absent(fresh)
	if absent.none() {
		w.Messages, w.Identities = append(w.Messages, fresh.messages...), append(w.Identities, fresh.identities...)
	}
	have, err := r.ask(ctx, w)
	if err != nil {
		return nil, err
	}
	if absent.none() {
		r.usual.found(fresh, have)
	}
	r.acquaint(met, have)
	if err := r.joinLinked(ctx, units, met); err != nil {
		return nil, err
	}
	v := newView(have, len(units))
	v.absent = absent
	for patient, k := range met {
		if k.nominated != (ledger.ID{}) {
			v.Nominations[patient] = k.nominated
		}
	}
	more, err := r.ask(ctx, ledger.Want{Prescriptions: v.missing(), Therapies: r.takings(units, met)})
	if err != nil {
		return nil, err
	}
	maps.Copy(v.Prescriptions, more.Prescriptions)
	maps.Copy(v.Delivered, more.Delivered)
	maps.Copy(v.Therapies, more.Therapies)
	v.intact = func(p ledger.Prescription) error { return r.intact(ctx, p) }
	if alone(units[0].message) {
		if err := r.loadKeeping(ctx, units[0], v); err != nil {
			return nil, err
		}
		if err := r.loadLinks(ctx, units[0], v); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// ask is one round trip, if there is anything to ask for.
func (r *Recorder) ask(ctx context.Context, w ledger.Want) (ledger.Have, error) {
	if w.Empty() {
		return ledger.Have{}, nil
	}
	have, err := r.deps.Store.Load(ctx, w)
	if err != nil {
		return have, fmt.Errorf("recorder: load: %w", err)
	}
	return have, nil
}

// newView has room for what n units begin.
func newView(h ledger.Have, n int) *view {
	v := &view{Have: h, states: make(map[ledger.ID]*prescription, n), dispenses: map[ledger.Key]bool{},
		nominations: map[ledger.ID]ledger.ID{}, claimed: map[string]ledger.ID{}}
	if v.Messages == nil {
		v.Messages = map[ledger.Key]ledger.Message{}
	}
	if v.Prescriptions == nil {
		v.Prescriptions = map[ledger.ID]ledger.Prescription{}
	}
	if v.Identities == nil {
		v.Identities = make(map[ledger.Key]ledger.ID, n)
	}
	if v.Citations == nil {
		v.Citations = make(map[ledger.Key][]ledger.ID, 2*n)
	}
	if v.Delivered == nil {
		v.Delivered = make(map[[2]ledger.ID]bool, n)
	}
	if v.Dispenses == nil {
		v.Dispenses = map[ledger.Key]ledger.Dispense{}
	}
	if v.Nominations == nil {
		v.Nominations = map[ledger.ID]ledger.ID{}
	}
	if v.Therapies == nil {
		v.Therapies = map[ledger.ID][]ledger.ID{}
	}
	if v.Waiting == nil {
		v.Waiting = map[ledger.ID][]ledger.ID{}
	}
	return v
}

// want adds what one unit may touch. Fresh are the names that are usually new: those of messages, and of
// prescriptions that are issued.
func (r *Recorder) want(w *ledger.Want, fresh *names, u *unit) {
	k := r.deps.Keys
	fresh.messages = append(fresh.messages, u.name)
	if u.kind == FactNomination {
		if f, err := parseNomination(u.body); err == nil {
			w.Patients, w.Waiting = append(w.Patients, f.patient), append(w.Waiting, f.patient)
			w.Prescriptions = append(w.Prescriptions, f.prescription)
		}
		return
	}
	if u.kind == FactDue || u.kind == FactSilent {
		if id, _, err := parseTimely(u.kind, u.body); err == nil {
			w.Prescriptions = append(w.Prescriptions, id)
		}
		return
	}
	if u.kind == FactCollect {
		if f, err := parseCollect(u.body); err == nil {
			w.Prescriptions = append(w.Prescriptions, f.prescription)
		}
		return
	}
	for _, id := range []ledger.ID{u.proof.Prescription, u.about} {
		if id != (ledger.ID{}) {
			w.Prescriptions = append(w.Prescriptions, id)
		}
	}
	for _, q := range u.read.Requests {
		if key, ok := PrescriptionKey(k, u.sender.ID, q.Identity, q.Local); ok {
			if u.begins(q) {
				fresh.identities = append(fresh.identities, key)
			} else {
				w.Identities = append(w.Identities, key)
			}
		}
		w.Identities = append(w.Identities, priorKeys(k, u.sender.ID, q)...)
		w.Prescriptions = append(w.Prescriptions, priorIDs(q)...)
		if auth.Role(u.sender.Kind) == auth.Pharmacy { // it may ask for a renewal
			r.wantCited(w, u, prior(q))
		}
	}
	for _, d := range u.read.Dispenses {
		if key, ok := dispenseKey(k, u.sender.ID, d.Identity, d.Local); ok {
			w.Dispenses = append(w.Dispenses, key)
		}
		for _, c := range d.Cites {
			r.wantCited(w, u, c)
		}
	}
}

// wantCited adds what a citation may lead to.
func (r *Recorder) wantCited(w *ledger.Want, u *unit, c fhir.Citation) {
	for _, id := range c.IDs {
		if hub, err := uuid.Parse(id); err == nil {
			w.Prescriptions = append(w.Prescriptions, hub)
		}
	}
	w.Citations = append(w.Citations, citationKeys(r.deps.Keys, u.sender.ID, c)...)
}

// citationKeys are the hashes under which a pharmacy's citation may be found among what it was sent,
// identifiers before the clinic's own ids.
func citationKeys(k *ledger.Keyring, pharmacy ledger.ID, c fhir.Citation) []ledger.Key {
	keys := make([]ledger.Key, 0, len(c.Identifiers)+len(c.IDs))
	for _, id := range c.Identifiers {
		keys = append(keys, ledger.Key{Org: pharmacy, Hash: k.Index(ledger.ID{}, "rx", id.System, id.Value).Hash})
	}
	for _, id := range c.IDs {
		keys = append(keys, ledger.Key{Org: pharmacy, Hash: k.Index(ledger.ID{}, "rx-id", id).Hash})
	}
	return keys
}

// priorIDs are the hub's ids of the prescription that q replaces.
func priorIDs(q fhir.Request) (ids []ledger.ID) {
	for _, p := range q.Prior {
		if id, err := uuid.Parse(p.Value); err == nil && p.System == "" {
			ids = append(ids, id)
		}
	}
	return ids
}

// priorKeys are the clinic's own names of the prescription that q replaces.
func priorKeys(k *ledger.Keyring, clinic ledger.ID, q fhir.Request) []ledger.Key {
	keys := make([]ledger.Key, 0, len(q.Prior))
	for _, p := range q.Prior {
		if p.System == "" {
			keys = append(keys, k.Index(clinic, "rx-id", p.Value))
		}
		keys = append(keys, k.Index(clinic, "rx", p.System, p.Value))
	}
	return keys
}

// missing lists prescriptions that loaded rows point at and that were not loaded with them: those of
// known dispenses and of first decisions that are asked for again.
func (v *view) missing() []ledger.ID {
	var ids []ledger.ID
	add := func(id ledger.ID) {
		if _, ok := v.Prescriptions[id]; !ok && id != (ledger.ID{}) {
			ids = append(ids, id)
		}
	}
	for _, d := range v.Dispenses {
		add(d.Prescription)
	}
	for _, m := range v.Messages {
		var a streams.Answer
		if json.Unmarshal(m.Answer, &a) != nil {
			continue
		}
		for _, res := range a.Resources {
			if id, err := uuid.Parse(res.Rx); err == nil {
				add(id)
			}
		}
	}
	for _, waiting := range v.Waiting {
		for _, id := range waiting {
			add(id)
		}
	}
	return ids
}

// prescription returns the present state of one, nil if it was not loaded.
func (v *view) prescription(id ledger.ID) (*prescription, error) {
	if p, ok := v.states[id]; ok {
		return p, nil
	}
	row, ok := v.Prescriptions[id]
	if !ok {
		return nil, nil
	}
	p := &prescription{row: row}
	if err := v.intact(row); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(row.State, &p.state); err != nil {
		return nil, ledger.ErrDamaged.Wrap(ledger.ErrState)
	}
	v.states[id] = p
	return p, nil
}
