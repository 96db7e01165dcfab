package demo

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/dosewire/dosewire/testdata"
)

// Hub is what the play needs of an operator: credentials, an invitation for a patient, and the
// verifier. cmd/dosewire gives it over the admin socket.
type Hub interface {
	// AddOrganization makes a clinic or pharmacy with one identifier (system|value).
	AddOrganization(ctx context.Context, kind, name, identifier string) (Credential, error)
	// Invite makes a one-time link to the inbox of a patient that the organisation has sent.
	Invite(ctx context.Context, org, system, value string) (link string, err error)
	// Verify walks the whole ledger and every row, and returns the number of entries.
	Verify(ctx context.Context) (entries uint64, err error)
	// Judge judges a receipt and the message it is about offline, by the trust policy of the hub's notary.
	Judge(receipt, message []byte) error
}

// Identifiers of the play's organisations, as the prescriptions name them.
const (
	npi       = "http://hl7.org/fhir/sid/us-npi"
	riverside = npi + "|1902847563"
	northgate = npi + "|1447206385"
	oldBridge = npi + "|1558203947"
	harbour   = npi + "|1336490128"

	riversideMRN  = "https://riverside.example/fhir/mrn"
	northgatePats = "https://northgate.example/fhir/patient"
)

// play is the state of one performance.
type play struct {
	hub Hub
	t   *timeline
	run string // makes this performance's message ids its own

	riverside, northgate *member // clinics
	oldBridge, harbour   *member // pharmacies
	ines, lea            *phone

	amoxicillin string // id of the first prescription
}

// Result is what stays of a performance for the reader.
type Result struct {
	Steps   int
	Entries uint64 // in the verified ledger
	Links   []Link // fresh one-time links, for a person to open
	Clinic  Credential
}

// Link is a one-time sign-in link of a patient.
type Link struct{ Patient, URL string }

// Run performs the play and prints it to w as it happens. It returns an error that names the first
// step which was not seen to happen.
func Run(ctx context.Context, hub Hub, w io.Writer) (Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	nonce := make([]byte, 4)
	rand.Read(nonce) // never fails
	p := &play{hub: hub, t: &timeline{w: w, began: time.Now()}, run: hex.EncodeToString(nonce)}
	for _, act := range []func(context.Context) error{
		p.open, p.oneByREST, p.invite, p.collected, p.repeatsByNATS, p.twoPharmacies, p.document,
		p.cancellation, p.race, p.invalid, p.sameAgain, p.proof,
	} {
		if err := act(ctx); err != nil {
			return Result{}, err
		}
	}
	return p.close(ctx)
}

func (p *play) open(ctx context.Context) error {
	p.t.act("Two clinics, two pharmacies")
	for _, o := range []struct {
		kind, name, identifier string
		to                     **member
	}{
		{"clinic", "Riverside Family Practice", riverside, &p.riverside},
		{"clinic", "Northgate Heart Clinic", northgate, &p.northgate},
		{"pharmacy", "Old Bridge Pharmacy", oldBridge, &p.oldBridge},
		{"pharmacy", "Harbour Street Pharmacy", harbour, &p.harbour},
	} {
		c, err := p.hub.AddOrganization(ctx, o.kind, o.name, o.identifier)
		if err != nil {
			return fmt.Errorf("demo: add %s: %w", o.name, err)
		}
		if *o.to, err = join(ctx, o.name, c); err != nil {
			return err
		}
		p.t.step(o.name, "%s, credentials made, connected over NATS", o.kind)
	}
	return nil
}

// file is one of the prescriptions in testdata/demo.
func file(name string) ([]byte, error) {
	b, err := fs.ReadFile(testdata.Demo, "demo/"+name)
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	return b, nil
}

func (p *play) close(ctx context.Context) (Result, error) {
	p.t.act("The ledger")
	entries, err := p.hub.Verify(ctx)
	if err != nil {
		return Result{}, fmt.Errorf("demo: verify: %w", err)
	}
	p.t.step("verify", "%d entries: the chain and every row are as written", entries)
	r := Result{Steps: p.t.steps, Entries: entries, Clinic: p.riverside.Credential}
	for _, who := range []struct{ name, org, system, value string }{
		{"Thomas Adeyemi", p.riverside.Org, riversideMRN, "RF-11873"},
		{"Inés Moreno", p.riverside.Org, riversideMRN, "RF-20418"},
		{"Léa Fontaine", p.northgate.Org, northgatePats, "NHC-00952"},
	} {
		url, err := p.hub.Invite(ctx, who.org, who.system, who.value)
		if err != nil {
			return Result{}, fmt.Errorf("demo: invite: %w", err)
		}
		r.Links = append(r.Links, Link{who.name, url})
	}
	return r, nil
}

// expect is an error unless the condition holds.
func expect(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return errors.New("demo: " + fmt.Sprintf(format, args...))
}
