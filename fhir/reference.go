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
	ref, said := e.member("reference"), e.member("type")
	text := ref.inner()
	if !wholeURN(text) {
		v.fail(fault.CodeValue, ref, "")
		return
	}
	found, ok := v.leadsTo(text)
	if !ok {
		v.fail(fault.CodeReference, ref, "")
		return
	}
	if said.present() && !v.said(said, found) {
		v.fail(fault.CodeReferenceType, said, "")
		return
	} else if !ref.present() {
		ref, found = said, v.typeNamed(said)
	}
	if targets != nil && found != nil && !targets.has(found.name) {
		v.fail(fault.CodeReferenceType, ref, "")
	}
}

// said judges Reference.type: a type of R4, or the URL of a logical model, and the one that is led to.
func (v *validator) said(said element, found *typeDef) bool {
	named := v.typeNamed(said)
	if named == nil {
		return bytes.IndexByte(said.inner(), ':') >= 0
	}
	return found == nil || named == found
}

func (v *validator) typeNamed(said element) *typeDef {
	name := said.inner()
	return resourceNamed(name[bytes.LastIndexByte(name, '/')+1:])
}

// leadsTo is the type of what a reference leads to, nil when neither its text nor its Bundle says. ok is false
// when it leads to a contained resource that is not there.
func (v *validator) leadsTo(text []byte) (typ *typeDef, ok bool) {
	switch {
	case len(text) == 0:
		return nil, true
	case len(text) == 1 && text[0] == '#':
		return v.home.def, true
	case text[0] == '#':
		return v.home.holds(text[1:])
	}
	if typ = resourceNamed(typeInURL(text)); typ == nil {
		typ = v.bundle.typeAt(text)
	}
	return typ, true
}

// container is a Bundle that is being judged. The zero container is none.
type container struct {
	element
	types map[string]*typeDef // of its resources, by their fullUrl; nil until asked for
}

// typeAt is the type of the resource with a fullUrl, nil when there is none, or several of which one has another.
func (c *container) typeAt(url []byte) *typeDef {
	if !c.present() || bytes.IndexByte(url, ':') < 0 {
		return nil
	}
	if c.types == nil {
		c.types = map[string]*typeDef{}
		for entry := range c.member("entry").items() {
			name := entry.member("fullUrl").text()
			typ := resourceNamed(entry.get("resource", "resourceType").inner())
			if other, twice := c.types[name]; twice && other != typ {
				typ = nil
			}
			c.types[name] = typ
		}
	}
	return c.types[string(url)]
}

// typeInURL is the type in [base/]Type/id[/_history/version][#fragment] or [base/]Type?search, nil when the text
// is no such URL.
func typeInURL(url []byte) []byte {
	if i := bytes.IndexByte(url, '#'); i >= 0 {
		url = url[:i]
	}
	if i := bytes.IndexByte(url, '?'); i >= 0 {
		url = url[:i]
		return url[bytes.LastIndexByte(url, '/')+1:]
	}
	if i := bytes.Index(url, []byte("/_history/")); i >= 0 {
		url = url[:i]
	}
	id := bytes.LastIndexByte(url, '/')
	if id < 0 {
		return nil
	}
	rest := url[:id]
	return rest[bytes.LastIndexByte(rest, '/')+1:]
}

// wholeURN: what says that it is a urn:uuid has a UUID (RFC 4122 §3).
func wholeURN(text []byte) bool {
	uuid, ok := bytes.CutPrefix(text, []byte("urn:uuid:"))
	if !ok {
		return true
	}
	if len(uuid) != 36 {
		return false
	}
	for i, c := range uuid {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (c == '-') || !dash && !isHex(c) {
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
