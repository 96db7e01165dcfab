package signature_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/signature"
	"github.com/dosewire/dosewire/internal/signature/signaturetest"
)

// at is when the messages of these tests arrived.
var at = time.Date(2026, 11, 19, 12, 0, 0, 0, time.UTC)

var body = []byte(`{"resourceType":"MedicationRequest","status":"active"}` + "\n")

func anchors(t testing.TB, of ...signaturetest.Authority) *signature.Anchors {
	t.Helper()
	text := ""
	for _, a := range of {
		text += a.PEM()
	}
	parsed, err := signature.ParseAnchors([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func with(header map[string]any, name string, value any) []byte {
	h := maps.Clone(header)
	h[name] = value
	if value == nil {
		delete(h, name)
	}
	text, _ := json.Marshal(h)
	return text
}

func TestVerify(t *testing.T) {
	root := signaturetest.NewAuthority(t, "Root", at)
	middle := root.Sub(t, "Middle")
	low := middle.Sub(t, "Low")
	trust := anchors(t, root)
	p256, ed := root.Signer(t), root.Certify(t, signaturetest.Ed25519(t))
	deep := low.Signer(t)
	plain := with(p256.Header(), "b64", false)
	plain = bytes.Replace(plain, []byte(`"b64":false`), []byte(`"b64":false,"crit":["b64"]`), 1)
	thumb := sha256.Sum256(p256.Chain[0].Raw)
	for _, c := range []struct {
		name  string
		jws   string
		trust *signature.Anchors
		alg   string
		chain int
	}{
		{"ES256", p256.Sign(t, body), trust, "ES256", 2},
		{"EdDSA", ed.Sign(t, body), trust, "EdDSA", 2},
		{"two intermediates", deep.Sign(t, body), trust, "ES256", 4},
		{"an intermediate is the anchor", deep.Sign(t, body), anchors(t, middle), "ES256", 3},
		{"b64 false, RFC 7797", p256.SignAs(t, plain, body), trust, "ES256", 2},
		{"b64 true and critical", p256.SignAs(t, bytes.Replace(plain, []byte("false"), []byte("true"), 1), body), trust, "ES256", 2},
		{"thumbprint of the certificate", p256.SignAs(t, with(p256.Header(), "x5t#S256", base64.RawURLEncoding.EncodeToString(thumb[:])), body), trust, "ES256", 2},
		{"parameters that mean nothing here", p256.SignAs(t, with(p256.Header(), "sigT", "2026-11-19T12:00:00Z"), body), trust, "ES256", 2},
		{"several anchors", p256.Sign(t, body), anchors(t, signaturetest.NewAuthority(t, "Other", at), root), "ES256", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := signature.Verify(c.jws, body, c.trust, at)
			if err != nil || s.Algorithm != c.alg || len(s.Chain) != c.chain {
				t.Fatalf("%v, %s, chain of %d", err, s.Algorithm, len(s.Chain))
			}
			if _, err := signature.Verify(c.jws, append(slices.Clone(body), ' '), c.trust, at); !errors.Is(err, signature.ErrMismatch) {
				t.Errorf("one byte more: %v", err)
			}
		})
	}
	self, err := signature.ParseAnchors(p256.ChainPEM())
	if err != nil {
		t.Fatal(err)
	}
	if s, err := signature.Verify(p256.Sign(t, body), body, self, at); err != nil || len(s.Chain) != 1 {
		t.Errorf("the signer's own certificate as the anchor: %v", err)
	}
	if _, err := signature.Verify(ed.Sign(t, nil), nil, trust, at); err != nil {
		t.Errorf("an empty payload: %v", err)
	}
}

// TestAttacks: each row is refused for its own reason, whatever else is right about it.
func TestAttacks(t *testing.T) {
	root, stranger := signaturetest.NewAuthority(t, "Root", at), signaturetest.NewAuthority(t, "Root", at)
	middle := root.Sub(t, "Middle")
	s, other, ed := root.Signer(t), root.Signer(t), root.Certify(t, signaturetest.Ed25519(t))
	h := s.Header()
	good := s.Sign(t, body)
	protected, signed, _ := strings.Cut(good, "..")
	as := func(name string, value any) string { return s.SignAs(t, with(h, name, value), body) }
	text := func(header string) string { return s.SignAs(t, []byte(header), body) }
	x5c, _ := json.Marshal(h["x5c"])
	jwk := map[string]string{"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}
	orphan := middle.Signer(t)
	orphan.Chain = orphan.Chain[:1]
	stolen := s // the certificate of one, the key of another
	stolen.Key = other.Key
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(t, err)
	weak, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	usage := func(u x509.KeyUsage) signaturetest.Edit { return func(c *x509.Certificate) { c.KeyUsage = u } }
	valid := func(from, to time.Duration) signaturetest.Edit {
		return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = at.Add(from), at.Add(to) }
	}
	notCA := root.Signer(t)
	forged := signaturetest.NewAuthority(t, "Forged", at).Signer(t)
	forged.Chain = append(forged.Chain, notCA.Chain...)
	trailing := good[:len(good)-1] + string(good[len(good)-1]+1)
	if !strings.ContainsAny(good[len(good)-1:], "AQgw") {
		t.Fatalf("a signature of 64 bytes ends in %q", good[len(good)-1:])
	}
	for _, c := range []struct {
		name string
		jws  string
		want signature.Reason
	}{
		{"nothing", "", signature.ErrMalformed},
		{"too long", strings.Repeat("A", signature.MaxSize+1), signature.ErrSize},
		{"no dots", "abc", signature.ErrMalformed},
		{"one dot", protected + "." + signed, signature.ErrMalformed},
		{"three dots", good + ".", signature.ErrMalformed},
		{"payload attached", protected + "." + base64.RawURLEncoding.EncodeToString(body) + "." + signed, signature.ErrMalformed},
		{"another payload attached", protected + ".e30." + signed, signature.ErrMalformed},
		{"no signature", protected + "..", signature.ErrMalformed},
		{"padding", protected + "==.." + signed, signature.ErrMalformed},
		{"standard base64", "+" + good[1:], signature.ErrMalformed},
		{"a line end inside", good[:40] + "\n" + good[40:], signature.ErrMalformed},
		{"a space before", " " + good, signature.ErrMalformed},
		{"spare bits of the last character", trailing, signature.ErrMalformed},
		{"JSON serialisation", `{"protected":"` + protected + `","signature":"` + signed + `"}`, signature.ErrMalformed},
		{"header is no JSON", text(`{"alg":`), signature.ErrMalformed},
		{"header is an array", text(`["alg"]`), signature.ErrMalformed},
		{"header and more", text(`{"alg":"ES256","x5c":` + string(x5c) + `} {}`), signature.ErrMalformed},
		{"header is not UTF-8", text("{\"alg\":\"ES256\",\"k\":\"\xff\",\"x5c\":" + string(x5c) + `}`), signature.ErrMalformed},
		{"alg twice", text(`{"alg":"none","alg":"ES256","x5c":` + string(x5c) + `}`), signature.ErrMalformed},
		{"alg twice, escaped", text(`{"alg":"ES256","\u0061lg":"none","x5c":` + string(x5c) + `}`), signature.ErrMalformed},
		{"Alg in another case", text(`{"alg":"ES256","Alg":"none","x5c":` + string(x5c) + `}`), signature.ErrMalformed},
		{"alg absent", as("alg", nil), signature.ErrMalformed},
		{"alg no text", as("alg", []string{"ES256"}), signature.ErrMalformed},
		{"alg none", as("alg", "none"), signature.ErrAlgorithm},
		{"alg None", as("alg", "None"), signature.ErrAlgorithm},
		{"alg none without signature", base64.RawURLEncoding.EncodeToString(with(h, "alg", "none")) + "..AA", signature.ErrAlgorithm},
		{"alg RS256", as("alg", "RS256"), signature.ErrAlgorithm},
		{"alg ES384", as("alg", "ES384"), signature.ErrAlgorithm},
		{"alg es256", as("alg", "es256"), signature.ErrAlgorithm},
		{"HMAC with the public key", hmacConfusion(s), signature.ErrAlgorithm},
		{"EdDSA said of a P-256 key", as("alg", "EdDSA"), signature.ErrAlgorithm},
		{"ES256 said of an Ed25519 key", ed.SignAs(t, with(ed.Header(), "alg", "ES256"), body), signature.ErrAlgorithm},
		{"an Ed25519 signature under a P-256 certificate", root.Certify(t, signaturetest.Ed25519(t)).SignAs(t, es256(t, root), body), signature.ErrMismatch},
		{"a P-384 key", p384Signed(t, root.Certify(t, p384)), signature.ErrAlgorithm},
		{"an RSA key", rsaSigned(t, root.Certify(t, weak)), signature.ErrAlgorithm},
		{"jwk", as("jwk", jwk), signature.ErrHeader},
		{"JWK", as("JWK", jwk), signature.ErrHeader},
		{"jwk instead of x5c", text(`{"alg":"ES256","jwk":{}}`), signature.ErrHeader},
		{"jku", as("jku", "https://keys.example/jwks"), signature.ErrHeader},
		{"x5u", as("x5u", "https://keys.example/chain.pem"), signature.ErrHeader},
		{"crit unknown", as("crit", []string{"exp"}), signature.ErrHeader},
		{"crit empty", as("crit", []string{}), signature.ErrHeader},
		{"crit no list", as("crit", "b64"), signature.ErrMalformed},
		{"crit b64 that is not there", as("crit", []string{"b64"}), signature.ErrHeader},
		{"b64 that is not critical", as("b64", false), signature.ErrHeader},
		{"b64 true that is not critical", as("b64", true), signature.ErrHeader},
		{"b64 and another critical", text(`{"alg":"ES256","b64":false,"crit":["b64","x"],"x":1,"x5c":` + string(x5c) + `}`), signature.ErrHeader},
		{"b64 twice in crit", text(`{"alg":"ES256","b64":false,"crit":["b64","b64"],"x5c":` + string(x5c) + `}`), signature.ErrHeader},
		{"b64 a text", text(`{"alg":"ES256","b64":"false","crit":["b64"],"x5c":` + string(x5c) + `}`), signature.ErrMalformed},
		{"x5c absent", as("x5c", nil), signature.ErrCertificate},
		{"x5c empty", as("x5c", []string{}), signature.ErrCertificate},
		{"x5c no certificate", as("x5c", []string{"AAAA"}), signature.ErrCertificate},
		{"x5c in base64url", as("x5c", []string{base64.RawURLEncoding.EncodeToString(s.Chain[0].Raw)}), signature.ErrCertificate},
		{"x5c with bytes behind", as("x5c", []string{base64.StdEncoding.EncodeToString(append(slices.Clone(s.Chain[0].Raw), 0))}), signature.ErrCertificate},
		{"x5c of seven", as("x5c", slices.Repeat(h["x5c"].([]string), 7)), signature.ErrSize},
		{"thumbprint of another", as("x5t#S256", "AAAA"), signature.ErrCertificate},
		{"another payload", s.Sign(t, []byte("{}")), signature.ErrMismatch},
		{"another's key", stolen.Sign(t, body), signature.ErrMismatch},
		{"signature of zeros", protected + ".." + base64.RawURLEncoding.EncodeToString(make([]byte, 64)), signature.ErrMismatch},
		{"signature in DER", derSigned(t, s), signature.ErrMismatch},
		{"b64 stripped from what was signed", unsignedPlain(t, s), signature.ErrMismatch},
		{"a stranger's authority of the same name", stranger.Signer(t).Sign(t, body), signature.ErrUntrusted},
		{"the intermediate is not there", orphan.Sign(t, body), signature.ErrUntrusted},
		{"issued by one who may not", forged.Sign(t, body), signature.ErrUntrusted},
		{"the stranger's root sent along", sendRoot(stranger.Signer(t), stranger).Sign(t, body), signature.ErrUntrusted},
		{"expired", root.Signer(t, valid(-2*time.Hour, -time.Second)).Sign(t, body), signature.ErrExpired},
		{"not yet valid", root.Signer(t, valid(time.Second, time.Hour)).Sign(t, body), signature.ErrNotYetValid},
		{"intermediate expired", root.Sub(t, "Old", valid(-2*time.Hour, -time.Second)).Signer(t).Sign(t, body), signature.ErrExpired},
		{"intermediate not yet valid", root.Sub(t, "New", valid(time.Second, time.Hour)).Signer(t).Sign(t, body), signature.ErrNotYetValid},
		{"for key agreement", root.Signer(t, usage(x509.KeyUsageKeyAgreement)).Sign(t, body), signature.ErrUsage},
		{"for issuing", root.Signer(t, usage(x509.KeyUsageCertSign)).Sign(t, body), signature.ErrUsage},
		{"for nothing stated", root.Signer(t, usage(0)).Sign(t, body), signature.ErrUsage},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := signature.Verify(c.jws, body, anchors(t, root), at)
			if !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if len(got.Chain) != 0 {
				t.Error("a chain was named")
			}
			if e, known := fault.Lookup(c.want.Code()); !known || e.Status != 422 && e.Status != 403 {
				t.Errorf("%s: code %s", c.want, c.want.Code())
			}
		})
	}
	t.Run("anchor expired", func(t *testing.T) {
		old := signaturetest.NewAuthority(t, "Old", at, valid(-48*time.Hour, -time.Second))
		if _, err := signature.Verify(old.Signer(t).Sign(t, body), body, anchors(t, old), at); !errors.Is(err, signature.ErrExpired) {
			t.Errorf("%v", err)
		}
	})
	t.Run("every byte of the body", func(t *testing.T) {
		for i := range body {
			changed := slices.Clone(body)
			changed[i] ^= 1
			if _, err := signature.Verify(good, changed, anchors(t, root), at); !errors.Is(err, signature.ErrMismatch) {
				t.Errorf("byte %d: %v", i, err)
			}
		}
	})
	t.Run("every character of the signature", func(t *testing.T) {
		for i := range good {
			changed := []byte(good)
			changed[i] = 'A'
			if good[i] == 'A' {
				changed[i] = 'B'
			}
			if _, err := signature.Verify(string(changed), body, anchors(t, root), at); err == nil {
				t.Errorf("character %d changed", i)
			}
		}
	})
}

