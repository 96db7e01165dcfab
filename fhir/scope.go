package fhir

import (
	"bytes"
	"net/url"
	"slices"
	"strings"
)

// scope is what the references of one message can lead to: the entries of a Bundle, or the one bare
// resource, which needs no index of itself unless it has many identifiers. It is built once for a document and
// only read.
type scope struct {
	entries   []entry
	byURL     map[string]int     // fullUrl
	byID      map[typeID]int     // Type and id; ambiguous when two entries share them
	byName    map[typeName]int   // Type and business identifier; likewise
	contained map[homeID]element // by the entry that contains, of entries that contain many
}

// fewIdentifiers is up to how many a bare resource has no index of them.
const fewIdentifiers = 8

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
	root, typ := d.root(), d.Type()
	if typ != "Bundle" && root.member("identifier").count() <= fewIdentifiers {
		s := &scope{entries: []entry{{resource: root, typ: typ}}}
		s.indexContained(0)
		return s
	}
	s := &scope{byURL: map[string]int{}, byID: map[typeID]int{}, byName: map[typeName]int{}}
	if typ != "Bundle" {
		s.add(entry{resource: root, typ: typ})
		return s
	}
	item := 0
	for e := range root.member("entry").items() {
		if r := e.member("resource"); r.kind() == object {
			fullURL := e.member("fullUrl")
			s.add(entry{item, fullURL.text(), fullURL, r, r.resourceType()})
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
	s.indexContained(index)
}

// indexContained makes an index of what an entry contains if that is much.
func (s *scope) indexContained(home int) {
	contained := s.entries[home].resource.member("contained")
	if contained.count() <= manyContained {
		return
	}
	if s.contained == nil {
		s.contained = map[homeID]element{}
	}
	for c := range contained.items() {
		s.contained[homeID{home, c.member("id").text()}] = c
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
	literal := ref.member("reference")
	if t := s.follow(literal, home); t.present() {
		return t
	}
	typ := ref.member("type").text()
	if before, _, conditional := bytes.Cut(literal.inner(), []byte("?")); conditional {
		typ = string(before)
	}
	for _, id := range identifiersIn(ref) {
		if t := s.withName(typ, id); t.present() {
			return t
		}
	}
	return target{}
}

// follow resolves a literal reference as R4 §3.1.1.5 has it for Bundles, and a little more for what
// vendors send: a relative reference also finds the one resource with that type and id, and one
// whose fullUrl is that id as a UUID.
func (s *scope) follow(reference element, home int) target {
	if id, ok := bytes.CutPrefix(reference.inner(), []byte("#")); ok {
		return s.containedIn(home, id)
	}
	literal, _, _ := strings.Cut(reference.text(), "/_history/")
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
	if t, ok := s.withID(typ, id); ok {
		return t
	}
	if i, ok := s.byURL["urn:uuid:"+id]; ok && i != ambiguous && s.entries[i].typ == typ {
		return s.found(i)
	}
	return target{}
}

// withID finds the entry with a type and an id. ok is true for an id that several have, too: it leads nowhere.
func (s *scope) withID(typ, id string) (t target, ok bool) {
	if s.byID == nil {
		if only := s.entries[0]; only.typ == typ && only.resource.member("id").is(id) {
			return s.whole(0), true
		}
		return target{}, false
	}
	i, ok := s.byID[typeID{typ, id}]
	if !ok {
		return target{}, false
	}
	return s.found(i), true
}

// withName finds the entry with a type and a business identifier.
func (s *scope) withName(typ string, id Identifier) target {
	if s.byName == nil {
		if only := s.entries[0]; only.typ == typ && slices.Contains(identifiers(only.resource.member("identifier")), id) {
			return s.whole(0)
		}
		return target{}
	}
	if i, ok := s.byName[typeName{typ, id}]; ok {
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

// containedIn finds what an entry contains under an id; the entry itself under none.
func (s *scope) containedIn(home int, id []byte) target {
	if len(id) == 0 {
		return s.whole(home)
	}
	if c, ok := s.contained[homeID{home, string(id)}]; ok {
		return target{c, home}
	}
	var last element // of several with an id
	n := 0
	for c := range s.entries[home].resource.member("contained").items() {
		if n++; n > manyContained {
			return target{} // the map has all
		}
		if string(c.member("id").inner()) == string(id) {
			last = c
		}
	}
	return target{last, home}
}

func (t target) typ() string { return t.resourceType() }

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

// identified says whether a resource has one of those.
func identified(e element) bool {
	for id := range e.member("identifier").items() {
		if !id.member("use").is("old") && id.member("value").says() {
			return true
		}
	}
	return false
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
