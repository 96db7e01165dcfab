package fhir

import (
	"encoding/binary"
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

// decoder builds the nodes of one body in a single pass.
type decoder struct {
	body  []byte
	pos   int
	depth int
	nodes []node
}

func (d *decoder) decode() error {
	if !utf8.Valid(d.body) {
		return d.fail(fault.CodeEncoding, firstInvalid(d.body))
	}
	if strings.HasPrefix(string(d.body[:min(3, len(d.body))]), "\ufeff") {
		return d.fail(fault.CodeEncoding, 0)
	}
	d.space()
	if err := d.value(node{}); err != nil {
		return err
	}
	if d.space(); d.pos < len(d.body) {
		return d.fail(fault.CodeSyntax, d.pos)
	}
	if root := d.nodes[0]; root.kind != object {
		return d.fault(fault.CodeStructure, int(root.start)).Wrap(errNoObject)
	}
	return nil
}

// errNoObject: well-formed, and no resource.
var errNoObject = errors.New("the body is not a JSON object")

// fail names the place of a fault.
func (d *decoder) fail(code fault.Code, offset int) error { return d.fault(code, offset) }

func (d *decoder) fault(code fault.Code, offset int) *fault.Error {
	line, col := place(d.body, min(offset, len(d.body)))
	return fault.Of(code).At(fmt.Sprintf("%d:%d", line, col))
}

// peek is the next byte, 0 at the end. (A NUL in the text is no JSON anywhere, so they need no telling
// apart.)
func (d *decoder) peek() byte {
	if d.pos < len(d.body) {
		return d.body[d.pos]
	}
	return 0
}

func (d *decoder) space() {
	if d.pos < len(d.body) && d.body[d.pos] > ' ' {
		return
	}
	d.skip()
}

// skip passes white space, of which an indented text has much: eight blanks at a time.
func (d *decoder) skip() {
	const blanks = 0x2020202020202020
	b, i := d.body, d.pos
	for i < len(b) {
		switch b[i] {
		case ' ':
			if i+8 <= len(b) && binary.LittleEndian.Uint64(b[i:]) == blanks {
				i += 8
				continue
			}
			i++
		case '\n', '\t', '\r':
			i++
		default:
			d.pos = i
			return
		}
	}
	d.pos = i
}

// value reads the value at pos into n, which brings its name.
func (d *decoder) value(n node) error {
	if len(d.nodes) == MaxNodes {
		return d.fail(fault.CodeNodes, d.pos)
	}
	at := len(d.nodes)
	n.start = uint32(d.pos)
	d.nodes = append(d.nodes, n)
	k, escaped, err := d.content(at)
	if err != nil {
		return err
	}
	done := &d.nodes[at]
	done.kind, done.escaped, done.end, done.next = k, escaped, uint32(d.pos), uint32(len(d.nodes))
	return nil
}

func (d *decoder) content(at int) (k kind, escaped bool, err error) {
	switch c := d.peek(); c {
	case '{':
		if err = d.enter(); err == nil {
			err = d.object(at)
		}
		d.depth--
		return object, false, err
	case '[':
		if err = d.enter(); err == nil {
			err = d.array()
		}
		d.depth--
		return array, false, err
	case '"':
		escaped, err = d.string()
		return str, escaped, err
	case 't':
		return boolean, false, d.word("true")
	case 'f':
		return boolean, false, d.word("false")
	case 'n':
		return null, false, d.word("null")
	default:
		if c == '-' || isDigit(c) {
			return number, false, d.number()
		}
		return 0, false, d.fail(fault.CodeSyntax, d.pos)
	}
}

func (d *decoder) enter() error {
	if d.depth++; d.depth > MaxDepth {
		return d.fail(fault.CodeDepth, d.pos)
	}
	d.pos++
	d.space()
	return nil
}

func (d *decoder) object(at int) error {
	if d.peek() == '}' {
		d.pos++
		return nil
	}
	var given names
	for {
		i := len(d.nodes)
		if err := d.member(); err != nil {
			return err
		}
		if d.again(&given, at, i) {
			return d.fail(fault.CodeDuplicateKey, int(d.nodes[i].keyStart)-1)
		}
		switch d.space(); d.peek() {
		case ',':
			d.pos++
			d.space()
		case '}':
			d.pos++
			return nil
		default:
			return d.fail(fault.CodeSyntax, d.pos)
		}
	}
}

func (d *decoder) member() error {
	if d.peek() != '"' {
		return d.fail(fault.CodeSyntax, d.pos)
	}
	n := node{keyStart: uint32(d.pos + 1)}
	var err error
	if n.keyEscaped, err = d.string(); err != nil {
		return err
	}
	n.keyEnd = uint32(d.pos - 1)
	if d.space(); d.peek() != ':' {
		return d.fail(fault.CodeSyntax, d.pos)
	}
	d.pos++
	d.space()
	return d.value(n)
}

func (d *decoder) array() error {
	if d.peek() == ']' {
		d.pos++
		return nil
	}
	for {
		if err := d.value(node{}); err != nil {
			return err
		}
		switch d.space(); d.peek() {
		case ',':
			d.pos++
			d.space()
		case ']':
			d.pos++
			return nil
		default:
			return d.fail(fault.CodeSyntax, d.pos)
		}
	}
}

func (d *decoder) word(w string) error {
	if end := d.pos + len(w); end <= len(d.body) && string(d.body[d.pos:end]) == w {
		d.pos = end
		return nil
	}
	return d.fail(fault.CodeSyntax, d.pos)
}

// number reads the grammar of RFC 8259 §6.
func (d *decoder) number() error {
	if d.peek() == '-' {
		d.pos++
	}
	switch c := d.peek(); {
	case c == '0':
		d.pos++
	case isDigit(c):
		d.digits()
	default:
		return d.fail(fault.CodeSyntax, d.pos)
	}
	if d.peek() == '.' {
		d.pos++
		if !d.digits() {
			return d.fail(fault.CodeSyntax, d.pos)
		}
	}
	if c := d.peek(); c == 'e' || c == 'E' {
		d.pos++
		if c = d.peek(); c == '+' || c == '-' {
			d.pos++
		}
		if !d.digits() {
			return d.fail(fault.CodeSyntax, d.pos)
		}
	}
	return nil
}

func (d *decoder) digits() bool {
	start := d.pos
	for isDigit(d.peek()) {
		d.pos++
	}
	return d.pos > start
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

// again reports whether the object at gives the name of its member i for the second time, also when an
// escape hides it.
func (d *decoder) again(n *names, at, i int) bool {
	key := d.key(i)
	if n.count++; n.count >= many {
		return d.againOfMany(n, at, i, key)
	}
	mark := uint64(1)
	if len(key) > 0 {
		mark <<= (uint(len(key))*7 + uint(key[0]) + uint(key[len(key)-1])*5) & 63
	}
	if n.marks&mark == 0 {
		n.marks |= mark
		return false
	}
	for j := at + 1; j < i; j = int(d.nodes[j].next) {
		if string(d.key(j)) == string(key) {
			return true
		}
	}
	return false
}

func (d *decoder) againOfMany(n *names, at, i int, key []byte) bool {
	if n.all == nil {
		n.all = make(map[string]struct{}, 2*many)
		for j := at + 1; j < i; j = int(d.nodes[j].next) {
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
