package signaturetest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"testing"
	"time"
)

// Authority issues certificates.
type Authority struct {
	at    time.Time
	key   crypto.Signer
	chain []*x509.Certificate // its own first; the root last
}

// Signer signs with a certificate.
type Signer struct {
	Key   crypto.Signer
	Chain []*x509.Certificate // its own first; without the root
}

// Edit changes a certificate before it is issued.
type Edit func(*x509.Certificate)

// NewAuthority makes a root.
func NewAuthority(t testing.TB, name string, at time.Time, edits ...Edit) Authority {
	t.Helper()
	key := P256(t)
	c := template(t, name, at)
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	edit(c, edits)
	return Authority{at, key, []*x509.Certificate{issue(t, c, c, key.Public(), key)}}
}

// Sub makes an authority below a.
func (a Authority) Sub(t testing.TB, name string, edits ...Edit) Authority {
	t.Helper()
	key := P256(t)
	c := template(t, name, a.at)
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	edit(c, edits)
	own := issue(t, c, a.chain[0], key.Public(), a.key)
	return Authority{a.at, key, append([]*x509.Certificate{own}, a.chain...)}
}

// Signer certifies a new P-256 key for digital signatures.
func (a Authority) Signer(t testing.TB, edits ...Edit) Signer {
	t.Helper()
	return a.Certify(t, P256(t), edits...)
}

// Certify certifies a key.
func (a Authority) Certify(t testing.TB, key crypto.Signer, edits ...Edit) Signer {
	t.Helper()
	c := template(t, "Dr Ada Okafor", a.at)
	c.KeyUsage = x509.KeyUsageDigitalSignature
	edit(c, edits)
	own := issue(t, c, a.chain[0], key.Public(), a.key)
	return Signer{key, append([]*x509.Certificate{own}, a.chain[:len(a.chain)-1]...)}
}

// PEM is the authority's own certificate: a trust anchor.
func (a Authority) PEM() string { return string(pemOf(a.chain[:1])) }

// Root is the certificate at the end.
func (a Authority) Root() *x509.Certificate { return a.chain[len(a.chain)-1] }

// P256 and Ed25519 are new keys.
func P256(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

func Ed25519(t testing.TB) crypto.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	return key
}

// ChainPEM and KeyPEM are what a signer's software has in files.
func (s Signer) ChainPEM() []byte { return pemOf(s.Chain) }

func (s Signer) KeyPEM(t testing.TB) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(s.Key)
	must(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// Header is the protected header that fits the key.
func (s Signer) Header() map[string]any {
	x5c := make([]string, len(s.Chain))
	for i, c := range s.Chain {
		x5c[i] = base64.StdEncoding.EncodeToString(c.Raw)
	}
	alg := "ES256"
	if _, ok := s.Key.(ed25519.PrivateKey); ok {
		alg = "EdDSA"
	}
	return map[string]any{"alg": alg, "x5c": x5c}
}

// Sign makes the detached JWS of a payload.
func (s Signer) Sign(t testing.TB, payload []byte) string {
	t.Helper()
	header, err := json.Marshal(s.Header())
	must(t, err)
	return s.SignAs(t, header, payload)
}

// SignAs is Sign with a protected header as it stands, whatever it says.
func (s Signer) SignAs(t testing.TB, header, payload []byte) string {
	t.Helper()
	var said struct{ B64 *bool }
	_ = json.Unmarshal(header, &said) // what is no JSON has no b64
	protected := base64.RawURLEncoding.EncodeToString(header)
	input := []byte(protected + ".")
	if said.B64 != nil && !*said.B64 {
		input = append(input, payload...)
	} else {
		input = base64.RawURLEncoding.AppendEncode(input, payload)
	}
	return protected + ".." + base64.RawURLEncoding.EncodeToString(s.raw(t, input))
}

// raw is the signature in the form of RFC 7518 §3.4 or RFC 8037 §3.1.
func (s Signer) raw(t testing.TB, input []byte) []byte {
	t.Helper()
	switch key := s.Key.(type) {
	case ed25519.PrivateKey:
		return ed25519.Sign(key, input)
	case *ecdsa.PrivateKey:
		digest := sha256.Sum256(input)
		r, v, err := ecdsa.Sign(rand.Reader, key, digest[:])
		must(t, err)
		size := (key.Curve.Params().BitSize + 7) / 8
		return append(r.FillBytes(make([]byte, size)), v.FillBytes(make([]byte, size))...)
	}
	t.Fatalf("no signature by %T", s.Key)
	return nil
}

func template(t testing.TB, name string, at time.Time) *x509.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	must(t, err)
	return &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: at.Add(-time.Hour), NotAfter: at.Add(24 * time.Hour)}
}

func edit(c *x509.Certificate, edits []Edit) {
	for _, e := range edits {
		e(c)
	}
}

func issue(t testing.TB, c, parent *x509.Certificate, public crypto.PublicKey, by crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, parent, public, by)
	must(t, err)
	made, err := x509.ParseCertificate(der)
	must(t, err)
	return made
}

func pemOf(chain []*x509.Certificate) []byte {
	var b bytes.Buffer
	for _, c := range chain {
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}) // a buffer takes everything
	}
	return b.Bytes()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
