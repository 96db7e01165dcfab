package recorder

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/fhir/rx"
	"github.com/dosewire/dosewire/fhir/safety"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

// Safety signals (docs/safety.md): when an order is placed, amended or resumed, it is compared with what
// else the patient takes and with the allergies of its message. What is found is told to the clinic and to
// the pharmacy that gets the order; nothing here refuses anything, and what goes wrong here is said and
// changes nothing else.
//
// Nothing is opened for it: a prescription's row keeps keyed hashes of the codings of its medicine, of that one
// patient. So two patients' medicines cannot be compared, and none be searched for. Only what has one in common
// with an order is loaded with it.

// typeDetectedIssue is the type in a signal's subject.
const typeDetectedIssue = "DetectedIssue"

// scales is what a check needs beside the view. Recalled ones weigh nothing: what came of it then is among
// the circumstances, because it hangs on the map that was loaded and on what else was there.
type scales struct {
	classes  *safety.Map
	fault    func(point string, seq uint64) error
	recalled bool
}

// weighed is what came of the checks of a message, as its circumstances keep it.
type weighed struct {
	Failed bool           `json:"failed,omitempty"` // nothing was checked
	Blind  bool           `json:"blind,omitempty"`  // not all that there is to compare with could be read
	Orders []weighedOrder `json:"orders,omitempty"` // in the order of the message; absent = nothing was found
}

type weighedOrder struct {
	Signal bool     `json:"signal,omitempty"` // something was found
	Found  []string `json:"found,omitempty"`  // and this may be said to a pharmacy: kind, space, basis
}

// weighing is what a draft has to check, and what came of it.
type weighing struct {
	placed []placedOrder
	out    []ledger.Effect
	later  []ledger.Effect // for pharmacies that get an earlier order
}

type placedOrder struct {
	p    *prescription
	item int    // of the message
	at   string // FHIRPath of the order
	rest bool   // it is put on hold: nothing is to be said
}

// finding is something about one order.
type finding struct {
	kind  safety.Kind
	by    safety.Basis
	high  bool
	other *prescription // the double; nil for an allergy
	place string        // of the allergy in the message
	quiet bool          // only the order's own clinic may hear of it
}

// place notes an order that was taken, to be checked when all of its message are.
func (t *draft) place(p *prescription, q fhir.Request, kind rx.Kind, a rx.Answer) {
	if a.Refused || a.NoOp || kind != rx.Issue && kind != rx.Hold {
		return
	}
	t.safety.placed = append(t.safety.placed, placedOrder{p, q.Item, q.Expression, kind == rx.Hold})
}

// weigh checks the orders of the message, and keeps what the state and the answer say of it. A panic in it is
// a check that did not take place.
func (t *draft) weigh() {
	if len(t.safety.placed) == 0 || t.conflict || t.unit.refused() {
		return
	}
	if !t.scales.recalled {
		t.unit.weighed = t.balance()
	}
	w := t.unit.weighed
	if w == nil {
		w = &weighed{}
	}
	if !w.Failed && !t.keep(w) {
		w = &weighed{Failed: true}
		t.unit.weighed = w
	}
	if w.Failed {
		t.unweighed()
	}
	for i, o := range t.safety.placed {
		if i < len(w.Orders) && w.Orders[i].Signal {
			t.inform(fault.CodeSafetySignal, o.at)
		}
		if w.Failed || w.Blind {
			t.inform(fault.CodeSafetyUnchecked, o.at)
		}
	}
}

// keep writes into each order's state what later checks compare with, and what was found.
func (t *draft) keep(w *weighed) (ok bool) {
	defer func() { ok = recover() == nil && ok }()
	for i, o := range t.safety.placed {
		read, err := t.unit.therapy(o.item)
		if err != nil {
			return false
		}
		c, err := t.unit.check(t.scales.classes, t.keys, o.item, o.p.row.Patient)
		if err != nil {
			return false
		}
		kept := &therapy{Codes: len(c.Tokens().Codes), Supply: read.Supply.Milliseconds(), Private: read.Private, At: t.now.UnixMilli()}
		if i < len(w.Orders) {
			for _, f := range w.Orders[i].Found {
				kept.Found = append(kept.Found, foundToken(t.keys, o.p, f))
			}
		}
		o.p.state.Therapy = kept
		o.p.row.Therapy = []byte(strings.Join(slices.Concat(c.Tokens().Codes, c.Tokens().Parts), ""))
		if len(o.p.row.Therapy) == 0 {
			o.p.row.Therapy = nil
		}
	}
	return true
}

