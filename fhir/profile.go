package fhir

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
)

// Profile is a StructureDefinition that tightens a type of R4: cardinality, types of a choice, fixed values
// and patterns, required bindings, and slices told apart by value (R4 §5.3). Made by ParseProfile; constant.
type Profile struct {
	URL  string
	Type string // the resource type that it constrains
	root *demand
}

// demand is what a profile asks of one element, or of one slice of it.
type demand struct {
	name           string // without [x]
	slice          string // "" = the element itself
	choice         bool
	min            int
	max            int // -1: not bounded here
	types          []string
	fixed, pattern element
	codes          map[string]set // required binding, codes by system; nil when there is none or none is known
	url            string         // of the extension that a slice is
	discriminators []string       // on the element that is sliced
	closed         bool           // nothing but the slices
	children       []*demand
}

// ParseProfile reads a StructureDefinition of R4 that constrains a resource: its differential, else its
// snapshot. sets are the value sets to which its required bindings point, as JSON; a binding to another set is
// not judged. The error is CodeProfile when the text is not such a StructureDefinition.
func ParseProfile(text []byte, sets ...[]byte) (*Profile, error) {
	doc, err := Decode(text)
	if err != nil {
		return nil, err
	}
	root := doc.root()
	p := &Profile{URL: root.member("url").text(), Type: root.member("type").text()}
	if doc.Type() != "StructureDefinition" || !root.member("derivation").is("constraint") || !isResourceType(p.Type) || p.URL == "" {
		return nil, fault.Of(fault.CodeProfile).At("StructureDefinition")
	}
	known := map[string]map[string]set{}
	for _, s := range sets {
		if err := addValueSet(known, s); err != nil {
			return nil, err
		}
	}
	elements := root.get("differential", "element")
	if !elements.present() {
		elements = root.get("snapshot", "element")
	}
	p.root = &demand{name: p.Type, max: -1}
	for e := range elements.items() {
		p.add(e, known)
	}
	return p, nil
}

// addValueSet reads the codes that a ValueSet lists by itself.
func addValueSet(known map[string]map[string]set, text []byte) error {
	doc, err := Decode(text)
	if err != nil {
		return err
	}
	if doc.Type() != "ValueSet" {
		return fault.Of(fault.CodeProfile).At("ValueSet")
	}
	codes := map[string]set{}
	for i := range doc.root().get("compose", "include").items() {
		system := i.member("system").text()
		if codes[system] == nil {
			codes[system] = set{}
		}
		for c := range i.member("concept").items() {
			codes[system][c.member("code").text()] = struct{}{}
		}
	}
	known[doc.root().member("url").text()] = codes
	return nil
}

// add puts one ElementDefinition into the tree.
func (p *Profile) add(e element, known map[string]map[string]set) {
	id := e.member("id").text()
	if id == "" {
		if id = e.member("path").text(); e.has("sliceName") {
			id += ":" + e.member("sliceName").text()
		}
	}
	parts := strings.Split(id, ".")
	d := p.root
	for _, part := range parts[1:] {
		d = d.child(part)
	}
	if min, err := strconv.Atoi(e.member("min").text()); err == nil {
		d.min = min
	}
	if max, err := strconv.Atoi(e.member("max").text()); err == nil {
		d.max = max
	}
	for t := range e.member("type").items() {
		d.types = append(d.types, t.member("code").text())
		for url := range t.member("profile").items() {
			if t.member("code").is("Extension") {
				d.url = url.text()
			}
		}
	}
	d.fixed, d.pattern = e.choice("fixed"), e.choice("pattern")
	if b := e.member("binding"); b.member("strength").is("required") {
		url, _, _ := strings.Cut(b.member("valueSet").text(), "|")
		d.codes = known[url]
	}
	if s := e.member("slicing"); s.present() {
		d.closed = s.member("rules").is("closed")
		for x := range s.member("discriminator").items() {
			d.discriminators = append(d.discriminators, x.member("path").text())
		}
	}
}

