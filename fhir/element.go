package fhir

import (
	"bytes"
	"iter"
	"unicode/utf16"
	"unicode/utf8"
)

// element is one value of a document. The zero element is absent: every method answers for it as for
// an element that is not there, so that paths can be written in one line.
type element struct {
	doc *Document
	at  uint32
}

func (d *Document) root() element { return element{d, 0} }

func (e element) node() *node { return &e.doc.nodes[e.at] }

func (e element) kind() kind {
	if e.doc == nil {
		return absent
	}
	return e.node().kind
}

func (e element) present() bool { return e.doc != nil }

// raw is the value's text as received.
func (e element) raw() []byte {
	if e.doc == nil {
		return nil
	}
	n := e.node()
	return e.doc.body[n.start:n.end:n.end]
}

// name is the member's name, decoded; "" for an element of an array.
func (e element) name() string {
	if !e.present() {
		return ""
	}
	return string(e.key())
}

// key is name as bytes, without a copy where it has no escape, of an element that is there.
func (e element) key() []byte {
	n := e.node()
	key := e.doc.body[n.keyStart:n.keyEnd]
	if n.keyEscaped {
		return unescape(key)
	}
	return key
}

// named compares the member's name without making a string of it.
func (e element) named(name string) bool {
	if !e.present() {
		return false
	}
	n := e.node()
	if n.keyEscaped {
		return e.name() == name
	}
	return string(e.doc.body[n.keyStart:n.keyEnd]) == name
}

// text is a string's decoded value, a number or boolean as written, "" for anything else.
func (e element) text() string {
	switch e.kind() {
	case str:
		n := e.node()
		inner := e.doc.body[n.start+1 : n.end-1]
		if n.escaped {
			inner = unescape(inner)
		}
		return string(inner)
	case number, boolean:
		return string(e.raw())
	default:
		return ""
	}
}

// resourceType is what a resource says that it is. A name that R4 has is not copied.
func (e element) resourceType() string {
	name := e.member("resourceType")
	if def := resourceNamed(name.inner()); def != nil {
		return def.name
	}
	return name.text()
}

// words is the text that somebody is to read, "" for blanks alone: R4 has them as a value, and they say nothing.
func (e element) words() string {
	if e.says() {
		return e.text()
	}
	return ""
}

// says reports whether there are any.
func (e element) says() bool { return len(bytes.TrimSpace(e.inner())) > 0 }

// inner is text as bytes, without a copy where the string has no escape. Nobody may change it.
func (e element) inner() []byte {
	if e.doc == nil {
		return nil
	}
	n := e.node()
	raw := e.doc.body[n.start:n.end:n.end]
	switch n.kind {
	case str:
		raw = raw[1 : len(raw)-1]
		if n.escaped {
			return unescape(raw)
		}
		return raw
	case number, boolean:
		return raw
	}
	return nil
}

// is compares a string's value.
func (e element) is(s string) bool {
	if e.kind() != str {
		return false
	}
	if n := e.node(); !n.escaped {
		return string(e.doc.body[n.start+1:n.end-1]) == s
	}
	return e.text() == s
}

// items walks the direct members or elements, none for a scalar.
func (e element) items() iter.Seq[element] {
	return func(yield func(element) bool) {
		if k := e.kind(); k != object && k != array {
			return
		}
		end := e.node().next
		for i := e.at + 1; i < end; i = e.doc.nodes[i].next {
			if !yield(element{e.doc, i}) {
				return
			}
		}
	}
}

// count is the number of direct members or elements.
func (e element) count() int {
	n := 0
	for range e.items() {
		n++
	}
	return n
}

// get follows names down through objects; absent when one is missing.
func (e element) get(path ...string) element {
	for _, name := range path {
		e = e.member(name)
	}
	return e
}

func (e element) member(name string) element {
	if e.kind() != object {
		return element{}
	}
	nodes := e.doc.nodes
	for i, end := e.at+1, nodes[e.at].next; i < end; i = nodes[i].next {
		if n := &nodes[i]; int(n.keyEnd-n.keyStart) != len(name) && !n.keyEscaped {
			continue // as most names
		}
		if m := (element{e.doc, i}); m.named(name) {
			return m
		}
	}
	return element{}
}

// choice finds the one value[x] that is given: the member called name followed by a type.
func (e element) choice(name string) element {
	for m := range e.items() {
		k := m.key()
		if len(k) > len(name) && string(k[:len(name)]) == name && k[len(name)] >= 'A' && k[len(name)] <= 'Z' {
			return m
		}
	}
	return element{}
}

// within walks the whole subtree in text order, e itself included.
func (e element) within() iter.Seq[element] {
	return func(yield func(element) bool) {
		if e.doc == nil {
			return
		}
		for i := e.at; i < e.node().next; i++ {
			if !yield(element{e.doc, i}) {
				return
			}
		}
	}
}

// unescape decodes the inside of a string that the decoder has accepted.
func unescape(in []byte) []byte {
	out := make([]byte, 0, len(in))
	for i := 0; i < len(in); i++ {
		if in[i] != '\\' {
			out = append(out, in[i])
			continue
		}
		i++
		switch in[i] {
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r, _ := hex4(in, i+1)
			i += 4
			if utf16.IsSurrogate(r) {
				low, _ := hex4(in, i+3)
				r = utf16.DecodeRune(r, low)
				i += 6
			}
			out = utf8.AppendRune(out, r)
		default: // quote, backslash, slash stand for themselves
			out = append(out, in[i])
		}
	}
	return out
}
