package fhir

import (
	"github.com/dosewire/dosewire/internal/fault"
)

// Complete judges one request: CodeIncomplete for each absent element without which no pharmacy can
// dispense (docs/hub-rules.md), and warnings (CodeNoDosage, CodeNoPrescriberID, CodeOptionalRef). r is
// one of Read(d).
func Complete(d *Document, r Request) []Issue {
	s := d.tree()
	home, ok := s.at(r.Item)
	if !ok {
		return nil
	}
	q := s.entries[home].resource
	c := &completeness{scope: s, home: home, base: r.Expression}
	c.patient(q.member("subject"))
	c.prescriber(q.member("requester"))
	if s.drug(q, home) == "" {
		c.add("error", fault.CodeIncomplete, ".medication")
	}
	if none(q.get("dispenseRequest", "quantity")) {
		c.add("error", fault.CodeValue, ".dispenseRequest.quantity.value") // no right to a medicine
	}
	if !dosed(q.member("dosageInstruction")) {
		c.add("warning", fault.CodeNoDosage, ".dosageInstruction")
	}
	c.references(q)
	return c.issues
}

// completeness gathers what is wanting in one request.
type completeness struct {
	scope  *scope
	home   int
	base   string // expression of the request
	issues []Issue
}

func (c *completeness) add(severity string, code fault.Code, below string) {
	if len(c.issues) < maxIssues {
		c.issues = append(c.issues, catalogued(severity, code, c.base+below))
	}
}

// patient: a name (the Patient's, else the words of the reference) and a birth date of any precision.
func (c *completeness) patient(ref element) {
	to := c.scope.resolve(ref, c.home)
	if to.typ() != "Patient" {
		c.add("error", fault.CodeIncomplete, ".subject")
		return
	}
	if nameOf(to.member("name")) == "" && !ref.member("display").says() {
		c.add("error", fault.CodeIncomplete, ".subject.resolve().name")
	}
	if len(to.member("birthDate").inner()) == 0 {
		c.add("error", fault.CodeIncomplete, ".subject.resolve().birthDate")
	}
}

func (c *completeness) prescriber(ref element) {
	p := c.scope.party(ref, c.home)
	if p.name == "" {
		c.add("error", fault.CodeIncomplete, ".requester")
	}
	if !p.identified {
		c.add("warning", fault.CodeNoPrescriberID, ".requester")
	}
}

// dosed reports whether any dosage says something about how to take the medicine.
func dosed(list element) bool {
	for d := range list.items() {
		for m := range d.items() {
			switch string(m.key()) {
			case "id", "extension", "sequence":
			case "text", "patientInstruction":
				if m.says() {
					return true
				}
			default:
				return true
			}
		}
	}
	return false
}

// references remarks on each literal reference of the request that leads out of the message. What
// must be inside is judged above; the rest may well be known to the pharmacy from elsewhere. Where
// priorPrescription leads to is known to the hub alone.
func (c *completeness) references(q element) {
	prior := q.get("priorPrescription", "reference")
	for e := range q.within() {
		if e.at == q.at || prior.present() && e.at == prior.at || !e.named("reference") || e.kind() != str || len(c.issues) >= maxIssues {
			continue
		}
		if !c.scope.follow(e, c.home).present() {
			c.issues = append(c.issues, remark("warning", fault.CodeOptionalRef, e, ""))
		}
	}
}
