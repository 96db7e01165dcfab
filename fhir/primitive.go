package fhir

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// primitive is one of R4's simple types.
type primitive byte

const (
	noPrimitive primitive = iota
	pBoolean
	pInteger
	pUnsignedInt
	pPositiveInt
	pDecimal
	pString
	pMarkdown
	pXHTML
	pCode
	pID
	pURI
	pCanonical
	pURL
	pOID
	pUUID
	pDate
	pDateTime
	pInstant
	pTime
	pBase64
)

// primitives finds a simple type by its name, noPrimitive for others.
func primitives(name string) primitive {
	switch name {
	case "boolean":
		return pBoolean
	case "integer":
		return pInteger
	case "unsignedInt":
		return pUnsignedInt
	case "positiveInt":
		return pPositiveInt
	case "decimal":
		return pDecimal
	case "string":
		return pString
	case "markdown":
		return pMarkdown
	case "xhtml":
		return pXHTML
	case "code":
		return pCode
	case "id":
		return pID
	case "uri":
		return pURI
	case "canonical":
		return pCanonical
	case "url":
		return pURL
	case "oid":
		return pOID
	case "uuid":
		return pUUID
	case "date":
		return pDate
	case "dateTime":
		return pDateTime
	case "instant":
		return pInstant
	case "time":
		return pTime
	case "base64Binary":
		return pBase64
	}
	return noPrimitive
}

// form is the JSON form in which the type is written.
func (p primitive) form() kind {
	switch p {
	case pBoolean:
		return boolean
	case pInteger, pUnsignedInt, pPositiveInt, pDecimal:
		return number
	default:
		return str
	}
}

// accepts judges the text of a value (a string's content, decoded) by R4 §2.24.0.1. The tightest of
// the published patterns and the words around them counts, with real calendar days.
func (p primitive) accepts(v []byte) bool {
	switch p {
	case pBoolean:
		return true
	case pInteger:
		return integer(v, math.MinInt32)
	case pUnsignedInt:
		return integer(v, 0)
	case pPositiveInt:
		return integer(v, 1)
	case pDecimal:
		return decimal(v)
	case pCode:
		return isCode(v)
	case pID:
		return isID(v)
	case pURI, pCanonical, pURL:
		return len(v) > 0 && !holdsSpace(v)
	case pOID:
		return isOID(v)
	case pUUID:
		rest, ok := bytes.CutPrefix(v, []byte("urn:uuid:"))
		return ok && isUUID(rest)
	case pDate:
		return isDate(v)
	case pDateTime:
		return isDateTime(v)
	case pInstant:
		return len(v) > 10 && isDateTime(v)
	case pTime:
		rest, ok := clock(v)
		return ok && len(rest) == 0
	case pBase64:
		return isBase64(v)
	default: // texts; that of blanks alone only should not be
		return len(v) > 0
	}
}

// leads reports whether a value of the type at e leads somewhere: dom-3 counts what is called reference, and
// what is a uri.
func (p primitive) leads(e element) bool {
	switch p {
	case pURI, pCanonical, pURL:
		return true
	case pString:
		return e.named("reference")
	}
	return false
}

// holdsSpace: white space of Unicode anywhere, which no URI has (RFC 3986 §2), though \S of some matches it.
func holdsSpace(v []byte) bool {
	for len(v) >= 8 {
		w := binary.LittleEndian.Uint64(v)
		if ((w-ones*(' '+1))|w)&highs != 0 {
			break // one of the eight may be a space, or is beyond ASCII
		}
		v = v[8:]
	}
	for _, c := range v {
		if c >= utf8.RuneSelf {
			return bytes.IndexFunc(v, unicode.IsSpace) >= 0
		}
		if c <= ' ' {
			return true
		}
	}
	return false
}

func integer(v []byte, least int64) bool {
	n, err := strconv.ParseInt(string(v), 10, 32) // no fraction, no exponent
	return err == nil && n >= least && string(v) != "-0"
}

// decimal bounds what JSON allows, so that no reader is surprised: 64 characters, an exponent of
// three digits.
func decimal(v []byte) bool {
	exp := bytes.IndexAny(v, "eE")
	return len(v) <= 64 && (exp < 0 || len(bytes.TrimLeft(v[exp+1:], "+-")) <= 3)
}

