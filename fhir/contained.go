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

// containedAlone judges dom-2, dom-4 and dom-5: no resources inside, no version, no label.
func (v *validator) containedAlone(e element, r *rule) {
	for c := range e.member("contained").items() {
		if inside := c.member("contained"); inside.present() {
			v.broken(r, inside)
		}
		if meta := c.member("meta"); meta.present() {
			v.containedMeta(meta)
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
	var ids [manyContained][]byte
	n := 0
	contained := e.member("contained")
	for c := range contained.items() {
		if n == len(ids) {
			v.manyContainedUsed(e, contained, r)
			return
		}
		ids[n] = c.member("id").inner()
		n++
	}
	cited := v.citedIn(e)
	used := 0
	for _, at := range cited {
		id := element{v.doc, at}.inner()[1:]
		for i := range ids[:n] {
			if bytes.Equal(ids[i], id) {
				used |= 1 << i
			}
		}
	}
	i := 0
	for c := range contained.items() {
		if used&(1<<i) == 0 && !v.refersBack(cited, c, e) {
			v.broken(r, c)
		}
		for _, id := range ids[:i] {
			if len(id) > 0 && bytes.Equal(id, ids[i]) {
				v.fail(fault.CodeValue, c.member("id"), "")
				break
			}
		}
		i++
	}
}

// manyContainedUsed is the same with sets, which so few as usual are not worth.
func (v *validator) manyContainedUsed(e, contained element, r *rule) {
	cited := v.citedIn(e)
	used, known := make(set, len(cited)), set{}
	for _, at := range cited {
		used[string(element{v.doc, at}.inner()[1:])] = struct{}{}
	}
	for c := range contained.items() {
		id := c.member("id").text()
		if !used.has(id) && !v.refersBack(cited, c, e) {
			v.broken(r, c)
		}
		if id != "" && known.has(id) {
			v.fail(fault.CodeValue, c.member("id"), "")
		}
		known[id] = struct{}{}
	}
}

// citedIn are the nodes inside e that begin with "#" and lead somewhere.
func (v *validator) citedIn(e element) []uint32 {
	first, _ := slices.BinarySearch(v.cited, e.at)
	return v.cited[first:]
}

// refersBack reports whether a contained resource refers to its container: by "#", or by its type and id. (The
// constraint's words allow that; its expression knows only "#".)
func (v *validator) refersBack(cited []uint32, contained, container element) bool {
	first, _ := slices.BinarySearch(cited, contained.at)
	for _, at := range cited[first:] {
		if at >= contained.node().next {
			break
		}
		if (element{v.doc, at}).is("#") {
			return true
		}
	}
	id := container.member("id").text()
	own := "/" + container.member("resourceType").text() + "/" + id
	for s := range contained.within() {
		if id != "" && s.named("reference") && strings.HasSuffix("/"+s.text(), own) {
			return true
		}
	}
	return false
}
