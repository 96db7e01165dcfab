package rest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/streams"
)

// contentType of every body that is written here.
const contentType = "application/fhir+json; charset=utf-8"

// answer writes the recorder's word as HTTP. A repeat gets 200 with the headers of the first decision
// and the present state.
func (s *Service) answer(w http.ResponseWriter, r *http.Request, p posted, a streams.Answer) {
	status := a.Status
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
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
	if len(a.Resources) == 1 {
		s.about(h, a.Resources[0])
	}
	if status/100 == 2 {
		h.Set("Last-Modified", s.deps.Now().UTC().Format(http.TimeFormat))
	}
	body := s.success(r, p, a)
	if status/100 != 2 {
		body = fhir.OutcomeFrom(a.Issues)
		if a.Status == http.StatusServiceUnavailable {
			h.Set("Retry-After", "1")
		}
	}
	if body == nil {
		h.Del("Content-Type")
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that went away asks again
}

// about sets the headers of one resource.
func (s *Service) about(h http.Header, res streams.Resource) {
	if res.ID != "" && res.Version > 0 {
		h.Set("Location", s.location(res))
		h.Set("ETag", etag(res.Version))
	}
	set := func(name, value string) {
		if value != "" {
			h.Set(name, value)
		}
	}
	set(streams.HeaderID, res.Rx)
	set(streams.HeaderState, res.State)
	if res.Claim > 0 {
		h.Set(streams.HeaderClaim, strconv.FormatUint(res.Claim, 10))
	}
}

func (s *Service) location(res streams.Resource) string {
	return s.deps.BaseURL + "/fhir/" + res.Type + "/" + res.ID + "/_history/" + strconv.Itoa(res.Version)
}

func etag(version int) string { return `W/"` + strconv.Itoa(version) + `"` }

// success is the body of a success as Prefer asks: the outcome unless minimal or the resource itself
// is wanted; transactions and batches answer entry by entry.
func (s *Service) success(r *http.Request, p posted, a streams.Answer) []byte {
	if p.bundle == "transaction" || p.bundle == "batch" {
		return s.entries(p, a)
	}
	prefer := r.Header.Get("Prefer")
	switch {
	case strings.Contains(prefer, "return=minimal"):
		return nil
	case strings.Contains(prefer, "return=representation") && p.bundle == "" && len(a.Resources) == 1:
		meta := fhir.Meta{ID: a.Resources[0].ID, VersionID: strconv.Itoa(a.Resources[0].Version),
			LastUpdated: s.deps.Now().UTC().Format(time.RFC3339Nano), Tags: tags(a.Resources[0].State)}
		if spliced, err := fhir.Splice(p.body, meta); err == nil {
			return spliced
		}
	}
	return fhir.OutcomeFrom(a.Issues)
}

// entries is a transaction-response or batch-response Bundle: one entry for each resource that was
// decided, the last with the outcome of all.
func (s *Service) entries(p posted, a streams.Answer) []byte {
	type response struct {
		Status   string          `json:"status"`
		Location string          `json:"location,omitempty"`
		Etag     string          `json:"etag,omitempty"`
		Outcome  json.RawMessage `json:"outcome,omitempty"`
	}
	type entry struct {
		Response response `json:"response"`
	}
	out := struct {
		ResourceType string  `json:"resourceType"`
		Type         string  `json:"type"`
		Entry        []entry `json:"entry,omitempty"`
	}{"Bundle", p.bundle + "-response", nil}
	for i, res := range a.Resources {
		e := response{Status: strconv.Itoa(res.Status)}
		if res.ID != "" && res.Version > 0 {
			e.Location, e.Etag = s.location(res), etag(res.Version)
		}
		if i == len(a.Resources)-1 {
			e.Outcome = fhir.OutcomeFrom(a.Issues)
		}
		out.Entry = append(out.Entry, entry{e})
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(out) // our own strings and valid JSON
	return b.Bytes()
}

// stateSystem is the code system of the tag that a stock client sees the prescription's state in.
const stateSystem = "https://dosewire.example/fhir/CodeSystem/rx-state"

func tags(state string) []fhir.Coding {
	if state == "" {
		return nil
	}
	return []fhir.Coding{{System: stateSystem, Code: state}}
}
