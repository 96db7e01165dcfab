package rest

import (
	"net/http"
	"strings"
)

// What a client may ask for with Prefer: return (RFC 7240; FHIR R4 http.html#ops).
type preference int

const (
	wantOutcome preference = iota // also when nothing is asked for: warnings must be seen
	wantMinimal
	wantRepresentation
)

// prefer reads the Prefer headers. A preference is a wish: what is not known is ignored (real clients
// misspell it), and the first return= counts.
func prefer(r *http.Request) preference {
	for _, line := range r.Header.Values("Prefer") {
		for wish := range strings.FieldsFuncSeq(line, func(c rune) bool { return c == ',' || c == ';' || c == ' ' }) {
			switch strings.ToLower(wish) {
			case "return=minimal":
				return wantMinimal
			case "return=representation":
				return wantRepresentation
			case "return=operationoutcome":
				return wantOutcome
			}
		}
	}
	return wantOutcome
}
