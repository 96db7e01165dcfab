package rest

import (
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/streams"
)

// contentType of every body that is written here.
const contentType = "application/fhir+json; charset=utf-8"

// instant is FHIR's, with the milliseconds that a record's id holds.
const instant = "2006-01-02T15:04:05.000Z"

// answer writes the recorder's word as HTTP. A repeat gets 200 where the first got 201, with the
// headers of the first decision and the present state.
func (s *Service) answer(w http.ResponseWriter, r *http.Request, p posted, a streams.Answer) {
	status := s.head(w.Header(), p, a)
	h := w.Header()
	if entries := p.entries(a); entries != nil {
		body, err := s.responses(p, entries)
		if err != nil {
			adapters.Refuse(w, err)
			return
		}
		reply(w, http.StatusOK, body)
		return
	}
	if status/100 != 2 {
		if wait := retryIn(a); wait != "" {
			h.Set("Retry-After", wait)
		}
		reply(w, status, fhir.OutcomeFrom(a.Issues))
		return
	}
	reply(w, status, s.success(r, p, a))
}

// head sets the headers of the recorder's word, and returns its status.
func (s *Service) head(h http.Header, p posted, a streams.Answer) (status int) {
	status = a.Status
	if a.Index != nil {
		h.Set(streams.HeaderIndex, strconv.FormatUint(*a.Index, 10))
		h.Set(streams.HeaderLeaf, a.Leaf)
	}
	if a.Replayed {
		h.Set("Idempotent-Replayed", "true")
		if status == http.StatusCreated {
			status = http.StatusOK
		}
	}
	set(h, streams.HeaderVerdict, a.Signature)
	s.about(h, p, a)
	return status
}

// reply writes a body; nil writes none.
func reply(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if body != nil {
		h.Set("Content-Type", contentType)
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that went away asks again
}

// about sets the headers that say where things are and how they stand. A message with one resource is
// about that; one with several is about its record.
func (s *Service) about(h http.Header, p posted, a streams.Answer) {
	record, err := uuid.Parse(a.Record)
	recorded := err == nil
	if recorded && a.Status/100 == 2 {
		h.Set("Last-Modified", recordTime(record).UTC().Format(http.TimeFormat))
	}
	if len(a.Resources) != 1 {
		if recorded && a.Status/100 == 2 && p.bundle != "batch" {
			h.Set("Location", s.deps.BaseURL+"/fhir/Bundle/"+a.Record+"/_history/1")
			h.Set("ETag", etag(1))
		}
		return
	}
	res := a.Resources[0]
	if placed(res) && a.Status/100 == 2 {
		h.Set("Location", s.location(res))
		h.Set("ETag", etag(res.Version))
	}
	set(h, streams.HeaderID, res.Rx)
	set(h, streams.HeaderState, res.State)
	if res.Claim > 0 {
		h.Set(streams.HeaderClaim, strconv.FormatUint(res.Claim, 10))
	}
}

func set(h http.Header, name, value string) {
	if value != "" {
		h.Set(name, value)
	}
}

// placed reports whether a resource can be read at its location.
func placed(res streams.Resource) bool { return res.ID != "" && res.Version > 0 }

func (s *Service) location(res streams.Resource) string {
	return s.deps.BaseURL + "/fhir/" + res.Type + "/" + res.ID + "/_history/" + strconv.Itoa(res.Version)
}

func etag(version int) string { return `W/"` + strconv.Itoa(version) + `"` }

// retryIn is a Retry-After value for a refusal that the same bytes may survive later: at once when the
// hub was busy, a little later when something else must arrive first.
func retryIn(a streams.Answer) string {
	switch line, ok := fault.Lookup(fault.Code(a.Code)); {
	case a.Status == http.StatusServiceUnavailable:
		return "1"
	case a.Status == http.StatusTooManyRequests:
		return "600"
	case ok && line.Retry:
		return "5"
	}
	return ""
}

// success is the body as Prefer asks: the outcome unless nothing or the resource itself is wanted.
func (s *Service) success(r *http.Request, p posted, a streams.Answer) []byte {
	switch prefer(r) {
	case wantMinimal:
		return nil
	case wantRepresentation:
		if body, ok := represent(p, a); ok {
			return body
		}
	}
	return fhir.OutcomeFrom(a.Issues)
}

// represent is the resource as a read of its location gives it. A Bundle has none.
func represent(p posted, a streams.Answer) ([]byte, bool) {
	if p.bundle != "" || len(a.Resources) != 1 || !placed(a.Resources[0]) {
		return nil, false
	}
	res := a.Resources[0]
	record, err := uuid.Parse(a.Record)
	if err != nil {
		return nil, false
	}
	body, err := splice(found{raw: p.body, id: res.ID, version: res.Version, at: recordTime(record), state: stateOf(res)})
	return body, err == nil
}

// stateOf is the state that a read of the resource is tagged with: a dispense has none of its own.
func stateOf(res streams.Resource) string {
	if res.Type != streams.TypeMedicationRequest {
		return ""
	}
	return res.State
}

// recordTime is when a record was made: ids are time-ordered (UUIDv7).
func recordTime(id ledger.ID) time.Time { return time.Unix(id.Time().UnixTime()) }
