package recorder

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/fhir/rx"
	"github.com/dosewire/dosewire/fhir/safety"
	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/streams"
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

// therapy is what a prescription's state keeps for safety checks.
type therapy struct {
	Codes   int      `json:"n,omitempty"` // how many of the row's tokens are of codes; the others are of ingredients
	Supply  int64    `json:"s,omitempty"` // how long a fill lasts, ms
	Private bool     `json:"v,omitempty"` // labelled so that only its own clinic may hear of it
	Found   []string `json:"f,omitempty"` // tokens of what a pharmacy that gets it later is told
	At      int64    `json:"t,omitempty"` // when it was compared, unix ms
	Failed  bool     `json:"x,omitempty"` // the check went wrong
}

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
	q    fhir.Request
	rest bool // it is put on hold: nothing is to be said
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

// tokens are what a prescription is compared by.
func (p *prescription) tokens() (t safety.Tokens) {
	for token := range slices.Chunk(p.row.Therapy, ledger.TherapyToken) {
		if len(t.Codes) < p.state.Therapy.Codes {
			t.Codes = append(t.Codes, string(token))
		} else {
			t.Parts = append(t.Parts, string(token))
		}
	}
	return t
}

// therapy reads what is compared of an order, once.
func (u *unit) therapy(item int) (t fhir.Therapy, err error) {
	if read, ok := u.therapies[item]; ok {
		return read.Therapy, read.err
	}
	defer func() {
		if recover() != nil {
			err = errOtherwise
		}
		if u.therapies == nil {
			u.therapies = map[int]readTherapy{}
		}
		u.therapies[item] = readTherapy{t, err}
	}()
	return fhir.TherapyOf(u.doc, item)
}

type readTherapy struct {
	fhir.Therapy
	err error
}

// check is that of an order for one patient, begun once.
func (u *unit) check(m *safety.Map, k *ledger.Keyring, item int, patient ledger.ID) (*safety.Check, error) {
	at := checkOf{item, patient}
	if c, ok := u.checks[at]; ok {
		return c, nil
	}
	t, err := u.therapy(item)
	if err != nil {
		return nil, err
	}
	if u.checks == nil {
		u.checks = map[checkOf]*safety.Check{}
	}
	u.checks[at] = m.Check(t, tokenOf(k, patient))
	return u.checks[at], nil
}

type checkOf struct {
	item    int
	patient ledger.ID
}

// takings asks for what the orders of a batch are compared with: of their patients, what has a token in common.
// Whatever goes wrong here goes wrong in the check, too, and is said there.
func (r *Recorder) takings(units []*unit) (all []ledger.Taking) {
	at := map[ledger.ID]int{}
	for _, u := range units {
		if u.refused() || !u.keyed {
			continue
		}
		for patient, token := range u.sought(r.config.Map, r.deps.Keys) {
			i, ok := at[patient]
			if !ok {
				i, at[patient] = len(all), len(all)
				all = append(all, ledger.Taking{Patient: patient})
			}
			all[i].Tokens = append(all[i].Tokens, token...)
		}
	}
	return all
}

// sought are the tokens of what the unit's orders could be doubles of.
func (u *unit) sought(m *safety.Map, k *ledger.Keyring) iter.Seq2[ledger.ID, string] {
	return func(yield func(ledger.ID, string) bool) {
		for _, q := range u.read.Requests {
			if kind, _ := requestKind(q.Status); kind != rx.Issue {
				continue
			}
			for _, patient := range u.persons() {
				for _, token := range u.soughtOf(m, k, q.Item, patient) {
					if !yield(patient, token) {
						return
					}
				}
			}
		}
	}
}

func (u *unit) soughtOf(m *safety.Map, k *ledger.Keyring, item int, patient ledger.ID) (tokens []string) {
	defer func() {
		if recover() != nil {
			tokens = nil
		}
	}()
	c, err := u.check(m, k, item, patient)
	if err != nil {
		return nil
	}
	return c.Sought()
}

// loadLinked learns with whom the patients of a batch belong together. Nobody is asked about while nobody is
// linked.
func (r *Recorder) loadLinked(ctx context.Context, units []*unit) error {
	var w ledger.Want
	for _, u := range units {
		if u.linked = nil; r.joined && u.keyed && len(u.read.Requests) > 0 {
			w.Linked = append(w.Linked, u.patient.Patient)
		}
	}
	if len(w.Linked) == 0 {
		return nil
	}
	have, err := r.deps.Store.Load(ctx, w)
	if err != nil {
		return fmt.Errorf("recorder: load links: %w", err)
	}
	v := newView(have)
	for _, u := range units {
		if u.keyed {
			u.linked = v.linked(u.patient.Patient)
		}
	}
	return nil
}

// persons are the patients whom an order is compared with: its own, and those that are linked to it.
func (u *unit) persons() []ledger.ID { return append([]ledger.ID{u.patient.Patient}, u.linked...) }

