package fhir

import (
	"slices"
	"strings"
)

// nameOf is how to call a person: the best of their names (official, then usual, then any that is
// not of the past), its text or its parts. "" when there is none.
func nameOf(names element) string {
	best, rank := "", 0
	for n := range names.items() {
		r := 2
		switch n.member("use").text() {
		case "official":
			r = 4
		case "usual":
			r = 3
		case "old", "maiden":
			r = 1
		}
		if text := humanName(n); text != "" && r > rank {
			best, rank = text, r
		}
	}
	return best
}

func humanName(n element) string {
	if text := n.member("text").words(); text != "" {
		return text
	}
	var parts []string
	for _, name := range []string{"prefix", "given", "family", "suffix"} {
		part := n.member(name)
		if part.kind() == str {
			parts = append(parts, part.words())
		}
		for p := range part.items() {
			if p.kind() == str {
				parts = append(parts, p.words())
			}
		}
	}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " ")
}

// party is somebody that a Reference means: what to call them, and whether anything identifies them.
type party struct {
	name         string
	organization string // the one behind a role, or the party itself
	identified   bool
}

// party follows a Reference to a person, a role or an organisation. A role is called by its
// practitioner; Reference.display serves where the resource does not say.
func (s *scope) party(ref element, home int) party {
	p := party{identified: len(identifiersIn(ref)) > 0}
	to := s.resolve(ref, home)
	p.identified = p.identified || identified(to.element)
	switch to.typ() {
	case "Organization":
		p.name = to.member("name").words()
		p.organization = p.name
	case "PractitionerRole":
		person := s.named(to.member("practitioner"), to.home)
		p.name, p.identified = person.name, p.identified || person.identified
		p.organization = s.named(to.member("organization"), to.home).name
	case "Practitioner", "Patient", "RelatedPerson":
		p.name = nameOf(to.member("name"))
	}
	if p.name == "" {
		p.name = ref.member("display").words()
	}
	return p
}

// named is party for what a role refers to: a person or an organisation, no further role.
func (s *scope) named(ref element, home int) party {
	to := s.resolve(ref, home)
	p := party{identified: len(identifiersIn(ref)) > 0 || identified(to.element)}
	switch to.typ() {
	case "Organization":
		p.name = to.member("name").words()
	case "Practitioner":
		p.name = nameOf(to.member("name"))
	}
	if p.name == "" {
		p.name = ref.member("display").words()
	}
	return p
}

// drug is what to call the medicine of a MedicationRequest or MedicationDispense, "" when nothing
// says: the concept's text, display or code, that of the Medication, of its first ingredients, or the
// reference's display.
func (s *scope) drug(e element, home int) string {
	given := e.choice("medication")
	if given.named("medicationCodeableConcept") {
		return conceptText(given)
	}
	to := s.resolve(given, home)
	if name := conceptText(to.member("code")); name != "" {
		return name
	}
	if name := given.member("display").words(); name != "" {
		return name
	}
	var parts []string
	for i := range to.member("ingredient").items() {
		if name := s.ingredient(i, to.home); name != "" && len(parts) < 8 {
			parts = append(parts, name)
		}
	}
	return strings.Join(parts, " + ")
}

func (s *scope) ingredient(i element, home int) string {
	if name := conceptText(i.member("itemCodeableConcept")); name != "" {
		return name
	}
	ref := i.member("itemReference")
	if name := conceptText(s.resolve(ref, home).member("code")); name != "" {
		return name
	}
	return ref.member("display").words()
}

// conceptText is the words of a CodeableConcept: its text, a display, else a code.
func conceptText(c element) string {
	if text := c.member("text").words(); text != "" {
		return text
	}
	for _, name := range []string{"display", "code"} {
		for coding := range c.member("coding").items() {
			if text := coding.member(name).words(); text != "" {
				return text
			}
		}
	}
	return ""
}
