package signature

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// Limits of one signature.
const (
	MaxSize         = 16 << 10 // bytes of the compact form
	maxCertificates = 6        // in x5c
)

// Algorithms (RFC 7518 §3.4, RFC 8037 §3.1).
const (
	ES256 = "ES256"
	EdDSA = "EdDSA"
)

// header is what a protected header may say to us. Other parameters mean nothing here and may be
// there (RFC 7515 §4), as long as they are not critical.
type header struct {
	algorithm string
	plain     bool                // b64=false: the payload is signed as it is
	chain     []*x509.Certificate // x5c, the signer's first
}

// parse reads a compact detached JWS as far as that needs no payload.
func parse(jws string) (h header, err error) {
	if len(jws) > MaxSize {
		return h, ErrSize
	}
	protected, rest, ok := strings.Cut(jws, ".")
	payload, signed, two := strings.Cut(rest, ".")
	if !ok || !two || payload != "" {
		return h, ErrMalformed // a payload that is attached is a second text, of which nobody knows which counts
	}
	text, ok := decode(protected)
	if _, signs := decode(signed); !ok || !signs {
		return h, ErrMalformed
	}
	members, err := object(text)
	if err != nil {
		return h, err
	}
	return readHeader(members)
}

// decode reads base64url without padding in its one spelling; empty is nothing.
func decode(s string) ([]byte, bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return b, err == nil && s != "" && !strings.ContainsAny(s, "\r\n")
}

// object reads one JSON object whose names are all different.
func object(text []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(text) || !json.Valid(text) {
		return nil, ErrMalformed
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, ErrMalformed
	}
	members := map[string]json.RawMessage{}
	for d.More() {
		token, err := d.Token()
		name, ok := token.(string)
		if _, twice := members[name]; err != nil || !ok || twice {
			return nil, ErrMalformed
		}
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return nil, ErrMalformed
		}
		members[name] = value
	}
	return members, nil
}

func readHeader(members map[string]json.RawMessage) (h header, err error) {
	for name := range members {
		switch strings.ToLower(name) {
		case "jwk", "jku", "x5u":
			return h, ErrHeader
		case "alg", "x5c", "b64", "crit":
			if name != strings.ToLower(name) {
				return h, ErrMalformed // libraries differ in what they make of it
			}
		}
	}
	if err := readText(members["alg"], &h.algorithm); err != nil {
		return h, err
	}
	if h.algorithm != ES256 && h.algorithm != EdDSA {
		return h, ErrAlgorithm
	}
	if h.plain, err = unencoded(members); err != nil {
		return h, err
	}
	if h.chain, err = certificates(members["x5c"]); err != nil {
		return h, err
	}
	return h, thumbprint(members["x5t#S256"], h.chain[0])
}

func readText(value json.RawMessage, into *string) error {
	if len(value) == 0 || value[0] != '"' || json.Unmarshal(value, into) != nil {
		return ErrMalformed
	}
	return nil
}

// unencoded reads b64, which must be named as critical when it is there and nothing else may be
// (RFC 7797 §6).
func unencoded(members map[string]json.RawMessage) (bool, error) {
	b64, has := members["b64"]
	crit, critical := members["crit"]
	if critical {
		var names []string
		if json.Unmarshal(crit, &names) != nil {
			return false, ErrMalformed
		}
		if len(names) != 1 || names[0] != "b64" || !has {
			return false, ErrHeader
		}
	}
	switch {
	case !has:
		return false, nil
	case !critical:
		return false, ErrHeader
	case string(b64) == "false":
		return true, nil
	case string(b64) == "true":
		return false, nil
	}
	return false, ErrMalformed
}

// certificates reads x5c: base64 with padding, unlike all else in a JWS (RFC 7515 §4.1.6).
func certificates(x5c json.RawMessage) ([]*x509.Certificate, error) {
	var texts []string
	if x5c == nil || json.Unmarshal(x5c, &texts) != nil || len(texts) == 0 {
		return nil, ErrCertificate
	}
	if len(texts) > maxCertificates {
		return nil, ErrSize
	}
	chain := make([]*x509.Certificate, len(texts))
	for i, text := range texts {
		der, err := base64.StdEncoding.Strict().DecodeString(text)
		if err != nil || strings.ContainsAny(text, "\r\n") {
			return nil, ErrCertificate
		}
		if chain[i], err = x509.ParseCertificate(der); err != nil {
			return nil, ErrCertificate
		}
	}
	return chain, nil
}

// thumbprint demands that x5t#S256, if it is there, is that of the signer's certificate.
func thumbprint(value json.RawMessage, leaf *x509.Certificate) error {
	if value == nil {
		return nil
	}
	var text string
	if err := readText(value, &text); err != nil {
		return err
	}
	sum := sha256.Sum256(leaf.Raw)
	if text != base64.RawURLEncoding.EncodeToString(sum[:]) {
		return ErrCertificate
	}
	return nil
}