// isCode: no space at either end, single ones inside.
func isCode(v []byte) bool {
	space := true
	for _, c := range v {
		switch {
		case c == ' ' && !space:
			space = true
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			return false
		case c >= utf8.RuneSelf:
			return isCode(bytes.Map(toASCII, v))
		default:
			space = false
		}
	}
	return !space
}

// toASCII turns other white space into such as isCode refuses, and all else into a letter.
func toASCII(r rune) rune {
	switch {
	case r < utf8.RuneSelf:
		return r
	case unicode.IsSpace(r):
		return '\t'
	}
	return 'x'
}

func isID(v []byte) bool {
	if len(v) == 0 || len(v) > 64 {
		return false
	}
	for _, c := range v {
		if !isDigit(c) && !isLetter(c) && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

func isOID(v []byte) bool {
	rest, ok := bytes.CutPrefix(v, []byte("urn:oid:"))
	if !ok || len(rest) < 3 || rest[0] < '0' || rest[0] > '2' {
		return false
	}
	for part := range bytes.SplitSeq(rest, []byte(".")) {
		if len(part) == 0 || len(part) > 1 && part[0] == '0' || bytes.IndexFunc(part, notDigit) >= 0 {
			return false
		}
	}
	return bytes.IndexByte(rest, '.') == 1
}

func notDigit(r rune) bool { return r < '0' || r > '9' }

func isUUID(v []byte) bool {
	if len(v) != 36 {
		return false
	}
	for i, c := range v {
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if !isDigit(c) && !('a' <= c && c <= 'f') {
				return false
			}
		}
	}
	return true
}

// isBase64 allows white space anywhere between the characters: R4's pattern has it between groups of four, and
// RFC 2045 §6.8, which it cites, wherever a sender breaks the line.
func isBase64(v []byte) bool {
	n, pad := 0, 0
	for _, c := range v {
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
		case c == '=':
			pad++
			n++
		case pad > 0:
			return false
		case isDigit(c) || isLetter(c) || c == '+' || c == '/':
			n++
		default:
			return false
		}
	}
	return n > 0 && n%4 == 0 && pad <= 2
}

// isDate: YYYY, YYYY-MM or YYYY-MM-DD.
func isDate(v []byte) bool {
	if len(v) != 4 && len(v) != 7 && len(v) != 10 {
		return false
	}
	year, ok := digits(v, 4, 1, 9999)
	if !ok || len(v) == 4 {
		return ok
	}
	month, ok := digits(v[5:], 2, 1, 12)
	if !ok || v[4] != '-' || len(v) == 7 {
		return ok && v[4] == '-'
	}
	_, ok = digits(v[8:], 2, 1, daysIn(year, month))
	return ok && v[7] == '-'
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// isDateTime: a date, or a day with a time and a zone.
func isDateTime(v []byte) bool {
	if len(v) <= 10 {
		return isDate(v)
	}
	if !isDate(v[:10]) || v[10] != 'T' {
		return false
	}
	zone, ok := clock(v[11:])
	if !ok {
		return false
	}
	if len(zone) != 6 || zone[3] != ':' || zone[0] != '+' && zone[0] != '-' {
		return string(zone) == "Z"
	}
	hour, ok := digits(zone[1:], 2, 0, 14)
	_, fine := digits(zone[4:], 2, 0, 59)
	return ok && fine && (hour < 14 || string(zone[4:]) == "00")
}

// clock reads hh:mm:ss with an optional fraction; rest is what follows. Leap seconds are allowed.
func clock(v []byte) (rest []byte, ok bool) {
	if len(v) < 8 || v[2] != ':' || v[5] != ':' {
		return nil, false
	}
	_, hour := digits(v, 2, 0, 23)
	_, minute := digits(v[3:], 2, 0, 59)
	_, second := digits(v[6:], 2, 0, 60)
	if rest = v[8:]; len(rest) == 0 || rest[0] != '.' {
		return rest, hour && minute && second
	}
	fraction := rest[1:]
	rest = bytes.TrimLeft(fraction, "0123456789")
	return rest, hour && minute && second && len(rest) < len(fraction)
}

// digits reads the first n bytes as a number between lo and hi.
func digits(v []byte, n, lo, hi int) (value int, ok bool) {
	if len(v) < n {
		return 0, false
	}
	for _, c := range v[:n] {
		if !isDigit(c) {
			return 0, false
		}
		value = value*10 + int(c-'0')
	}
	return value, value >= lo && value <= hi
}
