package fhir

import "strings"

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

// containedUsed: each is led to by some "#id", or leads to its container by "#".
func (v *validator) containedUsed(e element, r *rule) {
	contained := e.member("contained")
	if !contained.present() {
		return
	}
	cited := set{}
	for s := range e.within() {
		if n := s.node(); n.kind == str && v.doc.body[n.start+1] == '#' {
			cited[s.text()[1:]] = struct{}{}
		}
	}
	for c := range contained.items() {
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
