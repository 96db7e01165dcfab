package recorder

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"

	"github.com/dosewire/dosewire/fhir/rx"
	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/collect"
	"github.com/dosewire/dosewire/streams"
)

// Kinds of facts: what the hub itself publishes to rx.fact.<kind>, with a message id hub.<uuid>.
const (
	FactOrganization = "organization"
	FactNomination   = "nomination"
	FactDue          = "due"    // time has come for a prescription
	FactSilent       = "silent" // a pharmacy has not fetched one
	FactCollect      = collect.FactKind
)

// OrganizationFact makes or changes an organisation and its credentials. Organisations are replaced
// whole by id; clients likewise. It is JSON on rx.fact.organization.
type OrganizationFact struct {
	Organization ledger.Organization
	Clients      []ledger.Client
}

// NominationFact is a patient's choice of pharmacy: standing, and at once for every prescription of
// the patient that waits for one; for the one named also if it is routed elsewhere and unclaimed.
// It is JSON on rx.fact.nomination; ids as text, Prescription may be "".
type NominationFact struct {
	Patient      string `json:"patient"`
	Pharmacy     string `json:"pharmacy"`
	Prescription string `json:"prescription,omitempty"`
}

type nomination struct{ patient, pharmacy, prescription ledger.ID }

func parseNomination(body []byte) (nomination, error) {
	var f NominationFact
	if err := strictJSON(body, &f); err != nil {
		return nomination{}, err
	}
	n := nomination{parseID(f.Patient), parseID(f.Pharmacy), parseID(f.Prescription)}
	if n.patient == (ledger.ID{}) || n.pharmacy == (ledger.ID{}) {
		return n, fault.Of(fault.CodeFact)
	}
	return n, nil
}

func strictJSON(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fault.Of(fault.CodeFact).Wrap(err)
	}
	return nil
}

// fact decides one of the hub's own facts.
func (d *decider) fact(u *unit, now time.Time) (*draft, error) {
	t := d.draft(u, now)
	switch u.kind {
	case FactOrganization:
		t.organization()
	case FactSignature:
		t.signaturePolicy()
	case FactNomination:
		if err := t.nominate(); err != nil {
			return nil, err
		}
	case FactDue, FactSilent:
		if err := t.timely(); err != nil {
			return nil, err
		}
	case FactCollect:
		if err := t.newCode(); err != nil {
			return nil, err
		}
	case FactKeys:
		t.rotated()
	case FactErase:
		t.erasure()
	case FactHold:
		t.hold()
	case FactRequest:
		t.patientRequest()
	case FactLink:
		t.link()
	case FactUnlink:
		t.unlink()
	default:
		u.refuse(fault.Of(fault.CodeFact))
	}
	if !u.refused() {
		t.finish()
		t.stateErasure()
		t.stateLinks()
	}
	return t, nil
}

func (t *draft) organization() {
	var f OrganizationFact
	if err := strictJSON(t.unit.body, &f); err != nil {
		t.unit.refuse(err)
		return
	}
	org := f.Organization
	if org.ID == (ledger.ID{}) || org.Name == "" || (auth.Role(org.Kind) != auth.Clinic && auth.Role(org.Kind) != auth.Pharmacy) {
		t.unit.refuse(fault.Of(fault.CodeFact))
		return
	}
	if !anchored(org) {
		t.unit.refuse(fault.Of(fault.CodeFact))
		return
	}
	for _, id := range org.Identifiers {
		other, taken := t.directory.ByIdentifier(id.System, id.Value)
		owner, claimed := t.view.claimed[id.System+"|"+id.Value]
		if taken && other.ID != org.ID || claimed && owner != org.ID {
			t.unit.refuse(fault.Of(fault.CodeIdentifierUse))
			return
		}
	}
	for _, c := range f.Clients {
		if c.ID == (ledger.ID{}) || c.Org != org.ID {
			t.unit.refuse(fault.Of(fault.CodeFact))
			return
		}
	}
	for _, id := range org.Identifiers {
		t.view.claimed[id.System+"|"+id.Value] = org.ID
	}
	t.orgs[org.ID] = org
	t.view.organizations = append(t.view.organizations, org)
	t.view.clients = append(t.view.clients, f.Clients...)
	t.resources = append(t.resources, streams.Resource{Type: "Organization", ID: org.ID.String(), Status: 201})
}

func (t *draft) nominate() error {
	n, err := parseNomination(t.unit.body)
	if err != nil {
		t.unit.refuse(err)
		return nil
	}
	pharmacy, ok := t.directory.Organization(n.pharmacy)
	if fresh, mine := t.orgs[n.pharmacy]; mine {
		pharmacy, ok = fresh, true
	}
	if !ok || pharmacy.Disabled || auth.Role(pharmacy.Kind) != auth.Pharmacy {
		t.unit.refuse(fault.Of(fault.CodeOrganization))
		return nil
	}
	t.patient = n.patient
	ids := append([]ledger.ID{}, t.view.Waiting[n.patient]...)
	if n.prescription != (ledger.ID{}) && !slices.Contains(ids, n.prescription) {
		ids = append(ids, n.prescription)
	}
	for _, id := range ids {
		p, err := t.take(id)
		if err != nil {
			return err
		}
		named := id == n.prescription
		if p == nil || p.row.Patient != n.patient || !t.sameWorld(p, pharmacy) || (!named && p.state.Pharmacy != "") {
			continue
		}
		a := t.step(p, rx.Event{Kind: rx.Nominate, Pharmacy: n.pharmacy.String()}, 0)
		if named {
			t.answered(streams.Resource{Type: streams.TypeMedicationRequest, ID: id.String(), Version: p.row.Version}, p, a, "")
		}
	}
	if t.conflict || t.unit.refused() {
		return nil
	}
	t.view.nominations[n.patient], t.view.Nominations[n.patient] = n.pharmacy, n.pharmacy
	if len(t.resources) == 0 {
		t.resources = append(t.resources, streams.Resource{Type: "nomination", Status: 201})
	}
	return nil
}

// sameWorld keeps sandbox and real organisations apart.
func (t *draft) sameWorld(p *prescription, pharmacy ledger.Organization) bool {
	clinic, ok := t.directory.Organization(p.row.Clinic)
	return ok && clinic.Sandbox == pharmacy.Sandbox
}
