package fhir

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/dosewire/dosewire/internal/fault"
)

// Splice returns a resource with id, meta.versionId, meta.lastUpdated and tags set in the received
// text; everything else stays byte for byte. Empty fields of m leave what is there. A tag that is there
// already is not added again. The error is that of Decode; a meta that is no object is CodeStructure.
func Splice(resource []byte, m Meta) ([]byte, error) {
	d, err := Decode(resource)
	if err != nil {
		return nil, err
	}
	s := splicer{text: resource}
	root := d.root()
	meta := root.member("meta")
	if meta.present() && meta.kind() != object {
		return nil, fault.Of(fault.CodeStructure).At(meta.expression())
	}
	s.set(root, "id", m.ID)
	if !meta.present() {
		s.insert(root, whole(m))
	} else {
		s.set(meta, "versionId", m.VersionID)
		s.set(meta, "lastUpdated", m.LastUpdated)
		s.tags(meta, m.Tags)
	}
	return s.apply(), nil
}

// splicer gathers edits of a text.
type splicer struct {
	text  []byte
	edits []edit
}

// edit replaces the text from start to end.
type edit struct {
	start, end int
	text       string
}

// set gives an object's member a string value, at its end if it is new.
func (s *splicer) set(in element, name, value string) {
	if value == "" {
		return
	}
	if m := in.member(name); m.present() {
		n := m.node()
		s.edits = append(s.edits, edit{int(n.start), int(n.end), quoted(value)})
		return
	}
	s.insert(in, quoted(name)+":"+quoted(value))
}

// insert puts text behind the last member or element, so that white space stays where it was.
func (s *splicer) insert(into element, text string) {
	if text == "" {
		return
	}
	at, first := int(into.node().start)+1, true
	for m := range into.items() {
		at, first = int(m.node().end), false
	}
	if !first || s.inserted(at) {
		text = "," + text
	}
	s.edits = append(s.edits, edit{at, at, text})
}

func (s *splicer) inserted(at int) bool {
	return slices.ContainsFunc(s.edits, func(e edit) bool { return e.start == at && e.end == at })
}

func (s *splicer) tags(meta element, tags []Coding) {
	list := meta.member("tag")
	var added []string
	for _, t := range tags {
		if !tagged(list, t) {
			added = append(added, coding(t))
		}
	}
	switch {
	case len(added) == 0:
	case !list.present():
		s.insert(meta, `"tag":[`+strings.Join(added, ",")+`]`)
	default:
		s.insert(list, strings.Join(added, ","))
	}
}

func tagged(list element, t Coding) bool {
	for c := range list.items() {
		if c.member("system").is(t.System) && c.member("code").is(t.Code) {
			return true
		}
	}
	return false
}

// whole is a meta of our own.
func whole(m Meta) string {
	var parts []string
	if m.VersionID != "" {
		parts = append(parts, `"versionId":`+quoted(m.VersionID))
	}
	if m.LastUpdated != "" {
		parts = append(parts, `"lastUpdated":`+quoted(m.LastUpdated))
	}
	if len(m.Tags) > 0 {
		var tags []string
		for _, t := range m.Tags {
			tags = append(tags, coding(t))
		}
		parts = append(parts, `"tag":[`+strings.Join(tags, ",")+`]`)
	}
	if len(parts) == 0 {
		return ""
	}
	return `"meta":{` + strings.Join(parts, ",") + `}`
}

func coding(c Coding) string {
	return fmt.Sprintf(`{"system":%s,"code":%s}`, quoted(c.System), quoted(c.Code))
}

func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil { // no string fails
		return `""`
	}
	return string(b)
}

// apply makes the new text. Edits at one place keep the order in which they were made.
func (s *splicer) apply() []byte {
	slices.SortStableFunc(s.edits, func(a, b edit) int { return a.start - b.start })
	out := make([]byte, 0, len(s.text)+256)
	at := 0
	for _, e := range s.edits {
		out = append(append(out, s.text[at:e.start]...), e.text...)
		at = e.end
	}
	return append(out, s.text[at:]...)
}
