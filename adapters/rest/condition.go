package rest

import (
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/streams"
)

// headerNone is the condition of a conditional create (FHIR R4 http.html#ccreate).
const headerNone = "If-None-Exist"

// posting is what a POST may depend on: a pharmacy's claim, and that a prescription does not exist.
func (s *Service) posting(who auth.Subject, r *http.Request, p posted) (nats.Header, error) {
	h := nats.Header{}
	if r.Header.Get(streams.HeaderCollect) != "" {
		return h, fault.Of(fault.CodeNotServed).At("header " + streams.HeaderCollect) // $collect takes it
	}
	claim, err := statedClaim(r, who.Role)
	if err != nil {
		return h, err
	}
	if claim != "" {
		h.Set(streams.HeaderClaim, claim)
	}
	none, err := s.noneExist(who, r, p)
	if none != "" {
		h.Set(streams.HeaderNoneExist, none)
	}
	return h, err
}

// noneExist is the keyed hash of the identifier that must not exist yet, "" when nothing is asked. It is
// served for one prescription by its own business identifier, because only this is kept unique: under
// any other search two creates at once would both find nothing.
func (s *Service) noneExist(who auth.Subject, r *http.Request, p posted) (string, error) {
	lines := r.Header.Values(headerNone)
	if len(lines) == 0 {
		return "", nil
	}
	notServed := fault.Of(fault.CodeNotServed).At("header " + headerNone)
	if len(lines) > 1 || who.Role != auth.Clinic || p.doc.Type() != streams.TypeMedicationRequest || len(p.read.Requests) != 1 {
		return "", notServed
	}
	asked, ok := identifierSought(lines[0])
	if !ok || asked != p.read.Requests[0].Identity {
		return "", notServed
	}
	sum := s.deps.Keys.Index(who.Org, "rx", asked.System, asked.Value).Hash
	return hex.EncodeToString(sum[:]), nil
}

// identifierSought reads identifier=system|value, the one search that is served. A list (a comma), a
// modifier or a second parameter would be another search.
func identifierSought(search string) (id fhir.Identifier, ok bool) {
	q, err := url.ParseQuery(strings.TrimPrefix(search, "?"))
	if err != nil || len(q) != 1 || len(q["identifier"]) != 1 {
		return id, false
	}
	id.System, id.Value, ok = strings.Cut(q["identifier"][0], "|")
	return id, ok && id.Value != "" && !strings.ContainsAny(id.System+id.Value, `,|\$`)
}

// Amend serves PUT MedicationRequest/{id} with If-Match: other content for a prescription of the
// caller's that no pharmacy works by. Without the version that is meant, two people would overwrite each
// other: then it is RX_VERSION.
func (s *Service) Amend() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p, a, ok := s.submit(w, r, one(streams.TypeMedicationRequest), s.amending); ok {
			s.answer(w, r, p, a)
		}
	})
}

func (s *Service) amending(who auth.Subject, r *http.Request, _ posted) (nats.Header, error) {
	h := nats.Header{}
	id, err := pathID(r)
	if err != nil {
		return h, err
	}
	row, err := s.deps.Records.Prescription(r.Context(), id)
	if err != nil {
		return h, unknown(err)
	}
	if row.Clinic != who.Org {
		return h, fault.Of(fault.CodeNotFound)
	}
	if r.Header.Get(headerNone) != "" {
		return h, fault.Of(fault.CodeNotServed).At("header " + headerNone)
	}
	lines := r.Header.Values("If-Match")
	if len(lines) != 1 {
		return h, fault.Of(fault.CodeVersion).At("header If-Match")
	}
	version := strings.Trim(strings.TrimPrefix(strings.TrimSpace(lines[0]), "W/"), `"`)
	if n, err := strconv.ParseUint(version, 10, 31); err != nil || n == 0 {
		return h, fault.Of(fault.CodeVersion).At("header If-Match")
	}
	h.Set(streams.HeaderMatch, version)
	h.Set(streams.HeaderID, id.String())
	return h, nil
}

// one admits bare resources of one type.
func one(resourceType string) admission {
	return func(d *fhir.Document) error {
		if d.Type() != resourceType {
			return fault.Of(fault.CodeResourceType).At("resourceType")
		}
		return nil
	}
}

// mayAsk refuses a pharmacy's prescription that is not a request to the clinic for another one
// (PROTOCOL §1). In a message with dispenses prescriptions are citations.
func (p posted) mayAsk(who auth.Subject) error {
	if who.Role != auth.Pharmacy || len(p.read.Dispenses) > 0 {
		return nil
	}
	for _, q := range p.read.Requests {
		if q.Intent != "proposal" || len(q.Prior) == 0 {
			return fault.Of(fault.CodeSender).At(q.Expression)
		}
	}
	return nil
}
