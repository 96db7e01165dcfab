package webpush

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"sync"
	"time"
)

const (
	tokenLife  = 12 * time.Hour // RFC 8292 §2 allows 24
	tokenSpare = time.Hour      // a token is renewed when less than this is left
	maxTokens  = 256            // origins kept; below an allowed suffix a stranger can name many
)

// vapid signs and keeps one token for each push service (RFC 8292).
type vapid struct {
	key     crypto.Signer
	public  string // base64url of the uncompressed point: what browsers subscribe with
	subject string
	now     func() time.Time

	mu     sync.Mutex // guards tokens and serialises signing: one signature per origin, not per push
	tokens map[string]token
}

type token struct {
	header string
	until  time.Time
}

func newVAPID(key crypto.Signer, subject string, now func() time.Time) (*vapid, error) {
	point, err := publicPoint(key)
	if err != nil {
		return nil, err
	}
	return &vapid{key: key, subject: subject, now: now, tokens: map[string]token{},
		public: base64.RawURLEncoding.EncodeToString(point)}, nil
}

func publicPoint(key crypto.Signer) ([]byte, error) {
	if key == nil {
		return nil, fmt.Errorf("%w: Key is nil", ErrOptions)
	}
	public, ok := key.Public().(*ecdsa.PublicKey)
	if !ok || public.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%w: Key is not ECDSA on P-256", ErrOptions)
	}
	point, err := public.Bytes()
	if err != nil {
		return nil, fmt.Errorf("webpush: public key: %w", err)
	}
	return point, nil
}

// authorization is the Authorization header for an origin.
func (v *vapid) authorization(origin string) (string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.now()
	if t, ok := v.tokens[origin]; ok && now.Before(t.until) {
		return t.header, nil
	}
	jwt, err := v.sign(origin, now.Add(tokenLife))
	if err != nil {
		return "", err
	}
	if len(v.tokens) >= maxTokens {
		clear(v.tokens)
	}
	header := "vapid t=" + jwt + ", k=" + v.public
	v.tokens[origin] = token{header, now.Add(tokenLife - tokenSpare)}
	return header, nil
}

// sign makes the ES256 token (RFC 7518 §3.4: r ‖ s, 32 bytes each).
func (v *vapid) sign(audience string, expires time.Time) (string, error) {
	claims, err := json.Marshal(struct {
		Audience string `json:"aud"`
		Expires  int64  `json:"exp"`
		Subject  string `json:"sub,omitempty"`
	}{audience, expires.Unix(), v.subject})
	if err != nil {
		return "", fmt.Errorf("webpush: token: %w", err)
	}
	b64 := base64.RawURLEncoding
	input := b64.EncodeToString([]byte(`{"typ":"JWT","alg":"ES256"}`)) + "." + b64.EncodeToString(claims)
	digest := sha256.Sum256([]byte(input))
	der, err := v.key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("webpush: sign token: %w", err)
	}
	var sig struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(der, &sig); err != nil || len(rest) > 0 || sig.R.BitLen() > 256 || sig.S.BitLen() > 256 {
		return "", fmt.Errorf("%w: Key returned a signature that is not ECDSA", ErrOptions)
	}
	var raw [64]byte
	sig.R.FillBytes(raw[:32])
	sig.S.FillBytes(raw[32:])
	return input + "." + b64.EncodeToString(raw[:]), nil
}
