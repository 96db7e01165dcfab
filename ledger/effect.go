package ledger

import (
	"context"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
)

// A resource of our own that says something about a patient is stored sealed in its effect:
//
//	version=1 ‖ key id (16) ‖ salt (16) ‖ nonce (12) ‖ AES-256-GCM(key, nonce, body, AAD = key id ‖ org)
//
// where key is HKDF-SHA-256(patient key, salt, "dosewire/effect/v1") and org is the receiver. A body in
// clear is JSON, which begins with no such byte.

const (
	infoEffect    = "dosewire/effect/v1"
	effectVersion = 1
	effectSalt    = 16
	effectPrefix  = 1 + 16 + effectSalt
)

// SealBody encrypts e.Body under the key of the patient whom it is about. e.Org must be final.
func (e *Effect) SealBody(key PatientKey) error {
	sealed := make([]byte, effectPrefix, effectPrefix+nonceSize+len(e.Body)+tagSize)
	sealed[0] = effectVersion
	copy(sealed[1:], key.KeyID[:])
	rand.Read(sealed[17:]) // never fails: crypto/rand ends the program instead
	aead, err := effectAEAD(key, sealed[17:])
	if err != nil {
		return err
	}
	e.Body = aead.Seal(sealed, nil, e.Body, e.bound(key.KeyID))
	return nil
}

// OpenBody returns e with its body in clear. ErrErased when the patient's key is gone, ErrSealed.
func (k *Keyring) OpenBody(ctx context.Context, e Effect) (Effect, error) {
	if len(e.Body) == 0 || e.Body[0] != effectVersion {
		return e, nil
	}
	if len(e.Body) < effectPrefix {
		return e, ErrSealed
	}
	key, err := k.Key(ctx, ID(e.Body[1:17]))
	if err != nil {
		return e, err
	}
	aead, err := effectAEAD(key, e.Body[17:effectPrefix])
	if err != nil {
		return e, err
	}
	if e.Body, err = aead.Open(nil, nil, e.Body[effectPrefix:], e.bound(key.KeyID)); err != nil {
		return e, ErrSealed.Wrap(err)
	}
	return e, nil
}

// bound is what the ciphertext is bound to.
func (e *Effect) bound(key ID) []byte { return append(key[:], e.Org[:]...) }

func effectAEAD(key PatientKey, salt []byte) (cipher.AEAD, error) {
	k, err := hkdf.Key(sha256.New, key.Key, salt, infoEffect, KeySize)
	if err != nil {
		return nil, fmt.Errorf("ledger: derive effect key: %w", err)
	}
	return newAEAD(k)
}
