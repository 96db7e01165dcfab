package fhir

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/dosewire/dosewire/internal/fault"
)

// node is one value of the text. Nodes stand in text order, so that a value's subtree is the run from
// its index to next.
type node struct {
	keyStart, keyEnd uint32 // the name, between its quotes; equal for elements of an array
	start, end       uint32 // the value, quotes and brackets included
	next             uint32 // index of the node after this subtree
	kind             kind
	escaped          bool // the string holds a backslash
	keyEscaped       bool
}

type kind byte

const (
	absent kind = iota
	object
	array
	str
	number
	boolean
	null
)

// decoder builds the nodes of one body in a single pass. A method that reads is told where, and says what the
// place behind is; ok is false when err is set.
type decoder struct {
	body  []byte
	depth int
	nodes []node
	err   error
}

func (d *decoder) decode() error {
	if !utf8.Valid(d.body) {
		d.fail(fault.CodeEncoding, firstInvalid(d.body))
		return d.err
	}
	if strings.HasPrefix(string(d.body[:min(3, len(d.body))]), "\ufeff") {
		d.fail(fault.CodeEncoding, 0)
		return d.err
	}
	end, ok := d.value(d.space(0), name{})
	if !ok {
		return d.err
	}
	if end = d.space(end); end < len(d.body) {
		d.fail(fault.CodeSyntax, end)
		return d.err
	}
	if root := d.nodes[0]; root.kind != object {
		return d.fault(fault.CodeStructure, int(root.start)).Wrap(errNoObject)
	}
	return nil
}

// errNoObject: well-formed, and no resource.
var errNoObject = errors.New("the body is not a JSON object")

// fail names the place of a fault. What it gives can be returned at once.
func (d *decoder) fail(code fault.Code, offset int) (end int, ok bool) {
	d.err = d.fault(code, offset)
	return offset, false
}

func (d *decoder) fault(code fault.Code, offset int) *fault.Error {
	line, col := place(d.body, min(offset, len(d.body)))
	return fault.Of(code).At(fmt.Sprintf("%d:%d", line, col))
}

// at is the byte at i, 0 behind the end. (A NUL in the text is no JSON anywhere, so they need no telling
// apart.)
func (d *decoder) at(i int) byte {
	if i < len(d.body) {
		return d.body[i]
	}
	return 0
}

// space passes white space, of which there is none in most places.
func (d *decoder) space(i int) int {
	if i < len(d.body) && d.body[i] > ' ' {
		return i
	}
	return blank(d.body, i)
}

// name is that of a member as it stands in the text.
type name struct {
	start, end uint32 // between the quotes
	escaped    bool
}

// value reads the value at i, which has that name.
func (d *decoder) value(i int, called name) (end int, ok bool) {
	at := len(d.nodes)
	if at == MaxNodes {
		return d.fail(fault.CodeNodes, i)
	}
	d.nodes = append(d.nodes, node{keyStart: called.start, keyEnd: called.end, keyEscaped: called.escaped, start: uint32(i)})
	k, escaped := absent, false
	switch d.at(i) {
	case '"':
		k = str
		end, escaped, ok = d.string(i)
	case '{':
		k = object
		end, ok = d.object(i, at)
	case '[':
		k = array
		end, ok = d.array(i)
	case 't':
		k = boolean
		end, ok = d.word(i, "true")
	case 'f':
		k = boolean
		end, ok = d.word(i, "false")
	case 'n':
		k = null
		end, ok = d.word(i, "null")
	default:
		k = number
		end, ok = d.number(i)
	}
	n := &d.nodes[at]
	n.kind, n.escaped, n.end, n.next = k, escaped, uint32(end), uint32(len(d.nodes))
	return end, ok
}

// enter goes behind an opening bracket.
func (d *decoder) enter(i int) (end int, ok bool) {
	if d.depth++; d.depth > MaxDepth {
		return d.fail(fault.CodeDepth, i)
	}
	return d.space(i + 1), true
}

func (d *decoder) leave(i int) (end int, ok bool) {
	d.depth--
	return i + 1, true
}

// object reads the object at i, whose own node is at.
func (d *decoder) object(i, at int) (end int, ok bool) {
	if i, ok = d.enter(i); !ok {
		return i, false
	}
	if d.at(i) == '}' {
		return d.leave(i)
	}
	var given names
	for {
		if i, ok = d.member(i, at, &given); !ok {
			return i, false
		}
		switch i = d.space(i); d.at(i) {
		case ',':
			i = d.space(i + 1)
		case '}':
			return d.leave(i)
		default:
			return d.fail(fault.CodeSyntax, i)
		}
	}
}

