package fhir

import (
	"slices"
	"strings"
	"sync"

	"github.com/dosewire/dosewire/fhir/definitions"
)

// typeDef is one FHIR type. Elements are numbered, so that a set of them is one word (the largest type
// of R4 has 54).
type typeDef struct {
	name     string
	resource bool             // carries resourceType
	members  []member         // by JSON property name, choices spelled out
	lookup   lookup[property] // the same, for the walk
	elements []elementDef
	required uint64 // bit set of elements
	rules    []bound
}

// bound is a rule of a type, and the elements by which it is known to hold without being asked.
type bound struct {
	*rule
	trigger uint64 // bit set of rule.when; 0: whatever is there
	spared  uint64 // bit set of rule.unless
}

// holdsFor reports whether the rule holds because of which elements are there.
func (b *bound) holdsFor(seen uint64) bool {
	return b.spared&seen != 0 || b.trigger != 0 && b.trigger&seen == 0
}

// elementDef is what FHIR calls an element; a choice is one element with several members.
type elementDef struct {
	choice   bool
	many     bool
	modifier bool                   // modifierExtension
	inside   bool                   // contained
	bare     bool                   // no FHIR type of its own, but an attribute in XML: it has no extensions
	unique   bool                   // an element's id
	codes    set                    // required binding of a code, nil if none
	form     func(text []byte) bool // of codes that cannot be listed (units: in a CodeableConcept), nil if none
	rules    []*rule
	systems  map[string]set // required binding of a Coding or CodeableConcept: codes by system
	targets  set            // what a Reference may lead to, nil for anything
	name     string         // as in FHIRPath, without [x]
}

type set map[string]struct{}

func setOf(text, separator string) set {
	s := set{}
	for member := range strings.SplitSeq(text, separator) {
		s[member] = struct{}{}
	}
	return s
}

func (s set) has(member string) bool {
	_, ok := s[member]
	return ok
}

// member is one JSON property: which element it is, and of what type.
type member struct {
	name      string
	element   int
	primitive primitive // of a simple value
	def       *typeDef  // of an object; nil for a resource
}

func (m member) simple() bool   { return m.primitive != noPrimitive }
func (m member) resource() bool { return m.primitive == noPrimitive && m.def == nil }

// property is a member as it is called in a document, by its name or as what stands under a primitive, with all
// that the walk asks about it.
type property struct {
	primitive primitive
	under     bool     // _name
	def       *typeDef // as in member
	of        *elementDef
	bit       uint64 // what it adds to the set of elements that are there
}

func (p *property) simple() bool { return p.primitive != noPrimitive }

// table is made once, when the first document is judged, and then only read. (Not a sync.OnceValue: the
// rules in it lead back to types, which an initialiser must not.)
var table struct {
	once      sync.Once
	types     map[string]*typeDef
	resources lookup[*typeDef] // those that can stand for themselves
}

func types() map[string]*typeDef {
	table.once.Do(func() {
		table.types = parseTypes(definitions.Text())
		table.resources = newLookup[*typeDef](150)
		for name, def := range table.types {
			if resourceType(def) {
				table.resources.put(name, def)
			}
		}
	})
	return table.types
}

// resourceNamed is the type of a resource, nil when R4 has none of that name.
func resourceNamed(name []byte) *typeDef {
	types()
	if found := table.resources.find(name); found != nil {
		return *found
	}
	return nil
}

// parseTypes reads the notation that package definitions explains. A parent stands before its children.
func parseTypes(text string) map[string]*typeDef {
	all := make(map[string]*typeDef, 700)
	for line := range strings.Lines(text) {
		if line[0] != ' ' {
			name := line[:strings.IndexAny(line, " \n")]
			all[name] = &typeDef{name: name, resource: name == "Resource"}
		}
	}
	registry := rules()
	var current *typeDef
	for line := range strings.Lines(text) {
		fields := strings.Split(strings.TrimSpace(line), " ")
		if line[0] == ' ' {
			current.add(all, fields, registry)
			continue
		}
		current = all[fields[0]]
		if len(fields) > 2 && fields[1] == "<" {
			current.inherit(all[fields[2]])
		}
		for _, r := range rulesOf(registry, current.name, fields) {
			current.rules = append(current.rules, bound{rule: r})
		}
	}
	for _, def := range all {
		def.finish()
	}
	return all
}

