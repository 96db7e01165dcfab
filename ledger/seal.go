package ledger

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/dosewire/dosewire/internal/fault"
)

// Sizes of the sealed form, bytes.
const (
	KeySize      = 32 // of every data key
	OpeningSize  = 32 // of the secret beside the plaintext that a commitment covers
	sealedPrefix = 1  // version of the sealed form
	nonceSize    = 12
	tagSize      = 16

	// SealedOverhead is how much longer a sealed record is than its plaintext, bytes.
	SealedOverhead = sealedPrefix + nonceSize + OpeningSize + tagSize
)

const (
	sealedVersion         = 1
	sealedEvidenceVersion = 2
	headerVersion         = 1
	headerFixed           = 1 + 16 + 16 + 16 + 1 + 4 + 16 // without the type's bytes
	maxType               = 32
	infoRecord            = "dosewire/record/v1"
)

// Header is what Digest covers beside the ciphertext and what the ciphertext is bound to (AAD):
//
//	version=1 ‖ record id ‖ key id ‖ org ‖ length of type (1 byte) ‖ type ‖ version number (4 bytes, big-endian) ‖ of
func (r Record) Header() []byte {
	b := make([]byte, 0, headerFixed+len(r.Type))
	return r.appendHeader(b)
}

func (r Record) appendHeader(b []byte) []byte {
	b = append(b, headerVersion)
	b = append(b, r.ID[:]...)
	b = append(b, r.KeyID[:]...)
	b = append(b, r.Org[:]...)
	b = append(b, byte(len(r.Type)))
	b = append(b, r.Type...)
	b = binary.BigEndian.AppendUint32(b, uint32(r.Version))
	return append(b, r.Of[:]...)
}

// Digest is SHA-256(Header ‖ Sealed).
func (r Record) Digest() Hash {
	h := sha256.New()
	var room [headerFixed + maxType]byte
	h.Write(r.appendHeader(room[:0]))
	h.Write(r.Sealed)
	var d Hash
	h.Sum(d[:0])
	return d
}

// Seal encrypts plaintext into r.Sealed (r's other fields but Index must be final) and returns the
// commitment for its entry. The sealed form is SealedOverhead bytes longer than plaintext:
//
//	version=1 ‖ nonce ‖ AES-256-GCM(record key, nonce, opening ‖ plaintext, AAD = Header)
//
// where the record key is HKDF-SHA-256(patient key, no salt, "dosewire/record/v1" ‖ record id).
// A key that is not r's, or a type longer than 32 bytes, is a mistake of the caller (fault.Internal).
func Seal(key PatientKey, r *Record, plaintext []byte) (commitment Hash, err error) {
	b := append(newOpening(len(plaintext)), plaintext...)
	commitment = sha256.Sum256(b[sealedPrefix:])
	if err := r.seal(key, sealedVersion, b); err != nil {
		return Hash{}, err
	}
	return commitment, nil
}

// newOpening is a secret behind the place of a version, with the capacity for n bytes more and for what sealing adds.
func newOpening(n int) []byte {
	b := make([]byte, sealedPrefix+OpeningSize, SealedOverhead+n)
	rand.Read(b[sealedPrefix:]) // never fails: crypto/rand ends the program instead
	return b
}

// seal encrypts what is opened by a version's reader. It takes b, made with newOpening, for r.Sealed.
func (r *Record) seal(key PatientKey, version byte, b []byte) error {
	if r.KeyID != key.KeyID {
		return errWrongKey
	}
	if len(r.Type) > maxType || r.Version < 0 {
		return errHeader
	}
	aead, err := recordAEAD(key, r.ID, version)
	if err != nil {
		return err
	}
	b[0] = version
	r.Sealed = aead.Seal(b[:sealedPrefix], nil, b[sealedPrefix:], r.Header())
	return nil
}

// Open decrypts r and checks the plaintext against the commitment of its entry (not checked when
// commitment is nil). The check matters: an AES-GCM ciphertext can be made to open under two keys
// with different contents, a commitment cannot. ErrSealed, ErrErased.
func Open(key PatientKey, r Record, commitment *Hash) ([]byte, error) {
	o, err := OpenAll(key, r, commitment)
	return o.Plaintext, err
}

// Reveal is Open that returns the opening too. Opening and plaintext together prove to anyone what was
// recorded, so whoever gets both must be allowed to read the whole record.
func Reveal(key PatientKey, r Record, commitment *Hash) (opening [OpeningSize]byte, plaintext []byte, err error) {
	o, err := OpenAll(key, r, commitment)
	return o.Opening, o.Plaintext, err
}

// open decrypts r and says of which version it is.
func (r Record) open(key PatientKey) (version byte, opened []byte, err error) {
	if r.Sealed == nil {
		return 0, nil, ErrErased
	}
	if len(r.Sealed) > 0 && r.Sealed[0] == sealedErasureVersion {
		if _, r.Sealed, err = r.statement(); err != nil {
			return 0, nil, err
		}
	}
	if len(r.Sealed) < SealedOverhead || len(r.Type) > maxType {
		return 0, nil, ErrSealed
	}
	if version = r.Sealed[0]; version != sealedVersion && version != sealedEvidenceVersion {
		return 0, nil, ErrSealed
	}
	if r.KeyID != key.KeyID {
		return 0, nil, errWrongKey
	}
	aead, err := recordAEAD(key, r.ID, version)
	if err != nil {
		return 0, nil, err
	}
	if opened, err = aead.Open(nil, nil, r.Sealed[sealedPrefix:], r.Header()); err != nil {
		return 0, nil, ErrSealed.Wrap(err)
	}
	return version, opened, nil
}

// recordAEAD derives the key that seals one record in one form and nothing else: a record whose
// version byte was changed does not open.
func recordAEAD(key PatientKey, record ID, version byte) (cipher.AEAD, error) {
	info := infoRecord
	if version == sealedEvidenceVersion {
		info = infoEvidence
	}
	k, err := hkdf.Key(sha256.New, key.Key, nil, info+string(record[:]), KeySize)
	if err != nil {
		return nil, fmt.Errorf("ledger: derive record key: %w", err)
	}
	return newAEAD(k)
}

// newAEAD is AES-256-GCM that makes its own nonces and puts them first, the form that FIPS 140-3
// allows.
func newAEAD(key []byte) (cipher.AEAD, error) {
	if len(key) != KeySize {
		return nil, errKeySize
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	return aead, nil
}

var (
	errWrongKey = fault.New(fault.Internal, "ledger: this key does not seal this record")
	errHeader   = fault.New(fault.Internal, "ledger: record type or version out of range")
	errKeySize  = fault.New(fault.Internal, "ledger: a data key has 32 bytes")
)
