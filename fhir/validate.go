package fhir

import (
	"bytes"

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
	v.cited = v.few[:0]
	v.resource(d.root())
	return v.issues
}

// validator walks one document.
type validator struct {
	doc    *Document
	issues []Issue
	home   home      // the resource inside which "#id" is looked for
	bundle container // the Bundle inside which a fullUrl is looked for
	ids    set       // of the elements of the resource that is being judged; nil until there is one
	cited  []uint32  // the nodes of home that begin with "#" and lead somewhere, in text order
	few    [16]uint32
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

// apply judges a constraint at an element.
func (v *validator) apply(r *rule, e element) {
	switch {
	case r.judge != nil:
		r.judge(v, e, r)
	case !r.holds(e):
		v.broken(r, e)
	}
}

// resource judges a resource that is not contained: it is its own home.
func (v *validator) resource(e element) {
	outer, cited := v.home, len(v.cited)
	v.home = home{element: e}
	v.typed(e)
	v.home, v.cited = outer, v.cited[:cited]
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
	def := resourceNamed(name.inner())
	if def == nil {
		v.fail(fault.CodeResourceType, name, "")
		return
	}
	if e == v.home.element {
		v.home.def = def
	}
	ids := v.ids
	v.ids = nil
	if def.name == "Bundle" {
		outer := v.bundle
		v.bundle = container{element: e}
		v.object(e, def)
		v.bundle = outer
	} else {
		v.object(e, def)
	}
	v.ids = ids
}

// object judges an object by its type.
func (v *validator) object(e element, def *typeDef) { v.content(e, def, false) }

// content is object for what may stand beside a value, which counts as a child then (ele-1).
func (v *validator) content(e element, def *typeDef, valued bool) {
	if e.kind() != object {
		v.fail(fault.CodeStructure, e, "")
		return
	}
	var seen uint64
	children := 0
	typed := !def.resource // whether resourceType is behind us
	nodes := v.doc.nodes
	for i, end := e.at+1, nodes[e.at].next; i < end; i = nodes[i].next {
		if v.full() {
			return
		}
		m := element{v.doc, i}
		children++
		found := def.lookup.find(m.key())
		if found == nil {
			if !typed && m.named("resourceType") {
				typed = true
				continue
			}
			v.fail(fault.CodeUnknown, m, "")
			continue
		}
		if seen&found.bit != 0 && found.of.choice && v.doubled(e, m, def, found.of) {
			v.fail(fault.CodeStructure, m, "")
		}
		seen |= found.bit
		v.member(e, m, found)
	}
	if children == 0 {
		v.fail(fault.CodeStructure, e, "")
		return
	}
	v.missing(e, def, def.required&^seen)
	v.everywhere(e, def, seen, valued)
	for i := range def.rules {
		if r := &def.rules[i]; !r.holdsFor(seen) {
			v.apply(r.rule, e)
		}
	}
}

// everywhere judges the constraints that every element or every extension has. The elements of Element
// come first in every type that has them: id, extension; those of Extension behind: url, value.
func (v *validator) everywhere(e element, def *typeDef, seen uint64, valued bool) {
	const id, extension, value = 1 << 0, 1 << 1, 1 << 3
	switch {
	case !def.resource && seen == id && !valued:
		v.broken(&rule{key: "ele-1", text: "An element has a value or children besides its id."}, e)
	case def.name == "Extension" && (seen&extension != 0) == (seen&value != 0):
		v.broken(&rule{key: "ext-1", text: "An extension has either a value or extensions of its own."}, e)
	}
}

// doubled reports whether the choice that m belongs to was given before m with another type. m and
// its own _m are one.
func (v *validator) doubled(e, m element, def *typeDef, choice *elementDef) bool {
	own := bytes.TrimPrefix([]byte(m.name()), []byte("_"))
	for other := range e.items() {
		if other.at == m.at {
			return false
		}
		found := def.lookup.find(other.key())
		if found != nil && found.of == choice && string(bytes.TrimPrefix([]byte(other.name()), []byte("_"))) != string(own) {
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
func (v *validator) member(parent, m element, found *property) {
	if found.of.modifier {
		v.fail(fault.CodeModifier, m, "")
		return
	}
	if !found.of.many {
		if found.under {
			v.under(m, found, onlyID(m) && isValue(parent.member(partnerOf(m.name()))))
			return
		}
		v.value(m, found)
		return
	}
	if m.kind() != array || m.node().next == m.at+1 {
		v.fail(fault.CodeStructure, m, "")
		return
	}
	if found.simple() {
		v.pairs(parent, m, found)
		return
	}
	for i, end := m.at+1, m.node().next; i < end && !v.full(); i = v.doc.nodes[i].next {
		v.value(element{v.doc, i}, found)
	}
}

// onlyID: all that an element says is what it is called.
func onlyID(e element) bool {
	return e.kind() == object && e.node().next == e.at+2 && element{e.doc, e.at + 1}.named("id")
}

func isValue(e element) bool { return e.present() && e.kind() != null }

// pairs judges an array of primitives, or of their extensions: a null holds the place of a value
// that only the partner array has (R4 §2.6.2.3). Extensions that are all null are none.
func (v *validator) pairs(parent, m element, found *property) {
	var twins partner
	nulls := found.under
	for index, i := 0, m.at+1; i < m.node().next && !v.full(); index, i = index+1, v.doc.nodes[i].next {
		switch item := (element{v.doc, i}); {
		case item.kind() != null && found.under:
			v.under(item, found, onlyID(item) && twins.has(parent, m, index))
			nulls = false
		case item.kind() != null:
			v.value(item, found)
		case !twins.has(parent, m, index):
			v.fail(fault.CodeStructure, item, "")
			nulls = false
		}
	}
	if nulls {
		v.fail(fault.CodeStructure, m, "")
	}
}

// partner walks the partner array as far as it is asked. Few arrays have one, so it is looked for when the
// first null asks.
type partner struct {
	opened  bool
	at, end uint32
	index   int
}

// has reports whether the partner array of m has a value at index, which never goes back.
func (p *partner) has(parent, m element, index int) bool {
	if !p.opened {
		p.opened = true
		if twin := parent.member(partnerOf(m.name())); twin.kind() == array {
			p.at, p.end = twin.at+1, twin.node().next
		}
	}
	for ; p.index < index && p.at < p.end; p.index++ {
		p.at = m.doc.nodes[p.at].next
	}
	return p.at < p.end && m.doc.nodes[p.at].kind != null
}

func partnerOf(name string) string {
	if name != "" && name[0] == '_' {
		return name[1:]
	}
	return "_" + name
}

// under judges what a primitive has besides its value: id and extensions. XHTML has no extensions.
func (v *validator) under(e element, found *property, valued bool) {
	v.content(e, types()["Element"], valued)
	if x := e.member("extension"); found.primitive == pXHTML && x.present() {
		v.fail(fault.CodeUnknown, x, "")
	}
}

// value judges one value of a property.
func (v *validator) value(e element, found *property) {
	switch {
	case found.simple():
		v.simple(e, found.primitive, found.of)
	case found.def != nil:
		v.object(e, found.def)
		v.bound(e, found.def, found.of)
	case found.of.inside:
		v.typed(e)
		if e.kind() == object && !e.member("id").present() {
			v.fail(fault.CodeRequired, e, ".id")
		}
	default:
		v.resource(e)
	}
	for _, r := range found.of.rules {
		v.apply(r, e)
	}
}

// bound judges what an element asks of its value beyond its type: codes of a binding, targets.
func (v *validator) bound(e element, typ *typeDef, def *elementDef) {
	switch {
	case e.kind() != object:
	case typ.name == "Reference":
		v.reference(e, def.targets)
	case typ.name == "CodeableConcept":
		v.concept(e, def)
	case typ.name == "Coding" && def.systems != nil && !def.allows(e):
		v.fail(fault.CodeCode, e, "")
	}
}

// concept judges that each system of a CodeableConcept says which it is (a relative URI names nothing: R4
// §4.1), and that one Coding is in the required value set.
func (v *validator) concept(e element, def *elementDef) {
	allowed := def.systems == nil && def.form == nil
	for coding := range e.member("coding").items() {
		if system := coding.member("system"); system.kind() == str && bytes.IndexByte(system.inner(), ':') < 0 {
			v.fail(fault.CodeValue, system, "")
		}
		allowed = allowed || def.allows(coding)
	}
	if !allowed && !e.has("extension") {
		v.fail(fault.CodeCode, e, "")
	}
}

// allows reports whether a Coding is in the element's value set.
func (d *elementDef) allows(coding element) bool {
	if d.form != nil {
		return coding.member("system").is(ucum) && d.form(coding.member("code").inner())
	}
	return d.systems[coding.member("system").text()].has(coding.member("code").text())
}

func (v *validator) simple(e element, p primitive, def *elementDef) {
	if e.kind() != p.form() {
		v.fail(fault.CodeStructure, e, "")
		return
	}
	text := e.inner()
	if len(text) > 0 && text[0] == '#' && p.leads(e) {
		v.cited = append(v.cited, e.at)
	}
	switch {
	case !p.accepts(text), def.form != nil && !def.form(text):
		v.fail(fault.CodeValue, e, "")
	case def.unique && v.again(string(text)):
		v.fail(fault.CodeValue, e, "")
	case p == pString && looksLikeHTML(text):
		v.fail(fault.CodeMarkup, e, "")
	case def.codes != nil:
		if _, ok := def.codes[string(text)]; !ok {
			v.fail(fault.CodeCode, e, "")
		}
	}
}

// again reports whether an element of this resource has the id already.
func (v *validator) again(id string) bool {
	if v.ids.has(id) {
		return true
	}
	if v.ids == nil {
		v.ids = set{}
	}
	v.ids[id] = struct{}{}
	return false
}
