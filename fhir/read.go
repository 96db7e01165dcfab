package fhir

import (
	"slices"
	"strconv"
	"strings"

	"github.com/dosewire/dosewire/internal/fault"
)

// Read picks the fields of a valid document of type MedicationRequest, MedicationDispense or Bundle
// (message, transaction, document, collection; a batch must be split first). The error issues it
// returns refuse the message: CodeResourceType, CodeOnePatient, CodeNoPatient (no subject at all),
// CodeNothing, CodeNoIdentity, and CodeNotServed for a transaction entry that would read, patch or
// delete. Requests and Dispenses are both reported: what a prescription in a pharmacy's message means
// is for the caller to say.
func Read(d *Document) (Message, []Issue) {
	r := &reader{doc: d, scope: d.tree()}
	r.frozen = freezer{scope: r.scope, digests: map[uint32]digest{}, members: make([]memberNamed, 0, membersRoom)}
	r.message = Message{Type: d.Type(), BundleType: d.BundleType()}
	if !r.taken() {
		return r.message, r.issues
	}
	r.message.ID = r.id()
	for home, e := range r.scope.entries {
		switch e.typ {
		case "MedicationRequest":
			r.request(home, e)
		case "MedicationDispense":
			r.dispense(home, e)
		}
	}
	if len(r.message.Requests)+len(r.message.Dispenses) == 0 {
		r.fail(fault.CodeNothing, d.root(), "")
	}
	r.message.Subject = r.subject.subject()
	return r.message, r.issues
}

// reader gathers one message.
type reader struct {
	doc     *Document
	scope   *scope
	message Message
	subject patient // the first one met
	frozen  freezer
	issues  []Issue
}

func (r *reader) fail(code fault.Code, e element, below string) {
	if len(r.issues) < maxIssues {
		r.issues = append(r.issues, remark("error", code, e, below).on(e))
	}
}

// taken reports whether this kind of document is a message at all.
func (r *reader) taken() bool {
	root := r.doc.root()
	switch r.message.Type {
	case "MedicationRequest", "MedicationDispense":
		return true
	case "Bundle":
		switch r.message.BundleType {
		case "message", "document", "collection":
			return true
		case "transaction":
			return r.creates(root)
		}
		r.fail(fault.CodeResourceType, root, ".type")
	default:
		r.fail(fault.CodeResourceType, root, "")
	}
	return false
}

// creates refuses what a transaction asks for besides creating and updating: it would be ignored.
func (r *reader) creates(root element) bool {
	for e := range root.member("entry").items() {
		method := e.get("request", "method")
		if method.present() && !method.is("POST") && !method.is("PUT") {
			r.fail(fault.CodeNotServed, method, "")
		}
	}
	return len(r.issues) == 0
}

// id is what identifies the message for its sender.
func (r *reader) id() string {
	for _, e := range r.scope.entries {
		if e.typ != "MessageHeader" {
			continue
		}
		if id := e.resource.member("id").text(); id != "" {
			return id
		}
	}
	return r.doc.BundleID()
}

func (r *reader) request(home int, e entry) {
	q := e.resource
	order := q.member("dispenseRequest")
	identity, local, ok := identityOf(q)
	if !ok {
		r.fail(fault.CodeNoIdentity, q, ".identifier")
	}
	repeats, err := strconv.Atoi(order.member("numberOfRepeatsAllowed").text())
	if err != nil {
		repeats = 0
	}
	performer := order.member("performer")
	codes, ingredients := r.medication(q, home)
	var categories []Coding
	for c := range q.member("category").items() {
		categories = append(categories, codingsOf(c)...)
	}
	r.message.Requests = append(r.message.Requests, Request{
		Item: e.item, Expression: q.expression(), Raw: q.raw(),
		Identity: identity, Local: local,
		Status: q.member("status").text(), Intent: q.member("intent").text(), Priority: q.member("priority").text(),
		Inpatient:    inpatient(q.member("category")),
		DoNotPerform: q.member("doNotPerform").text() == "true" || reported(q),
		Performer:    r.named(performer, home), PerformerGiven: performer.present(),
		Repeats:    repeats,
		ValidFrom:  order.get("validityPeriod", "start").text(),
		ValidTo:    order.get("validityPeriod", "end").text(),
		AuthoredOn: q.member("authoredOn").text(),
		Group:      identifierOf(q.member("groupIdentifier")),
		Prior:      r.cited(q.member("priorPrescription"), home).names(),
		BasedOn:    r.basedOn(q, home),
		Frozen:     r.frozen.request(q, home),
		Quantity:   amountOf(order.member("quantity")), First: amountOf(order.get("initialFill", "quantity")),
		FirstLasts: durationOf(order.get("initialFill", "duration")), Interval: durationOf(order.member("dispenseInterval")),
		NoSubstitution: noSubstitution(q), Categories: categories, Medication: codes, Ingredients: ingredients,
	})
	r.one(q, home)
}

