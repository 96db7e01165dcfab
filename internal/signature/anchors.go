package signature

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
)

// Limits of an organisation's trust anchors.
const (
	MaxAnchorText = 32 << 10 // bytes of PEM
	maxAnchors    = 16
	minRSA        = 2048 // bits of an issuer's key
)

// ErrAnchorText: the text is not one to sixteen PEM certificates and nothing else.
var ErrAnchorText = fault.New(fault.Invalid, "trust anchors are 1 to 16 certificates in PEM, at most 32 KiB, and nothing else")

// Anchors are the certificates in which an organisation's signers' certificates must end: issuers, or
// signers themselves. Immutable.
type Anchors struct{ pool *x509.CertPool }

// ParseAnchors reads PEM. Text between the certificates is passed over; a private key among them is
// refused, as it should never have left its owner. ErrAnchorText.
func ParseAnchors(text []byte) (*Anchors, error) {
	if len(text) > MaxAnchorText {
		return nil, ErrAnchorText
	}
	a, n := &Anchors{x509.NewCertPool()}, 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if n++; block.Type != "CERTIFICATE" || n > maxAnchors {
			return nil, ErrAnchorText
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, ErrAnchorText.Wrap(fmt.Errorf("certificate %d: %w", n, err))
		}
		a.pool.AddCert(c)
	}
	// what looks like a block and is none would be an anchor that somebody believes to be set
	if n == 0 || bytes.Count(text, []byte("-----BEGIN ")) != n {
		return nil, ErrAnchorText
	}
	return a, nil
}

// chain finds the way from the first certificate to an anchor, all of it valid at a time.
func (a *Anchors) chain(x5c []*x509.Certificate, at time.Time) ([]*x509.Certificate, error) {
	between := x509.NewCertPool()
	for _, c := range x5c[1:] {
		between.AddCert(c)
	}
	ways, err := x5c[0].Verify(x509.VerifyOptions{Roots: a.pool, Intermediates: between, CurrentTime: at,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return nil, untrusted(err, x5c, at)
	}
	for _, way := range ways {
		if strong(way) {
			return way, nil
		}
	}
	return nil, ErrUntrusted
}

// untrusted names what x509 found.
func untrusted(err error, x5c []*x509.Certificate, at time.Time) error {
	invalid, ok := errors.AsType[x509.CertificateInvalidError](err)
	if !ok || invalid.Reason != x509.Expired {
		return ErrUntrusted
	}
	if invalid.Cert != nil && at.Before(invalid.Cert.NotBefore) {
		return ErrNotYetValid
	}
	for _, c := range x5c {
		if at.Before(c.NotBefore) {
			return ErrNotYetValid
		}
	}
	return ErrExpired
}

func strong(way []*x509.Certificate) bool {
	for _, c := range way {
		if key, ok := c.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() < minRSA {
			return false
		}
	}
	return true
}
