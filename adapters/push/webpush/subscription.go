package webpush

import (
	"crypto/ecdh"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
)

// Errors that the caller's own input causes.
var (
	ErrSubscription = errors.New("webpush: not a usable subscription")
	ErrEndpoint     = errors.New("webpush: endpoint is not allowed")
	ErrAddress      = errors.New("webpush: endpoint resolves to an address that is not public")
	ErrPayload      = errors.New("webpush: payload does not fit the padded size")
	ErrTopic        = errors.New("webpush: topic is not 1 to 32 base64url characters")
	ErrOptions      = errors.New("webpush: options")
)

// Subscription is where one browser listens: the Push API's PushSubscription. All of it is secret.
type Subscription struct {
	Endpoint string
	P256dh   []byte // the browser's P-256 point, 65 bytes uncompressed
	Auth     []byte // 16 bytes
}

// ParseSubscription reads the JSON of PushSubscription.toJSON(): endpoint, keys.p256dh and keys.auth
// in base64url with or without padding. The point must be on the curve. It does not judge the
// endpoint: [Sender.Send] does. ErrSubscription.
func ParseSubscription(b []byte) (Subscription, error) {
	var in struct {
		Endpoint string
		Keys     struct{ P256dh, Auth string }
	}
	if err := json.Unmarshal(b, &in); err != nil || in.Endpoint == "" {
		return Subscription{}, ErrSubscription
	}
	point, err := decode64(in.Keys.P256dh)
	if err != nil {
		return Subscription{}, ErrSubscription
	}
	auth, err := decode64(in.Keys.Auth)
	if err != nil || len(auth) != authSize {
		return Subscription{}, ErrSubscription
	}
	if _, err := ecdh.P256().NewPublicKey(point); err != nil {
		return Subscription{}, ErrSubscription
	}
	return Subscription{Endpoint: in.Endpoint, P256dh: point, Auth: auth}, nil
}

func decode64(s string) ([]byte, error) {
	return base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
}
