package signature

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/x509"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Signer is who signed.
type Signer struct {
	Algorithm string
	Chain     []*x509.Certificate // the signer's own first, the anchor last
}

// Verify checks that jws is a detached signature of payload by a signer whom the anchors vouch for at
// a time. The error is a Reason; the Signer is then what was read so far.
func Verify(jws string, payload []byte, anchors *Anchors, at time.Time) (Signer, error) {
	h, err := parse(jws)
	if err != nil {
		return Signer{}, err
	}
	leaf := h.chain[0]
	s := Signer{Algorithm: h.algorithm}
	if !fits(h.algorithm, leaf) {
		return s, ErrAlgorithm
	}
	if err := check(jws, payload, h.algorithm, leaf); err != nil {
		return s, err
	}
	if leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return s, ErrUsage
	}
	s.Chain, err = anchors.chain(h.chain, at)
	return s, err
}

// fits says whether the algorithm is that of the certificate's key.
func fits(algorithm string, leaf *x509.Certificate) bool {
	switch key := leaf.PublicKey.(type) {
	case *ecdsa.PublicKey:
		return algorithm == ES256 && key.Curve == elliptic.P256()
	case ed25519.PublicKey:
		return algorithm == EdDSA
	}
	return false
}

func check(jws string, payload []byte, algorithm string, leaf *x509.Certificate) error {
	if payload == nil {
		payload = []byte{}
	}
	parsed, err := jose.ParseDetached(jws, payload, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(algorithm)})
	if err != nil {
		return ErrMalformed
	}
	if err := parsed.DetachedVerify(payload, leaf.PublicKey); err != nil {
		return ErrMismatch
	}
	return nil
}

// Identifier is a FHIR business identifier.
type Identifier struct{ System, Value string }

// Names says whether a certificate and the identifiers that a message gives its signer can be of the
// same one: one identifier's value is the serialNumber of the certificate's subject, or its URI is
// among the subject's alternative names, written as the value alone, system/value or system:value.
// When either names nobody there is nothing to compare, and the answer is true.
func Names(leaf *x509.Certificate, who []Identifier) bool {
	stated := map[string]bool{}
	if serial := leaf.Subject.SerialNumber; serial != "" {
		stated[serial] = true
	}
	for _, uri := range leaf.URIs {
		stated[uri.String()] = true
	}
	if len(stated) == 0 || len(who) == 0 {
		return true
	}
	for _, id := range who {
		if id.Value == "" {
			continue
		}
		if stated[id.Value] || id.System != "" && (stated[id.System+"/"+id.Value] || stated[id.System+":"+id.Value]) {
			return true
		}
	}
	return false
}
