package hub

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/hub/admin"
	"github.com/dosewire/dosewire/internal/signature"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/recorder"
)

// Refusals of a policy for signatures.
var (
	ErrPolicy    = fault.New(fault.Invalid, "signatures are off, record or require")
	ErrNoAnchors = fault.New(fault.Invalid, "signatures cannot be judged without a trust anchor")
)

// SetSignature brings a change of policy through the recorder: it holds for every message behind it in
// the stream. fault.CodeOrganization, ErrPolicy, ErrNoAnchors, signature.ErrAnchorText.
func (h *Hub) SetSignature(ctx context.Context, p admin.SignaturePolicy) (admin.Organization, error) {
	id, err := uuid.Parse(p.Org)
	if err != nil {
		return admin.Organization{}, fault.Of(fault.CodeOrganization)
	}
	org, ok := h.directory.Organization(id)
	if !ok {
		return admin.Organization{}, fault.Of(fault.CodeOrganization)
	}
	if err := setSignature(&org, p.Policy, p.Anchors); err != nil {
		return admin.Organization{}, err
	}
	fact := recorder.SignatureFact{Organization: p.Org, Policy: p.Policy, Anchors: p.Anchors}
	if err := h.state(ctx, recorder.FactSignature, fact); err != nil {
		return admin.Organization{}, err
	}
	return listed(org), nil
}

// setSignature is what the recorder will do, with errors that tell an operator why it would not.
func setSignature(org *ledger.Organization, policy, anchors string) error {
	p, ok := signature.ParsePolicy(policy)
	if !ok {
		return ErrPolicy
	}
	org.Signature = string(p)
	if anchors != "" {
		org.Anchors = anchors
	}
	if org.Anchors == "" && p != signature.Off {
		return ErrNoAnchors
	}
	if org.Anchors == "" {
		return nil
	}
	_, err := signature.ParseAnchors([]byte(org.Anchors))
	return err
}

// listed is an organisation's line of the directory.
func listed(o ledger.Organization) admin.Organization {
	line := admin.Organization{ID: o.ID.String(), Kind: o.Kind, Name: o.Name, Identifiers: formatIdentifiers(o.Identifiers),
		Sandbox: o.Sandbox, Disabled: o.Disabled, Signature: o.Signature}
	for block, rest := pem.Decode([]byte(o.Anchors)); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			continue // it was parsed when it was set
		}
		sum := sha256.Sum256(c.Raw)
		line.Anchors = append(line.Anchors, admin.Anchor{Subject: c.Subject.String(), SHA256: hex.EncodeToString(sum[:]), Until: c.NotAfter.UTC()})
	}
	return line
}
