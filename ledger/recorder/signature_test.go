package recorder_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // for a look into the quarantine
	"github.com/nats-io/nats.go"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/signature"
	"github.com/dosewire/dosewire/internal/signature/signaturetest"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/recorder"
	"github.com/dosewire/dosewire/streams"
)

// on runs a test on both stores.
func on(t *testing.T, test func(*testing.T, *hub)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, open(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, open(t, (*hub).onPostgres)) })
}

// policy asks something of the clinic's signatures.
func (h *hub) policy(p, anchors string) streams.Answer {
	h.t.Helper()
	body, err := json.Marshal(recorder.SignatureFact{Organization: h.clinic.ID.String(), Policy: p, Anchors: anchors})
	h.must(err)
	return h.call(streams.Message{ID: "hub." + rand.Text(), Subject: streams.FactSubject(recorder.FactSignature), Body: body})
}

// signed is a message of the clinic under a signature; "" is none.
func (h *hub) signed(id string, body []byte, jws string) streams.Message {
	m := message(h.clinic, id, body)
	if jws != "" {
		m.Header = nats.Header{streams.HeaderSignature: {jws}}
	}
	return m
}

// opened reads a record as the hub can.
func (h *hub) opened(record string) ledger.Opened {
	h.t.Helper()
	ctx := context.Background()
	rec, err := h.store.Record(ctx, parse(h.t, record))
	h.must(err)
	key, err := h.keys.Key(ctx, rec.KeyID)
	h.must(err)
	for row, err := range h.store.Rows(ctx, rec.Index) {
		h.must(err)
		o, err := ledger.OpenAll(key, rec, &row.Entry.Commitment)
		h.must(err)
		return o
	}
	h.t.Fatal("the record has no entry")
	return ledger.Opened{}
}

func parse(t testing.TB, id string) (parsed ledger.ID) {
	t.Helper()
	if err := parsed.UnmarshalText([]byte(id)); err != nil {
		t.Fatal(err)
	}
	return parsed
}

// verdicts are those on the deliveries of prescriptions to the pharmacy.
func (h *hub) verdicts() (all []string) {
	h.t.Helper()
	for _, m := range h.received(h.oldBridge, 300*time.Millisecond) {
		if subjectType(m) != "OperationOutcome" {
			all = append(all, m.Headers().Get(streams.HeaderVerdict))
		}
	}
	return all
}

func TestSignaturesAreRecorded(t *testing.T) {
	on(t, func(t *testing.T, h *hub) {
		root := signaturetest.NewAuthority(t, "Riverside CA", time.Now())
		dr := root.Sub(t, "Prescribers").Signer(t)
		if a := h.policy("record", root.PEM()); a.Status != 200 {
			t.Fatalf("policy: %+v", a)
		}
		good, bad, none := order("S-1", oldBridgeNPI, "A"), order("S-2", oldBridgeNPI, "B"), order("S-3", oldBridgeNPI, "C")
		jws := dr.Sign(t, good)
		for _, c := range []struct {
			id      string
			body    []byte
			jws     string
			verdict string
			code    fault.Code
		}{
			{"s1", good, jws, "verified", fault.CodeSigned},
			{"s2", bad, jws, "failed;reason=mismatch", fault.CodeSignatureMismatch},
			{"s3", none, "", "absent", ""},
		} {
			a := h.call(h.signed(c.id, c.body, c.jws))
			if a.Status != 201 || a.Signature != c.verdict || !strings.Contains(string(a.Issues), string(c.code)) {
				t.Fatalf("%s: %+v %s", c.id, a, a.Issues)
			}
			o := h.opened(a.Record)
			e, err := signature.ParseEvidence(o.Evidence)
			h.must(err)
			if !bytes.Equal(o.Plaintext, c.body) || e.String() != c.verdict || e.Policy != signature.Record {
				t.Errorf("%s: evidence %+v", c.id, e)
			}
			if c.jws != "" && (len(e.Signatures) != 1 || e.Signatures[0].JWS != c.jws) {
				t.Errorf("%s: the signature is not kept", c.id)
			}
			if c.verdict == "verified" {
				chain := e.Signatures[0].Chain
				if len(chain) != 3 || !bytes.Equal(chain[0], dr.Chain[0].Raw) || !bytes.Equal(chain[2], root.Root().Raw) {
					t.Errorf("a chain of %d", len(chain))
				}
				// judged again from the record alone
				if _, err := signature.Verify(e.Signatures[0].JWS, o.Plaintext, anchorsOf(t, root.PEM()), time.UnixMilli(e.Time)); err != nil {
					t.Error(err)
				}
			}
			if again := h.call(h.signed(c.id, c.body, "")); !again.Replayed || again.Signature != c.verdict {
				t.Errorf("%s again, unsigned: %+v", c.id, again)
			}
		}
		if got := fmt.Sprint(h.verdicts()); got != "[verified failed;reason=mismatch absent]" {
			t.Errorf("delivered with %s", got)
		}
		h.verify()
	})
}