// child finds or makes the demand for name[x]:slice.
func (d *demand) child(part string) *demand {
	name, slice, _ := strings.Cut(part, ":")
	name, choice := strings.CutSuffix(name, "[x]")
	for _, c := range d.children {
		if c.name == name && c.slice == slice {
			return c
		}
	}
	c := &demand{name: name, slice: slice, choice: choice, max: -1}
	d.children = append(d.children, c)
	return c
}

// Check judges a resource of the profile's type: all issues at once, at most 100; nil for a resource of
// another type. It says nothing about base R4, which Validate judges.
func (p *Profile) Check(d *Document) []Issue {
	v := &validator{doc: d}
	p.check(v, d.root())
	return v.issues
}

func (p *Profile) check(v *validator, resource element) {
	if resource.member("resourceType").is(p.Type) {
		p.root.inside(v, resource)
	}
}

// inside judges what is below an element.
func (d *demand) inside(v *validator, e element) {
	for _, c := range d.children {
		found := c.instances(e)
		if c.slice != "" {
			found = c.ofSlice(found, d)
		}
		if len(found) < c.min {
			v.fail(fault.CodeProfile, e, "."+c.name)
		}
		for i, x := range found {
			if c.max >= 0 && i >= c.max {
				v.fail(fault.CodeProfile, x, "")
				continue
			}
			c.judge(v, x)
		}
		if c.closed && c.slice == "" {
			c.onlySlices(v, found, d)
		}
	}
}

// judge judges one value.
func (d *demand) judge(v *validator, e element) {
	switch {
	case d.choice && len(d.types) > 0 && !d.allowsType(e),
		d.fixed.present() && !alike(e, d.fixed, true),
		d.pattern.present() && !alike(e, d.pattern, false),
		d.codes != nil && !d.coded(e):
		v.fail(fault.CodeProfile, e, "")
		return
	}
	d.inside(v, e)
}

func (d *demand) allowsType(e element) bool {
	name := strings.TrimPrefix(e.name(), d.name)
	for _, t := range d.types {
		if strings.EqualFold(name, t) {
			return true
		}
	}
	return false
}

// coded judges a code, a Coding or a CodeableConcept by the binding.
func (d *demand) coded(e element) bool {
	has := func(c element) bool { return d.codes[c.member("system").text()].has(c.member("code").text()) }
	if e.kind() == str {
		for _, codes := range d.codes {
			if codes.has(e.text()) {
				return true
			}
		}
		return false
	}
	for c := range e.member("coding").items() {
		if has(c) {
			return true
		}
	}
	return e.has("code") && has(e)
}

// instances are the values of the element in its parent, those of an array one by one.
func (d *demand) instances(parent element) (found []element) {
	for m := range parent.items() {
		name := m.name()
		if name != d.name && !(d.choice && len(name) > len(d.name) && strings.HasPrefix(name, d.name) && name[len(d.name)] <= 'Z') {
			continue
		}
		if m.kind() != array {
			found = append(found, m)
			continue
		}
		for item := range m.items() {
			if item.kind() != null {
				found = append(found, item)
			}
		}
	}
	return found
}

// ofSlice picks the values that belong to the slice. None do when nothing tells its values apart.
func (d *demand) ofSlice(all []element, parent *demand) (found []element) {
	paths := []string{"url"}
	for _, sibling := range parent.children {
		if sibling.name == d.name && sibling.slice == "" && len(sibling.discriminators) > 0 {
			paths = sibling.discriminators
		}
	}
	for _, e := range all {
		if d.tells(e, paths) {
			found = append(found, e)
		}
	}
	return found
}

// tells reports whether e has what the slice demands at every discriminator.
func (d *demand) tells(e element, paths []string) bool {
	told := false
	for _, path := range paths {
		if path == "$this" {
			if !d.pattern.present() && !d.fixed.present() {
				return false
			}
			told = (!d.pattern.present() || alike(e, d.pattern, false)) && (!d.fixed.present() || alike(e, d.fixed, true))
		} else {
			told = d.tellsAt(e, path)
		}
		if !told {
			return false
		}
	}
	return told
}

