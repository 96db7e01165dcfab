package rest

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/fhir/rx"
	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger/collect"
	"github.com/dosewire/dosewire/streams"
)

// Collect serves POST MedicationRequest/$collect: a pharmacy's dispense for the prescription that the
// collect code in Rx-Collect opens. The answer to a yes is a Bundle with the prescription as it is
// delivered to the pharmacy, and the outcome.
func (s *Service) Collect() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(streams.HeaderCollect) == "" {
			adapters.Refuse(w, fault.Of(fault.CodeRequired).At("header "+streams.HeaderCollect))
			return
		}
		p, a, ok := s.submit(w, r, one(streams.TypeMedicationDispense), s.collecting)
		if !ok {
			return
		}
		if a.Status/100 != 2 || len(a.Resources) != 1 {
			s.answer(w, r, p, a)
			return
		}
		body, give, err := s.collected(r.Context(), a)
		if err != nil {
			adapters.Refuse(w, err) // the same request, sent again, fetches it
			return
		}
		defer give()
		reply(w, s.head(w.Header(), p, a), body)
	})
}

// collecting turns the code into a proof, so that no secret enters the stream.
func (s *Service) collecting(who auth.Subject, r *http.Request, p posted) (nats.Header, error) {
	h := nats.Header{}
	claim, err := statedClaim(r, who.Role)
	if err != nil {
		return h, err
	}
	if claim != "" {
		h.Set(streams.HeaderClaim, claim)
	}
	lines := r.Header.Values(streams.HeaderCollect)
	code, ok := collect.Parse(lines[0])
	if len(lines) != 1 || !ok {
		return h, fault.Of(fault.CodeValue).At("header " + streams.HeaderCollect)
	}
	h.Set(streams.HeaderCollect, code.Prove(p.body))
	return h, nil
}

// knownPatient leaves out that nobody says whose the dispense is: the code does.
func knownPatient(issues []fhir.Issue) []fhir.Issue {
	return slices.DeleteFunc(slices.Clone(issues), func(i fhir.Issue) bool { return i.ID == string(fault.CodeNoPatient) })
}

// collected is the answer's Bundle. give must be called when it was written. What the caller may not
// read any more, when the answer is asked for again, is left out.
func (s *Service) collected(ctx context.Context, a streams.Answer) (body []byte, give func(), err error) {
	give = func() {}
	who, err := subject(ctx)
	if err != nil {
		return nil, give, err
	}
	base := []byte(`{"resourceType":"Bundle","type":"collection","entry":[`)
	id, err := uuid.Parse(a.Resources[0].Rx)
	if err != nil {
		return nil, give, fault.New(fault.Internal, "rest: a collected prescription without an id").Wrap(err)
	}
	row, err := s.visible(ctx, who, id)
	switch {
	case fault.CodeOf(err) == fault.CodeNotFound:
	case err != nil:
		return nil, give, err
	default:
		var state rx.State
		if err := json.Unmarshal(row.State, &state); err != nil {
			return nil, give, fault.New(fault.Tampered, "rest: stored state").Wrap(err)
		}
		room := s.bodies.of(who.Org)
		if err := room.take(ctx, 2*fhir.MaxBytes); err != nil {
			return nil, func() {}, err
		}
		give = room.give
		plain, err := s.deps.Records.Read(ctx, reader(who, "collect"), row.Record)
		if err != nil {
			give()
			return nil, func() {}, unknown(err)
		}
		sent, err := payload(plain.Body, itemsOf(state.Record))
		if err != nil {
			give()
			return nil, func() {}, err
		}
		base = append(base, `{"fullUrl":"`+s.deps.BaseURL+"/fhir/MedicationRequest/"+id.String()+`","resource":`...)
		base = append(append(base, sent...), `},`...)
	}
	base = append(base, `{"fullUrl":"urn:uuid:`+uuid.NewSHA1(id, []byte(a.Record)).String()+`","resource":`...)
	base = append(base, fhir.OutcomeFrom(a.Issues)...)
	return append(base, `}]}`...), give, nil
}