// TestNoSystemRoots: what every browser trusts counts for nothing here.
func TestNoSystemRoots(t *testing.T) {
	root := signaturetest.NewAuthority(t, "Root", at)
	t.Setenv("SSL_CERT_FILE", "/dev/null")
	other := signaturetest.NewAuthority(t, "Other", at)
	if _, err := signature.Verify(root.Signer(t).Sign(t, body), body, anchors(t, other), at); !errors.Is(err, signature.ErrUntrusted) {
		t.Errorf("%v", err)
	}
}

func hmacConfusion(s signaturetest.Signer) string {
	header := base64.RawURLEncoding.EncodeToString(with(s.Header(), "alg", "HS256"))
	mac := hmac.New(sha256.New, s.Chain[0].RawSubjectPublicKeyInfo)
	mac.Write([]byte(header + "." + base64.RawURLEncoding.EncodeToString(body)))
	return header + ".." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// es256 is the header of a P-256 signer.
func es256(t *testing.T, a signaturetest.Authority) []byte {
	text, err := json.Marshal(a.Signer(t).Header())
	must(t, err)
	return text
}

// p384Signed and rsaSigned are honest signatures by keys that are not taken.
func p384Signed(t *testing.T, s signaturetest.Signer) string {
	return s.SignAs(t, with(s.Header(), "alg", "ES256"), body)
}

func rsaSigned(t *testing.T, s signaturetest.Signer) string {
	t.Helper()
	header := base64.RawURLEncoding.EncodeToString(with(s.Header(), "alg", "ES256"))
	digest := sha256.Sum256([]byte(header + "." + base64.RawURLEncoding.EncodeToString(body)))
	signed, err := s.Key.Sign(rand.Reader, digest[:], crypto.SHA256)
	must(t, err)
	return header + ".." + base64.RawURLEncoding.EncodeToString(signed)
}

func derSigned(t *testing.T, s signaturetest.Signer) string {
	t.Helper()
	text, err := json.Marshal(s.Header())
	must(t, err)
	header := base64.RawURLEncoding.EncodeToString(text)
	digest := sha256.Sum256([]byte(header + "." + base64.RawURLEncoding.EncodeToString(body)))
	signed, err := ecdsa.SignASN1(rand.Reader, s.Key.(*ecdsa.PrivateKey), digest[:])
	must(t, err)
	return header + ".." + base64.RawURLEncoding.EncodeToString(signed)
}

// unsignedPlain has the signature of an unencoded payload under a header that does not say so.
func unsignedPlain(t *testing.T, s signaturetest.Signer) string {
	t.Helper()
	plain := bytes.Replace(with(s.Header(), "b64", false), []byte(`"b64":false`), []byte(`"b64":false,"crit":["b64"]`), 1)
	_, signed, _ := strings.Cut(s.SignAs(t, plain, body), "..")
	text, err := json.Marshal(s.Header())
	must(t, err)
	return base64.RawURLEncoding.EncodeToString(text) + ".." + signed
}

func sendRoot(s signaturetest.Signer, a signaturetest.Authority) signaturetest.Signer {
	s.Chain = append(s.Chain, a.Root())
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestParseAnchors(t *testing.T) {
	a := signaturetest.NewAuthority(t, "Root", at)
	key := a.Signer(t).KeyPEM(t)
	for name, text := range map[string]string{
		"nothing":          "",
		"no PEM":           "certificate",
		"a private key":    a.PEM() + string(key),
		"seventeen":        strings.Repeat(a.PEM(), 17),
		"too long":         a.PEM() + strings.Repeat(" ", signature.MaxAnchorText),
		"a spoilt one":     string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{1}})),
		"one cut off":      a.PEM() + "-----BEGIN CERTIFICATE-----\nMIIB",
		"one in the midst": "-----BEGIN CERTIFICATE-----\n" + a.PEM(),
	} {
		if _, err := signature.ParseAnchors([]byte(text)); !errors.Is(err, signature.ErrAnchorText) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := signature.ParseAnchors([]byte("# Root\n" + a.PEM())); err != nil {
		t.Errorf("with a remark: %v", err)
	}
}

