package fhir

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"strconv"
	"strings"
)

type digest [sha256.Size]byte

// Room for most messages.
const (
	frozenRoom   = 1 << 10 // of the frozen fields, bytes
	identityRoom = 256     // of what a resource is, bytes
	membersRoom  = 16      // of the objects inside one another
)

// freezer writes the canonical text of fields that must not change: members sorted by name, no white
// space, strings in one spelling, numbers as sent (1.0 is not 1: precision is meaning in FHIR). A
// reference is written as the identity of what it leads to, so that a message sent again with other
// urn:uuids stays equal.
type freezer struct {
	scope   *scope
	digests map[uint32]digest // of referenced resources, so that each is read once
	members []memberNamed     // those of the objects that are being written, the innermost last
	room    []byte            // for what the next resource is; nil while one is being read
}

type memberNamed struct {
	name []byte
	element
}

// request freezes subject, medication, dosage, quantity, repeats and requester (PROTOCOL §2).
func (f *freezer) request(q element, home int) []byte {
	order := q.member("dispenseRequest")
	medication := q.choice("medication")
	w := canonical{f, home, make([]byte, 0, frozenRoom)}
	for _, part := range []element{
		q.member("subject"), medication, q.member("dosageInstruction"),
		order.member("quantity"), order.member("numberOfRepeatsAllowed"), q.member("requester"),
	} {
		w.value(part)
		w.out = append(w.out, '\n')
	}
	return w.out
}

// dispense freezes all of a MedicationDispense that is not about when, why and in which state.
func (f *freezer) dispense(md element, home int) []byte {
	w := canonical{f, home, make([]byte, 0, frozenRoom)}
	w.object(md, func(name []byte) bool {
		switch string(bytes.TrimPrefix(name, []byte("_"))) {
		case "id", "meta", "text", "contained", "status", "statusReasonCodeableConcept", "statusReasonReference", "whenPrepared", "whenHandedOver":
			return false
		}
		return true
	})
	return w.out
}

// identity is the digest of what a resource is: its business identifiers, else its lasting id, else
// its content. What it is made of is what a medicine is, so Medication and Substance go by content.
func (f *freezer) identity(t target) digest {
	if d, ok := f.digests[t.at]; ok {
		return d
	}
	f.digests[t.at] = digest{} // a circle of references ends here
	room := f.room
	if f.room = nil; room == nil {
		room = make([]byte, 0, identityRoom)
	}
	w := canonical{f, t.home, append(room, t.typ()...)}
	ids := identifiers(t.member("identifier"))
	switch content := t.typ() == "Medication" || t.typ() == "Substance"; {
	case !content && len(ids) > 0:
		slices.SortFunc(ids, func(a, b Identifier) int {
			return strings.Compare(a.System+"|"+a.Value, b.System+"|"+b.Value)
		})
		for _, id := range ids {
			w.out = strconv.AppendQuote(w.out, id.System+"|"+id.Value)
		}
	case !content && t.lasting() != "":
		w.out = append(append(w.out, '/'), t.lasting()...)
	default:
		w.object(t.element, func(name []byte) bool {
			switch string(name) {
			case "id", "meta", "text", "contained":
				return false
			}
			return true
		})
	}
	d := digest(sha256.Sum256(w.out))
	f.digests[t.at], f.room = d, w.out[:0]
	return d
}

// canonical is the text in the making, of elements that stand in the entry home.
type canonical struct {
	*freezer
	home int
	out  []byte
}

func (w *canonical) value(e element) {
	switch e.kind() {
	case object:
		if e.member("reference").kind() == str {
			w.reference(e)
			return
		}
		w.object(e, func([]byte) bool { return true })
	case array:
		w.out = append(w.out, '[')
		for item := range e.items() {
			w.value(item)
			w.out = append(w.out, ',')
		}
		w.out = append(w.out, ']')
	case str:
		w.text(e.inner())
	default:
		w.out = append(w.out, e.raw()...)
	}
}

// reference writes who is meant; display and type are only words about it.
func (w *canonical) reference(e element) {
	if to := w.scope.resolve(e, w.home); to.present() {
		d := w.identity(to)
		w.out = append(append(w.out, '#'), d[:]...)
		return
	}
	if ids := identifiersIn(e); len(ids) > 0 {
		w.text([]byte(ids[0].System + "|" + ids[0].Value))
		return
	}
	w.text(e.member("reference").inner())
}

func (w *canonical) object(e element, keep func(name []byte) bool) {
	first := len(w.members)
	for m := range e.items() {
		if name := m.key(); keep(name) {
			w.members = append(w.members, memberNamed{name, m})
		}
	}
	slices.SortFunc(w.members[first:], func(a, b memberNamed) int { return bytes.Compare(a.name, b.name) })
	w.out = append(w.out, '{')
	for i, last := first, len(w.members); i < last; i++ {
		m := w.members[i] // the list may move while what is inside is written
		w.text(m.name)
		w.out = append(w.out, ':')
		w.value(m.element)
		w.out = append(w.out, ',')
	}
	w.members = w.members[:first]
	w.out = append(w.out, '}')
}

// text writes a string between quotes with its length before it, so that nothing inside can end it.
func (w *canonical) text(s []byte) {
	w.out = strconv.AppendInt(w.out, int64(len(s)), 10)
	w.out = append(append(append(w.out, '"'), s...), '"')
}
