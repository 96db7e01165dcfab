package fhir

import (
	"bytes"
	"strings"

	"github.com/dosewire/dosewire/internal/fault"
)

// reference judges that "#id" leads to a contained resource (ref-1), that a urn names something, and that a
// reference leads to a type that its element allows and that it says itself. Nothing is fetched: what the
// text names is what counts.
func (v *validator) reference(e element, targets set) {
	ref := e.member("reference")
	text := ref.text()
	if !wholeURN(text) {
		v.fail(fault.CodeValue, ref, "")
		return
	}
	found, ok := v.leadsTo(text)
	if !ok {
		v.fail(fault.CodeReference, ref, "")
		return
	}
	said := e.member("type")
	name := said.text()
	name = name[strings.LastIndexByte(name, '/')+1:]
	switch {
	case said.present() && !strings.Contains(said.text(), ":") && !isResourceType(name), // a logical model has a URL
		isResourceType(name) && isResourceType(found) && name != found:
		v.fail(fault.CodeReferenceType, said, "")
	case targets == nil:
	case isResourceType(found) && !targets.has(found):
		v.fail(fault.CodeReferenceType, ref, "")
	case !ref.present() && isResourceType(name) && !targets.has(name):
		v.fail(fault.CodeReferenceType, said, "")
	}
}

// leadsTo is the type of what a reference leads to, "" when its text does not say. ok is false when it leads
// to a contained resource that is not there.
func (v *validator) leadsTo(text string) (typ string, ok bool) {
	id, local := strings.CutPrefix(text, "#")
	switch {
	case !local:
		return typeInURL(text), true
	case id == "":
		return v.home.member("resourceType").text(), true
	}
	c, ok := v.containedByID()[id]
	return c.member("resourceType").text(), ok
}

func (v *validator) containedByID() map[string]element {
	if v.contained == nil {
		v.contained = map[string]element{}
		for c := range v.home.member("contained").items() {
			v.contained[c.member("id").text()] = c
		}
	}
	return v.contained
}

// typeInURL is the type in [base/]Type/id[/_history/version], "" when the text is no such URL.
func typeInURL(url string) string {
	url, _, _ = strings.Cut(url, "/_history/")
	id := strings.LastIndexByte(url, '/')
	if id < 0 || strings.ContainsAny(url, "?#") {
		return ""
	}
	rest := url[:id]
	return rest[strings.LastIndexByte(rest, '/')+1:]
}

// wholeURN: what says that it is a urn:uuid has a UUID (RFC 4122 §3).
func wholeURN(text string) bool {
	uuid, ok := strings.CutPrefix(text, "urn:uuid:")
	if !ok {
		return true
	}
	if len(uuid) != 36 {
		return false
	}
	for i := range len(uuid) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (uuid[i] == '-') || !dash && !isHex(uuid[i]) {
			return false
		}
	}
	return true
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// absolute reports whether a URI has a scheme.
func absolute(uri string) bool {
	scheme, _, ok := strings.Cut(uri, ":")
	return ok && scheme != "" && !strings.ContainsAny(scheme, "/#?")
}

// looksLikeHTML: a tag in a text that is no XHTML. Whoever shows it unescaped runs it.
func looksLikeHTML(text []byte) bool {
	for {
		i := bytes.IndexByte(text, '<')
		if i < 0 || i+1 >= len(text) {
			return false
		}
		text = text[i+1:]
		c := text[0]
		if c == '/' && len(text) > 1 {
			c = text[1]
		}
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '!') {
			continue
		}
		if end := bytes.IndexAny(text, "<>"); end >= 0 && text[end] == '>' {
			return true
		}
	}
}
