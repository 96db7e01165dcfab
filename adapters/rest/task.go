package rest

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/fhir/rx"
	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/streams"
)

// Code systems and identifier systems of ours in a Task.
const (
	businessSystem = "https://dosewire.example/fhir/CodeSystem/business-status"
	claimSystem    = "https://dosewire.example/fhir/claim-number"
	orgSystem      = "https://dosewire.example/fhir/organization-id"
)

// ReadTask serves GET Task/{id}. The Task of a prescription has the prescription's id: there is one for
// each, and it is written by the hub alone.
func (s *Service) ReadTask() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t, who, err := s.oneTask(r)
		if err != nil {
			adapters.Refuse(w, err)
			return
		}
		if matches(r.Header.Values("If-None-Match"), t.row.Version) {
			t.headers(w.Header())
			reply(w, http.StatusNotModified, nil)
			return
		}
		bodies, err := s.write(r.Context(), who, "read", []task{t})
		if err != nil {
			adapters.Refuse(w, err)
			return
		}
		t.headers(w.Header())
		reply(w, http.StatusOK, bodies[0])
	})
}

// task is what a Task is made of, before the disclosure is stored.
type task struct {
	known
	dispenses []ledger.Dispense // that the caller may read, oldest first
}

func (t task) headers(h http.Header) {
	h.Set("ETag", etag(t.row.Version))
	h.Set("Last-Modified", t.modified().UTC().Format(http.TimeFormat))
	h.Set(streams.HeaderState, t.row.Status)
}

func (s *Service) oneTask(r *http.Request) (t task, who auth.Subject, err error) {
	if who, err = subject(r.Context()); err != nil {
		return t, who, err
	}
	if err = parameters(r); err != nil {
		return t, who, err
	}
	id, err := pathID(r)
	if err != nil {
		return t, who, err
	}
	t, err = s.task(r.Context(), who, id)
	return t, who, err
}

// task gathers the Task of a prescription that the caller may read, RX_NOT_FOUND otherwise.
func (s *Service) task(ctx context.Context, who auth.Subject, id ledger.ID) (t task, err error) {
	if t.known, err = s.known(ctx, who, id); err != nil {
		return t, err
	}
	all, err := s.deps.Records.PrescriptionDispenses(ctx, id)
	if err != nil {
		return t, unknown(err)
	}
	for _, d := range all {
		if d.Org == who.Org || t.row.Clinic == who.Org {
			t.dispenses = append(t.dispenses, d)
		}
	}
	return t, nil
}

// write stores one disclosure for all of them, opens their prescriptions for who they are for, and writes
// them.
func (s *Service) write(ctx context.Context, who auth.Subject, action string, tasks []task) ([][]byte, error) {
	records := make([]ledger.ID, len(tasks))
	for i, t := range tasks {
		records[i] = t.row.Record
	}
	plains, err := s.deps.Records.ReadAll(ctx, reader(who, action), records)
	if err != nil {
		return nil, unknown(err)
	}
	bodies := make([][]byte, len(tasks))
	for i, t := range tasks {
		if bodies[i], err = s.taskOf(who, t, plains[i].Body).JSON(); err != nil {
			return nil, err
		}
	}
	return bodies, nil
}

// taskOf says how a prescription stands (PROTOCOL §5).
func (s *Service) taskOf(who auth.Subject, t task, body []byte) fhir.Task {
	status, reason := t.state.TaskStatus()
	business := t.state.Business()
	out := fhir.Task{
		ID: t.row.ID.String(), Version: t.row.Version, Authored: t.authored(), Modified: t.modified(),
		Status: status, Urgent: t.state.Urgent,
		Business: []fhir.Coding{{System: businessSystem, Code: string(business)}}, BusinessText: business.Text(),
		Focus: "MedicationRequest/" + t.row.ID.String(), For: patientOf(body), Requester: s.organization(t.row.Clinic),
		Repetitions: t.state.FillsAllowed, From: timeOf(t.state.ValidFrom),
		Begun: timeOf(t.seen.Begun()), Ended: timeOf(t.seen.Ended()),
	}
	if nhs := business.NHS(); nhs != "" {
		out.Business = append(out.Business, fhir.Coding{System: rx.NHSBusinessStatus, Code: nhs})
	}
	if reason != "" {
		line, _ := fault.Lookup(reason)
		out.Reason, out.ReasonText = fhir.Coding{System: fhir.OutcomeSystem, Code: string(reason)}, line.Title
	}
	if t.state.ValidTo != 0 {
		out.To = timeOf(t.state.ValidTo - 1) // of Task the end is inclusive
	}
	if t.row.Holder != (ledger.ID{}) && t.mayKnowHolder(who) {
		out.Owner = s.organization(t.row.Holder)
	}
	if t.row.Claim > 0 && (who.Org == t.row.Holder || who.Org == t.row.Clinic) {
		out.Identifier = fhir.Identifier{System: claimSystem, Value: strconv.FormatUint(t.row.Claim, 10)}
	}
	for _, d := range t.dispenses {
		out.Output = append(out.Output, fhir.Party{Reference: "MedicationDispense/" + d.Resource.String(), Type: streams.TypeMedicationDispense})
	}
	return out
}

// mayKnowHolder: where the patient goes now is not told to a pharmacy where the patient was.
func (t task) mayKnowHolder(who auth.Subject) bool {
	return who.Org == t.row.Clinic || who.Org == t.row.Holder || who.Org == t.row.Pharmacy
}

// organization is how we name one: by its first registered identifier, else by our own id.
func (s *Service) organization(id ledger.ID) fhir.Party {
	p := fhir.Party{Type: "Organization", Identifier: fhir.Identifier{System: orgSystem, Value: id.String()}}
	org, _ := s.deps.Directory.Organization(id)
	p.Display = org.Name
	if len(org.Identifiers) > 0 {
		p.Identifier = fhir.Identifier(org.Identifiers[0])
	}
	return p
}

// patientOf is the patient as the prescription names them, which whoever reads the Task may read too. The
// hub's own id of a patient is told to nobody: it would join what two organisations know.
func patientOf(body []byte) fhir.Party {
	doc, err := fhir.Decode(body)
	if err != nil {
		return fhir.Party{}
	}
	m, _ := fhir.Read(doc)
	switch {
	case len(m.Subject.Identifiers) > 0:
		return fhir.Party{Type: "Patient", Identifier: m.Subject.Identifiers[0]}
	case m.Subject.Name != "":
		return fhir.Party{Type: "Patient", Display: m.Subject.Name}
	}
	return fhir.Party{}
}

// authored is when the prescription was issued.
func (t task) authored() time.Time {
	if len(t.trail) > 0 {
		return timeOf(t.trail[0].At)
	}
	return recordTime(t.row.ID)
}

// modified is when it last changed.
func (t task) modified() time.Time {
	if n := len(t.trail); n > 0 {
		return timeOf(t.trail[n-1].At)
	}
	return recordTime(t.row.Record)
}