// place notes an order that was taken, to be checked when all of its message are.
func (t *draft) place(p *prescription, q fhir.Request, kind rx.Kind, a rx.Answer) {
	if a.Refused || a.NoOp || kind != rx.Issue && kind != rx.Hold {
		return
	}
	t.safety.placed = append(t.safety.placed, placedOrder{p, q, kind == rx.Hold})
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
			t.inform(fault.CodeSafetySignal, o.q.Expression)
		}
		if w.Failed || w.Blind {
			t.inform(fault.CodeSafetyUnchecked, o.q.Expression)
		}
	}
}

// keep writes into each order's state what later checks compare with, and what was found.
func (t *draft) keep(w *weighed) (ok bool) {
	defer func() { ok = recover() == nil && ok }()
	for i, o := range t.safety.placed {
		read, err := t.unit.therapy(o.q.Item)
		if err != nil {
			return false
		}
		c, err := t.unit.check(t.scales.classes, t.keys, o.q.Item, o.p.row.Patient)
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
	read, err := t.unit.therapy(o.q.Item)
	if err != nil {
		panic(err) // keep has read it
	}
	t.unit.inputs[o.q.Item] = t.scales.classes.Inputs(read).String()
	return &balanced{t, o}
}

func (o *balanced) check(patient ledger.ID) *safety.Check {
	c, err := o.unit.check(o.scales.classes, o.keys, o.q.Item, patient)
	if err != nil {
		panic(err) // keep has read it
	}
	return c
}

// tokenOf makes tokens of one patient's medicines.
func tokenOf(k *ledger.Keyring, patient ledger.ID) safety.Hash {
	whose := patient.String()
	return func(c fhir.Coding) string {
		sum := k.Index(ledger.ID{}, "therapy", whose, c.System, c.Code).Hash
		return string(sum[:ledger.TherapyToken])
	}
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

// tell turns findings into what each receiver is told, and returns what a pharmacy may be told later.
func (o *balanced) tell(found []finding) (later []string) {
	for _, kind := range safety.Kinds() {
		of := func(quiet bool) (some []finding) {
			for _, f := range found {
				if f.kind == kind && (quiet || !f.quiet) {
					some = append(some, f)
				}
			}
			return some
		}
		o.signal(kind, o.p.state.Clinic, of(true))
		o.signal(kind, o.p.state.With(), of(false))
		if some := of(false); len(some) > 0 {
			later = append(later, word(kind, surest(some)))
		}
	}
	return later
}

// word is how the circumstances write a kind of finding.
func word(kind safety.Kind, by safety.Basis) string { return string(kind) + " " + string(by) }

// surest is the basis that weighs most.
func surest(found []finding) safety.Basis {
	rank := func(b safety.Basis) int { return slices.Index(safety.Bases(), b) }
	return slices.MinFunc(found, func(a, b finding) int { return cmp.Compare(rank(a.by), rank(b.by)) }).by
}

// signal tells org about one kind of finding. Another organisation's prescription is never named, nor to a
// pharmacy one that it was not sent.
func (o *balanced) signal(kind safety.Kind, org string, found []finding) {
	to := parseID(org)
	if len(found) == 0 || to == (ledger.ID{}) {
		return
	}
	s := o.draft.about(o.p, kind, surest(found), org, o.now)
	clinic := to == o.p.row.Clinic
	for _, f := range found {
		s.High = s.High || f.high
		switch {
		case f.other == nil && clinic:
			s.Allergies = append(s.Allergies, fhir.Party{Type: "AllergyIntolerance", Display: f.place})
		case f.other == nil:
			s.Allergies = []fhir.Party{{Type: "AllergyIntolerance", Display: "stated in the prescriber's message"}}
		case f.other.row.Clinic == o.p.row.Clinic && (clinic || o.knows(to, f.other)):
			s.Others = append(s.Others, f.other.row.ID.String())
		}
	}
	o.safety.out = append(o.safety.out, o.draft.signalEffect(to, o.p, s))
}

// knows reports whether a pharmacy has been sent a prescription, or is by this message.
func (t *draft) knows(pharmacy ledger.ID, p *prescription) bool {
	if t.view.Delivered[[2]ledger.ID{pharmacy, p.row.ID}] {
		return true
	}
	return slices.ContainsFunc(t.consequent, func(c consequence) bool {
		return c.Kind == rx.Offer && c.p.row.ID == p.row.ID && parseID(c.Org) == pharmacy
	})
}

// about begins a signal. Its id is the same for the same record, whoever makes it.
func (t *draft) about(p *prescription, kind safety.Kind, by safety.Basis, org string, at time.Time) safety.Signal {
	return safety.Signal{ID: uuid.NewSHA1(t.id, []byte(p.row.ID.String()+" "+org+" "+string(kind))).String(),
		Kind: kind, By: by, At: at, Prescription: p.row.ID.String()}
}

func (t *draft) signalEffect(to ledger.ID, p *prescription, s safety.Signal) ledger.Effect {
	body, err := t.scales.classes.Issue(s)
	if err != nil {
		panic(err) // strings only
	}
	return ledger.Effect{Kind: ledger.EffectDeliver, Org: to, Type: typeDetectedIssue, Body: body,
		Prescription: p.row.ID, Claim: p.state.Claim, State: p.state.Status()}
}

// foundToken stands for one kind of finding on one prescription, so that its state does not say which.
func foundToken(k *ledger.Keyring, p *prescription, word string) string {
	sum := k.Index(ledger.ID{}, "found", p.row.ID.String(), word).Hash
	return hex.EncodeToString(sum[:12])
}

// offered tells a pharmacy that gets an order now what was found when it was placed. What it may know of
// the others is not known any more: none is named.
func (t *draft) offered(p *prescription, org string) {
	kept := p.state.Therapy
	if kept == nil || len(kept.Found) == 0 && !kept.Failed ||
		slices.ContainsFunc(t.safety.placed, func(o placedOrder) bool { return o.p == p }) {
		return
	}
	defer func() {
		if recover() != nil {
			t.safety.later = append(t.safety.later, unchecked(p, org))
		}
	}()
	if kept.Failed {
		t.safety.later = append(t.safety.later, unchecked(p, org))
	}
	for _, kind := range safety.Kinds() {
		for _, by := range safety.Bases() {
			if slices.Contains(kept.Found, foundToken(t.keys, p, word(kind, by))) {
				s := t.about(p, kind, by, org, time.UnixMilli(kept.At))
				t.safety.later = append(t.safety.later, t.signalEffect(parseID(org), p, s))
			}
		}
	}
}

// signals are the deliveries that the checks bring.
func (t *draft) signals() []ledger.Effect { return append(t.safety.out, t.safety.later...) }

// unweighed takes back what the checks have done: nothing was checked.
func (t *draft) unweighed() {
	t.safety.out, t.unit.inputs = nil, map[int]string{}
	for _, o := range t.safety.placed {
		o.p.state.Therapy, o.p.row.Therapy = &therapy{Failed: true}, nil
		t.unit.inputs[o.q.Item] = safety.Unchecked().String()
	}
	t.tellUnchecked()
}

// tellUnchecked tells each order's pharmacy.
func (t *draft) tellUnchecked() {
	for _, o := range t.safety.placed {
		if org := o.p.state.With(); org != "" {
			t.safety.out = append(t.safety.out, unchecked(o.p, org))
		}
	}
}

func unchecked(p *prescription, org string) ledger.Effect {
	return ledger.Effect{Kind: ledger.EffectDeliver, Org: parseID(org), Type: "OperationOutcome", Prescription: p.row.ID,
		Claim: p.state.Claim, State: p.state.Status(), Body: fhir.Outcome([]fhir.Issue{told(fault.CodeSafetyUnchecked)})}
}

// taking keeps the list of what a patient may be taking.
func (v *view) taking(p *prescription) {
	if p.state.Therapy == nil || slices.Contains(v.Therapies[p.row.Patient], p.row.ID) {
		return
	}
	v.Therapies[p.row.Patient] = append(v.Therapies[p.row.Patient], p.row.ID)
}

// sealEffects encrypts what the unit's effects say about its patient.
func (u *unit) sealEffects() error {
	for i := range u.result.effects {
		if e := &u.result.effects[i]; e.Type == typeDetectedIssue {
			if err := e.SealBody(u.patient); err != nil {
				return err
			}
		}
	}
	return nil
}

// own is the resource of ours that an effect brings.
func (a *announcer) own(ctx context.Context, e ledger.Effect) ([]byte, error) {
	e, err := a.r.deps.Keys.OpenBody(ctx, e)
	if errors.Is(err, ledger.ErrSealed) {
		return nil, a.damaged(ctx, e.Index, err)
	}
	return e.Body, err
}

// checked says on an order's way to a pharmacy what it was checked by.
func (a *announcer) checked(h nats.Header, e announcement) {
	if e.Body != nil || e.Type != streams.TypeMedicationRequest && e.Type != streams.TypeBundle {
		return
	}
	if org, ok := a.r.deps.Directory.Organization(e.Org); !ok || auth.Role(org.Kind) != auth.Pharmacy {
		return
	}
	if e.safety == nil { // it came with an earlier message, or from the database
		for _, in := range a.r.config.Map.InputsIn(e.body, e.Items) {
			h.Add(streams.HeaderSafety, in.String())
		}
		return
	}
	for _, item := range slices.Sorted(maps.Keys(e.safety)) {
		if e.Items == nil || slices.Contains(e.Items, item) {
			h.Add(streams.HeaderSafety, e.safety[item])
		}
	}
}
