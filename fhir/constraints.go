package fhir

import (
	"strings"

	"github.com/dosewire/dosewire/internal/fault"
)

// constraints judges the few rules of the specification on which the hub's own reading depends.
func (v *validator) constraints(e element, def *typeDef, children int) {
	switch {
	case !def.resource && children == 1 && e.member("id").present():
		v.broken("ele-1", "An element has a value or children besides its id.", e)
	case def.name == "Reference":
		v.reference(e.member("reference"))
	case def.name == "Extension":
		if e.member("extension").present() == e.choice("value").present() && !e.choice("_value").present() {
			v.broken("ext-1", "An extension has either a value or extensions of its own.", e)
		}
	}
}

// reference judges that "#id" leads to a contained resource; "#" is the resource that contains.
func (v *validator) reference(e element) {
	id, local := strings.CutPrefix(e.text(), "#")
	if !local || id == "" {
		return
	}
	if v.contained == nil {
		v.contained = map[string]element{}
		for c := range v.home.member("contained").items() {
			v.contained[c.member("id").text()] = c
		}
	}
	if _, ok := v.contained[id]; !ok {
		v.fail(fault.CodeReference, e, "")
	}
}

// containedRules: a contained resource has an id to be referred to, and contains none itself.
func (v *validator) containedRules(e element) {
	if !e.member("id").present() {
		v.fail(fault.CodeRequired, e, ".id")
	}
	if e.member("contained").present() {
		v.broken("dom-2", "A contained resource contains no other resources.", e.member("contained"))
	}
}

// fullURLs judges what references lead to: absolute, and one resource for each (bdl-7; several
// versions of one resource may share theirs).
func (v *validator) fullURLs(bundle element) {
	seen := map[[2]string]struct{}{}
	for entry := range bundle.member("entry").items() {
		url := entry.member("fullUrl")
		if url.kind() != str {
			continue
		}
		text := url.text()
		if scheme, _, ok := strings.Cut(text, ":"); !ok || strings.Contains(scheme, "/") {
			v.fail(fault.CodeValue, url, "")
		}
		key := [2]string{text, entry.get("resource", "meta", "versionId").text()}
		if _, twice := seen[key]; twice && !bundle.member("type").is("history") {
			v.broken("bdl-7", "A fullUrl is unique in its Bundle.", url)
		}
		seen[key] = struct{}{}
	}
}

// other judges a resource whose type is not in the table.
func (v *validator) other(e element) {
	if id := e.member("id"); id.present() {
		v.simple(id, pID, &elementDef{})
	}
	v.loose(e)
}

// loose judges what holds for every object of FHIR: nothing is null or empty, names are names, and
// what is the same everywhere (meta, extensions, resources inside) is judged in full.
func (v *validator) loose(e element) {
	if e.count() == 0 {
		v.fail(fault.CodeStructure, e, "")
		return
	}
	for m := range e.items() {
		if v.full() {
			return
		}
		name := m.name()
		switch {
		case !isName(strings.TrimPrefix(name, "_")):
			v.fail(fault.CodeUnknown, m, "")
		case name == "modifierExtension":
			v.fail(fault.CodeModifier, m, "")
		case name == "extension" && m.kind() == array:
			for item := range m.items() {
				v.object(item, types()["Extension"])
			}
		case name == "contained" && m.kind() == array:
			for item := range m.items() {
				v.typed(item)
				v.containedRules(item)
			}
		case m.kind() == object && m.member("resourceType").present():
			v.resource(m)
		case name == "reference" && m.kind() == str:
			v.reference(m)
			v.scalar(m)
		case m.kind() == array:
			v.elements(e, m)
		default:
			v.scalar(m)
		}
	}
}

// elements judges an array of a type that the table does not have.
func (v *validator) elements(parent, m element) {
	if m.count() == 0 {
		v.fail(fault.CodeStructure, m, "")
		return
	}
	v.pairs(parent, m, func(item element) {
		if item.kind() == array {
			v.fail(fault.CodeStructure, item, "")
			return
		}
		v.scalar(item)
	})
}

func (v *validator) scalar(e element) {
	switch e.kind() {
	case object:
		v.loose(e)
	case null:
		v.fail(fault.CodeStructure, e, "")
	case str:
		if e.node().end-e.node().start == 2 {
			v.fail(fault.CodeValue, e, "")
		}
	}
}
