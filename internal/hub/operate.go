package hub

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/hub/admin"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/recorder"
	"github.com/dosewire/dosewire/streams"
)

var _ admin.Service = (*Hub)(nil)

// inviteFor is how long an invitation may lie about.
const inviteFor = 7 * 24 * time.Hour

// factWait is how long an operator waits for the recorder.
const factWait = 10 * time.Second

// Refusals of an operator's requests.
var (
	ErrKind       = fault.New(fault.Invalid, "an organisation is a clinic or a pharmacy")
	ErrName       = fault.New(fault.Invalid, "an organisation needs a name of 1 to 200 characters")
	ErrIdentifier = fault.New(fault.Invalid, "an identifier is written system|value")
	ErrPatient    = fault.New(fault.NotFound, "this organisation has sent nothing about such a patient")
)

// AddOrganization records an organisation with one client, and makes its consumer. The credential is
// shown this once. ErrKind, ErrName, ErrIdentifier, fault.CodeIdentifierUse.
func (h *Hub) AddOrganization(ctx context.Context, o admin.NewOrganization) (admin.Credential, error) {
	org, err := newOrganization(o)
	if err != nil {
		return admin.Credential{}, err
	}
	client, err := uuid.NewV7()
	if err != nil {
		return admin.Credential{}, fmt.Errorf("hub: client id: %w", err)
	}
	var secret [32]byte
	rand.Read(secret[:]) // never fails
	fact := recorder.OrganizationFact{Organization: org,
		Clients: []ledger.Client{{ID: client, Org: org.ID, Secret: sha256.Sum256(secret[:])}}}
	if err := h.state(ctx, recorder.FactOrganization, fact); err != nil {
		return admin.Credential{}, err
	}
	if err := streams.EnsureConsumer(ctx, h.js, org.ID.String()); err != nil {
		return admin.Credential{}, fmt.Errorf("hub: consumer: %w", err)
	}
	return admin.Credential{URL: h.URL(), NATS: h.NATSURL(), Kind: org.Kind, Name: org.Name,
		Org: org.ID.String(), User: client.String(), Token: auth.Token(client, secret)}, nil
}

func newOrganization(o admin.NewOrganization) (ledger.Organization, error) {
	org := ledger.Organization{Kind: o.Kind, Name: strings.TrimSpace(o.Name), Sandbox: o.Sandbox, Intents: o.Intents}
	var errs []error
	if r := auth.Role(o.Kind); r != auth.Clinic && r != auth.Pharmacy {
		errs = append(errs, ErrKind)
	}
	if org.Name == "" || len(org.Name) > 200 {
		errs = append(errs, ErrName)
	}
	for _, text := range o.Identifiers {
		id, err := parseIdentifier(text)
		if err != nil {
			errs = append(errs, err)
		}
		org.Identifiers = append(org.Identifiers, id)
	}
	if err := setSignature(&org, o.Signature, o.Anchors); err != nil {
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return org, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return org, fmt.Errorf("hub: organisation id: %w", err)
	}
	org.ID = id
	return org, nil
}

// parseIdentifier reads system|value; the last bar divides.
func parseIdentifier(text string) (ledger.Identifier, error) {
	i := strings.LastIndexByte(text, '|')
	if i <= 0 || i == len(text)-1 {
		return ledger.Identifier{}, ErrIdentifier
	}
	return ledger.Identifier{System: text[:i], Value: text[i+1:]}, nil
}

func formatIdentifiers(ids []ledger.Identifier) []string {
	var texts []string
	for _, id := range ids {
		texts = append(texts, id.System+"|"+id.Value)
	}
	return texts
}

// state brings one of the hub's own facts through the recorder; a refusal is an error.
func (h *Hub) state(ctx context.Context, kind string, fact any) error {
	_, err := h.accepted(ctx, kind, fact)
	return err
}

// stateAs is state of a fact with a name: said again under the same id, it is decided once.
func (h *Hub) stateAs(ctx context.Context, id uuid.UUID, kind string, fact any) error {
	answer, err := h.submitAs(ctx, id, kind, fact)
	if err == nil && answer.Status >= 300 {
		err = fault.Of(fault.Code(answer.Code))
	}
	return err
}

// submit brings one of the hub's own facts to the recorder and returns its word.
func (h *Hub) submit(ctx context.Context, kind string, fact any) (streams.Answer, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return streams.Answer{}, fmt.Errorf("hub: fact id: %w", err)
	}
	return h.submitAs(ctx, id, kind, fact)
}

func (h *Hub) submitAs(ctx context.Context, id uuid.UUID, kind string, fact any) (streams.Answer, error) {
	body, err := json.Marshal(fact)
	if err != nil {
		return streams.Answer{}, fmt.Errorf("hub: fact: %w", err)
	}
	answer, err := h.caller.Call(ctx, streams.Message{ID: "hub." + id.String(), Subject: streams.FactSubject(kind), Body: body}, factWait)
	if err != nil {
		return answer, fmt.Errorf("hub: fact: %w", err)
	}
	return answer, nil
}

// Organizations lists the directory.
func (h *Hub) Organizations(context.Context) ([]admin.Organization, error) {
	all := []admin.Organization{}
	for _, o := range h.directory.Organizations() {
		all = append(all, listed(o))
	}
	return all, nil
}

// Invite makes a one-time link to the inbox of a patient that the organisation has sent.
// fault.CodeOrganization, ErrPatient.
func (h *Hub) Invite(ctx context.Context, who admin.Patient) (admin.Invitation, error) {
	found, err := h.locate(ctx, who)
	if err != nil {
		return admin.Invitation{}, err
	}
	secret := make([]byte, 32)
	rand.Read(secret) // never fails
	token, until := base64.RawURLEncoding.EncodeToString(secret), time.Now().Add(inviteFor).UTC()
	if err := h.databases.records.AddInvitation(ctx, sha256.Sum256([]byte(token)), found.Patient, until); err != nil {
		return admin.Invitation{}, fmt.Errorf("hub: invite: %w", err)
	}
	return admin.Invitation{URL: h.URL() + "/inbox/s/" + token, Until: until}, nil
}

// Status is the hub at a glance.
func (h *Hub) Status(ctx context.Context) (admin.Status, error) {
	s := admin.Status{Version: h.version, Mode: h.config.Mode, Store: h.databases.kind, URL: h.URL(), NATS: h.NATSURL(),
		Started: h.began.UTC(), Components: map[string]string{}}
	for _, c := range h.components(ctx) {
		s.Components[c.name] = c.word()
	}
	if h.directory != nil {
		s.Organizations = len(h.directory.Organizations())
	}
	head, err := h.databases.records.Head(ctx)
	if err != nil {
		return s, fmt.Errorf("hub: head: %w", err)
	}
	s.Head = admin.Head{Entries: head.Size, Leaf: hex.EncodeToString(head.Leaf[:]), Epoch: head.Epoch, Seq: head.Seq, Deliveries: head.Deliveries}
	return s, nil
}
