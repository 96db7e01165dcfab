package fhir

import (
	"bytes"
	"slices"
	"strings"

	"github.com/dosewire/dosewire/internal/fault"
)

// What is contained in a resource (R4 §2.3.4), and what its references lead to. All of it is linear in the
// size of the resource.

// manyContained is the number of contained resources from which a map is made of them.
const manyContained = 8

// home is a resource that is not contained, and what "#" and "#id" mean inside it.
type home struct {
	element
	def  *typeDef
	read bool // few or all hold what is contained
	n    int
	few  [manyContained]named
	all  map[string]*typeDef // when there are more
}

type named struct {
	id  []byte
	def *typeDef
}

// holds finds the type of the contained resource with an id; nil for one that R4 does not have.
func (h *home) holds(id []byte) (def *typeDef, ok bool) {
	if !h.read {
		h.index()
	}
	if h.all != nil {
		def, ok = h.all[string(id)]
		return def, ok
	}
	for i := range h.few[:h.n] {
		if bytes.Equal(h.few[i].id, id) {
			return h.few[i].def, true
		}
	}
	return nil, false
}

// index looks at each contained resource once, whatever it has besides its id and type.
func (h *home) index() {
	h.read = true
	for c := range h.member("contained").items() {
		found := named{c.member("id").inner(), resourceNamed(c.member("resourceType").inner())}
		switch {
		case h.all != nil:
			h.all[string(found.id)] = found.def
		case h.n < manyContained:
			h.few[h.n] = found
			h.n++
		default:
			h.all = map[string]*typeDef{string(found.id): found.def}
			for _, f := range h.few {
				h.all[string(f.id)] = f.def
			}
		}
	}
}

// containedAlone judges dom-2, dom-4 and dom-5 in one walk: no resources inside, no version, no label.
func (v *validator) containedAlone(e element, r *rule) {
	for c := range e.member("contained").items() {
		for m := range c.items() {
			switch {
			case m.named("contained"):
				v.broken(r, m)
			case m.named("meta"):
				v.containedMeta(m)
			}
		}
	}
}

func (v *validator) containedMeta(meta element) {
	if meta.has("versionId") || meta.has("lastUpdated") {
		v.broken(&rule{key: "dom-4", text: "A contained resource has no versionId and no lastUpdated."}, meta)
	}
	if security := meta.member("security"); security.present() {
		v.broken(&rule{key: "dom-5", text: "A contained resource has no security label of its own."}, security)
	}
}

// containedUsed: each has an id of its own, and is led to by some "#id" or refers to its container.
func (v *validator) containedUsed(e element, r *rule) {
	var few [manyContained][]byte
	ids := few[:0]
	contained := e.member("contained")
	for c := range contained.items() {
		ids = append(ids, c.member("id").inner())
	}
	cited := v.citedIn(e)
	back := cited // from the first that is not behind us
	known := cited.ids(v.doc, len(ids) > manyContained)
	twice := repeated(ids)
	n := 0
	for c := range contained.items() {
		leadsBack := false
		for ; len(back) > 0 && back[0] < c.node().next; back = back[1:] {
			leadsBack = leadsBack || back[0] > c.at && (element{v.doc, back[0]}).is("#")
		}
		if !leadsBack && !known(ids[n]) && !refersBack(c, e) {
			v.broken(r, c)
		}
		if len(ids[n]) > 0 && twice(n) {
			v.fail(fault.CodeValue, c.member("id"), "")
		}
		n++
	}
}

// refersBack reports whether a contained resource refers to its container by type and id. The constraint's
// words allow it; its expression knows only "#".
func refersBack(contained, container element) bool {
	id := container.member("id").text()
	own := "/" + container.member("resourceType").text() + "/" + id
	for s := range contained.within() {
		if id != "" && s.named("reference") && strings.HasSuffix("/"+s.text(), own) {
			return true
		}
	}
	return false
}

// citations are nodes that begin with "#" and lead somewhere, in text order.
type citations []uint32

// citedIn are those inside e.
func (v *validator) citedIn(e element) citations {
	i := len(v.cited)
	for i > 0 && v.cited[i-1] > e.at {
		i--
	}
	return v.cited[i:]
}

// ids tells whether an id is cited. A set is made of them when many will be asked for.
func (c citations) ids(doc *Document, many bool) func(id []byte) bool {
	if !many {
		return func(id []byte) bool {
			for _, at := range c {
				if bytes.Equal((element{doc, at}).inner()[1:], id) {
					return true
				}
			}
			return false
		}
	}
	all := set{}
	for _, at := range c {
		all[string((element{doc, at}).inner()[1:])] = struct{}{}
	}
	return func(id []byte) bool { return all.has(string(id)) }
}

// repeated tells, asked for one after the other, whether an id stands before it already.
func repeated(ids [][]byte) func(n int) bool {
	if len(ids) <= manyContained {
		return func(n int) bool {
			return slices.ContainsFunc(ids[:n], func(id []byte) bool { return bytes.Equal(id, ids[n]) })
		}
	}
	seen := make(set, len(ids))
	return func(n int) bool {
		id := string(ids[n])
		_, twice := seen[id]
		seen[id] = struct{}{}
		return twice
	}
}
