package recorder

import (
	"slices"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/fhir/rx"
	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/collect"
	"github.com/dosewire/dosewire/streams"
)

// conditions reads what a message depends on besides its body. Under another condition the same bytes
// are another message: who tries again with the present version, or the right code, is not told the
// first decision.
func (u *unit) conditions(k *ledger.Keyring) {
	h := u.message.Header
	if v := h.Get(streams.HeaderCollect); v != "" && auth.Role(u.sender.Kind) == auth.Pharmacy {
		u.shown = true
		u.proof, _ = collect.ParseProof(v) // what is none opens nothing
		u.right = u.proof.Right(k, u.body)
	}
	u.ifNone = h.Get(streams.HeaderNoneExist)
	if bytes := u.conditional(); len(bytes) > len(u.body) {
		u.print, u.tied = k.Fingerprint(bytes), true
	}
}

// conditional is the body, and the conditions if there are any.
func (u *unit) conditional() []byte {
	bytes := u.body
	for _, name := range []string{streams.HeaderMatch, streams.HeaderCollect} {
		if v := u.message.Header.Get(name); v != "" {
			bytes = append(slices.Clip(bytes), "\x00"+name+"\x00"+v...)
		}
	}
	return bytes
}

// knowsPatient takes back that nobody says whose a dispense is: its code does.
func (u *unit) knowsPatient() {
	if u.shown {
		u.issues = slices.DeleteFunc(slices.Clone(u.issues), func(i fhir.Issue) bool { return i.ID == string(fault.CodeNoPatient) })
	}
}

// found answers a conditional create (If-None-Exist) of what exists. The condition is the identity of
// the prescription itself, so that of many that are sent at once exactly one creates it.
func (t *draft) found() (bool, error) {
	u := t.unit
	if u.ifNone == "" {
		return false, nil
	}
	notServed := fault.Of(fault.CodeNotServed).At("header If-None-Exist")
	if u.doc.Type() != streams.TypeMedicationRequest || len(u.read.Requests) != 1 {
		u.refuse(notServed)
		return true, nil
	}
	q := u.read.Requests[0]
	key, ok := PrescriptionKey(t.keys, u.sender.ID, q.Identity, "")
	if !ok || hexHash(key.Hash) != u.ifNone {
		u.refuse(notServed) // under another name nothing would keep two from being made
		return true, nil
	}
	p, err := t.byIdentity(key)
	if err != nil || p == nil || p.state.Record == "" {
		return false, err
	}
	res := streams.Resource{Type: streams.TypeMedicationRequest, ID: p.row.ID.String(), Version: p.row.Version, Status: 200,
		Rx: p.row.ID.String(), State: p.state.Status(), Claim: p.state.Claim}
	t.inform(fault.CodeExists, q.Expression)
	u.result = result{fate: existing, answer: streams.Answer{Status: 200, Resources: []streams.Resource{res},
		Issues: fhir.IssuesJSON(append(slices.Clone(u.issues), t.issues...))}}
	return true, nil
}

// amend decides an order under the version that it is meant for. With Rx-Id the prescription is named by
// it, and the order's own identity must not be another's.
func (t *draft) amend(p *prescription, kind rx.Kind, n int, q fhir.Request) error {
	if about := t.unit.about; about != (ledger.ID{}) {
		named, err := t.take(about)
		if err != nil {
			return err
		}
		if p == nil && q.Identity == (fhir.Identifier{}) && sameID(q.Local, about) {
			p = named // a client that sends back what it has read
		}
		if named == nil || p == nil || p.row.ID != named.row.ID {
			p = nil
		}
	}
	switch {
	case p == nil || p.row.Version == 0 || p.row.Clinic != t.unit.sender.ID:
		t.unit.refuse(fault.Of(fault.CodeNotFound).At(q.Expression))
		return nil
	case uint64(p.row.Version) != t.unit.match:
		t.refused(p, fault.Of(fault.CodeVersion).At(q.Expression))
		return nil
	case kind == rx.Issue && !t.fillable(q, true):
		return nil
	}
	event := t.ordered(kind, n, q)
	if kind == rx.Issue {
		event.Kind = rx.Amend
	}
	a := t.step(p, event, q.Item)
	if !a.Refused && !t.theirs(p, event.Kind, q) {
		return nil
	}
	t.place(p, q, kind, a)
	t.answered(streams.Resource{Type: streams.TypeMedicationRequest, ID: p.row.ID.String(), Version: p.row.Version, Status: 200}, p, a, q.Expression)
	return nil
}

func sameID(text string, id ledger.ID) bool {
	parsed, err := uuid.Parse(text)
	return err == nil && parsed == id
}
