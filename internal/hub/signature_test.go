package hub

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dosewire/dosewire/adapters/all"
	"github.com/dosewire/dosewire/internal/hub/admin"
	"github.com/dosewire/dosewire/internal/signature"
	"github.com/dosewire/dosewire/internal/signature/signaturetest"
	"github.com/dosewire/dosewire/streams"
)

// TestSignedOverRESTAndNATS is a clinic with a signing prescriber and its pharmacy, as stock clients
// see them.
func TestSignedOverRESTAndNATS(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { signedOverRESTAndNATS(t, lab(t)) })
	t.Run("postgres", func(t *testing.T) {
		c := lab(t)
		c.Store = Store{DSN: postgresServer.Database(t), KeysDSN: postgresServer.Database(t)}
		if err := Migrate(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		signedOverRESTAndNATS(t, c)
	})
}

func signedOverRESTAndNATS(t *testing.T, c Config) {
	h, _ := run(t, c, all.List()...)
	op := admin.NewClient(h.AdminSocket())
	root := signaturetest.NewAuthority(t, "Northgate CA", time.Now())
	dr := root.Sub(t, "Northgate prescribers").Signer(t)
	clinic, err := op.AddOrganization(t.Context(), admin.NewOrganization{Kind: "clinic", Name: "Northgate", Signature: "require", Anchors: root.PEM()})
	if err != nil {
		t.Fatal(err)
	}
	pharmacy, err := op.AddOrganization(t.Context(), admin.NewOrganization{Kind: "pharmacy", Name: "Old Bridge", Identifiers: []string{"urn:npi|1"}})
	if err != nil {
		t.Fatal(err)
	}

	body := signedOrder("R-1")
	for _, try := range []struct {
		name, jws, verdict, code string
		status                   int
	}{
		{"unsigned", "", "", "RX_SIGNATURE_REQUIRED", 422},
		{"of other bytes", dr.Sign(t, []byte("{}")), "", "RX_SIGNATURE_MISMATCH", 403},
		{"signed", dr.Sign(t, body), "verified", "RX_SIGNATURE_VERIFIED", 201},
		{"again", dr.Sign(t, body), "verified", "RX_SIGNATURE_VERIFIED", 200},
		{"again, unsigned", "", "verified", "RX_SIGNATURE_VERIFIED", 200},
	} {
		status, header, answer := post(t, clinic, try.jws, body)
		if status != try.status || header.Get("Rx-Signature-Verdict") != try.verdict || !strings.Contains(answer, try.code) {
			t.Fatalf("%s: %d %v %s", try.name, status, header, answer)
		}
	}

	nc := asClient(t, clinic)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	over := signedOrder("N-1")
	publish := func(id, jws string) {
		m := &nats.Msg{Subject: streams.IntakeSubject(clinic.Org, "MedicationRequest"), Data: over, Header: nats.Header{"Nats-Msg-Id": {clinic.Org + "." + id}}}
		if jws != "" {
			m.Header.Set("Rx-Signature", jws)
		}
		for { // as docs/connect-nats.md tells: a duplicate was not stored
			ack, err := js.PublishMsg(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			if !ack.Duplicate {
				return
			}
			time.Sleep(50 * time.Millisecond) // the stream's duplicate window is 100 ms
		}
	}
	publish("n1", "")
	if m := one(t, clinic); !bytes.Contains(m.Data(), []byte("RX_SIGNATURE_REQUIRED")) {
		t.Errorf("outcome %s", m.Data())
	}
	publish("n1", dr.Sign(t, over))
	if m := one(t, clinic); !bytes.Contains(m.Data(), []byte("RX_SIGNATURE_VERIFIED")) {
		t.Errorf("outcome %s", m.Data())
	}

	// the pharmacy hears the verdict, pulled and delivered
	status, page := fetch(t, pharmacy, "/fhir/$deliveries?after=0")
	if n := strings.Count(page, `{"url":"signature","valueString":"verified"}`); status != 200 || n != 2 {
		t.Errorf("$deliveries: %d with %d verdicts", status, n)
	}
	for range 2 {
		if m := one(t, pharmacy); m.Headers().Get("Rx-Signature-Verdict") != "verified" {
			t.Errorf("delivered with %v", m.Headers())
		}
	}

	// the operator looks at the policy and changes it
	orgs, err := op.Organizations(t.Context())
	if err != nil || len(orgs) != 2 || orgs[0].Signature != "require" || len(orgs[0].Anchors) != 1 || orgs[0].Anchors[0].Subject != "CN=Northgate CA" {
		t.Errorf("organisations: %+v, %v", orgs, err)
	}
	if o, err := op.SetSignature(t.Context(), admin.SignaturePolicy{Org: clinic.Org, Policy: "record"}); err != nil || o.Signature != "record" || len(o.Anchors) != 1 {
		t.Errorf("changed: %+v, %v", o, err)
	}
	if status, header, answer := post(t, clinic, "", signedOrder("R-2")); status != 201 || header.Get("Rx-Signature-Verdict") != "absent" {
		t.Errorf("recorded: %d %s", status, answer)
	}
	for _, wrong := range []struct {
		p    admin.SignaturePolicy
		want error
	}{
		{admin.SignaturePolicy{Org: clinic.Org, Policy: "maybe"}, ErrPolicy},
		{admin.SignaturePolicy{Org: pharmacy.Org, Policy: "require"}, ErrNoAnchors},
		{admin.SignaturePolicy{Org: clinic.Org, Policy: "record", Anchors: string(dr.KeyPEM(t))}, signature.ErrAnchorText},
	} {
		if _, err := op.SetSignature(t.Context(), wrong.p); err == nil || err.Error() != wrong.want.Error() {
			t.Errorf("%s: %v, want %v", wrong.p.Policy, err, wrong.want)
		}
	}
	if v, err := op.Verify(t.Context(), admin.Verification{}, nil); err != nil || v.Bad != nil {
		t.Errorf("verify: %+v, %v", v, err)
	}
}

func signedOrder(identifier string) []byte {
	return fmt.Appendf(nil, `{"resourceType":"MedicationRequest",
 "contained":[{"resourceType":"Patient","id":"p","identifier":[{"system":"urn:mrn","value":"M-1"}],"name":[{"family":"Canary"}],"birthDate":"1980-02-29"},
  {"resourceType":"Practitioner","id":"d","identifier":[{"system":"urn:npi","value":"2"}],"name":[{"family":"Okafor"}]}],
 "identifier":[{"system":"urn:rx","value":"%s"}],"status":"active","intent":"order","medicationCodeableConcept":{"text":"Amoxicillin"},
 "subject":{"reference":"#p"},"requester":{"reference":"#d"},"dosageInstruction":[{"text":"once daily"}],
 "dispenseRequest":{"performer":{"identifier":{"system":"urn:npi","value":"1"}}}}`, identifier)
}

func post(t *testing.T, c admin.Credential, jws string, body []byte) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.URL+"/fhir/MedicationRequest", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	req.Header.Set("Content-Type", "application/fhir+json")
	if jws != "" {
		req.Header.Set("Rx-Signature", jws)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(answer)
}

func fetch(t *testing.T, c admin.Credential, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || !json.Valid(answer) {
		t.Fatalf("%v, %s", err, answer)
	}
	return resp.StatusCode, string(answer)
}

func asClient(t *testing.T, c admin.Credential) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(c.NATS, nats.UserInfo(c.User, c.Token), nats.CustomInboxPrefix("_INBOX_"+c.Org))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// one takes the next delivery over NATS.
func one(t *testing.T, c admin.Credential) jetstream.Msg {
	t.Helper()
	js, err := jetstream.New(asClient(t, c))
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := js.Consumer(t.Context(), streams.Delivery, streams.ConsumerName(c.Org))
	if err != nil {
		t.Fatal(err)
	}
	m, err := consumer.Next(jetstream.FetchMaxWait(15 * time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.DoubleAck(t.Context()); err != nil {
		t.Fatal(err)
	}
	return m
}
