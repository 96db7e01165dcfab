package recorder

import (
	"slices"
	"strconv"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/fhir/rx"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/streams"
)

// dispenseKind is what a MedicationDispense.status means (PROTOCOL §1).
func dispenseKind(status string) (rx.Kind, bool) {
	switch status {
	case "preparation":
		return rx.Claim, true
	case "in-progress":
		return rx.Prepare, true
	case "completed":
		return rx.HandOver, true
	case "on-hold":
		return rx.Query, true
	case "cancelled", "stopped":
		return rx.Release, true
	case "declined":
		return rx.Decline, true
	case "entered-in-error":
		return rx.Withdraw, true
	}
	return "", false // unknown
}

// partial reports whether a v3-ActPharmacySupplyType code says that the fill is not complete.
func partial(code string) bool { return slices.Contains([]string{"FFP", "FFPS", "RFP", "RFPS"}, code) }

// whole reports whether it says that the fill is complete.
func whole(code string) bool {
	return slices.Contains([]string{"DF", "FFC", "FFCS", "RFC", "RFCS"}, code)
}

// dispense decides one MedicationDispense of a pharmacy.
func (t *draft) dispense(md fhir.Dispense) error {
	kind, ok := dispenseKind(md.Status)
	if !ok {
		t.unit.refuse(fault.Of(fault.CodeStatus).At(md.Expression + ".status"))
		return nil
	}
	if kind == rx.HandOver && md.Nothing { // no fact: it would use up the patient's fill
		t.unit.refuse(fault.Of(fault.CodeValue).At(md.Expression + ".quantity.value"))
		return nil
	}
	if t.unit.shown {
		return t.collected(md, kind)
	}
	p, found, err := t.cited(md)
	if err != nil || !found {
		return err
	}
	return t.identified(p, md, kind)
}

// identified decides a dispense by its identity: against the prescription that it is about, nil for none.
func (t *draft) identified(p *prescription, md fhir.Dispense, kind rx.Kind) error {
	key, ok := dispenseKey(t.keys, t.unit.sender.ID, md.Identity, md.Local)
	if !ok && p != nil && t.unit.claim > 0 { // the claim number identifies it
		key, ok = t.keys.Index(t.unit.sender.ID, "md-claim", p.row.ID.String(), strconv.FormatUint(t.unit.claim, 10)), true
	}
	if !ok {
		t.unit.refuse(fault.Of(fault.CodeNoIdentity).At(md.Expression + ".identifier"))
		return nil
	}
	known, seen := t.before(key)
	if seen && p != nil && known.Prescription == (ledger.ID{}) {
		// The pharmacy's own history of its own patient; now the same is said of a prescription, which is
		// another patient's record and begins anew: neither may go or stay with the other's erasure.
		seen = false
	}
	if !seen {
		known = ledger.Dispense{Key: key, Resource: t.resourceID()}
	}
	if p == nil {
		return t.history(md, known)
	}
	return t.against(p, md, kind, known)
}

// before is what was decided about a dispense so far.
func (t *draft) before(key ledger.Key) (ledger.Dispense, bool) {
	if md, ok := t.dispenses[key]; ok {
		return md, true
	}
	md, ok := t.view.Dispenses[key]
	return md, ok
}

// resourceID names a new resource of this record: the record's own id when it holds only one.
func (t *draft) resourceID() ledger.ID {
	if len(t.unit.read.Dispenses) == 1 {
		return t.id
	}
	return t.nextID()
}