// identityOf is the business identity of a resource: exactly one identifier, or the one marked
// official; its id is the local one. Neither is no identity.
func identityOf(e element) (identity Identifier, local string, ok bool) {
	local = e.member("id").text()
	list := e.member("identifier")
	var official []Identifier
	for i := range list.items() {
		if i.member("use").is("official") {
			official = append(official, identifierOf(i))
		}
	}
	all := identifiers(list)
	switch {
	case len(official) == 1 && official[0].Value != "":
		identity = official[0]
	case len(all) == 1:
		identity = all[0]
	}
	return identity, local, identity.Value != "" || local != ""
}

// inpatient: the order is for a ward (http://terminology.hl7.org/CodeSystem/medicationrequest-category).
func inpatient(categories element) bool {
	for c := range categories.items() {
		for coding := range c.member("coding").items() {
			if coding.member("code").is("inpatient") {
				return true
			}
		}
	}
	return false
}

// reported: the medicine was ordered by somebody else, this is hearsay.
func reported(q element) bool {
	e := q.choice("reported")
	return e.kind() == object || e.text() == "true"
}

func (r *reader) basedOn(q element, home int) []Identifier {
	var all []Identifier
	for ref := range q.member("basedOn").items() {
		all = append(all, r.cited(ref, home).names()...)
	}
	return all
}

// named is every identifier that a reference to somebody gives: its own, those of the resource it
// leads to, and of the organisation or person behind a role.
func (r *reader) named(ref element, home int) []Identifier {
	if !ref.present() {
		return nil
	}
	all := identifiersIn(ref)
	to := r.scope.resolve(ref, home)
	all = append(all, identifiers(to.member("identifier"))...)
	if to.typ() == "PractitionerRole" {
		for _, name := range []string{"organization", "practitioner"} {
			behind := to.member(name)
			all = append(all, identifiersIn(behind)...)
			all = append(all, identifiers(r.scope.resolve(behind, to.home).member("identifier"))...)
		}
	}
	return distinct(all)
}

// cited is every name that a reference gives for a prescription.
func (r *reader) cited(ref element, home int) Citation {
	var c Citation
	if !ref.present() {
		return c
	}
	literal := ref.member("reference").text()
	if id := idIn(literal, "MedicationRequest"); id != "" {
		c.IDs = append(c.IDs, id)
	} else if id, ok := strings.CutPrefix(literal, "urn:uuid:"); ok {
		c.IDs = append(c.IDs, id)
	}
	to := r.scope.resolve(ref, home)
	if id := to.member("id").text(); id != "" {
		c.IDs = append(c.IDs, id)
	}
	c.Identifiers = append(identifiersIn(ref), identifiers(to.member("identifier"))...)
	c.IDs, c.Identifiers = distinct(c.IDs), distinct(c.Identifiers)
	return c
}

// names is a citation as identifiers: an id has no system.
func (c Citation) names() []Identifier {
	all := c.Identifiers
	for _, id := range c.IDs {
		all = append(all, Identifier{Value: id})
	}
	return all
}

func distinct[T comparable](list []T) []T {
	var out []T
	for _, x := range list {
		if !slices.Contains(out, x) {
			out = append(out, x)
		}
	}
	return out
}

func (r *reader) dispense(home int, e entry) {
	md := e.resource
	identity, local, _ := identityOf(md) // the claim's number may stand in for both
	out := Dispense{
		Item: e.item, Expression: md.expression(), Raw: md.raw(),
		Identity: identity, Local: local,
		Status:       md.member("status").text(),
		StatusReason: firstCode(md.member("statusReasonCodeableConcept")),
		Type:         firstCode(md.member("type")),
		HandedOver:   md.member("whenHandedOver").text(),
		Quantity:     amountOf(md.member("quantity")),
		Nothing:      none(md.member("quantity")),
		Substituted:  md.get("substitution", "wasSubstituted").text() == "true",
		Mitigated:    r.mitigated(md, home),
		Frozen:       r.frozen.dispense(md, home),
	}
	for ref := range md.member("authorizingPrescription").items() {
		out.Cites = append(out.Cites, r.cited(ref, home))
	}
	r.message.Dispenses = append(r.message.Dispenses, out)
	r.one(md, home)
}

// firstCode is the first code of a CodeableConcept, else its text.
func firstCode(concept element) string {
	for c := range concept.member("coding").items() {
		if code := c.member("code").text(); code != "" {
			return code
		}
	}
	return concept.member("text").text()
}