func TestNames(t *testing.T) {
	uri := func(s string) *url.URL { u, err := url.Parse(s); must(t, err); return u }
	serial, named, bare := &x509.Certificate{}, &x509.Certificate{}, &x509.Certificate{}
	serial.Subject.SerialNumber = "1093817465"
	named.URIs = []*url.URL{uri("http://hl7.org/fhir/sid/us-npi/1093817465"), uri("urn:oid:2.16.840.1.113883.4.6:1")}
	npi := func(v string) signature.Identifier {
		return signature.Identifier{System: "http://hl7.org/fhir/sid/us-npi", Value: v}
	}
	for _, c := range []struct {
		name string
		leaf *x509.Certificate
		who  []signature.Identifier
		want bool
	}{
		{"serial number", serial, []signature.Identifier{npi("1093817465")}, true},
		{"another serial number", serial, []signature.Identifier{npi("1093817466")}, false},
		{"one of several", serial, []signature.Identifier{npi("x"), npi("1093817465")}, true},
		{"URI", named, []signature.Identifier{npi("1093817465")}, true},
		{"URN", named, []signature.Identifier{{System: "urn:oid:2.16.840.1.113883.4.6", Value: "1"}}, true},
		{"value is a URI", named, []signature.Identifier{{System: "urn:ietf:rfc:3986", Value: "urn:oid:2.16.840.1.113883.4.6:1"}}, true},
		{"the value alone is no URI", named, []signature.Identifier{{Value: "1093817465"}}, false},
		{"no value", serial, []signature.Identifier{{System: "a"}}, false},
		{"who names nobody", serial, nil, true},
		{"certificate names nobody", bare, []signature.Identifier{npi("1")}, true},
	} {
		if got := signature.Names(c.leaf, c.who); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestKeySigns(t *testing.T) {
	root := signaturetest.NewAuthority(t, "Root", at)
	for _, s := range []signaturetest.Signer{root.Signer(t), root.Certify(t, signaturetest.Ed25519(t)), root.Sub(t, "Sub").Signer(t)} {
		key, err := signature.NewKey(s.KeyPEM(t), s.ChainPEM())
		must(t, err)
		jws, err := key.Sign(body)
		must(t, err)
		if got, err := signature.Verify(jws, body, anchors(t, root), at); err != nil || !got.Chain[0].Equal(s.Chain[0]) {
			t.Errorf("%T: %v", s.Key, err)
		}
	}
	s := root.Signer(t)
	ec, err := x509.MarshalECPrivateKey(s.Key.(*ecdsa.PrivateKey))
	must(t, err)
	sec1 := "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" + string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: ec}))
	if _, err := signature.NewKey([]byte(sec1), s.ChainPEM()); err != nil {
		t.Errorf("as openssl ecparam writes it: %v", err)
	}
	for name, c := range map[string][2][]byte{
		"another's certificate": {s.KeyPEM(t), root.Signer(t).ChainPEM()},
		"no key":                {nil, s.ChainPEM()},
		"no certificate":        {s.KeyPEM(t), nil},
		"the wrong way round":   {s.ChainPEM(), s.KeyPEM(t)},
	} {
		if _, err := signature.NewKey(c[0], c[1]); !errors.Is(err, signature.ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEvidence(t *testing.T) {
	root := signaturetest.NewAuthority(t, "Root", at)
	s := root.Signer(t)
	jws := s.Sign(t, body)
	signer, err := signature.Verify(jws, body, anchors(t, root), at)
	must(t, err)
	good := signature.NewSeen("header", jws, signer, nil)
	bad := signature.NewSeen("Bundle.entry[1].resource.signature[0]", jws, signature.Signer{Algorithm: "ES256"}, signature.ErrExpired)
	for want, e := range map[string]signature.Evidence{
		"verified":              signature.Judge(signature.Record, 7, good),
		"absent":                signature.Judge(signature.Require, 7),
		"failed;reason=expired": signature.Judge(signature.Require, 7, good, bad),
	} {
		again, err := signature.ParseEvidence(e.Bytes())
		if err != nil || again.String() != want || again.Time != 7 || len(again.Signatures) != len(e.Signatures) {
			t.Errorf("%s: %v %+v", want, err, again)
		}
		if word, err := signature.VerdictOf(e.Bytes()); err != nil || word != want {
			t.Errorf("%s: %q %v", want, word, err)
		}
	}
	e, err := signature.ParseEvidence(signature.Judge(signature.Record, 7, good).Bytes())
	must(t, err)
	chain := e.Signatures[0].Chain // whoever opens the record can judge again, with nothing else
	c, err := x509.ParseCertificate(chain[len(chain)-1])
	must(t, err)
	again, err := signature.ParseAnchors(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	must(t, err)
	if _, err := signature.Verify(e.Signatures[0].JWS, body, again, time.UnixMilli(at.UnixMilli())); err != nil {
		t.Errorf("judged again from the evidence: %v", err)
	}
	for _, text := range []string{"{}", `{"v":2}`, `{"v":1,"strange":1}`, "x"} {
		if _, err := signature.ParseEvidence([]byte(text)); fault.KindOf(err) != fault.Tampered {
			t.Errorf("%s: %v", text, err)
		}
	}
	if seen := signature.NewSeen("header", strings.Repeat("A", signature.MaxSize+1), signature.Signer{}, signature.ErrSize); seen.JWS != "" {
		t.Error("an endless signature is kept")
	}
	if word, err := signature.VerdictOf(nil); word != "" || err != nil {
		t.Errorf("no evidence: %q %v", word, err)
	}
}

func BenchmarkVerify(b *testing.B) {
	root := signaturetest.NewAuthority(b, "Root", at)
	trust, payload := anchors(b, root), make([]byte, 2048)
	for _, s := range []signaturetest.Signer{root.Signer(b), root.Certify(b, signaturetest.Ed25519(b))} {
		jws := s.Sign(b, payload)
		b.Run(s.Header()["alg"].(string), func(b *testing.B) {
			for b.Loop() {
				if _, err := signature.Verify(jws, payload, trust, at); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
