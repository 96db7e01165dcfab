package fhir

import (
	"fmt"
	"slices"

	"github.com/dosewire/dosewire/internal/fault"
)

// ErrItem is the error of Slice, Splice and ViewOf for an item that the body does not hold.
var ErrItem = fault.New(fault.Internal, "fhir: the body holds no such item")

// Split returns the resources of a batch Bundle as their own bytes, in order, with the expression of
// each. An entry without a resource (a batch may ask to read or delete) gives no bytes and its own
// expression, so that its sender hears of it.
func Split(d *Document) (entries [][]byte, expressions []string) {
	for e := range d.root().member("entry").items() {
		r := e.member("resource")
		if !r.present() {
			entries, expressions = append(entries, nil), append(expressions, e.expression())
			continue
		}
		entries, expressions = append(entries, r.raw()), append(expressions, r.expression())
	}
	return entries, expressions
}

// Slice is what a receiver is sent: the bytes as received when items are all prescriptions of the
// message (all dispenses, in a pharmacy's message), else a collection Bundle with the untouched bytes
// of these items and their reference closure, so that nobody sees another's item. items are indexes
// of Bundle entries, 0 for a bare resource. The error is that of Decode, or ErrItem.
//
// The closure follows references from the items, and from what they lead to, through the types that
// may travel with one item ([travels]): the people, places, medicines and findings around a
// prescription, never another prescription or dispense, nor what lists several of them. A dispense
// takes along the prescriptions that it cites, and a Provenance comes along when all its targets do.
func Slice(body []byte, items []int) ([]byte, error) {
	d, err := Decode(body)
	if err != nil {
		return nil, err
	}
	s := d.tree()
	c := closure{scope: s, in: make([]bool, len(s.entries))}
	for _, item := range items {
		home, ok := s.at(item)
		if !ok || !isItem(s.entries[home].typ) {
			return nil, ErrItem
		}
		c.take(home)
	}
	for _, home := range slices.Clone(c.queue) {
		c.citations(home)
	}
	if len(items) == 0 {
		return nil, ErrItem
	}
	if c.whole() {
		return body, nil
	}
	c.follow()
	c.provenance()
	return c.bundle(), nil
}

func isItem(typ string) bool { return typ == "MedicationRequest" || typ == "MedicationDispense" }

// travels reports whether a resource of that type may go along with one item.
func travels(typ string) bool {
	switch typ {
	case "Patient", "RelatedPerson", "Practitioner", "PractitionerRole", "Organization", "Location",
		"HealthcareService", "Medication", "Substance", "Coverage", "Condition", "Encounter",
		"AllergyIntolerance", "Observation", "Device", "Endpoint":
		return true
	}
	return false
}

// closure is the set of entries that go along.
type closure struct {
	scope *scope
	in    []bool // by entry
	queue []int  // taken, not yet followed
}

func (c *closure) take(home int) {
	if !c.in[home] {
		c.in[home] = true
		c.queue = append(c.queue, home)
	}
}

// citations takes the prescriptions that a dispense cites.
func (c *closure) citations(home int) {
	for ref := range c.scope.entries[home].resource.member("authorizingPrescription").items() {
		if to := c.scope.resolve(ref, home); to.present() && c.scope.entries[to.home].typ == "MedicationRequest" {
			c.take(to.home)
		}
	}
}

// whole reports whether the whole message is the receiver's: no prescription or dispense stays out.
func (c *closure) whole() bool {
	for home, e := range c.scope.entries {
		if isItem(e.typ) && !c.in[home] {
			return false
		}
	}
	return true
}

func (c *closure) follow() {
	for len(c.queue) > 0 {
		home := c.queue[0]
		c.queue = c.queue[1:]
		c.references(c.scope.entries[home].resource, home)
	}
}

// references takes what the references below e lead to, if it may travel.
func (c *closure) references(e element, home int) {
	for ref := range e.within() {
		if ref.kind() != object {
			continue
		}
		if to := c.scope.resolve(ref, home); to.present() && travels(c.scope.entries[to.home].typ) {
			c.take(to.home)
		}
	}
}

// provenance takes those that speak of what goes along and of nothing else, such as the prescriber's
// signature on this one item.
func (c *closure) provenance() {
	for home, e := range c.scope.entries {
		if e.typ != "Provenance" {
			continue
		}
		all, any := true, false
		for ref := range e.resource.member("target").items() {
			to := c.scope.resolve(ref, home)
			inside := to.present() && c.in[to.home]
			all, any = all && inside, any || inside && isItem(c.scope.entries[to.home].typ)
		}
		if all && any {
			c.take(home)
		}
	}
	c.follow()
}

// bundle writes what goes along in the order of the message.
func (c *closure) bundle() []byte {
	out := []byte(`{"resourceType":"Bundle","type":"collection","entry":[`)
	first := true
	for home, e := range c.scope.entries {
		if !c.in[home] {
			continue
		}
		if !first {
			out = append(out, ',')
		}
		first = false
		out = append(out, '{')
		if e.fullURL != "" {
			out = fmt.Appendf(out, `"fullUrl":%s,`, e.url.raw())
		}
		out = append(append(append(out, `"resource":`...), e.resource.raw()...), '}')
	}
	return append(out, `]}`...)
}
