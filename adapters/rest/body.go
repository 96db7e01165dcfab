package rest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/internal/fault"
)

// mediaType admits FHIR R4 JSON in UTF-8. Compressed bodies are refused: a few kilobytes could unpack
// to the memory of many messages.
func mediaType(r *http.Request) error {
	for _, e := range r.Header.Values("Content-Encoding") {
		if !strings.EqualFold(e, "identity") {
			return fault.Of(fault.CodeMediaType).At("header Content-Encoding")
		}
	}
	kind := r.Header.Get("Content-Type")
	if fhirJSON(kind) {
		return nil
	}
	kind, params, err := mime.ParseMediaType(kind)
	version, charset := params["fhirversion"], params["charset"]
	if err != nil || !fhirJSON(kind) || version != "" && version != "4.0" || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return fault.Of(fault.CodeMediaType).At("header Content-Type")
	}
	return nil
}

func fhirJSON(kind string) bool { return kind == "application/fhir+json" || kind == "application/json" }

// parameters admits the query parameters named, each once, and _format and _pretty. Any other would
// change the answer in a way that is not served: it is refused, never ignored.
func parameters(r *http.Request, allowed ...string) error {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return fault.Of(fault.CodeParameter).At("query")
	}
	for name, values := range q {
		switch {
		case name == "_format" && !every(values, jsonFormat):
			return fault.Of(fault.CodeMediaType).At("query _format")
		case name == "_pretty":
		case name != "_format" && !slices.Contains(allowed, name):
			return fault.Of(fault.CodeNotServed).At("query " + shown(name))
		case len(values) > 1:
			return fault.Of(fault.CodeValue).At("query " + name)
		}
	}
	return nil
}

func every(values []string, is func(string) bool) bool {
	return !slices.ContainsFunc(values, func(v string) bool { return !is(v) })
}

func jsonFormat(format string) bool {
	kind, _, _ := strings.Cut(format, ";")
	return kind == "json" || fhirJSON(strings.ReplaceAll(kind, " ", "+")) // a + that nobody escaped
}

// shown is the name of one of FHIR's own parameters; anything else can stand in a URL, and is not
// repeated.
func shown(name string) string {
	switch name {
	case "_summary", "_elements", "_count", "_include", "_revinclude", "_sort", "_total", "async", "response-url", "mode", "profile",
		"patient", "subject", "requester", "identifier", "code", "intent", "modified", "authored-on", "business-status", "_since", "_at", "_tag":
		return name
	}
	return "parameter"
}

// firstRead is how much room a body has before its second byte is there.
const firstRead = 8 << 10

// body reads a bounded body within the budget, which is taken as bytes arrive: a size that was only
// claimed holds up nobody. give must be called when the body is no longer needed.
func (s *Service) body(w http.ResponseWriter, r *http.Request) (body []byte, give func(), err error) {
	who, err := subject(r.Context())
	if err != nil {
		return nil, nil, err
	}
	size := r.ContentLength
	if size > fhir.MaxBytes {
		return nil, nil, fault.Of(fault.CodeTooLarge)
	}
	if size < 0 {
		size = fhir.MaxBytes + 1 // it does not say; the reader refuses the last byte
	}
	room := s.bodies.of(who.Org)
	body, err = fill(r.Context(), http.MaxBytesReader(w, r.Body, fhir.MaxBytes), size, room)
	if err != nil {
		room.give()
		return nil, nil, err
	}
	return body, room.give, nil
}

// fill reads at most size bytes, making room before each part.
func fill(ctx context.Context, from io.Reader, size int64, room *room) (body []byte, err error) {
	for err == nil && int64(len(body)) < size {
		if len(body) == cap(body) {
			next := min(size, max(firstRead, 2*int64(cap(body))))
			if err := room.take(ctx, (next-int64(cap(body)))*copies); err != nil {
				return nil, err
			}
			body = append(make([]byte, 0, next), body...)
		}
		var n int
		n, err = from.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
	}
	if err == nil || err == io.EOF {
		return body, nil
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, fault.Of(fault.CodeTooLarge)
	}
	return nil, fault.Of(fault.CodeSyntax).Wrap(fmt.Errorf("rest: read body: %w", err))
}

// copies is how often a body is held while it waits: as read, on its way to the stream, in the
// recorder's batch.
const copies = 3

// paged answers with the body that read makes, and gives back its room once it is written.
func paged(read func(*http.Request) (body []byte, give func(), err error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, give, err := read(r)
		if err != nil {
			adapters.Refuse(w, err)
			return
		}
		defer give()
		// a call that waited has no deadline, and who reads slowly would hold the room of others
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeWithin))
		reply(w, http.StatusOK, body)
	})
}
