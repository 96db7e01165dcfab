package signature

import (
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"

	"github.com/go-jose/go-jose/v4"

	"github.com/dosewire/dosewire/internal/fault"
)

// ErrKey: what was given cannot sign here.
var ErrKey = fault.New(fault.Invalid, "a signing key is an unencrypted P-256 or Ed25519 key in PEM, of the first certificate given")

// Key signs as one certificate's owner. Safe for concurrent use.
type Key struct{ signer jose.Signer }

// NewKey reads a private key (PKCS #8 or SEC 1) and its certificate chain, the signer's own first,
// both PEM. An anchor need not be in it. ErrKey.
func NewKey(keyPEM, chainPEM []byte) (*Key, error) {
	key, err := privateKey(keyPEM)
	if err != nil {
		return nil, err
	}
	var x5c []string
	var leaf *x509.Certificate
	for block, rest := pem.Decode(chainPEM); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue // the key may be in the same file
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, ErrKey.Wrap(fmt.Errorf("certificate %d: %w", len(x5c)+1, err))
		}
		if leaf == nil {
			leaf = c
		}
		x5c = append(x5c, base64.StdEncoding.EncodeToString(c.Raw))
	}
	if leaf == nil || len(x5c) > maxCertificates {
		return nil, ErrKey
	}
	if own, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !own.Equal(leaf.PublicKey) {
		return nil, ErrKey
	}
	algorithm := jose.ES256
	if fits(EdDSA, leaf) {
		algorithm = jose.EdDSA
	} else if !fits(ES256, leaf) {
		return nil, ErrKey
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key},
		(&jose.SignerOptions{}).WithHeader("x5c", x5c))
	if err != nil {
		return nil, ErrKey.Wrap(err)
	}
	return &Key{signer}, nil
}

func privateKey(text []byte) (crypto.Signer, error) {
	block, rest := pem.Decode(text)
	for block != nil && block.Type == "EC PARAMETERS" { // openssl puts them first
		block, rest = pem.Decode(rest)
	}
	if block == nil {
		return nil, ErrKey
	}
	if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, ErrKey // its cause may show what it could not read
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, ErrKey
	}
	return signer, nil
}

// Sign makes the detached JWS of exactly these bytes.
func (k *Key) Sign(payload []byte) (string, error) {
	signed, err := k.signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("signature: sign: %w", err)
	}
	jws, err := signed.DetachedCompactSerialize()
	if err != nil {
		return "", fmt.Errorf("signature: sign: %w", err)
	}
	return jws, nil
}