func (d *demand) tellsAt(e element, path string) bool {
	if path == "url" && d.url != "" {
		return e.member("url").is(d.url)
	}
	parts := strings.Split(path, ".")
	below, pattern := d, d.pattern
	for _, part := range parts {
		var next *demand
		for _, c := range below.children {
			if c.name == part {
				next = c
			}
		}
		if next == nil {
			next = &demand{name: part, max: -1}
		}
		below, pattern = next, pattern.member(part)
	}
	switch {
	case below.fixed.present():
		return anyAt(e, parts, func(x element) bool { return alike(x, below.fixed, true) })
	case below.pattern.present():
		return anyAt(e, parts, func(x element) bool { return alike(x, below.pattern, false) })
	case pattern.present():
		return anyAt(e, parts, func(x element) bool { return alike(x, pattern, false) })
	}
	return false
}

// anyAt reports whether some value at the path, arrays taken apart, is right.
func anyAt(e element, path []string, right func(element) bool) bool {
	if len(path) == 0 {
		return right(e)
	}
	m := e.member(path[0])
	if m.kind() != array {
		return m.present() && anyAt(m, path[1:], right)
	}
	for item := range m.items() {
		if anyAt(item, path[1:], right) {
			return true
		}
	}
	return false
}

// onlySlices refuses values that belong to no slice.
func (d *demand) onlySlices(v *validator, all []element, parent *demand) {
	for _, e := range all {
		belongs := false
		for _, s := range parent.children {
			if s.name == d.name && s.slice != "" && len(s.ofSlice([]element{e}, parent)) > 0 {
				belongs = true
			}
		}
		if !belongs {
			v.fail(fault.CodeProfile, e, "")
		}
	}
}

// alike compares with a fixed value (exact: the same and nothing more) or a pattern (at least that; of an
// array each item somewhere). Numbers are the same when they are written the same: precision is meaning.
func alike(e, want element, exact bool) bool {
	if e.kind() != want.kind() {
		return want.kind() != array && e.kind() == array && !exact && someAlike(e, want)
	}
	switch want.kind() {
	case object:
		for m := range want.items() {
			if x := e.member(m.name()); !x.present() || !alike(x, m, exact) {
				return false
			}
		}
		return !exact || e.count() == want.count()
	case array:
		if exact && e.count() != want.count() {
			return false
		}
		for item := range want.items() {
			if !someAlike(e, item) {
				return false
			}
		}
		return true
	case str:
		return bytes.Equal(e.inner(), want.inner())
	}
	return bytes.Equal(e.raw(), want.raw())
}

func someAlike(list, want element) bool {
	for item := range list.items() {
		if alike(item, want, false) {
			return true
		}
	}
	return false
}

// Accepted is one profile that a receiver takes, and when. A zero time is open.
type Accepted struct {
	URL         string
	From, Until time.Time
	Profile     *Profile // nil: it may be stated, and nothing more is judged
}

// Profiles are what a receiver takes. The zero value takes everything.
type Profiles struct {
	List   []Accepted
	Closed bool // a resource may state no other profile
}

// Check judges every resource of d by the profiles that its meta.profile states, as of a day. A version behind
// "|" is not looked at.
func (p Profiles) Check(d *Document, at time.Time) []Issue {
	v := &validator{doc: d}
	for _, e := range d.tree().entries {
		for stated := range e.resource.get("meta", "profile").items() {
			url, _, _ := strings.Cut(stated.text(), "|")
			a, ok := p.find(url, at)
			switch {
			case ok && a.Profile != nil:
				a.Profile.check(v, e.resource)
			case !ok && p.Closed:
				v.fail(fault.CodeProfileUnknown, stated, "")
			}
		}
	}
	return v.issues
}

func (p Profiles) find(url string, at time.Time) (Accepted, bool) {
	for _, a := range p.List {
		if a.URL == url && !at.Before(a.From) && (a.Until.IsZero() || !at.After(a.Until)) {
			return a, true
		}
	}
	return Accepted{}, false
}