// finish makes what the walk uses of what was read.
func (t *typeDef) finish() {
	n := len(t.members)
	for _, m := range t.members {
		if m.simple() {
			n++
		}
	}
	t.lookup = newLookup[property](n)
	for _, m := range t.members {
		p := property{m.primitive, false, m.def, &t.elements[m.element], 1 << m.element}
		t.lookup.put(m.name, p)
		if m.simple() && !p.of.bare {
			p.under = true
			if m.primitive == pXHTML {
				p.bit = 0 // its extensions stand for nothing
			}
			t.lookup.put("_"+m.name, p)
		}
	}
	for i := range t.rules {
		for _, name := range t.rules[i].when {
			t.rules[i].trigger |= t.bit(name)
		}
		for _, name := range t.rules[i].unless {
			t.rules[i].spared |= t.bit(name)
		}
	}
}

// member finds a property by its name. The walk looks it up instead.
func (t *typeDef) member(name string) (member, bool) {
	i := slices.IndexFunc(t.members, func(m member) bool { return m.name == name })
	if i < 0 {
		return member{}, false
	}
	return t.members[i], true
}

// bit is the set of one element.
func (t *typeDef) bit(name string) uint64 {
	for i := range t.elements {
		if t.elements[i].name == name {
			return 1 << i
		}
	}
	return 0
}

func (t *typeDef) inherit(parent *typeDef) {
	if parent == nil {
		return
	}
	t.resource = parent.resource
	t.elements = append(make([]elementDef, 0, len(parent.elements)+16), parent.elements...)
	t.required = parent.required
	t.members = append(make([]member, 0, len(parent.members)+16), parent.members...)
}

// add reads one element line.
func (t *typeDef) add(all map[string]*typeDef, fields []string, registry map[string]*rule) {
	name, choice := strings.CutSuffix(fields[0], "[x]")
	e := elementDef{name: name, choice: choice, modifier: name == "modifierExtension", inside: name == "contained",
		unique: t.name == "Element" && name == "id", bare: t.name == "Element" && name == "id" || t.name == "Extension" && name == "url",
		rules: rulesOf(registry, t.name, fields)}
	index := len(t.elements)
	if fields[2] == "!" || fields[2] == "+" {
		t.required |= 1 << index
	}
	e.many = fields[2] == "*" || fields[2] == "+"
	if len(fields) > 4 && fields[3] == ":" {
		e.bind(fields[4])
	}
	for typ := range strings.SplitSeq(fields[1], "|") {
		typ, targets, ok := strings.Cut(typ, "(")
		if ok {
			e.targets = setOf(strings.TrimSuffix(targets, ")"), "+")
		}
		property := name
		if choice {
			called := strings.TrimPrefix(typ, "Simple") // a profile is called after its type
			property += strings.ToUpper(called[:1]) + called[1:]
		}
		if typ == "." {
			typ = t.name + "." + name
		}
		m := member{name: property, element: index, primitive: primitives(typ), def: all[typ]}
		if typ == "Resource" {
			m.def = nil // whichever it says it is
		}
		switch {
		case e.unique:
			e.form = isElementID
		case t.name == "CapabilityStatement" && name == "format":
			e.form = isFormat
		case m.primitive == pCode && e.codes == nil && e.form == nil:
			e.form = formOf(t.name, name)
		}
		t.members = append(t.members, m)
	}
	t.elements = append(t.elements, e)
}

// bind reads the codes of a required binding: "a|b", or "system#a|b;system#c", or their form.
func (e *elementDef) bind(text string) {
	switch text {
	case "~mime":
		e.form = isMediaType
		return
	case "~currency":
		e.form = isCurrency
		return
	case "~unit":
		e.form = isUnit
		return
	}
	if !strings.Contains(text, "#") {
		e.codes = setOf(text, "|")
		return
	}
	e.systems = map[string]set{}
	for part := range strings.SplitSeq(text, ";") {
		system, codes, _ := strings.Cut(part, "#")
		e.systems[system] = setOf(codes, "|")
	}
}

// rulesOf finds the functions of the constraints that a line names.
func rulesOf(registry map[string]*rule, typ string, fields []string) []*rule {
	if len(fields) < 2 || fields[len(fields)-2] != "=" {
		return nil
	}
	var found []*rule
	for key := range strings.SplitSeq(fields[len(fields)-1], ",") {
		r, ok := registry[typ+" "+key]
		if !ok {
			r, ok = registry[key]
		}
		if ok {
			found = append(found, r)
		}
	}
	return found
}

// isResourceType reports whether R4 has a resource of that name that can stand for itself.
func isResourceType(name string) bool {
	return resourceType(types()[name])
}

func resourceType(def *typeDef) bool {
	return def != nil && def.resource && def.name != "Resource" && def.name != "DomainResource"
}
