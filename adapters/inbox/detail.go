package inbox

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/streams"
)

// detailPage is what detail.html shows.
type detailPage struct {
	prescription
	Timeline []milestone
	Fills    []fill
	Choose   bool // the patient may choose a pharmacy now
	Choices  []choice
	Code     bool // the patient may show a collect code
	HasCode  bool // and there is one
	Said     said
	Safety   safetyWords
}

// Unanswered reports whether the pharmacy has not picked it up in time: another one is offered at once.
func (p detailPage) Unanswered() bool { return p.Choose && p.state.Alarmed }

// fill is one hand-over.
type fill struct {
	Number int
	At     time.Time
	Date   string // FHIR dateTime as the pharmacy sent it; "" = only At is known
	Where  string
}

// choice is a pharmacy that the prescription may go to.
type choice struct {
	ID      string
	Name    string
	Present bool
}

func (a *app) detail(w http.ResponseWriter, r *http.Request, s session) {
	id, err := uuid.Parse(r.PathValue("id"))
	if err != nil {
		a.notFound(w, r)
		return
	}
	page, err := a.detailOf(r.Context(), s, id)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	page.Said = saidBy(r.URL.Query().Get("said"))
	a.render(w, r, http.StatusOK, "detail.html", page)
}

func (a *app) detailOf(ctx context.Context, s session, id ledger.ID) (detailPage, error) {
	p, err := a.one(ctx, s, id)
	if err != nil {
		return detailPage{}, err
	}
	messages, chosen, err := a.messagesOf(ctx, p)
	if err != nil {
		return detailPage{}, err
	}
	ids := []ledger.ID{p.row.Record}
	for _, m := range messages {
		ids = append(ids, m.ID)
	}
	bodies, err := a.bodies(ctx, s.reader(p.row.Patient), ids)
	if err != nil {
		return detailPage{}, err
	}
	body := bodies[p.row.Record].Body
	p.show(a.keys, body)
	var events []event
	for _, m := range messages {
		events = append(events, a.eventsOf(m, bodies[m.ID].Body)...)
	}
	if chosen.IsZero() && p.Pharmacy != "" {
		chosen = p.Issued // routed as it was issued
	}
	page := detailPage{prescription: p, Choose: choosable(p.state), Code: p.codeable(), HasCode: p.state.Code != ""}
	page.Safety = a.safetyOf(p, body)
	page.Timeline = timeline(p.Words, p.state, p.Issued, chosen, p.Clinic, p.Pharmacy, events)
	for i, e := range collected(events) {
		page.Fills = append(page.Fills, fill{Number: i + 1, At: e.at, Date: e.handed, Where: e.pharmacy})
	}
	if page.Choose {
		page.Choices = a.choices(p)
	}
	return page, nil
}

// messagesOf finds the messages of pharmacies about a prescription, oldest first, and when the
// patient last chose a pharmacy for it.
func (a *app) messagesOf(ctx context.Context, p prescription) (messages []ledger.Record, chosen time.Time, err error) {
	dispenses, err := a.records.PrescriptionDispenses(ctx, p.ID)
	if err != nil {
		return nil, chosen, fmt.Errorf("inbox: dispenses: %w", err)
	}
	for _, d := range dispenses {
		versions, err := a.records.Versions(ctx, d.Resource)
		if err != nil {
			return nil, chosen, fmt.Errorf("inbox: dispense: %w", err)
		}
		messages = append(messages, versions...)
	}
	slices.SortFunc(messages, func(x, y ledger.Record) int { return slices.Compare(x.ID[:], y.ID[:]) })
	own, err := a.records.Versions(ctx, p.ID)
	if err != nil {
		return nil, chosen, fmt.Errorf("inbox: versions: %w", err)
	}
	for _, r := range own {
		if r.Type == "fact" { // the only facts about one prescription are choices
			chosen = timeOf(r.ID)
		}
	}
	return messages, chosen, nil
}

