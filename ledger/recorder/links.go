package recorder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/streams"
)

// Facts about which patients of several organisations are one person (docs/linking.md). Each is decided alone,
// in a commit of its own.
const (
	FactLink   = "link"
	FactUnlink = "unlink"
)

// Kinds of wakes that they make. Both wake always: who did not expect it must learn of it at once.
const (
	WakeLinked   = "linked"
	WakeUnlinked = "unlinked"
)

// ByPatient is who links always, and who unlinks without a reason.
const ByPatient = "patient"

// LinkFact says that a person, signed in as Patient, has accepted the invitation of Other too. It is JSON on
// rx.fact.link.
type LinkFact struct {
	Patient, Other ledger.ID
}

// UnlinkFact takes a patient out of the person that it belongs to; the others stay together. It is JSON on
// rx.fact.unlink.
type UnlinkFact struct {
	Patient ledger.ID
	With    ledger.ID // one of those who saw it when it was asked for; zero = whoever it is linked with
	By      string    // ByPatient, or the operator who repairs
	Reason  string    // of an operator; no names
}

// LinkStatement is the plaintext of the record of a LinkFact or an UnlinkFact, sealed under the hub's key: it
// is about two patients, and holds their ids alone. Links is all that it changed: whoever makes the table anew
// applies it, in the order of the ledger, and ends the links of erased patients where their erasure stands.
type LinkStatement struct {
	Kind   string // FactLink or FactUnlink
	Link   *LinkFact
	Unlink *UnlinkFact
	Time   time.Time // of the decision
	Links  []ledger.PatientLink
}

// persons is what a decision about links knows: the keys of those whom the fact names, and who belongs together
// with them.
type persons struct {
	orgs   map[ledger.ID]ledger.ID // patient → organisation; absent = unknown or erased
	linked []ledger.PatientLink    // all rows of the persons concerned
}

// loadLinks looks up what a fact about links needs, alone in its batch.
func (r *Recorder) loadLinks(ctx context.Context, u *unit, v *view) error {
	var named []ledger.ID
	switch u.kind {
	case FactLink:
		var f LinkFact
		if strictJSON(u.body, &f) != nil {
			return nil // refused when it is decided
		}
		named = []ledger.ID{f.Patient, f.Other}
	case FactUnlink:
		var f UnlinkFact
		if strictJSON(u.body, &f) != nil {
			return nil
		}
		named = []ledger.ID{f.Patient}
	case FactErase:
		named = []ledger.ID{v.keeping.erase.Patient}
	default:
		return nil
	}
	v.persons.orgs = map[ledger.ID]ledger.ID{}
	for _, id := range named {
		key, err := r.deps.Keys.ForPatient(ctx, id)
		switch {
		case errors.Is(err, ledger.ErrErased):
		case err != nil:
			return fmt.Errorf("recorder: keys: %w", fenced(err))
		default:
			v.persons.orgs[id] = key.Org
		}
	}
	var err error
	if v.persons.linked, err = r.deps.Reader.Links(ctx, named); err != nil {
		return fmt.Errorf("recorder: links: %w", err)
	}
	return nil
}

// person is the one that a patient belongs to, and all that belong to it: itself alone when it is linked with
// nobody.
func (p persons) of(patient ledger.ID) (person ledger.ID, all []ledger.ID) {
	for _, l := range p.linked {
		if l.Patient == patient {
			person = l.Person
		}
	}
	if person == (ledger.ID{}) {
		return person, []ledger.ID{patient}
	}
	for _, l := range p.linked {
		if l.Person == person {
			all = append(all, l.Patient)
		}
	}
	return person, all
}

