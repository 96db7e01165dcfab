package fhir

import (
	"net/url"
	"slices"
	"strings"
)

// scope is what the references of one message can lead to: the entries of a Bundle, or the one bare
// resource. It is built once for a document and only read.
type scope struct {
	entries   []entry
	byURL     map[string]int     // fullUrl
	byID      map[typeID]int     // Type and id; ambiguous when two entries share them
	byName    map[typeName]int   // Type and business identifier; likewise
	contained map[homeID]element // by the entry that contains
}

// ambiguous stands in an index for a name that several resources have: it leads nowhere.
const ambiguous = -1

type typeID struct{ typ, id string }

type typeName struct {
	typ string
	id  Identifier
}

type homeID struct {
	home int
	id   string
}

// entry is one resource of the message that is not contained.
type entry struct {
	item     int // index in Bundle.entry, 0 for a bare resource
	fullURL  string
	url      element // the fullUrl as received
	resource element
	typ      string
}

// target is a resource of the message and the entry whose contained resources its "#" references
// mean. The zero target is nothing.
type target struct {
	element
	home int
}

func (d *Document) tree() *scope {
	d.once.Do(func() { d.scope = newScope(d) })
	return d.scope
}

func newScope(d *Document) *scope {
	s := &scope{byURL: map[string]int{}, byID: map[typeID]int{}, byName: map[typeName]int{}, contained: map[homeID]element{}}
	root := d.root()
	if d.Type() != "Bundle" {
		s.add(entry{resource: root, typ: d.Type()})
		return s
	}
	item := 0
	for e := range root.member("entry").items() {
		if r := e.member("resource"); r.kind() == object {
			fullURL := e.member("fullUrl")
			s.add(entry{item, fullURL.text(), fullURL, r, r.member("resourceType").text()})
		}
		item++
	}
	return s
}

func (s *scope) add(e entry) {
	index := len(s.entries)
	s.entries = append(s.entries, e)
	if e.fullURL != "" {
		note(s.byURL, e.fullURL, index)
	}
	if id := e.resource.member("id").text(); id != "" {
		note(s.byID, typeID{e.typ, id}, index)
	}
	for _, id := range identifiers(e.resource.member("identifier")) {
		note(s.byName, typeName{e.typ, id}, index)
	}
	for c := range e.resource.member("contained").items() {
		s.contained[homeID{index, c.member("id").text()}] = c
	}
}

func note[K comparable](index map[K]int, key K, at int) {
	if _, twice := index[key]; twice {
		at = ambiguous
	}
	index[key] = at
}

// at finds the entry with a Bundle index.
func (s *scope) at(item int) (home int, ok bool) {
	return slices.BinarySearchFunc(s.entries, item, func(e entry, item int) int { return e.item - item })
}

func (s *scope) whole(home int) target { return target{s.entries[home].resource, home} }

// resolve follows a Reference found inside the entry home: by its reference, else by its identifier
// among the resources of the type it names. The zero target when it leads out of the message.
func (s *scope) resolve(ref element, home int) target {
	literal := ref.member("reference").text()
	if literal != "" {
		if t := s.follow(literal, home); t.present() {
			return t
		}
	}
	typ, _, conditional := strings.Cut(literal, "?")
	if !conditional {
		typ = ref.member("type").text()
	}
	for _, id := range identifiersIn(ref) {
		if i, ok := s.byName[typeName{typ, id}]; ok && i != ambiguous {
			return s.whole(i)
		}
	}
	return target{}
}

// follow resolves a literal reference as R4 §3.1.1.5 has it for Bundles, and a little more for what
// vendors send: a relative reference also finds the one resource with that type and id, and one
// whose fullUrl is that id as a UUID.
func (s *scope) follow(literal string, home int) target {
	if id, ok := strings.CutPrefix(literal, "#"); ok {
		return s.containedIn(home, id)
	}
	literal, _, _ = strings.Cut(literal, "/_history/")
	if i, ok := s.byURL[literal]; ok {
		return s.found(i)
	}
	typ, id, ok := strings.Cut(literal, "/")
	if !ok || strings.ContainsAny(id, "/?") || strings.Contains(typ, ":") {
		return target{}
	}
	if base, ok := strings.CutSuffix(s.entries[home].fullURL, s.own(home)); ok && base != "" {
		if i, ok := s.byURL[base+literal]; ok {
			return s.found(i)
		}
	}
	if i, ok := s.byID[typeID{typ, id}]; ok {
		return s.found(i)
	}
	if i, ok := s.byURL["urn:uuid:"+id]; ok && i != ambiguous && s.entries[i].typ == typ {
		return s.found(i)
	}
	return target{}
}

// own is the tail of an entry's RESTful fullUrl.
func (s *scope) own(home int) string {
	e := s.entries[home]
	return e.typ + "/" + e.resource.member("id").text()
}

func (s *scope) found(i int) target {
	if i == ambiguous {
		return target{}
	}
	return s.whole(i)
}

func (s *scope) containedIn(home int, id string) target {
	if id == "" {
		return s.whole(home)
	}
	return target{s.contained[homeID{home, id}], home}
}

func (t target) typ() string { return t.member("resourceType").text() }

// idIn is the id in a literal reference to a resource of that type, whatever server it names; "" for
// one that names no id.
func idIn(literal, typ string) string {
	literal, _, _ = strings.Cut(literal, "/_history/")
	server, id, ok := cutLast(literal, typ+"/")
	if !ok || server != "" && !strings.HasSuffix(server, "/") || !isID([]byte(id)) {
		return ""
	}
	return id
}

func cutLast(s, sep string) (before, after string, ok bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// maxIdentifiers is how many identifiers of one resource count (docs/hub-rules.md).
const maxIdentifiers = 64

// identifiers reads an array of Identifier, those with use official first. Those without a value name
// nothing, those with use old name something else by now.
func identifiers(list element) []Identifier {
	var official, others []Identifier
	for e := range list.items() {
		id := identifierOf(e)
		switch {
		case len(official)+len(others) == maxIdentifiers:
			return append(official, others...)
		case id.Value == "" || e.member("use").is("old"):
		case e.member("use").is("official"):
			official = append(official, id)
		default:
			others = append(others, id)
		}
	}
	return append(official, others...)
}

func identifierOf(e element) Identifier {
	return Identifier{e.member("system").text(), e.member("value").words()}
}

// identifiersIn is what a Reference itself says of its target: its identifier, and that in a
// conditional reference (R4 §3.1.0.11.1, Patient?identifier=system|value).
func identifiersIn(ref element) []Identifier {
	var all []Identifier
	if id := identifierOf(ref.member("identifier")); id.Value != "" {
		all = append(all, id)
	}
	_, query, ok := strings.Cut(ref.member("reference").text(), "?")
	if !ok {
		return all
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return all // it stays a reference to something outside
	}
	system, value, ok := strings.Cut(values.Get("identifier"), "|")
	if ok && value != "" {
		all = append(all, Identifier{system, value})
	}
	return all
}