// eventsOf reads what a pharmacy's message said. A message with several dispenses tells all of them.
func (a *app) eventsOf(r ledger.Record, body []byte) []event {
	doc, err := fhir.Decode(body)
	if err != nil {
		return nil
	}
	m, _ := fhir.Read(doc)
	var out []event
	for _, d := range m.Dispenses {
		out = append(out, event{at: timeOf(r.ID), dispense: r.Of, status: d.Status, pharmacy: a.name(r.Org), handed: d.HandedOver})
	}
	return out
}

// choices lists the pharmacies that the patient may choose, by name. Sandbox organisations reach
// only each other, and a pharmacy that refused the prescription is not offered it again.
func (a *app) choices(p prescription) []choice {
	clinic, _ := a.orgs.Organization(p.row.Clinic)
	var out []choice
	for _, o := range a.orgs.Organizations() {
		id := o.ID.String()
		if auth.Role(o.Kind) != auth.Pharmacy || o.Disabled || o.Sandbox != clinic.Sandbox || slices.Contains(p.state.Declined, id) {
			continue
		}
		out = append(out, choice{ID: id, Name: o.Name, Present: o.ID == p.row.Pharmacy})
	}
	slices.SortFunc(out, func(x, y choice) int { return compareFold(x.Name, y.Name) })
	return out
}

// choosePharmacy publishes the patient's choice and shows the recorder's word.
func (a *app) choosePharmacy(w http.ResponseWriter, r *http.Request, s session) {
	id, err := uuid.Parse(r.PathValue("id"))
	if err != nil {
		a.notFound(w, r)
		return
	}
	picked, err := pickedPharmacy(r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	p, err := a.one(r.Context(), s, id)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	back := "/inbox/p/" + id.String() + "?said="
	offered := slices.ContainsFunc(a.choices(p), func(c choice) bool { return c.ID == picked })
	if !choosable(p.state) || !offered {
		http.Redirect(w, r, back+saidLate, http.StatusSeeOther)
		return
	}
	word, err := a.nominate(r.Context(), p.row.Patient, id, picked)
	if err == nil && word == saidSent {
		word, err = a.nominateElsewhere(r.Context(), s, p.row.Patient, picked)
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	http.Redirect(w, r, back+word, http.StatusSeeOther)
}

// pickedPharmacy is the one that the form names. What no page of ours could have sent is refused.
func pickedPharmacy(r *http.Request) (string, error) {
	if err := r.ParseForm(); err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return "", fault.Of(fault.CodeTooLarge)
		}
		return "", fault.Of(fault.CodeParameter)
	}
	id, err := uuid.Parse(r.PostForm.Get("pharmacy"))
	if err != nil {
		return "", fault.Of(fault.CodeParameter)
	}
	return id.String(), nil
}

// answerWait is how long a page waits for the recorder.
const answerWait = 8 * time.Second

func (a *app) nominate(ctx context.Context, patient, prescription ledger.ID, pharmacy string) (word string, err error) {
	fact, err := nomination(patient, prescription, pharmacy)
	if err != nil {
		return "", err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("inbox: id: %w", err)
	}
	answer, err := a.submit.Call(ctx, streams.Message{
		ID: "hub." + id.String(), Subject: streams.FactSubject("nomination"), Body: fact,
	}, answerWait)
	return saidAfter(answer, err)
}

// nominateElsewhere makes a choice the standing one for all others of the same person: their prescriptions that
// wait for a pharmacy go there too. Each is a fact of its own, about one patient.
func (a *app) nominateElsewhere(ctx context.Context, s session, chosen ledger.ID, pharmacy string) (word string, err error) {
	word = saidSent
	for _, patient := range s.patients() {
		if patient == chosen {
			continue
		}
		said, err := a.nominate(ctx, patient, ledger.ID{}, pharmacy)
		if err != nil {
			return "", err
		}
		if said == saidPending {
			word = said
		}
	}
	return word, nil
}