// link decides that two patients are one person, with all that each of them belongs together with.
func (t *draft) link() {
	var f LinkFact
	if err := strictJSON(t.unit.body, &f); err != nil {
		t.unit.refuse(err)
		return
	}
	known := t.view.persons
	ours, present := known.orgs[f.Patient]
	theirs, too := known.orgs[f.Other]
	person, all := known.of(f.Patient)
	second, more := known.of(f.Other)
	switch {
	case f.Patient == (ledger.ID{}) || f.Other == (ledger.ID{}):
		t.unit.refuse(fault.Of(fault.CodeFact))
		return
	case !present || !too:
		t.unit.refuse(fault.Of(fault.CodeErased))
		return
	case !t.meet(ours, theirs):
		t.unit.refuse(fault.Of(fault.CodeOrganization))
		return
	case slices.Contains(all, f.Other):
		t.view.linking = &LinkStatement{Kind: FactLink, Link: &f}
		t.resources = append(t.resources, streams.Resource{Type: FactLink, Status: 200})
		return
	case len(all)+len(more) > ledger.MaxLinked:
		t.unit.refuse(fault.Of(fault.CodeFact))
		return
	}
	became := older(person, second)
	if became == (ledger.ID{}) {
		became = t.id
	}
	s := &LinkStatement{Kind: FactLink, Link: &f}
	for _, id := range append(all, more...) {
		if was, _ := known.of(id); was != became {
			s.Links = append(s.Links, ledger.PatientLink{Patient: id, Person: became})
		}
		t.wake(id, WakeLinked)
	}
	t.view.linking = s
	t.resources = append(t.resources, streams.Resource{Type: FactLink, Status: 201})
}

// older is the one of two ids that was made first; zero ids do not count.
func older(a, b ledger.ID) ledger.ID {
	if a == (ledger.ID{}) || b != (ledger.ID{}) && slices.Compare(b[:], a[:]) < 0 {
		return b
	}
	return a
}

// meet reports whether two organisations are of one world: sandbox organisations reach only each other.
func (t *draft) meet(a, b ledger.ID) bool {
	one, ok := t.directory.Organization(a)
	other, too := t.directory.Organization(b)
	return ok && too && one.Sandbox == other.Sandbox
}

// unlink decides that a patient belongs to nobody else any more.
func (t *draft) unlink() {
	var f UnlinkFact
	if err := strictJSON(t.unit.body, &f); err != nil {
		t.unit.refuse(err)
		return
	}
	if _, known := t.view.persons.orgs[f.Patient]; !known {
		t.unit.refuse(fault.Of(fault.CodeErased))
		return
	}
	if f.By == "" || f.By != ByPatient && f.Reason == "" {
		t.unit.refuse(fault.Of(fault.CodeFact))
		return
	}
	s := &LinkStatement{Kind: FactUnlink, Unlink: &f}
	t.view.linking = s
	_, all := t.view.persons.of(f.Patient)
	if len(all) < 2 || f.With != (ledger.ID{}) && !slices.Contains(all, f.With) {
		t.resources = append(t.resources, streams.Resource{Type: FactUnlink, Status: 200})
		return
	}
	for _, id := range all {
		if id == f.Patient || len(all) == 2 { // nobody is linked with nobody else
			s.Links = append(s.Links, ledger.PatientLink{Patient: id})
		}
		t.wake(id, WakeUnlinked)
	}
	t.resources = append(t.resources, streams.Resource{Type: FactUnlink, Status: 201})
}

// wake tells a patient of what happened to its links.
func (t *draft) wake(patient ledger.ID, kind string) {
	t.view.told = append(t.view.told, ledger.Effect{Kind: ledger.EffectWake, Patient: patient, Type: kind})
}

// parted tells those who were linked with a patient that is erased. The store ends the links with the erasure.
func (t *draft) parted(erased ledger.ID) {
	_, all := t.view.persons.of(erased)
	for _, id := range all {
		if id != erased {
			t.wake(id, WakeUnlinked)
		}
	}
}

// stateLinks makes the record of a fact about links: its text is ours.
func (t *draft) stateLinks() {
	u := t.unit
	u.result.effects = append(u.result.effects, t.view.told...)
	s := t.view.linking
	if s == nil {
		return
	}
	s.Time = t.now.UTC()
	u.result.instead, _ = json.Marshal(s) // ids, times and texts: cannot fail
	u.result.idle = true                  // the record says what it changed
	t.view.links = s.Links
}

// relink does again what a record says that a fact about links changed.
func (b *Rebuilt) relink(statement []byte) error {
	var s LinkStatement
	if err := strictJSON(statement, &s); err != nil {
		return err
	}
	for _, l := range s.Links {
		if b.links[l.Patient] = l.Person; l.Person == (ledger.ID{}) {
			delete(b.links, l.Patient)
		}
	}
	return nil
}

// part ends the links of an erased patient; a person of one is none.
func (b *Rebuilt) part(erased ledger.ID) {
	person, linked := b.links[erased]
	if !linked {
		return
	}
	delete(b.links, erased)
	var left []ledger.ID
	for id, of := range b.links {
		if of == person {
			left = append(left, id)
		}
	}
	if len(left) == 1 {
		delete(b.links, left[0])
	}
}
