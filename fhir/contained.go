package fhir

import (
	"bytes"
	"strings"
)

// What is contained in a resource (R4 §2.3.4). All of it is linear in the size of the resource.

func (v *validator) containedAlone(e element, r *rule) {
	for c := range e.member("contained").items() {
		if inner := c.member("contained"); inner.present() {
			v.broken(r, inner)
		}
	}
}

func (v *validator) containedUnversioned(e element, r *rule) {
	for c := range e.member("contained").items() {
		if meta := c.member("meta"); meta.has("versionId") || meta.has("lastUpdated") {
			v.broken(r, meta)
		}
	}
}

func (v *validator) containedUnlabelled(e element, r *rule) {
	for c := range e.member("contained").items() {
		if security := c.get("meta", "security"); security.present() {
			v.broken(r, security)
		}
	}
}

// containedUsed: each is led to by some "#id", or leads to its container.
func (v *validator) containedUsed(e element, r *rule) {
	contained := e.member("contained")
	if contained.count() > 64 {
		v.manyContainedUsed(e, r)
		return
	}
	var used uint64
	for s := range e.within() {
		n := s.node()
		if n.kind != str || v.doc.body[n.start+1] != '#' {
			continue
		}
		id, i := s.inner()[1:], 0
		for c := range contained.items() {
			if bytes.Equal(c.member("id").inner(), id) {
				used |= 1 << i
			}
			i++
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
