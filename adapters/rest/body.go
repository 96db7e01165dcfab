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

	"golang.org/x/sync/semaphore"

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
	wrong := fault.Of(fault.CodeMediaType).At("header Content-Type")
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || !fhirJSON(kind) {
		return wrong
	}
	if v := params["fhirversion"]; v != "" && v != "4.0" {
		return wrong
	}
	if c := params["charset"]; c != "" && !strings.EqualFold(c, "utf-8") {
		return wrong
	}
	return nil
}

func fhirJSON(kind string) bool { return kind == "application/fhir+json" || kind == "application/json" }

// parameters admits the query parameters named, each once, and _format and _pretty. Any other would
// change the answer in a way that is not served: it is refused, never ignored.
func parameters(r *http.Request, allowed ...string) error {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return fault.Of(fault.CodeValue).At("query")
	}
	for name, values := range q {
		switch {
		case name == "_format" && !jsonFormat(values[0]):
			return fault.Of(fault.CodeMediaType).At("query _format")
		case name == "_format", name == "_pretty":
		case !slices.Contains(allowed, name):
			return fault.Of(fault.CodeNotServed).At("query " + shown(name))
		case len(values) > 1:
			return fault.Of(fault.CodeValue).At("query " + name)
		}
	}
	return nil
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

// body reads a bounded body within the budget. give must be called when it is no longer needed.
func (s *Service) body(w http.ResponseWriter, r *http.Request) (body []byte, give func(), err error) {
	size := r.ContentLength
	if size > fhir.MaxBytes {
		return nil, nil, fault.Of(fault.CodeTooLarge)
	}
	if size < 0 {
		size = fhir.MaxBytes // it does not say
	}
	give, err = s.bodies.take(r.Context(), size*copies)
	if err != nil {
		return nil, nil, err
	}
	limited := http.MaxBytesReader(w, r.Body, fhir.MaxBytes)
	if r.ContentLength >= 0 {
		body = make([]byte, size)
		_, err = io.ReadFull(limited, body)
	} else {
		body, err = io.ReadAll(limited)
	}
	if err != nil {
		give()
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, nil, fault.Of(fault.CodeTooLarge)
		}
		return nil, nil, fault.Of(fault.CodeSyntax).Wrap(fmt.Errorf("rest: read body: %w", err))
	}
	return body, give, nil
}

const (
	// bodiesInFlight bounds the bytes of bodies that are being read or wait for their answer, and of
	// answers being built.
	bodiesInFlight = 16 << 20
	// copies is how often a body is held while it waits: as read, on its way to the stream, in the
	// recorder's batch.
	copies = 3
	// budgetWait is how long a request waits for room before it is sent away.
	budgetWait = 5 * time.Second
)

// budget bounds bytes in flight.
type budget struct{ bytes *semaphore.Weighted }

func newBudget(n int64) *budget { return &budget{semaphore.NewWeighted(n)} }

// take reserves n bytes. CodeBusy when there is no room in time.
func (b *budget) take(ctx context.Context, n int64) (give func(), err error) {
	if !b.bytes.TryAcquire(n) {
		ctx, cancel := context.WithTimeout(ctx, budgetWait)
		defer cancel()
		if err := b.bytes.Acquire(ctx, n); err != nil {
			return nil, fault.Of(fault.CodeBusy).After(time.Second).Wrap(fmt.Errorf("rest: bytes in flight: %w", err))
		}
	}
	return func() { b.bytes.Release(n) }, nil
}
