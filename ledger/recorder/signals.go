package recorder

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
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
