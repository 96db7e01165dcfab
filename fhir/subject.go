package fhir

import (
	"slices"
	"strings"

	"github.com/dosewire/dosewire/internal/fault"
)

// patient is what one subject says about who it is.
type patient struct {
	given   bool
	ref     element // the Reference
	to      target  // the Patient, if it is in the message
	ids     []Identifier
	literal string
}

func (r *reader) patient(ref element, home int) patient {
	to := r.scope.resolve(ref, home)
	ids := distinct(append(identifiers(to.member("identifier")), identifiersIn(ref)...))
	return patient{true, ref, to, ids, ref.member("reference").text()}
}

// one holds the message to one patient: each prescription and dispense has a subject, and all of
// them are the same. A dispense that gives none has that of the prescription it cites; one that cites
// only names is left to the caller, who knows the prescription.
func (r *reader) one(e element, home int) {
	ref := e.member("subject")
	cites := e.member("authorizingPrescription")
	for cite := range cites.items() {
		if to := r.scope.resolve(cite, home); !ref.present() && to.present() {
			ref, home = to.member("subject"), to.home
		}
	}
	if !ref.present() {
		if !cites.present() {
			r.fail(fault.CodeNoPatient, e, ".subject")
		}
		return
	}
	p := r.patient(ref, home)
	switch {
	case p.to.typ() == "Group" || strings.HasPrefix(p.literal, "Group/"):
		r.fail(fault.CodeNoPatient, ref, "")
	case !r.subject.given:
		r.subject = p
	case !r.subject.same(p):
		r.fail(fault.CodeOnePatient, ref, "")
	default:
		r.subject.learn(p)
	}
}

// same reports whether two subjects are one patient by what they say: one resource, one literal
// reference, or an identifier that both have. Never by name and date of birth.
func (p patient) same(q patient) bool {
	if p.to.present() && q.to.present() && (p.to.at == q.to.at || string(p.to.raw()) == string(q.to.raw())) {
		return true
	}
	if p.local() != "" && p.local() == q.local() {
		return true
	}
	if !p.to.present() && !q.to.present() && p.literal != "" && p.literal == q.literal {
		return true
	}
	return slices.ContainsFunc(p.ids, func(id Identifier) bool { return slices.Contains(q.ids, id) })
}

// learn adds what another subject says of the same patient.
func (p *patient) learn(q patient) {
	if !p.to.present() {
		p.to = q.to
	}
	for _, id := range q.ids {
		if len(p.ids) < maxIdentifiers && !slices.Contains(p.ids, id) {
			p.ids = append(p.ids, id)
		}
	}
}

// local is the sender's own id of the patient: that of the Patient in the Bundle, unless it was made
// up for the message (the UUID of an urn:uuid fullUrl), or that in a relative reference. An absolute
// reference that leads out of the message counts as a whole, since another server's Patient/1 is
// another patient.
func (p patient) local() string {
	if p.to.present() {
		return p.to.lasting()
	}
	switch {
	case strings.HasPrefix(p.literal, "http://"), strings.HasPrefix(p.literal, "https://"):
		return p.literal
	case strings.HasPrefix(p.literal, "Patient/"):
		return idIn(p.literal, "Patient")
	}
	return ""
}

// lasting is a resource's id if it means anything outside the message.
func (t target) lasting() string {
	e := t.doc.tree().entries[t.home]
	id := t.member("id").text()
	if t.at != e.resource.at || "urn:uuid:"+id == e.fullURL {
		return ""
	}
	return id
}

func (p patient) subject() Subject {
	if !p.given {
		return Subject{}
	}
	name := nameOf(p.to.member("name"))
	if name == "" {
		name = p.ref.member("display").words()
	}
	return Subject{
		Identifiers: p.ids, Local: p.local(), Resource: p.to.typ() == "Patient",
		Name: name, BirthDate: p.to.member("birthDate").text(),
	}
}
