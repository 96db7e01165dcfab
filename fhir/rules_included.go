package fhir

import (
	"strings"

	"github.com/dosewire/dosewire/internal/fault"
)

// included judges that a document holds what its Composition refers to (R4 §3.3.1), and a message what its
// MessageHeader is about (R4 §2.4.1): receivers of either cannot ask anybody else.
func (v *validator) included(bundle element) {
	first := firstEntry(bundle)
	switch t := bundle.member("type"); {
	case t.is("document"):
		if composition := first.member("resource"); composition.member("resourceType").is("Composition") {
			v.includes(bundle, first, compositionRefers(composition))
		}
	case t.is("message"):
		if header := first.member("resource"); header.member("resourceType").is("MessageHeader") {
			v.includes(bundle, first, references(nil, header, "focus"))
		}
	}
}

// compositionRefers are the references that a Composition itself makes.
func compositionRefers(c element) []element {
	refs := references(nil, c, "subject", "encounter", "author", "custodian")
	for a := range c.member("attester").items() {
		refs = references(refs, a, "party")
	}
	for e := range c.member("event").items() {
		refs = references(refs, e, "detail")
	}
	return sectionsRefer(refs, c.member("section"))
}

func sectionsRefer(refs []element, sections element) []element {
	for s := range sections.items() {
		refs = references(refs, s, "author", "focus", "entry")
		refs = sectionsRefer(refs, s.member("section"))
	}
	return refs
}

// references adds the literal references under some members of e that lead out of its resource.
func references(refs []element, e element, names ...string) []element {
	add := func(r element) {
		if ref := r.member("reference"); ref.kind() == str && !strings.HasPrefix(ref.text(), "#") {
			refs = append(refs, ref)
		}
	}
	for _, name := range names {
		m := e.member(name)
		if m.kind() == object {
			add(m)
		}
		if m.kind() == array {
			for r := range m.items() {
				add(r)
			}
		}
	}
	return refs
}

// includes resolves references of an entry as R4 §2.36.4.1 has it: by the fullUrl, to which a relative
// reference is completed by the base of the entry's own. An entry without one gives no base: not judged.
func (v *validator) includes(bundle, home element, refs []element) {
	if len(refs) == 0 {
		return
	}
	base, rest := baseOf(home)
	there := fullURLsOf(bundle)
	for _, ref := range refs {
		text := ref.text()
		if !absolute(text) {
			if !rest && home.member("fullUrl").present() {
				v.fail(fault.CodeReference, ref, "")
				continue
			}
			text = base + text
		}
		if !there[text] && home.member("fullUrl").present() {
			v.fail(fault.CodeReference, ref, "")
		}
	}
}

// baseOf is the server in an entry's RESTful fullUrl, up to the "/" before its type.
func baseOf(entry element) (base string, rest bool) {
	url := entry.member("fullUrl").text()
	id := strings.LastIndexByte(url, '/')
	if !strings.HasPrefix(url, "http") || id < 0 {
		return "", false
	}
	typ := strings.LastIndexByte(url[:id], '/')
	return url[:typ+1], typ >= 0 && resourceNamed([]byte(url[typ+1:id])) != nil
}

// fullURLsOf are the names under which entries can be referred to: with and without their version.
func fullURLsOf(bundle element) map[string]bool {
	there := map[string]bool{}
	for entry := range bundle.member("entry").items() {
		url := entry.member("fullUrl").text()
		if url == "" {
			continue
		}
		there[url] = true
		if version := entry.get("resource", "meta", "versionId").text(); version != "" {
			there[url+"/_history/"+version] = true
		}
	}
	return there
}