func anchorsOf(t testing.TB, pem string) *signature.Anchors {
	t.Helper()
	a, err := signature.ParseAnchors([]byte(pem))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestSignaturesAreRequired(t *testing.T) {
	on(t, func(t *testing.T, h *hub) {
		root, stranger := signaturetest.NewAuthority(t, "Riverside CA", time.Now()), signaturetest.NewAuthority(t, "Riverside CA", time.Now())
		dr := root.Signer(t)
		expired := root.Signer(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
		body := order("S-1", oldBridgeNPI, "Amoxicillin")
		unsigned := h.send(h.clinic, "before", order("S-0", oldBridgeNPI, "Before"))
		if unsigned.Status != 201 || unsigned.Signature != "" {
			t.Fatalf("before: %+v", unsigned)
		}
		h.policy("require", root.PEM())
		quarantined := 0
		for _, c := range []struct {
			name   string
			jws    string
			status int
			code   fault.Code
		}{
			{"unsigned", "", 422, fault.CodeSignatureRequired},
			{"no JWS", "x", 422, fault.CodeSignatureMalformed},
			{"endless", strings.Repeat("A", signature.MaxSize+1), 422, fault.CodeSignatureMalformed},
			{"of other bytes", dr.Sign(t, []byte("{}")), 403, fault.CodeSignatureMismatch},
			{"a stranger's", stranger.Signer(t).Sign(t, body), 403, fault.CodeSignatureUntrusted},
			{"expired", expired.Sign(t, body), 403, fault.CodeSignatureExpired},
			{"alg none", dr.SignAs(t, []byte(`{"alg":"none"}`), body), 422, fault.CodeSignatureHeader},
		} {
			a := h.call(h.signed("m1", body, c.jws))
			if a.Status != c.status || a.Code != string(c.code) || a.Index != nil || !bytes.Contains(a.Issues, []byte(c.code)) {
				t.Errorf("%s: %+v %s", c.name, a, a.Issues)
			}
			quarantined++
			if got := quarantineOf(h, string(c.code)); got == 0 {
				t.Errorf("%s: not in quarantine", c.name)
			}
		}
		// two headers: nobody knows which one counts
		twice := h.signed("m1", body, dr.Sign(t, body))
		twice.Header.Add(streams.HeaderSignature, dr.Sign(t, body))
		if a := h.call(twice); a.Code != string(fault.CodeSignatureMalformed) {
			t.Errorf("two signatures: %+v", a)
		}
		if got := len(h.received(h.oldBridge, 300*time.Millisecond)); got != 1 {
			t.Errorf("the pharmacy got %d messages, want the one before the policy", got)
		}
		// over NATS the refusal is a delivery
		h.must(h.publisher.Publish(context.Background(), h.signed("m1", body, "")))
		out := h.awaited(h.clinic, 1)
		if len(out) != 1 || !bytes.Contains(out[0].Data(), []byte(fault.CodeSignatureRequired)) {
			t.Fatalf("%d outcomes", len(out))
		}
		// mended and sent again, under the same id
		h.must(h.publisher.Publish(context.Background(), h.signed("m1", body, dr.Sign(t, body))))
		out = h.awaited(h.clinic, 1)
		if len(out) != 1 || !bytes.Contains(out[0].Data(), []byte(fault.CodeSigned)) {
			t.Fatalf("mended: %d outcomes", len(out))
		}
		if got := fmt.Sprint(h.verdicts()); got != "[verified]" {
			t.Errorf("delivered with %s", got)
		}
		// what was decided stays decided: the same bytes again need no new signature, other bytes do
		if a := h.call(h.signed("m1", body, "")); !a.Replayed || a.Status != 201 {
			t.Errorf("again, unsigned: %+v", a)
		}
		if a := h.call(h.signed("before", order("S-0", oldBridgeNPI, "Before"), "")); !a.Replayed {
			t.Errorf("from before the policy: %+v", a)
		}
		if a := h.call(h.signed("m2", withStatus(body, "cancelled"), "")); a.Code != string(fault.CodeSignatureRequired) {
			t.Errorf("an unsigned cancellation: %+v", a)
		}
		// others are not asked
		if a := h.send(h.clinic2, "m1", order("S-1", harbourNPI, "Omeprazole")); a.Status != 201 {
			t.Errorf("another clinic: %+v", a)
		}
		h.verify()
	})
}

// TestPolicyHoldsFromItsPlace: the messages behind a change of policy are judged by it and those before
// it are not, also when all of them are recorded in one go.
func TestPolicyHoldsFromItsPlace(t *testing.T) {
	on(t, func(t *testing.T, h *hub) {
		root := signaturetest.NewAuthority(t, "CA", time.Now())
		h.close()
		h.start()
		h.stop() // the recorder rests while the stream fills
		h.must(<-h.done)
		fact := func(p, anchors string) streams.Message {
			body, err := json.Marshal(recorder.SignatureFact{Organization: h.clinic.ID.String(), Policy: p, Anchors: anchors})
			h.must(err)
			return streams.Message{ID: "hub." + rand.Text(), Subject: streams.FactSubject(recorder.FactSignature), Body: body}
		}
		for i, m := range []streams.Message{
			message(h.clinic, "1", order("P-1", oldBridgeNPI, "A")), fact("require", root.PEM()),
			message(h.clinic, "2", order("P-2", oldBridgeNPI, "B")), fact("record", ""),
			message(h.clinic, "3", order("P-3", oldBridgeNPI, "C")), fact("off", ""),
			message(h.clinic, "4", order("P-4", oldBridgeNPI, "D")),
		} {
			if err := h.publisher.Publish(context.Background(), m); err != nil {
				t.Fatalf("message %d: %v", i, err)
			}
		}
		h.lead()
		if got := fmt.Sprint(h.verdicts()); got != "[ absent ]" {
			t.Errorf("delivered with %q", got)
		}
		if got := quarantineOf(h, string(fault.CodeSignatureRequired)); got != 1 {
			t.Errorf("%d refused", got)
		}
		h.verify()
	})
}

func TestPolicyFactsAreJudged(t *testing.T) {
	h := open(t)
	root := signaturetest.NewAuthority(t, "CA", time.Now())
	if a := h.policy("require", ""); a.Code != string(fault.CodeFact) {
		t.Errorf("no anchor: %+v", a)
	}
	if a := h.policy("record", "nonsense"); a.Code != string(fault.CodeFact) {
		t.Errorf("no certificate: %+v", a)
	}
	if a := h.policy("perhaps", root.PEM()); a.Code != string(fault.CodeFact) {
		t.Errorf("no policy: %+v", a)
	}
	h.policy("record", root.PEM())
	if a := h.policy("require", ""); a.Status != 200 { // keeps its anchors
		t.Errorf("with those that are set: %+v", a)
	}
	if org, _ := h.dirs.Organization(h.clinic.ID); org.Signature != "require" || org.Anchors != root.PEM() || org.Name != h.clinic.Name {
		t.Errorf("the organisation is %+v", org)
	}
	h.close()
	h.start()
	if a := h.send(h.clinic, "m", order("A", oldBridgeNPI, "A")); a.Code != string(fault.CodeSignatureRequired) {
		t.Errorf("after a restart: %+v", a)
	}
	if a := h.policy("off", ""); a.Status != 200 {
		t.Errorf("off: %+v", a)
	}
	dr := root.Signer(t)
	body := order("A", oldBridgeNPI, "A")
	a := h.call(h.signed("m", body, dr.Sign(t, body)))
	if a.Status != 201 || a.Signature != "" || !bytes.Contains(a.Issues, []byte(fault.CodeSignatureUnread)) {
		t.Errorf("a signature that nobody asks for: %+v %s", a, a.Issues)
	}
	if _, err := signature.ParseEvidence(h.opened(a.Record).Evidence); !errors.Is(err, signature.ErrNone) {
		t.Error("evidence of what was not judged")
	}
}

// bundled is a collection of a patient and an order, signed inside.
func bundled(t testing.TB, s signaturetest.Signer, identifier string, edit ...string) []byte {
	t.Helper()
	entries := fmt.Sprintf(`{"fullUrl":"urn:uuid:11111111-0000-4000-8000-000000000001","resource":{"resourceType":"Patient","identifier":[{"system":"urn:mrn","value":"M-1"}],"name":[{"family":"Canary"}],"birthDate":"1980-02-29"}},
 {"fullUrl":"urn:uuid:11111111-0000-4000-8000-000000000002","resource":{"resourceType":"MedicationRequest","identifier":[{"system":"urn:rx","value":"%s"}],"status":"active","intent":"order","medicationCodeableConcept":{"text":"Amoxicillin"},
  "subject":{"reference":"urn:uuid:11111111-0000-4000-8000-000000000001"},"requester":{"reference":"urn:uuid:11111111-0000-4000-8000-000000000003"},"dosageInstruction":[{"text":"once daily"}],
  "dispenseRequest":{"performer":{"identifier":{"system":"http://hl7.org/fhir/sid/us-npi","value":"%s"}}}}},
 {"fullUrl":"urn:uuid:11111111-0000-4000-8000-000000000003","resource":{"resourceType":"Practitioner","identifier":[{"system":"http://hl7.org/fhir/sid/us-npi","value":"1093817465"}],"name":[{"family":"Okafor"}]}}`, identifier, oldBridgeNPI)
	content := []byte(`{"resourceType":"Bundle","type":"collection","entry":[` + entries + `]}`)
	jws := base64.StdEncoding.EncodeToString([]byte(s.Sign(t, content)))
	bundle := `{"resourceType":"Bundle","type":"collection","identifier":{"system":"urn:b","value":"` + identifier + `"},"entry":[` + entries +
		`,{"fullUrl":"urn:uuid:11111111-0000-4000-8000-000000000004","resource":{"resourceType":"Provenance","recorded":"2026-11-19T12:00:00Z",
   "target":[{"reference":"urn:uuid:11111111-0000-4000-8000-000000000002"}],
   "agent":[{"who":{"reference":"urn:uuid:11111111-0000-4000-8000-000000000003"}}],
   "entity":[{"role":"source","what":{"reference":"urn:uuid:11111111-0000-4000-8000-000000000005"}}],
   "signature":[{"type":[{"system":"urn:iso-astm:E1762-95:2013","code":"1.2.840.10065.1.12.1.1"}],"when":"2026-11-19T12:00:00Z",
     "who":{"reference":"urn:uuid:11111111-0000-4000-8000-000000000003"},"sigFormat":"application/jose","data":"` + jws + `"}]}},
  {"fullUrl":"urn:uuid:11111111-0000-4000-8000-000000000005","resource":{"resourceType":"Binary","contentType":"application/fhir+json","data":"` +
		base64.StdEncoding.EncodeToString(content) + `"}}]}`
	return []byte(strings.NewReplacer(edit...).Replace(bundle))
}

func TestProvenanceSignatures(t *testing.T) {
	on(t, func(t *testing.T, h *hub) {
		root := signaturetest.NewAuthority(t, "CA", time.Now())
		npi, err := url.Parse("http://hl7.org/fhir/sid/us-npi/1093817465")
		h.must(err)
		other, err := url.Parse("http://hl7.org/fhir/sid/us-npi/1999999999")
		h.must(err)
		dr := root.Certify(t, signaturetest.Ed25519(t), func(c *x509.Certificate) { c.URIs = []*url.URL{npi} })
		elsewho := root.Signer(t, func(c *x509.Certificate) { c.URIs = []*url.URL{other} })
		stranger := signaturetest.NewAuthority(t, "CA", time.Now()).Signer(t)
		h.policy("require", root.PEM())
		for i, c := range []struct {
			name string
			body []byte
			code fault.Code
		}{
			{"good", bundled(t, dr, "B-1"), ""},
			{"another prescriber's certificate", bundled(t, elsewho, "B-2"), fault.CodeSignatureSigner},
			{"a stranger's", bundled(t, stranger, "B-3"), fault.CodeSignatureUntrusted},
			{"another medicine beside it", bundled(t, dr, "B-4", "Amoxicillin", "Oxycodone"), fault.CodeSignatureContent},
			{"another patient beside it", bundled(t, dr, "B-5", "M-1", "M-2"), fault.CodeSignatureContent},
			{"the Binary is not there", bundled(t, dr, "B-6", `"what":{"reference":"urn:uuid:11111111-0000-4000-8000-000000000005"}`, `"what":{"display":"lost"}`), fault.CodeSignatureContent},
			{"XML", bundled(t, dr, "B-7", "application/jose", "application/signature+xml"), fault.CodeSignatureHeader},
			{"no signature", bundled(t, dr, "B-8", `"signature":[{`, `"extension":[{"url":"urn:x","valueString":"y"}],"_signature":[{`), ""},
		} {
			a := h.send(h.clinic, fmt.Sprint("b", i), c.body)
			switch {
			case c.name == "good":
				if a.Status != 201 || a.Signature != "verified" {
					t.Fatalf("%s: %+v %s", c.name, a, a.Issues)
				}
				e, err := signature.ParseEvidence(h.opened(a.Record).Evidence)
				h.must(err)
				if len(e.Signatures) != 1 || e.Signatures[0].Place != "Bundle.entry[3].resource.signature[0]" || e.Signatures[0].Algorithm != "EdDSA" {
					t.Errorf("evidence %+v", e)
				}
			case c.name == "no signature":
				if a.Status/100 == 2 {
					t.Errorf("%s: %+v", c.name, a)
				}
			case a.Code != string(c.code) || a.Index != nil || !bytes.Contains(a.Issues, []byte("Bundle.entry[3].resource.signature[0]")):
				t.Errorf("%s: %+v %s", c.name, a, a.Issues)
			}
		}
		if got := fmt.Sprint(h.verdicts()); got != "[verified]" {
			t.Errorf("delivered with %s", got)
		}
	})
}

// TestBatchIsSignedEntryByEntry: one signature over a batch would be in no record.
func TestBatchIsSignedEntryByEntry(t *testing.T) {
	h := open(t)
	root := signaturetest.NewAuthority(t, "CA", time.Now())
	dr := root.Signer(t)
	h.policy("require", root.PEM())
	entry := func(resource []byte) string {
		return `{"resource":` + string(resource) + `,"request":{"method":"POST","url":"Bundle"}}`
	}
	body := []byte(`{"resourceType":"Bundle","type":"batch","entry":[` + entry(bundled(t, dr, "N-1")) + `,` + entry(order("N-2", oldBridgeNPI, "B")) + `]}`)
	a := h.call(h.signed("batch", body, ""))
	if len(a.Resources) != 2 || a.Resources[0].Status != 201 || a.Resources[1].Code != string(fault.CodeSignatureRequired) {
		t.Errorf("%+v %s", a, a.Issues)
	}
	body = bytes.ReplaceAll(body, []byte("N-"), []byte("O-"))
	a = h.call(h.signed("batch2", body, dr.Sign(t, body)))
	for i, res := range a.Resources {
		if res.Code != string(fault.CodeSignatureHeader) {
			t.Errorf("entry %d: %+v", i, res)
		}
	}
}

// TestVerdictSurvivesTheAnnouncer: what is delivered again from the database says the same.
func TestVerdictSurvivesTheAnnouncer(t *testing.T) {
	f := &faults{}
	h := open(t, func(h *hub) { h.config.Fault = f.at })
	root := signaturetest.NewAuthority(t, "CA", time.Now())
	h.policy("record", root.PEM())
	f.arm("before announce", 1<<20, fault.Of(fault.CodeUnavailable))
	body := order("A", oldBridgeNPI, "A")
	if a := h.call(h.signed("m", body, root.Signer(t).Sign(t, body))); a.Signature != "verified" {
		t.Fatalf("%+v", a)
	}
	h.close()
	f.arm("", 0, nil)
	h.start()
	if got := fmt.Sprint(h.verdicts()); got != "[verified]" {
		t.Errorf("delivered with %s", got)
	}
}

// quarantineOf looks into the table as an operator's query would.
func quarantineOf(h *hub, code string) (n int) {
	h.t.Helper()
	driver, dsn, where := "sqlite", "file:"+filepath.Join(h.dir, "records.db"), "?"
	if h.dsn[0] != "" {
		driver, dsn, where = "pgx", h.dsn[0], "$1"
	}
	db, err := sql.Open(driver, dsn)
	h.must(err)
	defer db.Close()
	h.must(db.QueryRow("SELECT count(*) FROM quarantine WHERE code = "+where, code).Scan(&n))
	return n
}
