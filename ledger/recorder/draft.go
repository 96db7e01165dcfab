package recorder

import (
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/fhir/rx"
	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/streams"
)

// draft is the decision on one unit in the making. Nothing of it reaches the view before apply.
type draft struct {
	*decider
	unit *unit
	now  time.Time
	id   ledger.ID // of the record
	made uint64    // ids derived from it

	touched    map[ledger.ID]*prescription
	order      []ledger.ID
	identities map[ledger.Key]ledger.ID
	dispenses  map[ledger.Key]ledger.Dispense
	fills      []ledger.Fill
	consequent []consequence
	resources  []streams.Resource
	issues     []fhir.Issue
	conflict   bool // a valid message at the wrong moment: recorded, nothing changes
	counted    bool // but what the refusal itself changes
	patient    ledger.ID
	safety     weighing
	statement  string // public text that is the whole record
	passing    bool   // about nobody: kept as long as a refusal
}

// consequence is an effect of the state machine with the resource that caused it.
type consequence struct {
	rx.Effect
	p    *prescription
	item int
}

func (d *decider) draft(u *unit, now time.Time) *draft {
	t := &draft{decider: d, unit: u, now: now, id: d.newID(u), touched: map[ledger.ID]*prescription{},
		identities: map[ledger.Key]ledger.ID{}, dispenses: map[ledger.Key]ledger.Dispense{}}
	if auth.Role(u.sender.Kind) == auth.Clinic {
		t.patient = u.patient.Patient
	} // of a pharmacy's message, what it is about decides: a clinic's patient, or one of its own
	return t
}

// newID is a record's: a UUIDv7; the standard reader of randomness does not fail.
func newID(*unit) ledger.ID { return uuid.Must(uuid.NewV7()) }

// nextID is the id of something else that the decision makes.
func (t *draft) nextID() ledger.ID {
	t.made++
	return derivedID(t.id, t.made)
}

// take returns a private copy of a prescription for this draft, nil if it was not loaded.
func (t *draft) take(id ledger.ID) (*prescription, error) {
	if p, ok := t.touched[id]; ok {
		return p, nil
	}
	p, err := t.view.prescription(id)
	if p == nil || err != nil {
		return nil, err
	}
	c := *p
	t.touch(&c)
	return &c, nil
}

func (t *draft) touch(p *prescription) {
	t.touched[p.row.ID] = p
	t.order = append(t.order, p.row.ID)
}

// step runs the state machine on p and keeps what follows from it.
func (t *draft) step(p *prescription, e rx.Event, item int) rx.Answer {
	e.Record = t.reference(item)
	if e.Org == "" && t.unit.sender.ID != (ledger.ID{}) {
		e.Org = t.unit.sender.ID.String()
	}
	state, effects, answer := rx.Decide(p.state.State, e, t.now)
	if answer.Counted {
		t.only(p, state, effects, item, e, answer)
	}
	if answer.Refused {
		return answer
	}
	p.state.State = state
	if !answer.NoOp {
		p.dirty = true
		p.row.Version++
		p.remember(e, answer, t.now)
	}
	for _, f := range effects {
		if f.Kind == rx.TakeFill {
			t.fills = append(t.fills, ledger.Fill{Prescription: p.row.ID, Number: f.Number, Pharmacy: parseID(f.Org),
				Claim: state.Claim, Record: t.id})
			continue
		}
		t.consequent = append(t.consequent, consequence{Effect: f, p: p, item: item})
	}
	return answer
}

// only keeps of this draft nothing but one prescription's state, and what time did to it: a refusal
// that counts.
func (t *draft) only(p *prescription, state rx.State, effects []rx.Effect, item int, e rx.Event, a rx.Answer) {
	kept := *p
	kept.state.State, kept.dirty = state, true
	kept.row.Version++
	kept.remember(e, a, t.now)
	t.touched[p.row.ID] = &kept
	t.order, t.consequent = []ledger.ID{p.row.ID}, nil
	for _, f := range effects {
		t.consequent = append(t.consequent, consequence{Effect: f, p: &kept, item: item})
	}
}

// remember adds what e has done to the prescription's trail.
func (p *prescription) remember(e rx.Event, a rx.Answer, now time.Time) {
	p.state.Trail = p.state.Trail.Add(rx.Step{Version: p.row.Version, At: now.UnixMilli(), Kind: e.Kind, Record: e.Record,
		By: e.Org, With: p.state.With(), Status: p.state.Status(), Code: a.Code, Refused: a.Refused})
}

