package fhir

import (
	"bytes"
	"strings"
)

// What is contained in a resource (R4 §2.3.4). All of it is linear in the size of the resource.

// containedAlone judges dom-2, dom-4 and dom-5 in one walk: no resources inside, no version, no label.
func (v *validator) containedAlone(e element, r *rule) {
	for c := range v.containedHere(e).items() {
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

// containedHere is e.contained, found once for the resource that is being judged.
func (v *validator) containedHere(e element) element {
	if v.listOf != e {
		v.listOf, v.list = e, e.member("contained")
	}
	return v.list
}

// containedUsed: each is led to by some "#id", or leads to its container.
func (v *validator) containedUsed(e element, r *rule) {
	contained := v.containedHere(e)
	var ids [manyContained][]byte
	n := 0
	for c := range contained.items() {
		if n == len(ids) {
			v.manyContainedUsed(e, r)
			return
		}
		ids[n] = c.member("id").inner()
		n++
	}
	used := 0
	for at := e.at; at < e.node().next; at++ {
		if s := &v.doc.nodes[at]; s.kind == str && v.doc.body[s.start+1] == '#' {
			cited := element{v.doc, at}.inner()[1:]
			for i, id := range ids[:n] {
				if bytes.Equal(id, cited) {
					used |= 1 << i
				}
			}
		}
	}
	i := 0
	for c := range contained.items() {
		if used&(1<<i) == 0 && !refersBack(c, e) {
			v.broken(r, c)
		}
		i++
	}
}

// manyContainedUsed is the same with a set, which so few as usual are not worth.
func (v *validator) manyContainedUsed(e element, r *rule) {
	cited := set{}
	for s := range e.within() {
		if n := s.node(); n.kind == str && v.doc.body[n.start+1] == '#' {
			cited[s.text()[1:]] = struct{}{}
		}
	}
	for c := range e.member("contained").items() {
		if !cited.has(c.member("id").text()) && !refersBack(c, e) {
			v.broken(r, c)
		}
	}
}

// refersBack reports whether a contained resource refers to its container: by "#", or by its type and id.
func refersBack(contained, container element) bool {
	own := "/" + container.member("resourceType").text() + "/" + container.member("id").text()
	for s := range contained.within() {
		if s.is("#") || s.named("reference") && strings.HasSuffix("/"+s.text(), own) {
			return true
		}
	}
	return false
}
