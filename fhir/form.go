package fhir

// Codes whose value sets no table can list have a form that they are judged by.

// formOf finds the form of an element of type code by its name, where R4 binds it to more than it requires;
// nil for none. (Every language is one of BCP 47; an expression's is a media type.)
func formOf(typ, name string) func([]byte) bool {
	switch {
	case name == "language" && typ == "Expression":
		return isMediaType
	case name == "language":
		return isLanguage
	}
	return nil
}

// isElementID: any text without spaces.
func isElementID(id []byte) bool { return !holdsSpace(id) }

// isUnit judges the form of a UCUM code: printable characters of ASCII without a space (UCUM §2).
func isUnit(code []byte) bool {
	for _, c := range code {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return len(code) > 0
}

// isLanguage judges the form of a BCP 47 tag: subtags of 1 to 8 letters or digits, the first of 2 to 8
// letters, or x or i.
func isLanguage(tag []byte) bool {
	length, first := 0, true
	for i, c := range tag {
		switch {
		case c == '-':
			if length == 0 || first && length == 1 && tag[0] != 'x' && tag[0] != 'X' && tag[0] != 'i' && tag[0] != 'I' {
				return false
			}
			length, first = 0, false
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || !first && c >= '0' && c <= '9':
			if length++; length > 8 {
				return false
			}
		default:
			return false
		}
		if i == len(tag)-1 {
			return length > 0 && (!first || length > 1)
		}
	}
	return false
}

// isMediaType judges type "/" subtype and what parameters may follow (RFC 6838 §4.2). A bare subtype such
// as "xml" is no media type, though older versions of FHIR had such codes.
func isMediaType(text []byte) bool {
	slash := false
	length := 0
	for _, c := range text {
		switch {
		case c == '/' && !slash:
			if length == 0 {
				return false
			}
			slash, length = true, 0
		case c == ';' || c == ' ':
			return slash && length > 0
		case c > ' ' && c < 0x7f && c != '/' && c != ',':
			length++
		default:
			return false
		}
	}
	return slash && length > 0
}

// isFormat judges CapabilityStatement.format: a media type, or its short name in a search (R4 §3.1.0.1.11), which
// R4's own examples have.
func isFormat(text []byte) bool {
	switch string(text) {
	case "xml", "json", "ttl":
		return true
	}
	return isMediaType(text)
}

// isCurrency judges the form of an ISO 4217 code.
func isCurrency(code []byte) bool {
	if len(code) != 3 {
		return false
	}
	for _, c := range code {
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	return true
}
