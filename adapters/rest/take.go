package rest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/streams"
)

// Take handles the POST of a resource: types are the resourceTypes taken at this path.
func (s *Service) Take(types ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, err := subject(r.Context())
		if err != nil {
			adapters.Refuse(w, err)
			return
		}
		if err := s.deps.Healthy(); err != nil {
			adapters.Refuse(w, fault.Of(fault.CodeUnavailable).Wrap(err))
			return
		}
		if err := mediaType(r); err != nil {
			adapters.Refuse(w, err)
			return
		}
		body, give, err := s.body(w, r)
		if err != nil {
			adapters.Refuse(w, err)
			return
		}
		defer give()
		post, issues := examine(body, types)
		if status, refused := fhir.Refused(issues); refused {
			adapters.RefuseAll(w, status, issues, 0)
			return
		}
		m, err := post.message(who, r)
		if err != nil {
			adapters.Refuse(w, err)
			return
		}
		a, err := s.deps.Submit.Call(r.Context(), m, answerWait)
		if err != nil {
			adapters.Refuse(w, err)
			return
		}
		s.answer(w, r, post, a)
	})
}

// mediaType admits FHIR R4 JSON.
func mediaType(r *http.Request) error {
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return fault.Of(fault.CodeMediaType)
	}
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/fhir+json" && kind != "application/json" {
		return fault.Of(fault.CodeMediaType)
	}
	if v := params["fhirversion"]; v != "" && v != "4.0" {
		return fault.Of(fault.CodeMediaType)
	}
	if c := params["charset"]; c != "" && !strings.EqualFold(c, "utf-8") {
		return fault.Of(fault.CodeMediaType)
	}
	return nil
}

// body reads a bounded body within the budget. give must be called when it is no longer needed.
func (s *Service) body(w http.ResponseWriter, r *http.Request) (body []byte, give func(), err error) {
	size := r.ContentLength
	if size > fhir.MaxBytes {
		return nil, nil, fault.Of(fault.CodeTooLarge)
	}
	if size < 0 {
		size = fhir.MaxBytes
	}
	// held three times while it waits: as read, in the stream's batch, in the recorder's
	give, err = s.bodies.take(r.Context(), 3*size)
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
		return nil, nil, fault.Of(fault.CodeSyntax).Wrap(err)
	}
	return body, give, nil
}

// posted is a body that may enter the stream.
type posted struct {
	body   []byte
	doc    *fhir.Document
	bundle string // Bundle.type
	read   fhir.Message
}

// examine decodes, validates and reads a body; errors among the issues refuse it. A batch's entries
// are judged one by one by the recorder.
func examine(body []byte, types []string) (posted, []fhir.Issue) {
	p := posted{body: body}
	doc, err := fhir.Decode(body)
	if err != nil {
		return p, []fhir.Issue{fhir.IssueOf(err)}
	}
	p.doc = doc
	known := false
	for _, t := range types {
		known = known || doc.Type() == t
	}
	if !known {
		return p, []fhir.Issue{fhir.IssueOf(fault.Of(fault.CodeResourceType).At("resourceType"))}
	}
	p.bundle = doc.BundleType()
	if p.bundle == "batch" {
		return p, nil
	}
	issues := fhir.Validate(doc)
	if _, refused := fhir.Refused(issues); refused {
		return p, issues
	}
	read, more := fhir.Read(doc)
	p.read = read
	return p, append(issues, more...)
}

// message is what is published: the received bytes under the sender's id for them.
func (p posted) message(who auth.Subject, r *http.Request) (streams.Message, error) {
	id := r.Header.Get("Idempotency-Key")
	if id == "" {
		id = p.read.ID
	}
	if id == "" && (p.bundle != "" || p.identified()) {
		sum := sha256.Sum256(p.body)
		id = "~" + hex.EncodeToString(sum[:]) // identities inside tell repeats apart
	}
	if id == "" {
		return streams.Message{}, fault.Of(fault.CodeNoMessageID)
	}
	header := nats.Header{}
	if claim := claimed(r); claim != "" {
		header.Set(streams.HeaderClaim, claim)
	}
	streams.Inject(r.Context(), header)
	return streams.Message{ID: who.Org.String() + "." + plain(id), Subject: streams.IntakeSubject(who.Org.String(), p.doc.Type()),
		Header: header, Body: p.body}, nil
}

func (p posted) identified() bool {
	for _, q := range p.read.Requests {
		if q.Identity != (fhir.Identifier{}) || q.Local != "" {
			return true
		}
	}
	for _, d := range p.read.Dispenses {
		if d.Identity != (fhir.Identifier{}) || d.Local != "" {
			return true
		}
	}
	return false
}

// plain keeps an id that fits into a header, and hashes any other.
func plain(id string) string {
	fits := len(id) <= 200
	for _, c := range []byte(id) {
		fits = fits && c > ' ' && c < 0x7f
	}
	if fits {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "#" + hex.EncodeToString(sum[:])
}

// claimed is the claim number that the sender states: Rx-Claim, or the If-Match of a dispense.
func claimed(r *http.Request) string {
	if c := r.Header.Get(streams.HeaderClaim); c != "" {
		return c
	}
	return strings.TrimSuffix(strings.TrimPrefix(r.Header.Get("If-Match"), `W/"`), `"`)
}
