package webpush

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

const (
	saltSize   = 16
	pointSize  = 65 // uncompressed P-256 point
	authSize   = 16
	headerSize = saltSize + 4 + 1 + pointSize // RFC 8188 §2.1 with the sender's point as key id
	tagSize    = 16
	recordSize = 4096 // the body is one record; RFC 8291 §4 wants it larger than the body
	// maxBody is what every push service must take, bytes (RFC 8030 §7.2).
	maxBody = 4096
	// MaxPad is the largest Options.Pad: what is left of 4096 bytes.
	MaxPad = maxBody - headerSize - tagSize
)

// encrypt seals payload for one receiver with a fresh key pair and salt. The result is headerSize +
// pad + tagSize bytes long whatever the payload's length; payload must be shorter than pad.
func encrypt(to Subscription, payload []byte, pad int) ([]byte, error) {
	if len(payload) >= pad {
		return nil, ErrPayload
	}
	ephemeral, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("webpush: ephemeral key: %w", err)
	}
	var salt [saltSize]byte
	rand.Read(salt[:])
	return seal(to, payload, pad, ephemeral, salt)
}

// seal is encrypt with its random parts given (RFC 8291 §3.4, RFC 8188 §2).
func seal(to Subscription, payload []byte, pad int, ephemeral *ecdh.PrivateKey, salt [saltSize]byte) ([]byte, error) {
	receiver, err := ecdh.P256().NewPublicKey(to.P256dh)
	if err != nil {
		return nil, ErrSubscription
	}
	shared, err := ephemeral.ECDH(receiver)
	if err != nil {
		return nil, ErrSubscription
	}
	point := ephemeral.PublicKey().Bytes()
	key, nonce, err := derive(shared, to.Auth, to.P256dh, point, salt[:])
	if err != nil {
		return nil, err
	}
	aead, err := gcm(key)
	if err != nil {
		return nil, err
	}

	out := make([]byte, headerSize, headerSize+pad+tagSize)
	copy(out, salt[:])
	binary.BigEndian.PutUint32(out[saltSize:], recordSize)
	out[saltSize+4] = pointSize
	copy(out[saltSize+5:], point)

	// payload ‖ 0x02 (last record) ‖ zeros
	plain := make([]byte, pad)
	copy(plain, payload)
	plain[len(payload)] = 2
	return aead.Seal(out, nonce, plain, nil), nil
}

// derive computes the content encryption key and nonce (RFC 8291 §3.4).
func derive(shared, auth, receiver, sender, salt []byte) (key, nonce []byte, err error) {
	info := "WebPush: info\x00" + string(receiver) + string(sender)
	ikm, err := hkdf.Key(sha256.New, shared, auth, info, sha256.Size)
	if err != nil {
		return nil, nil, fmt.Errorf("webpush: derive: %w", err)
	}
	prk, err := hkdf.Extract(sha256.New, ikm, salt)
	if err != nil {
		return nil, nil, fmt.Errorf("webpush: derive: %w", err)
	}
	if key, err = hkdf.Expand(sha256.New, prk, "Content-Encoding: aes128gcm\x00", 16); err != nil {
		return nil, nil, fmt.Errorf("webpush: derive: %w", err)
	}
	if nonce, err = hkdf.Expand(sha256.New, prk, "Content-Encoding: nonce\x00", 12); err != nil {
		return nil, nil, fmt.Errorf("webpush: derive: %w", err)
	}
	return key, nonce, nil
}

// gcm takes a nonce from RFC 8291's derivation: each key is used once.
func gcm(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("webpush: cipher: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("webpush: cipher: %w", err)
	}
	return aead, nil
}
