package fault

import (
	"errors"
	"net/http"
	"strings"
	"time"
)

// Kind says what one can do about an error. The zero value is Internal: what nobody classified is
// our own mistake.
type Kind uint8

const (
	Internal    Kind = iota // a bug or an unclassified failure; text is hidden outside
	Invalid                 // the sender must mend the message
	Denied                  // the sender may not do this
	NotFound                // unknown, or not to be known by this caller
	Conflict                // the right actor at the wrong time, or an id used twice
	Unavailable             // try the same again later
	Tampered                // stored data is not what was written: stop and page
)

// Disposition is what an adapter's consumer does with a message whose handling failed. The recorder
// never naks: it refuses, quarantines or halts.
type Disposition uint8

const (
	Ack   Disposition = iota // done; the refusal was answered
	Retry                    // deliver again after a delay
	Park                     // take it out of the way and alarm
	Halt                     // stop consuming; an operator must look
)

// Row is one line of the table: the meaning of a kind at every border.
type Row struct {
	Name        string      // as in logs and metrics
	Status      int         // HTTP status, unless the code says otherwise
	Issue       string      // FHIR R4 IssueType, http://hl7.org/fhir/issue-type
	Disposition Disposition // what a consumer does
	Retry       bool        // does the same request, sent again, have a chance
	Operator    string      // what an operator does
}

// Row returns the table's line for k. An unknown kind is Internal.
func (k Kind) Row() Row {
	switch k {
	case Invalid:
		return Row{"invalid", http.StatusBadRequest, "invalid", Ack, false, "count"}
	case Denied:
		return Row{"denied", http.StatusForbidden, "forbidden", Ack, false, "security event"}
	case NotFound:
		return Row{"not-found", http.StatusNotFound, "not-found", Ack, false, "count"}
	case Conflict:
		return Row{"conflict", http.StatusConflict, "conflict", Ack, false, "count"}
	case Unavailable:
		return Row{"unavailable", http.StatusServiceUnavailable, "transient", Retry, true, "alert if it lasts"}
	case Tampered:
		return Row{"tampered", http.StatusInternalServerError, "exception", Halt, false, "page at once"}
	default:
		return Row{"internal", http.StatusInternalServerError, "exception", Park, true, "alert"}
	}
}

// String is the kind's name as logs and metrics carry it.
func (k Kind) String() string { return k.Row().Name }

// Error is an error with a kind and a code of the catalogue. It is immutable: At, Wrap and After
// return copies, so a package variable can serve as a sentinel. Compare with errors.Is; two Errors
// are the same when their codes are.
type Error struct {
	kind  Kind
	code  Code
	text  string
	path  string
	cause error
	after time.Duration
}

// New makes a sentinel of a kind without a catalogue code, for errors that no client sees by name.
// text must not carry patient data.
func New(kind Kind, text string) *Error { return &Error{kind: kind, text: text} }

// Of makes the error of a catalogue code. An unknown code is Internal.
func Of(code Code) *Error {
	e, ok := Lookup(code)
	if !ok {
		return &Error{kind: Internal, code: code, text: string(code)}
	}
	return &Error{kind: e.Kind, code: code, text: e.Title}
}

// At returns a copy that names the element at fault as a FHIRPath expression with indexes.
func (e *Error) At(expression string) *Error { c := *e; c.path = expression; return &c }

// Wrap returns a copy with a private cause. The cause is for logs; Text never shows it.
func (e *Error) Wrap(cause error) *Error { c := *e; c.cause = cause; return &c }

// After returns a copy that advises to retry no sooner than d.
func (e *Error) After(d time.Duration) *Error { c := *e; c.after = d; return &c }

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.text)
	if e.path != "" {
		b.WriteString(" at ")
		b.WriteString(e.path)
	}
	if e.cause != nil {
		b.WriteString(": ")
		b.WriteString(e.cause.Error())
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.cause }

// Is reports whether target is the same sentinel: equal codes, or for errors without a code equal
// kind and text.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	if !ok {
		return false
	}
	if e.code != "" || t.code != "" {
		return e.code == t.code
	}
	return e.kind == t.kind && e.text == t.text
}

// Kind, Code, Text, Path and RetryAfter are what borders may show.
func (e *Error) Kind() Kind                { return e.kind }
func (e *Error) Code() Code                { return e.code }
func (e *Error) Text() string              { return e.text }
func (e *Error) Path() string              { return e.path }
func (e *Error) RetryAfter() time.Duration { return e.after }

// KindOf finds the kind of err: that of the outermost Error in its chain. nil and strangers are
// Internal; ask only for errors.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.kind
	}
	return Internal
}

// CodeOf finds the catalogue code of err, or "" when it has none.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.code
	}
	return ""
}

// Status is the HTTP status for err: that of its code in the catalogue, else that of its kind.
func Status(err error) int {
	if e, ok := Lookup(CodeOf(err)); ok {
		return e.Status
	}
	return KindOf(err).Row().Status
}
