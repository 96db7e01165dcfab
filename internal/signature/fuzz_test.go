package signature

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/dosewire/dosewire/internal/signature/signaturetest"
)

// FuzzParse: nothing panics; what is read has one spelling, one of our algorithms and a certificate;
// and nobody's text verifies but the signer's own.
func FuzzParse(f *testing.F) {
	at := time.Date(2026, 11, 19, 12, 0, 0, 0, time.UTC)
	body := []byte("{}")
	root := signaturetest.NewAuthority(f, "Root", at)
	anchors, err := ParseAnchors([]byte(root.PEM()))
	if err != nil {
		f.Fatal(err)
	}
	stranger := signaturetest.NewAuthority(f, "Stranger", at).Signer(f)
	f.Add(stranger.Sign(f, body))
	text, err := json.Marshal(stranger.Header())
	if err != nil {
		f.Fatal(err)
	}
	for _, header := range []string{`{"alg":"none"}`, `{"alg":"ES256","jwk":{}}`, `{"alg":"ES256","b64":false,"crit":["b64"]}`,
		`{"alg":"ES256","alg":"EdDSA"}`, strings.Replace(string(text), "{", `{"b64":false,"crit":["b64"],`, 1)} {
		f.Add(stranger.SignAs(f, []byte(header), body))
	}
	f.Add("..")
	f.Fuzz(func(t *testing.T, jws string) {
		if _, err := Verify(jws, body, anchors, at); err == nil {
			t.Fatal("a text that no trusted key has signed is verified")
		} else if reasonOf(err).Code() == "" {
			t.Fatalf("no reason: %v", err)
		}
		h, err := parse(jws)
		if err != nil {
			return
		}
		if len(h.chain) == 0 || h.algorithm != ES256 && h.algorithm != EdDSA {
			t.Fatalf("read %s with %d certificates", h.algorithm, len(h.chain))
		}
		protected, signed, _ := strings.Cut(jws, "..")
		for _, part := range []string{protected, signed} {
			b, err := base64.RawURLEncoding.DecodeString(part)
			if err != nil || base64.RawURLEncoding.EncodeToString(b) != part {
				t.Fatal("a second spelling is read")
			}
		}
	})
}

// FuzzEvidence: what is read is written again as it was.
func FuzzEvidence(f *testing.F) {
	f.Add(Judge(Record, 1, Seen{Place: "header", JWS: "a..b", Reason: ErrMalformed}).Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ParseEvidence(b)
		if err != nil {
			return
		}
		again, err := ParseEvidence(e.Bytes())
		if err != nil || string(again.Bytes()) != string(e.Bytes()) {
			t.Fatalf("%v", err)
		}
	})
}