// against decides a dispense that cites p.
func (t *draft) against(p *prescription, md fhir.Dispense, kind rx.Kind, known ledger.Dispense) error {
	if t.patient != (ledger.ID{}) && t.patient != p.row.Patient {
		t.unit.refuse(fault.Of(fault.CodeOnePatient).At(md.Expression + ".authorizingPrescription"))
		return nil
	}
	stranger := somebodyElse(subjectOf(t.keys, p.row.ID, t.unit.read.Subject), p.state.Subject)
	if stranger && (kind == rx.Claim || kind == rx.Prepare) { // an intention; a hand-over is a fact, and flagged
		t.unit.refuse(fault.Of(fault.CodeOnePatient).At(md.Expression + ".subject"))
		return nil
	}
	t.patient = p.row.Patient
	if known.Prescription != (ledger.ID{}) && known.Prescription != p.row.ID {
		t.answered(streams.Resource{Type: streams.TypeMedicationDispense}, p, rx.Answer{Refused: true, Code: fault.CodeDispenseUsed}, md.Expression)
		return nil
	}
	pharmacy := t.unit.sender.ID
	a := t.step(p, rx.Event{
		Kind: kind, Dispense: hexHash(known.Key.Hash), Stated: t.unit.claim, Partial: partial(md.Type), Whole: whole(md.Type),
		Amount: md.Quantity.Millionths, Unit: md.Quantity.Unit, Substituted: md.Substituted, Mitigated: md.Mitigated,
		WasSent:  t.view.Delivered[[2]ledger.ID{pharmacy, p.row.ID}],
		EverHeld: known.Claim > 0, OtherPatient: stranger,
		OldStatus: known.Status, OldClaim: known.Claim,
		Code: t.unit.proof.Locator, CodeOK: t.unit.right,
	}, md.Item)
	if !a.Refused && !a.Repeat {
		known.Prescription, known.Status = p.row.ID, md.Status
		known.Version++
		if claimOf(p, kind, known) {
			known.Claim = p.state.Claim
		}
		t.dispenses[known.Key] = known
	}
	res := streams.Resource{Type: streams.TypeMedicationDispense, ID: known.Resource.String(), Version: known.Version}
	if known.Version > 1 || a.Repeat {
		res.Status = 200
	}
	t.answered(res, p, a, md.Expression)
	return nil
}

// claimOf reports whether the dispense serves the prescription's latest claim now.
func claimOf(p *prescription, kind rx.Kind, known ledger.Dispense) bool {
	switch kind {
	case rx.Claim, rx.Prepare, rx.Query:
		return true
	case rx.HandOver:
		return known.Claim == 0
	}
	return false
}

// history records a dispense that cites nothing: the pharmacy's own, no fill consumed.
func (t *draft) history(md fhir.Dispense, known ledger.Dispense) error {
	if !t.unit.keyed {
		t.unit.refuse(fault.Of(fault.CodeNoPatient).At(md.Expression + ".subject"))
		return nil
	}
	if t.patient != (ledger.ID{}) && t.patient != t.unit.patient.Patient {
		t.unit.refuse(fault.Of(fault.CodeOnePatient).At(md.Expression + ".subject"))
		return nil
	}
	t.patient = t.unit.patient.Patient
	known.Status = md.Status
	known.Version++
	t.dispenses[known.Key] = known
	res := streams.Resource{Type: streams.TypeMedicationDispense, ID: known.Resource.String(), Version: known.Version}
	t.answered(res, nil, rx.Answer{Code: fault.CodeHistoryOnly}, md.Expression)
	return nil
}

// cited finds the prescription that md means among what was delivered to this pharmacy: hub id, then
// identifier, then the clinic's own id if it is unique (PROTOCOL §2). A citation that leads nowhere
// or to several refuses the unit (found is false). No citation at all gives the prescription of the
// dispense's earlier message, else nil.
func (t *draft) cited(md fhir.Dispense) (p *prescription, found bool, err error) {
	if len(md.Cites) == 0 {
		if key, ok := dispenseKey(t.keys, t.unit.sender.ID, md.Identity, md.Local); ok {
			if known, ok := t.before(key); ok && known.Prescription != (ledger.ID{}) {
				p, err = t.take(known.Prescription)
			}
		}
		return p, true, err
	}
	var ids []ledger.ID
	for _, c := range md.Cites {
		id, ok := t.resolve(c)
		if !ok {
			ids = nil
			break
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 1 {
		p, err = t.take(ids[0])
	}
	if p == nil && err == nil {
		t.unit.refuse(fault.Of(fault.CodeUnresolved).At(md.Expression + ".authorizingPrescription"))
	}
	return p, p != nil, err
}

func (t *draft) resolve(c fhir.Citation) (ledger.ID, bool) {
	pharmacy := t.unit.sender.ID
	for _, text := range c.IDs {
		if id, err := uuid.Parse(text); err == nil && t.view.Delivered[[2]ledger.ID{pharmacy, id}] {
			return id, true
		}
	}
	for _, key := range citationKeys(t.keys, pharmacy, c) {
		if ids := t.view.Citations[key]; len(ids) == 1 {
			return ids[0], true
		} else if len(ids) > 1 {
			return ledger.ID{}, false
		}
	}
	return ledger.ID{}, false
}
