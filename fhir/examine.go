package fhir

import (
	"bytes"
	"sync"
)

// Examination is all that can be said of a body without knowing anything else.
type Examination struct {
	Document *Document
	Message  Message // the zero Message when the issues refuse the body
	Issues   []Issue // of Validate, then of Read; those of Message are its own
}

// Examine validates d and picks its fields. Nothing is read from a document that is refused.
func Examine(d *Document, validate func(*Document) []Issue) Examination {
	x := Examination{Document: d, Issues: validate(d)}
	if _, refused := Refused(x.Issues); refused {
		return x
	}
	message, issues := Read(d)
	x.Message, x.Issues = message, append(x.Issues, issues...)
	return x
}

// Examinations hands examinations from where a body comes in to where it is decided, when both are in
// one process: the same function need not be asked twice about the same bytes. It holds what somebody
// keeps, no more. A nil one holds nothing. Safe for concurrent use.
type Examinations struct {
	mu   sync.Mutex
	byID map[string]Examination
}

// Keep holds x for whoever asks with the message's id, until forget is called. Nobody may change what
// x points at.
func (e *Examinations) Keep(id string, x Examination) (forget func()) {
	if e == nil {
		return func() {}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.byID == nil {
		e.byID = make(map[string]Examination)
	}
	e.byID[id] = x
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.byID, id)
	}
}

// Of finds the examination of exactly these bytes.
func (e *Examinations) Of(id string, body []byte) (Examination, bool) {
	if e == nil {
		return Examination{}, false
	}
	e.mu.Lock()
	x, ok := e.byID[id]
	e.mu.Unlock()
	return x, ok && bytes.Equal(x.Document.Raw(), body)
}
