package recorder

import (
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/signature"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/streams"
)

// FactSignature changes what is asked of an organisation's messages.
const FactSignature = "signature"

// SignatureFact sets an organisation's policy (off, record or require) and, unless Anchors is "", its
// trust anchors (PEM, replaced whole). It is JSON on rx.fact.signature and holds for every message
// behind it in the stream.
type SignatureFact struct {
	Organization string `json:"organization"`
	Policy       string `json:"policy"`
	Anchors      string `json:"anchors,omitempty"`
}

func (t *draft) signaturePolicy() {
	var f SignatureFact
	if err := strictJSON(t.unit.body, &f); err != nil {
		t.unit.refuse(err)
		return
	}
	policy, ok := signature.ParsePolicy(f.Policy)
	if !ok {
		t.unit.refuse(fault.Of(fault.CodeFact))
		return
	}
	org, ok := t.orgs[parseID(f.Organization)]
	if !ok {
		org, ok = t.directory.Organization(parseID(f.Organization))
	}
	if !ok {
		t.unit.refuse(fault.Of(fault.CodeOrganization))
		return
	}
	org.Signature = string(policy)
	if f.Anchors != "" {
		org.Anchors = f.Anchors
	}
	if !anchored(org) {
		t.unit.refuse(fault.Of(fault.CodeFact))
		return
	}
	t.orgs[org.ID] = org
	t.view.organizations = append(t.view.organizations, org)
	t.resources = append(t.resources, streams.Resource{Type: "Organization", ID: org.ID.String(), Status: 200})
}

// anchored reports whether what an organisation is asked for can be judged.
func anchored(org ledger.Organization) bool {
	if org.Signature == string(signature.Off) && org.Anchors == "" {
		return true
	}
	policy, ok := signature.ParsePolicy(org.Signature)
	if !ok || org.Signature != string(policy) {
		return false
	}
	_, err := signature.ParseAnchors([]byte(org.Anchors))
	return err == nil
}

// untilRights is how many arrivals belong together: up to the first fact that changes an
// organisation's rights, so that every message is judged by the rights that were in force where it
// stands in the stream, however messages were batched.
func untilRights(arrivals []arrival) int {
	for i, a := range arrivals {
		if changesRights(a.message) {
			return i + 1
		}
	}
	return len(arrivals)
}

func changesRights(m *streams.Message) bool {
	src, ok := streams.ParseIntake(m.Subject)
	return ok && (src.Kind == FactOrganization || src.Kind == FactSignature)
}
