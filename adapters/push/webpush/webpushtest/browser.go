package webpushtest

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
)

// Browser holds the keys of one subscription.
type Browser struct {
	key  *ecdh.PrivateKey
	auth []byte
}

// NewBrowser makes fresh keys.
func NewBrowser() (*Browser, error) {
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	auth := make([]byte, 16)
	rand.Read(auth)
	return &Browser{key, auth}, nil
}

// Subscription is what PushSubscription.toJSON() gives for this browser at the endpoint.
func (b *Browser) Subscription(endpoint string) []byte {
	text := base64.RawURLEncoding.EncodeToString
	out, err := json.Marshal(map[string]any{"endpoint": endpoint, "expirationTime": nil,
		"keys": map[string]string{"p256dh": text(b.key.PublicKey().Bytes()), "auth": text(b.auth)}})
	if err != nil {
		panic(err) // strings always marshal
	}
	return out
}

// Open decrypts the body of a push. It refuses what is not one whole last record.
func (b *Browser) Open(body []byte) ([]byte, error) {
	if len(body) < 21 || len(body) < 21+int(body[20]) {
		return nil, errors.New("webpushtest: no header")
	}
	salt, size, end := body[:16], binary.BigEndian.Uint32(body[16:]), 21+int(body[20])
	sender, sealed := body[21:end], body[end:]
	if int(size) < len(sealed) {
		return nil, errors.New("webpushtest: more than one record")
	}
	aead, nonce, err := b.keys(salt, sender)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, nonce, sealed, nil)
	if err != nil {
		return nil, err
	}
	plain = bytes.TrimRight(plain, "\x00")
	if len(plain) == 0 || plain[len(plain)-1] != 2 {
		return nil, errors.New("webpushtest: no delimiter of a last record")
	}
	return plain[:len(plain)-1], nil
}

// keys spells HKDF (RFC 5869) out in HMAC.
func (b *Browser) keys(salt, sender []byte) (cipher.AEAD, []byte, error) {
	point, err := ecdh.P256().NewPublicKey(sender)
	if err != nil {
		return nil, nil, err
	}
	shared, err := b.key.ECDH(point)
	if err != nil {
		return nil, nil, err
	}
	ikm := mac(mac(b.auth, shared), []byte("WebPush: info\x00"), b.key.PublicKey().Bytes(), sender, []byte{1})
	prk := mac(salt, ikm)
	block, err := aes.NewCipher(mac(prk, []byte("Content-Encoding: aes128gcm\x00\x01"))[:16])
	if err != nil {
		return nil, nil, err
	}
	aead, err := cipher.NewGCM(block)
	return aead, mac(prk, []byte("Content-Encoding: nonce\x00\x01"))[:12], err
}

func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}