// member reads a name and its value.
func (d *decoder) member(i, at int, given *names) (end int, ok bool) {
	if d.at(i) != '"' {
		return d.fail(fault.CodeSyntax, i)
	}
	end, escaped, ok := d.string(i)
	if !ok {
		return end, false
	}
	key := d.body[i+1 : end-1]
	called := name{uint32(i + 1), uint32(end - 1), escaped}
	if escaped {
		key = unescape(key)
	}
	if d.again(given, at, key) {
		return d.fail(fault.CodeDuplicateKey, i)
	}
	if end = d.space(end); d.at(end) != ':' {
		return d.fail(fault.CodeSyntax, end)
	}
	return d.value(d.space(end+1), called)
}

func (d *decoder) array(i int) (end int, ok bool) {
	if i, ok = d.enter(i); !ok {
		return i, false
	}
	if d.at(i) == ']' {
		return d.leave(i)
	}
	for {
		if i, ok = d.value(i, name{}); !ok {
			return i, false
		}
		switch i = d.space(i); d.at(i) {
		case ',':
			i = d.space(i + 1)
		case ']':
			return d.leave(i)
		default:
			return d.fail(fault.CodeSyntax, i)
		}
	}
}

func (d *decoder) word(i int, w string) (end int, ok bool) {
	if end = i + len(w); end <= len(d.body) && string(d.body[i:end]) == w {
		return end, true
	}
	return d.fail(fault.CodeSyntax, i)
}

// number reads the grammar of RFC 8259 §6.
func (d *decoder) number(i int) (end int, ok bool) {
	if d.at(i) == '-' {
		i++
	}
	switch whole := d.digits(i); {
	case whole == i:
		return d.fail(fault.CodeSyntax, i)
	case d.at(i) == '0':
		i++ // and no digit behind it
	default:
		i = whole
	}
	if d.at(i) == '.' {
		fraction := d.digits(i + 1)
		if fraction == i+1 {
			return d.fail(fault.CodeSyntax, fraction)
		}
		i = fraction
	}
	if c := d.at(i); c != 'e' && c != 'E' {
		return i, true
	}
	i++
	if c := d.at(i); c == '+' || c == '-' {
		i++
	}
	if end = d.digits(i); end == i {
		return d.fail(fault.CodeSyntax, i)
	}
	return end, true
}

// digits is the place behind the digits at i.
func (d *decoder) digits(i int) int {
	for isDigit(d.at(i)) {
		i++
	}
	return i
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// names are the names that an object has given so far.
type names struct {
	marks uint64 // one bit for each, by its length and two letters: a free bit means a new name
	count int
	all   map[string]struct{} // from many names on
}

// many is the number of names from which a map beats comparing pairs.
const many = 24

// again reports whether the object at gives a name for the second time, also when an escape hides it. Its
// members so far are the nodes behind it.
func (d *decoder) again(n *names, at int, key []byte) bool {
	if n.count++; n.count >= many {
		return d.againOfMany(n, at, key)
	}
	mark := uint64(1)
	if len(key) > 0 {
		mark <<= (uint(len(key))*7 + uint(key[0]) + uint(key[len(key)-1])*5) & 63
	}
	if n.marks&mark == 0 {
		n.marks |= mark
		return false
	}
	for j := at + 1; j < len(d.nodes); j = int(d.nodes[j].next) {
		if string(d.key(j)) == string(key) {
			return true
		}
	}
	return false
}

func (d *decoder) againOfMany(n *names, at int, key []byte) bool {
	if n.all == nil {
		n.all = make(map[string]struct{}, 2*many)
		for j := at + 1; j < len(d.nodes); j = int(d.nodes[j].next) {
			n.all[string(d.key(j))] = struct{}{}
		}
	}
	if _, twice := n.all[string(key)]; twice {
		return true
	}
	n.all[string(key)] = struct{}{}
	return false
}

func (d *decoder) key(i int) []byte {
	n := &d.nodes[i]
	key := d.body[n.keyStart:n.keyEnd]
	if n.keyEscaped {
		return unescape(key)
	}
	return key
}
