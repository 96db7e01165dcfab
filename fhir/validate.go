package fhir

import (
	"bytes"
	"strings"

	"github.com/dosewire/dosewire/internal/fault"
)

// maxIssues bounds an answer.
const maxIssues = 100

// Validate judges the document against base FHIR R4: all issues at once, at most 100, one for each fault
// and none for absent optional elements. nil means valid.
//
// Judged are names, JSON form, cardinality, choices, primitives and their extensions, required bindings,
// the types that references may lead to, contained resources, narratives, and every error-level constraint
// of the types that a prescription hub meets (see rules). A modifierExtension is refused wherever it
// stands: by its nature it may turn the meaning of what is read.
func Validate(d *Document) []Issue {
	v := &validator{doc: d}
	v.resource(d.root())
	return v.issues
}

// validator walks one document.
type validator struct {
	doc       *Document
	issues    []Issue
	home      element            // the resource inside which "#id" is looked for
	contained map[string]element // of home; nil until asked for
}

func (v *validator) full() bool { return len(v.issues) >= maxIssues }

// fail reports a catalogue code at e; below names an absent member.
func (v *validator) fail(code fault.Code, e element, below string) {
	if !v.full() {
		v.issues = append(v.issues, remark("error", code, e, below).on(e))
	}
}

// broken reports a constraint of the specification by its own name.
func (v *validator) broken(r *rule, e element) {
	if v.full() {
		return
	}
	issue := remark("error", fault.CodeInvariant, e, "").on(e)
	issue.ID, issue.Text = r.key, r.text
	v.issues = append(v.issues, issue)
}

// apply judges constraints at an element.
func (v *validator) apply(rules []*rule, e element) {
	for _, r := range rules {
		switch {
		case r.judge != nil:
			r.judge(v, e, r)
		case !r.holds(e):
			v.broken(r, e)
		}
	}
}

// resource judges a resource that is not contained: it is its own home.
func (v *validator) resource(e element) {
	home, contained := v.home, v.contained
	v.home, v.contained = e, nil
	v.typed(e)
	v.home, v.contained = home, contained
}

// typed judges a resource by the type it says it is.
func (v *validator) typed(e element) {
	if e.kind() != object {
		v.fail(fault.CodeStructure, e, "")
		return
	}
	name := e.member("resourceType")
	switch {
	case !name.present():
		v.fail(fault.CodeRequired, e, ".resourceType")
		return
	case name.kind() != str:
		v.fail(fault.CodeStructure, name, "")
		return
	}
	if !isResourceType(name.text()) {
		v.fail(fault.CodeResourceType, name, "")
		return
	}
	v.object(e, types()[name.text()])
}

// object judges an object by its type.
func (v *validator) object(e element, def *typeDef) {
	if e.kind() != object {
		v.fail(fault.CodeStructure, e, "")
		return
	}
	var seen uint64
	children := 0
	for m := range e.items() {
		if v.full() {
			return
		}
		children++
		if def.resource && m.named("resourceType") {
			continue
		}
		found, under, ok := def.member(m)
		if !ok {
			v.fail(fault.CodeUnknown, m, "")
			continue
		}
		bit := uint64(1) << found.element
		if seen&bit != 0 && def.elements[found.element].choice && v.doubled(e, m, def, found.element) {
			v.fail(fault.CodeStructure, m, "")
		}
		seen |= bit
		v.member(e, m, found, &def.elements[found.element], under)
	}
	if children == 0 {
		v.fail(fault.CodeStructure, e, "")
		return
	}
	v.missing(e, def, def.required&^seen)
	v.everywhere(e, def, children)
	v.apply(def.rules, e)
}

// everywhere judges the constraints that every element or every extension has.
func (v *validator) everywhere(e element, def *typeDef, children int) {
	switch {
	case !def.resource && children == 1 && e.member("id").present():
		v.broken(&rule{key: "ele-1", text: "An element has a value or children besides its id."}, e)
	case def.name == "Extension":
		value := e.hasChoice("value")
		if e.member("extension").present() == value {
			v.broken(&rule{key: "ext-1", text: "An extension has either a value or extensions of its own."}, e)
		}
	}
}

// member finds what a property of a type is. under is true for the _name of a primitive.
func (t *typeDef) member(m element) (found member, under, ok bool) {
	n := m.node()
	key := m.doc.body[n.keyStart:n.keyEnd]
	if n.keyEscaped {
		key = unescape(key)
	}
	if found, ok = t.members[string(key)]; ok || len(key) == 0 || key[0] != '_' {
		return found, false, ok
	}
	found, ok = t.members[string(key[1:])]
	return found, true, ok && found.simple()
}

