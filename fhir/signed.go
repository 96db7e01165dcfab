package fhir

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
)

// Signed is one Provenance.signature of a Bundle, with what it says it is a signature of. Nothing of
// it is verified.
type Signed struct {
	Expression string
	Format     string       // sigFormat; "" if absent
	Data       []byte       // what Signature.data holds; nil if there is none
	Who        []Identifier // what Signature.who names: its own identifier and those of what it leads to
	Content    []byte       // the bytes in the one Binary that the Provenance is about; nil if there is not exactly one
}

// Signatures finds every Provenance.signature of a Bundle, in order. Anything else has none.
func Signatures(d *Document) (all []Signed) {
	if d.Type() != "Bundle" {
		return nil
	}
	s := d.tree()
	for home, e := range s.entries {
		if e.typ != "Provenance" {
			continue
		}
		content := s.signedContent(home)
		for sig := range e.resource.member("signature").items() {
			all = append(all, Signed{Expression: sig.expression(), Format: sig.member("sigFormat").text(),
				Data: base64Binary(sig.member("data")), Who: s.signers(sig.member("who"), home), Content: content})
		}
	}
	return all
}

// signedContent decodes the one Binary among the targets and entities of a Provenance.
func (s *scope) signedContent(home int) []byte {
	found := ambiguous
	take := func(ref element) bool {
		to := s.resolve(ref, home)
		if !to.present() || to.typ() != "Binary" || to.home == found {
			return true
		}
		first := found == ambiguous
		found = to.home
		return first
	}
	p := s.entries[home].resource
	for ref := range p.member("target").items() {
		if !take(ref) {
			return nil
		}
	}
	for e := range p.member("entity").items() {
		if !take(e.member("what")) {
			return nil
		}
	}
	if found == ambiguous {
		return nil
	}
	return base64Binary(s.entries[found].resource.member("data"))
}

// signers is every identifier of what a reference means: a person's or an organisation's, and of the
// person in a role.
func (s *scope) signers(ref element, home int) []Identifier {
	to := s.resolve(ref, home)
	all := append(identifiersIn(ref), identifiers(to.member("identifier"))...)
	if to.typ() != "PractitionerRole" {
		return all
	}
	person := to.member("practitioner")
	all = append(all, identifiersIn(person)...)
	return append(all, identifiers(s.resolve(person, to.home).member("identifier"))...)
}

// base64Binary decodes R4's base64Binary, which may be broken into lines.
func base64Binary(e element) []byte {
	if !e.present() {
		return nil
	}
	text := strings.Join(strings.Fields(e.text()), "")
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil
	}
	return b
}

// Holds reports whether signed content is what a Bundle asks for, no more and no less: the content is
// the Bundle's one resource, or a Bundle with the same resources under the same fullUrls, spaces
// between the JSON tokens aside. What carries the message and its signatures is not asked for:
// MessageHeader, Provenance and Binary, and how a transaction entry is to be stored.
//
// A resource alone speaks for a Bundle only when there is no other, because what references lead to is
// part of what is meant: a signed prescription must not be put beside another patient.
func Holds(content []byte, bundle *Document) bool {
	signed, err := Decode(content)
	if err != nil || bundle.Type() != "Bundle" {
		return false
	}
	have, want := asked(signed), asked(bundle)
	if len(have) != len(want) || len(want) == 0 {
		return false
	}
	if signed.Type() != "Bundle" {
		return have[0].same(want[0], false)
	}
	for i := range want { // the order of entries means nothing, but nobody changes it
		if !have[i].same(want[i], true) {
			return false
		}
	}
	return true
}

// asked is what a message is about.
func asked(d *Document) (all []entry) {
	for _, e := range d.tree().entries {
		switch e.typ {
		case "MessageHeader", "Provenance", "Binary":
		default:
			all = append(all, e)
		}
	}
	return all
}

// same compares two resources, and under which names they stand.
func (e entry) same(other entry, urls bool) bool {
	var a, b bytes.Buffer
	if json.Compact(&a, e.resource.raw()) != nil || json.Compact(&b, other.resource.raw()) != nil {
		return false // cannot be: the decoder has taken both
	}
	return bytes.Equal(a.Bytes(), b.Bytes()) && (!urls || e.fullURL == other.fullURL)
}
