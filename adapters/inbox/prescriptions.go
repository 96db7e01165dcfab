package inbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/fhir/rx"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

// maxPast bounds how many ended prescriptions a list shows; active ones are all shown.
const maxPast = 50

// prescription is one prescription as the pages show it.
type prescription struct {
	ID       ledger.ID
	View     fhir.View
	Readable bool // View could be read
	Words    words
	Pharmacy string // the holder, else where it is routed; "" = nobody
	Clinic   string
	Issued   time.Time
	Shared   bool // the inbox shows several organisations' prescriptions: say whose this is
	row      ledger.Prescription
	state    rx.State
	codes    uint16 // number of the latest collect code
	checked  checked
}

// Prescriber is who prescribed it, and where.
func (p prescription) Prescriber() string {
	clinic := p.View.Organization
	if clinic == "" {
		clinic = p.Clinic
	}
	switch {
	case p.View.Prescriber == "":
		return clinic
	case clinic == "":
		return p.View.Prescriber
	}
	return p.View.Prescriber + ", " + clinic
}

// From is whose prescription it is, where an inbox shows several organisations' and Prescriber does not say it.
func (p prescription) From() string {
	if !p.Shared || strings.Contains(p.Prescriber(), p.Clinic) {
		return ""
	}
	return p.Clinic
}

// FillsLeft counts what can still be collected.
func (p prescription) FillsLeft() int { return max(p.state.FillsAllowed-p.state.FillsDone, 0) }

func (p prescription) FillsAllowed() int { return p.state.FillsAllowed }

// all reads a person's prescriptions with one access row for each of the patients: active first, each newest first.
func (a *app) all(ctx context.Context, s session) (active, past []prescription, err error) {
	var rows []ledger.Prescription
	for _, patient := range s.patients() {
		theirs, err := a.records.PatientPrescriptions(ctx, patient)
		if err != nil {
			return nil, nil, fmt.Errorf("inbox: prescriptions: %w", err)
		}
		rows = append(rows, theirs...)
	}
	slices.SortStableFunc(rows, func(x, y ledger.Prescription) int { return slices.Compare(y.ID[:], x.ID[:]) })
	for _, row := range rows {
		p, err := a.state(row)
		if err != nil {
			return nil, nil, err
		}
		p.Shared = s.all != nil
		if p.Words.Active {
			active = append(active, p)
		} else if len(past) < maxPast {
			past = append(past, p)
		}
	}
	slices.SortStableFunc(active, func(p, q prescription) int { return urgency(p) - urgency(q) })
	err = a.read(ctx, s, slices.Concat(pointers(active), pointers(past)))
	return active, past, err
}

// urgency puts what the patient can act on before what others are doing.
func urgency(p prescription) int {
	if p.Words.Urgent() {
		return 0
	}
	return 1
}

func pointers(ps []prescription) []*prescription {
	out := make([]*prescription, len(ps))
	for i := range ps {
		out[i] = &ps[i]
	}
	return out
}

// one finds a prescription of the session's patient without reading it. Another patient's is
// ledger.ErrNotFound.
func (a *app) one(ctx context.Context, s session, id ledger.ID) (prescription, error) {
	row, err := a.records.Prescription(ctx, id)
	if err != nil {
		return prescription{}, fmt.Errorf("inbox: prescription: %w", err)
	}
	if !s.sees(row.Patient) {
		return prescription{}, ledger.ErrNotFound
	}
	p, err := a.state(row)
	p.Shared = s.all != nil
	return p, err
}

// state says what the row says, without clinical content.
func (a *app) state(row ledger.Prescription) (prescription, error) {
	p := prescription{ID: row.ID, row: row, Issued: timeOf(row.ID), Clinic: a.name(row.Clinic)}
	var stored struct {
		rx.State
		Codes   uint16
		Therapy checked
	}
	if err := json.Unmarshal(row.State, &stored); err != nil {
		return p, fault.New(fault.Tampered, "inbox: prescription state").Wrap(err)
	}
	p.state, p.codes, p.checked = stored.State, stored.Codes, stored.Therapy
	if row.Holder != (ledger.ID{}) {
		p.Pharmacy = a.name(row.Holder)
	} else {
		p.Pharmacy = a.name(row.Pharmacy)
	}
	p.Words = describe(p.state, p.Pharmacy, func(t time.Time) string { return stampIn(a.zone, t).Day })
	return p, nil
}

func (a *app) name(id ledger.ID) string {
	org, _ := a.orgs.Organization(id)
	return org.Name
}

// timeOf reads the time out of a UUIDv7 (RFC 9562 §5.7); zero for the zero ID.
func timeOf(id ledger.ID) time.Time {
	if id == (ledger.ID{}) {
		return time.Time{}
	}
	var ms int64
	for _, b := range id[:6] {
		ms = ms<<8 | int64(b)
	}
	return time.UnixMilli(ms)
}

// read opens the versions in force, with one access row for all of one patient's.
func (a *app) read(ctx context.Context, s session, ps []*prescription) error {
	for _, patient := range s.patients() {
		var ids []ledger.ID
		for _, p := range ps {
			if p.row.Patient == patient {
				ids = append(ids, p.row.Record)
			}
		}
		bodies, err := a.bodies(ctx, s.reader(patient), ids)
		if err != nil {
			return err
		}
		for _, p := range ps {
			if p.row.Patient == patient {
				p.show(a.keys, bodies[p.row.Record].Body)
			}
		}
	}
	return nil
}

// bodies opens records with one access row. Nothing is read for no records.
func (a *app) bodies(ctx context.Context, who adapters.Reader, ids []ledger.ID) (map[ledger.ID]adapters.Plain, error) {
	slices.SortFunc(ids, func(x, y ledger.ID) int { return slices.Compare(x[:], y[:]) })
	ids = slices.DeleteFunc(slices.Compact(ids), func(id ledger.ID) bool { return id == ledger.ID{} })
	out := make(map[ledger.ID]adapters.Plain, len(ids))
	if len(ids) == 0 {
		return out, nil
	}
	plains, err := a.records.ReadAll(ctx, who, ids)
	if err != nil {
		return nil, fmt.Errorf("inbox: read: %w", err)
	}
	for _, p := range plains {
		out[p.Record.ID] = p
	}
	return out, nil
}

// show reads the view out of a body. A body that cannot be read leaves Readable false: the page says
// so, and the state is shown all the same.
func (p *prescription) show(keys keyring, body []byte) {
	item, err := itemOf(keys, p.row, body)
	if err != nil {
		return
	}
	view, err := fhir.ViewOf(body, item)
	p.View, p.Readable = view, err == nil
}

var errNoItem = errors.New("inbox: the record does not hold the prescription")

// itemOf finds the prescription among those of a message: by the keyed hash under which the recorder
// indexes it.
func itemOf(keys keyring, row ledger.Prescription, body []byte) (int, error) {
	doc, err := fhir.Decode(body)
	if err != nil {
		return 0, err
	}
	m, _ := fhir.Read(doc)
	if len(m.Requests) == 1 {
		return m.Requests[0].Item, nil
	}
	for _, q := range m.Requests {
		if identity(keys, row.Clinic, q) == row.Identity {
			return q.Item, nil
		}
	}
	return 0, errNoItem
}

func identity(keys keyring, clinic ledger.ID, q fhir.Request) ledger.Hash {
	if q.Identity != (fhir.Identifier{}) {
		return keys.Index(clinic, "rx", q.Identity.System, q.Identity.Value).Hash
	}
	return keys.Index(clinic, "rx-id", q.Local).Hash
}