// answered turns the state machine's word on one resource into the sender's.
func (t *draft) answered(res streams.Resource, p *prescription, a rx.Answer, expression string) {
	if p != nil {
		res.Rx = p.row.ID.String()
		res.State = p.state.Status()
		res.Claim = p.state.Claim
		res.Holding = p.state.Holder != "" && p.state.Holder == t.unit.sender.ID.String()
	}
	switch {
	case a.Refused:
		err := fault.Of(a.Code).At(expression)
		res.Status, res.Code = fault.Status(err), string(a.Code)
		t.objected(err, a.Counted)
	case a.NoOp:
		res.Status = 200
		t.inform(fault.CodeRecorded, expression)
	default:
		if res.Status == 0 {
			res.Status = 201
		}
		t.inform(fault.CodeRecorded, expression)
		if a.Code != "" {
			res.Code = string(a.Code)
			t.inform(a.Code, expression)
		}
		if len(a.Flags) > 0 { // flags are words of rx
			last := &t.issues[len(t.issues)-1]
			last.Text += " Conflicts: " + strings.Join(a.Flags, ", ") + "."
		}
	}
	t.resources = append(t.resources, res)
}

// refused is the word on a resource that did not reach the state machine.
func (t *draft) refused(p *prescription, err *fault.Error) {
	res := streams.Resource{Type: streams.TypeMedicationRequest, Status: fault.Status(err), Code: string(err.Code())}
	if err.Kind() == fault.Conflict {
		res.Rx, res.State = p.row.ID.String(), p.state.Status()
	}
	t.objected(err, false)
	t.resources = append(t.resources, res)
}

// objected: a conflict is recorded without its consequences (counted: with those of the refusal itself),
// anything else refuses the unit.
func (t *draft) objected(err *fault.Error, counted bool) {
	if err.Kind() != fault.Conflict {
		t.unit.refuse(err)
	}
	t.conflict, t.counted = true, t.counted || counted
	t.issues = append(t.issues, fhir.IssueOf(err))
}

// inform adds an issue that refuses nothing, whatever the code's own kind is.
func (t *draft) inform(code fault.Code, expression string) {
	entry, _ := fault.Lookup(code)
	t.issues = append(t.issues, fhir.Issue{Severity: "information", Code: "informational", ID: string(code), Text: entry.Title, Expression: expression})
}

// finish builds the answer and the effects of a unit that is recorded.
func (t *draft) finish() {
	u := t.unit
	t.weigh()
	t.signed()
	a := streams.Answer{Status: 200, Record: t.id.String(), Resources: t.resources, Signature: u.verdict()}
	for _, res := range t.resources {
		if t.conflict && res.Status >= 400 {
			a.Status, a.Code = max(a.Status, res.Status), res.Code
		} else {
			a.Status = max(a.Status, res.Status)
		}
	}
	if t.conflict { // one refused item refuses all: nothing that was said of the others came true
		t.issues = slices.DeleteFunc(t.issues, func(i fhir.Issue) bool { return i.Severity == "information" })
	}
	a.Issues = t.said.json(append(append([]fhir.Issue{}, u.issues...), t.issues...))
	u.result = result{fate: recorded, answer: a}
	u.result.patient, u.result.statement, u.result.passing = t.patient, t.statement, t.passing
	u.result.record = ledger.Record{ID: t.id, Org: u.sender.ID, Type: u.resourceType(), Version: 1, Of: t.id,
		Seq: u.message.Seq, Sub: u.place()}
	if u.kind == "" && len(t.resources) == 1 && !t.conflict && t.resources[0].Version > 0 {
		u.result.record.Of = parseID(t.resources[0].ID)
		u.result.record.Version = t.resources[0].Version
	}
	u.result.idle = t.conflict && !t.counted
	if !u.result.idle {
		u.result.effects = append(t.effects(), t.signals()...)
	}
}

// apply moves the view to what the draft says.
func (t *draft) apply() {
	if t.conflict && !t.counted {
		return
	}
	v := t.view
	if t.conflict {
		t.identities, t.dispenses, t.fills = nil, nil, nil
	}
	for _, id := range t.order {
		p := t.touched[id]
		if !p.dirty {
			continue
		}
		p.dirty = false
		if !p.listed {
			p.listed = true
			v.dirty = append(v.dirty, id)
		}
		v.states[id] = p
		v.settle(p)
	}
	for key, id := range t.identities {
		v.Identities[key] = id
	}
	for key, md := range t.dispenses {
		v.Dispenses[key], v.dispenses[key] = md, true
	}
	v.fills = append(v.fills, t.fills...)
}
