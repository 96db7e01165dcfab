package recorder

import (
	"time"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/fhir/rx"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/collect"
	"github.com/dosewire/dosewire/streams"
)

// How many wrong collect codes an organisation may show before it must wait. They are counted in stream
// order by the recorder that leads, from its start on: like every budget they are not rebuilt.
const (
	wrongCodes  = 20
	wrongWindow = time.Hour
)

// tries counts the wrong codes of organisations.
type tries map[ledger.ID]window

type window struct {
	since time.Time
	count int
}

// spent reports whether org has had its tries.
func (t tries) spent(org ledger.ID, now time.Time) bool {
	w := t[org]
	return w.count >= wrongCodes && now.Before(w.since.Add(wrongWindow))
}

func (d *decider) missed(org ledger.ID, now time.Time) {
	if d.tries == nil {
		d.tries = tries{}
	}
	w := d.tries[org]
	if !now.Before(w.since.Add(wrongWindow)) {
		w = window{since: now}
	}
	w.count++
	d.tries[org] = w
}

// newCode decides that a patient wants a collect code. Its number is higher than that of every code
// before it, so that no code comes back to life.
func (t *draft) newCode() error {
	f, err := parseCollect(t.unit.body)
	if err != nil {
		t.unit.refuse(err)
		return nil
	}
	p, err := t.take(f.prescription)
	if err != nil {
		return err
	}
	if p == nil || p.row.Patient != f.patient {
		t.unit.refuse(fault.Of(fault.CodeNotFound))
		return nil
	}
	t.patient = p.row.Patient
	res := streams.Resource{Type: streams.TypeMedicationRequest, ID: p.row.ID.String()}
	if f.number <= p.state.Codes && f.locator != p.state.Code {
		t.answered(res, p, rx.Answer{Refused: true, Code: fault.CodeCollectCode}, "")
		return nil
	}
	a := t.step(p, rx.Event{Kind: rx.Open, Code: f.locator}, 0)
	if !a.Refused {
		p.state.Codes = f.number
	}
	res.Version = p.row.Version
	t.answered(res, p, a, "")
	return nil
}

type collectFact struct {
	patient, prescription ledger.ID
	number                uint16
	locator               string
}

func parseCollect(body []byte) (f collectFact, err error) {
	var fact collect.Fact
	if err := strictJSON(body, &fact); err != nil {
		return f, err
	}
	f.patient, f.locator = parseID(fact.Patient), fact.Locator
	prescription, number, ok := collect.ParseLocator(fact.Locator)
	f.prescription, f.number = prescription, number
	if !ok || number == 0 || f.patient == (ledger.ID{}) || prescription != parseID(fact.Prescription) {
		return f, fault.Of(fault.CodeFact)
	}
	return f, nil
}

// collected decides a dispense that comes with a collect code: the code cites the prescription. To whom
// it does not open, an unknown code, an old one and a wrong one are the same answer, which says nothing
// of the prescription.
func (t *draft) collected(md fhir.Dispense, kind rx.Kind) error {
	if t.tries.spent(t.unit.sender.ID, t.now) {
		t.unit.refuse(fault.Of(fault.CodeAttempts).At("header " + streams.HeaderCollect))
		return nil
	}
	id := t.unit.proof.Prescription
	for _, c := range md.Cites {
		if other, ok := t.resolve(c); ok && other != id {
			t.unit.refuse(fault.Of(fault.CodeUnresolved).At(md.Expression + ".authorizingPrescription"))
			return nil
		}
	}
	p, err := t.take(id)
	switch {
	case err != nil:
		return err
	case p == nil || !t.sameWorld(p, t.unit.sender):
		t.wrong(nil, false)
	case t.stranger(p) && !(t.unit.right && p.state.Code == t.unit.proof.Locator):
		// the state machine counts what was tried on the present code
		a := t.step(p, rx.Event{Kind: kind, Code: t.unit.proof.Locator}, md.Item)
		t.wrong(p, a.Counted)
	default:
		return t.identified(p, md, kind)
	}
	return nil
}

// stranger reports whether the sender may not know of p.
func (t *draft) stranger(p *prescription) bool {
	org := t.unit.sender.ID.String()
	return !t.view.Delivered[[2]ledger.ID{t.unit.sender.ID, p.row.ID}] && p.state.Pharmacy != org && p.state.Holder != org
}

// wrong answers a code that does not open. What counts against a code is part of the prescription's
// history; any other try is about nobody, and kept as long as a refusal is.
func (t *draft) wrong(p *prescription, counted bool) {
	if counted {
		t.patient = p.row.Patient
	} else {
		t.patient, t.passing = ledger.ID{}, true
	}
	t.missed(t.unit.sender.ID, t.now)
	err := fault.Of(fault.CodeCollectCode).At("header " + streams.HeaderCollect)
	t.objected(err, counted)
	t.resources = append(t.resources, streams.Resource{Type: streams.TypeMedicationDispense, Status: fault.Status(err), Code: string(err.Code())})
}