// doubled reports whether the choice that m belongs to was given before m with another type. m and
// its own _m are one.
func (v *validator) doubled(e, m element, def *typeDef, index int) bool {
	own := bytes.TrimPrefix([]byte(m.name()), []byte("_"))
	for other := range e.items() {
		if other.at == m.at {
			return false
		}
		found, _, ok := def.member(other)
		if ok && found.element == index && string(bytes.TrimPrefix([]byte(other.name()), []byte("_"))) != string(own) {
			return true
		}
	}
	return false
}

func (v *validator) missing(e element, def *typeDef, bits uint64) {
	for i := 0; bits != 0; i, bits = i+1, bits>>1 {
		if bits&1 != 0 {
			v.fail(fault.CodeRequired, e, "."+def.elements[i].name)
		}
	}
}

// member judges one property: one value or an array of them, as its cardinality has it.
func (v *validator) member(parent, m element, found member, def *elementDef, under bool) {
	if def.name == "modifierExtension" {
		v.fail(fault.CodeModifier, m, "")
		return
	}
	if !def.many {
		v.value(m, found, def, under)
		return
	}
	if m.kind() != array || m.count() == 0 {
		v.fail(fault.CodeStructure, m, "")
		return
	}
	if found.simple() {
		v.pairs(parent, m, func(item element) { v.value(item, found, def, under) })
		return
	}
	for item := range m.items() {
		if v.full() {
			return
		}
		v.value(item, found, def, under)
	}
}

// pairs judges an array of primitives, or of their extensions: a null holds the place of a value
// that only the partner array has (R4 §2.6.2.3).
func (v *validator) pairs(parent, m element, judge func(element)) {
	partner := parent.member(partnerOf(m.name()))
	var at, end uint32
	if partner.kind() == array {
		at, end = partner.at+1, partner.node().next
	}
	for item := range m.items() {
		if v.full() {
			return
		}
		var twin element
		if at < end {
			twin = element{m.doc, at}
			at = twin.node().next
		}
		if item.kind() != null {
			judge(item)
		} else if k := twin.kind(); k == absent || k == null {
			v.fail(fault.CodeStructure, item, "")
		}
	}
}

func partnerOf(name string) string {
	if name != "" && name[0] == '_' {
		return name[1:]
	}
	return "_" + name
}

// value judges one value of a property.
func (v *validator) value(e element, found member, def *elementDef, under bool) {
	switch {
	case under:
		v.object(e, types()["Element"])
		return
	case found.simple():
		v.simple(e, found.primitive, def)
	case found.def != nil:
		v.object(e, found.def)
		v.bound(e, found.def, def)
	case def.name == "contained":
		v.typed(e)
		if e.kind() == object && !e.member("id").present() {
			v.fail(fault.CodeRequired, e, ".id")
		}
	default:
		v.resource(e)
	}
	v.apply(def.rules, e)
}

// bound judges what an element asks of its value beyond its type: codes of a binding, targets.
func (v *validator) bound(e element, typ *typeDef, def *elementDef) {
	switch {
	case e.kind() != object:
	case typ.name == "Reference":
		v.reference(e, def.targets)
	case typ.name == "Coding" && strings.HasPrefix(e.member("system").text(), "#"): // a name for everybody, or none
		v.fail(fault.CodeValue, e.member("system"), "")
	case def.systems == nil:
	case typ.name == "Coding":
		if !def.allows(e) {
			v.fail(fault.CodeCode, e, "")
		}
	case typ.name == "CodeableConcept":
		for coding := range e.member("coding").items() {
			if def.allows(coding) {
				return
			}
		}
		if !e.has("extension") {
			v.fail(fault.CodeCode, e, "")
		}
	}
}

// allows reports whether a Coding is in the element's value set.
func (d *elementDef) allows(coding element) bool {
	return d.systems[coding.member("system").text()].has(coding.member("code").text())
}

func (v *validator) simple(e element, p primitive, def *elementDef) {
	if e.kind() != p.form() {
		v.fail(fault.CodeStructure, e, "")
		return
	}
	text := e.raw()
	if n := e.node(); n.kind == str {
		text = text[1 : len(text)-1]
		if n.escaped {
			text = unescape(text)
		}
	}
	switch {
	case !p.accepts(text), def.form != nil && !def.form(text):
		v.fail(fault.CodeValue, e, "")
	case p == pString && looksLikeHTML(text):
		v.fail(fault.CodeMarkup, e, "")
	case def.codes != nil:
		if _, ok := def.codes[string(text)]; !ok {
			v.fail(fault.CodeCode, e, "")
		}
	}
}
