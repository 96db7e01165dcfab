package rest

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/fhir/rx"
	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

// found is a resource with what is spliced into it.
type found struct {
	raw     []byte // the resource's own bytes
	id      ledger.ID
	version int
	at      time.Time
	state   string
}

// handler answers a read: err as an outcome, else what serve writes.
func (s *Service) handler(read func(ctx context.Context, who auth.Subject, r *http.Request) (found, error), write func(http.ResponseWriter, *http.Request, found)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, err := subject(r.Context())
		if err == nil {
			var f found
			if f, err = read(r.Context(), who, r); err == nil {
				write(w, r, f)
				return
			}
		}
		adapters.Refuse(w, err)
	})
}

// ReadRequest serves GET MedicationRequest/{id} and, with a version in the path, its vread.
func (s *Service) ReadRequest() http.Handler { return s.handler(s.request, spliced) }

// Original serves the untouched bytes of the prescription as received in its Bundle or alone.
func (s *Service) Original() http.Handler {
	return s.handler(s.request, func(w http.ResponseWriter, _ *http.Request, f found) { write(w, f.raw) })
}

// ReadDispense serves GET MedicationDispense/{id}.
func (s *Service) ReadDispense() http.Handler { return s.handler(s.dispense, spliced) }

// spliced writes a resource with id, meta and state tag set, or 304.
func spliced(w http.ResponseWriter, r *http.Request, f found) {
	h := w.Header()
	h.Set("ETag", etag(f.version))
	h.Set("Last-Modified", f.at.UTC().Format(http.TimeFormat))
	if r.Header.Get("If-None-Match") == etag(f.version) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body, err := fhir.Splice(f.raw, fhir.Meta{ID: f.id.String(), VersionID: strconv.Itoa(f.version),
		LastUpdated: f.at.UTC().Format("2006-01-02T15:04:05.000Z"), Tags: tags(f.state)})
	if err != nil {
		adapters.Refuse(w, err)
		return
	}
	write(w, body)
}

func write(w http.ResponseWriter, body []byte) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(body) // a client that went away
}

// request finds a prescription that the caller may see and opens its version in force.
func (s *Service) request(ctx context.Context, who auth.Subject, r *http.Request) (found, error) {
	id, err := uuid.Parse(r.PathValue("id"))
	if err != nil {
		return found{}, fault.Of(fault.CodeNotFound)
	}
	p, err := s.visible(ctx, who, id)
	if err != nil {
		return found{}, err
	}
	if v := r.PathValue("version"); v != "" && v != strconv.Itoa(p.Version) {
		return found{}, fault.Of(fault.CodeNotFound)
	}
	var state rx.State
	if err := json.Unmarshal(p.State, &state); err != nil {
		return found{}, fault.New(fault.Tampered, "rest: stored state").Wrap(err)
	}
	plain, err := s.deps.Records.Read(ctx, reader(who, "read"), p.Record)
	if err != nil {
		return found{}, notFound(err)
	}
	raw, err := fhir.Item(plain.Body, itemOf(state.Record))
	if err != nil {
		return found{}, err
	}
	return found{raw: raw, id: id, version: p.Version, at: recordTime(plain.Record.ID), state: p.Status}, nil
}

// dispense finds a dispense that the caller made, or that concerns a prescription it may see.
func (s *Service) dispense(ctx context.Context, who auth.Subject, r *http.Request) (found, error) {
	id, err := uuid.Parse(r.PathValue("id"))
	if err != nil {
		return found{}, fault.Of(fault.CodeNotFound)
	}
	d, err := s.deps.Records.DispenseByResource(ctx, id)
	if err != nil {
		return found{}, notFound(err)
	}
	if d.Org != who.Org {
		p, err := s.deps.Records.Prescription(ctx, d.Prescription)
		if err != nil || p.Clinic != who.Org {
			return found{}, fault.Of(fault.CodeNotFound)
		}
	}
	versions, err := s.deps.Records.Versions(ctx, id)
	if err != nil {
		return found{}, err
	}
	if len(versions) == 0 {
		return found{}, fault.Of(fault.CodeNotServed) // it came with others in one Bundle
	}
	last := versions[len(versions)-1]
	plain, err := s.deps.Records.Read(ctx, reader(who, "read"), last.ID)
	if err != nil {
		return found{}, notFound(err)
	}
	raw, err := fhir.Item(plain.Body, fhir.OnlyDispense(plain.Body))
	if err != nil {
		return found{}, err
	}
	return found{raw: raw, id: id, version: d.Version, at: recordTime(last.ID)}, nil
}

// itemOf is the Bundle entry in a state's record reference; 0 for a bare resource.
func itemOf(reference string) int {
	if len(reference) > 37 && reference[36] == '#' {
		if n, err := strconv.Atoi(reference[37:]); err == nil {
			return n
		}
	}
	return 0
}

// recordTime is when a record was made: ids are time-ordered (UUIDv7).
func recordTime(id ledger.ID) time.Time {
	seconds, nanos := id.Time().UnixTime()
	return time.Unix(seconds, nanos)
}
