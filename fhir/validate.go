package fhir

import (
	"bytes"

	"github.com/dosewire/dosewire/internal/fault"
)

// maxIssues bounds an answer.
const maxIssues = 100

// Validate judges the document against FHIR R4: all issues at once, at most 100, none for absent
// optional elements. nil means valid.
//
// The types of definitions.go are judged in full: names, JSON form, cardinality, required codes, the
// form of primitives, choices, primitive extensions. A resource of another type inside a Bundle or
// contained is judged for what holds everywhere. A modifierExtension is refused wherever it stands:
// by its nature it may turn the meaning of what the hub reads.
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
func (v *validator) broken(constraint, text string, e element) {
	if v.full() {
		return
	}
	issue := remark("error", fault.CodeInvariant, e, "").on(e)
	issue.ID, issue.Text = constraint, text
	v.issues = append(v.issues, issue)
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
	def, ok := types()[name.text()]
	switch {
	case ok && def.resource && isResourceType(def.name):
		v.object(e, def)
		if def.name == "Bundle" {
			v.fullURLs(e)
		}
	case isResourceType(name.text()):
		v.other(e)
	default:
		v.fail(fault.CodeResourceType, name, "")
	}
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
	v.constraints(e, def, children)
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
		if def.name == "contained" {
			v.containedRules(item)
		}
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
	case found.simple():
		v.simple(e, found.primitive, def)
	case found.def != nil:
		v.object(e, found.def)
	case def.name == "contained":
		v.typed(e)
	default:
		v.resource(e)
	}
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
	if !p.accepts(text) {
		v.fail(fault.CodeValue, e, "")
	} else if def.codes != nil {
		if _, ok := def.codes[string(text)]; !ok {
			v.fail(fault.CodeCode, e, "")
		}
	}
}
