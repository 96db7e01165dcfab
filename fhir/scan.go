package fhir

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"

	"github.com/dosewire/dosewire/internal/fault"
)

// string reads from the quote at i to the next.
func (d *decoder) string(i int) (end int, escaped, ok bool) {
	for i++; ; {
		i = plain(d.body, i)
		switch d.at(i) {
		case '"':
			return i + 1, escaped, true
		case '\\':
			escaped = true
			if i, ok = d.escape(i); !ok {
				return i, true, false
			}
		default: // the end, or a control character that must be escaped
			end, ok = d.fail(fault.CodeSyntax, i)
			return end, escaped, ok
		}
	}
}

// blank skips white space, of which an indented text has much: eight blanks at a time. It stands apart so that
// space is small enough to be inlined.
//
//go:noinline
func blank(b []byte, i int) int {
	const blanks = 0x2020202020202020
	if i+1 < len(b) && b[i] == ' ' && b[i+1] > ' ' {
		return i + 1 // as behind most colons
	}
	for i < len(b) {
		switch c := b[i]; {
		case c > ' ':
			return i
		case c == ' ' && i+8 <= len(b):
			i += bits.TrailingZeros64(binary.LittleEndian.Uint64(b[i:])^blanks) / 8
		case c == ' ', c == '\n', c == '\t', c == '\r':
			i++
		default:
			return i
		}
	}
	return i
}

// ones has a 1 in each of its eight bytes, highs the highest bit of each. (w - n*ones) &^ w & highs marks the
// bytes of w below n: all of them up to the first that is, which is what is looked for.
const ones, highs = 0x0101010101010101, 0x8080808080808080

// plain skips what needs no look inside a string, eight bytes at a time: a byte is a quote when less than 1
// is left of it and a quote by exclusive or.
func plain(b []byte, i int) int {
	for rest := b[i:]; len(rest) >= 8; rest = rest[8:] {
		w := binary.LittleEndian.Uint64(rest)
		hit := (w - ones*0x20) | ((w ^ ones*'"') - ones) | ((w ^ ones*'\\') - ones)
		if hit &= highs &^ w; hit != 0 {
			return i + bits.TrailingZeros64(hit)/8
		}
		i += 8
	}
	for ; i < len(b); i++ {
		if c := b[i]; c < 0x20 || c == '"' || c == '\\' {
			return i
		}
	}
	return i
}

// escape reads the escape at start. Besides lone surrogates it refuses the control characters that no FHIR
// string may hold (R4 §2.24.0.1: below U+0020 only tab, line feed and carriage return).
func (d *decoder) escape(start int) (end int, ok bool) {
	switch d.at(start + 1) {
	case '"', '\\', '/', 'n', 'r', 't':
		return start + 2, true
	case 'b', 'f':
		return d.fail(fault.CodeEncoding, start)
	case 'u':
		return d.unicode(start)
	default:
		return d.fail(fault.CodeSyntax, start)
	}
}

func (d *decoder) unicode(start int) (end int, ok bool) {
	r, ok := hex4(d.body, start+2)
	if !ok {
		return d.fail(fault.CodeSyntax, start)
	}
	end = start + 6
	switch {
	case r < 0x20 && r != '\t' && r != '\n' && r != '\r':
		return d.fail(fault.CodeEncoding, start)
	case r < 0xD800 || r > 0xDFFF:
		return end, true
	case r >= 0xDC00: // a second half without its first
		return d.fail(fault.CodeEncoding, start)
	}
	if d.at(end) == '\\' && d.at(end+1) == 'u' {
		low, ok := hex4(d.body, end+2)
		if !ok {
			return d.fail(fault.CodeSyntax, end)
		}
		if low >= 0xDC00 && low <= 0xDFFF {
			return end + 6, true
		}
	}
	return d.fail(fault.CodeEncoding, start)
}

func hex4(b []byte, i int) (r rune, ok bool) {
	if i+4 > len(b) {
		return 0, false
	}
	for _, c := range b[i : i+4] {
		switch {
		case isDigit(c):
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// firstInvalid is the offset of the first byte that is no UTF-8.
func firstInvalid(b []byte) int {
	for i := 0; i < len(b); {
		r, size := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return len(b)
}