// balance compares the orders and makes what is told of them. nil is that nothing was found.
func (t *draft) balance() (w *weighed) {
	defer func() {
		if recover() != nil {
			w = &weighed{Failed: true}
		}
	}()
	if err := t.scales.fault("safety", t.unit.message.Seq); err != nil {
		return &weighed{Failed: true}
	}
	if !t.keep(&weighed{}) { // what the orders of the message are compared with among themselves
		return &weighed{Failed: true}
	}
	t.unit.inputs = map[int]string{}
	w = &weighed{Orders: make([]weighedOrder, len(t.safety.placed))}
	any := false
	for i, o := range t.safety.placed {
		b := t.weight(o)
		found, err := b.findings()
		w.Blind = w.Blind || err != nil
		if len(found) > 0 {
			any = true
			w.Orders[i] = weighedOrder{Signal: true, Found: b.tell(found)}
		}
	}
	if w.Blind {
		t.tellUnchecked()
	}
	switch {
	case any:
	case w.Blind:
		w.Orders = nil
	default:
		return nil
	}
	return w
}

// balanced is one of the message in the balance.
type balanced struct {
	*draft
	placedOrder
}

func (t *draft) weight(o placedOrder) *balanced {
	read, err := t.unit.therapy(o.item)
	if err != nil {
		panic(err) // keep has read it
	}
	t.unit.inputs[o.item] = t.scales.classes.Inputs(read).String()
	return &balanced{t, o}
}

func (o *balanced) check(patient ledger.ID) *safety.Check {
	c, err := o.unit.check(o.scales.classes, o.keys, o.item, patient)
	if err != nil {
		panic(err) // keep has read it
	}
	return c
}

// errOtherwise: a word on a prescription names its patient otherwise than the order did, so that the
// patient's others were not loaded.
var errOtherwise = errors.New("recorder: not loaded")

// findings compares the order with the others. The error says that one of them could not be read.
func (o *balanced) findings() (all []finding, err error) {
	from, to, taken := o.p.period(o.now)
	if o.rest || !taken {
		return nil, nil
	}
	if o.p.row.Patient != o.unit.patient.Patient {
		err = errOtherwise
	}
	for _, patient := range o.unit.persons() {
		for _, id := range o.therapies(patient) {
			other, broken := o.present(id)
			if broken != nil {
				err = broken
				continue
			}
			if f, ok := o.double(other, patient, from, to); ok {
				all = append(all, f)
			}
		}
	}
	for _, m := range o.check(o.p.row.Patient).Allergies() {
		all = append(all, finding{kind: m.Kind, by: m.By, high: m.High, place: m.Expression, quiet: m.Private})
	}
	return all, err
}

// therapies are a patient's other prescriptions, those of this message included.
func (o *balanced) therapies(patient ledger.ID) (all []ledger.ID) {
	all = slices.Clone(o.view.Therapies[patient])
	for _, id := range o.draft.order {
		if !slices.Contains(all, id) {
			all = append(all, id)
		}
	}
	return all
}

// double compares the order with one of the others.
func (o *balanced) double(other *prescription, patient ledger.ID, from, to int64) (f finding, ok bool) {
	if other == nil || other.row.ID == o.p.row.ID || other.row.Patient != patient || other.state.Therapy == nil ||
		other.state.ReplacedBy == o.p.row.ID.String() {
		return f, false
	}
	begins, ends, taken := other.period(o.now)
	if !taken || begins >= to || from >= ends {
		return f, false
	}
	by, same := o.check(patient).Against(other.tokens())
	return finding{kind: safety.Double, by: by, other: other,
		quiet: other.state.Therapy.Private}, same && (other.row.Clinic == o.p.row.Clinic || !other.state.Therapy.Private)
}

// present is how a prescription stands after this draft so far, nil if it was not loaded.
func (t *draft) present(id ledger.ID) (*prescription, error) {
	if p, ok := t.touched[id]; ok {
		return p, nil
	}
	return t.view.prescription(id)
}

// forever is the end of what has none.
const forever = int64(1) << 62

// early is how long before its supply ends a new order is no double any more, but a renewal in good time.
func early(supply int64) int64 { return min(supply/4, 7*24*time.Hour.Milliseconds()) }

// period is when a prescription's medicine is taken, as far as one can tell (unix ms, the end exclusive):
// while it can be filled and as long as its last fill lasts; after that as long as the fill lasts that was
// handed over. taken is false for what is on hold, recorded only, or at an end.
func (p *prescription) period(now time.Time) (from, to int64, taken bool) {
	s, supply := p.state.State, int64(0)
	if p.state.Therapy != nil {
		supply = p.state.Therapy.Supply
	}
	switch s.Phase {
	case rx.Ready, rx.Held, rx.Collect:
		if to = s.ValidTo; to == 0 {
			to = forever
		} else {
			to += supply
		}
		return max(s.ValidFrom, now.UnixMilli()), to, !s.OnHold && !s.RecordOnly
	case rx.Completed, rx.Expired:
		to = s.LastAt + supply - early(supply)
		return s.LastAt, to, s.LastAt != 0 && supply > 0 && to > now.UnixMilli()
	}
	return 0, 0, false
}

// unweighed takes back what the checks have done: nothing was checked.
func (t *draft) unweighed() {
	t.safety.out, t.unit.inputs = nil, map[int]string{}
	for _, o := range t.safety.placed {
		o.p.state.Therapy, o.p.row.Therapy = &therapy{Failed: true}, nil
		t.unit.inputs[o.item] = safety.Unchecked().String()
	}
	t.tellUnchecked()
}
