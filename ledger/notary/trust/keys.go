package trust

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"

	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"github.com/dosewire/dosewire/internal/fault"
)

// Signature types of C2SP signed-note keys.
const (
	algEd25519     = 1
	algCosignature = 4 // Ed25519, cosignature/v1
	algMLDSA44     = 6 // ML-DSA-44, cosignature
)

// ErrKey says that a text is not a key of the kind that is wanted here.
var ErrKey = fault.New(fault.Invalid, "trust: not a verifier key")

// LogVerifier reads a log's vkey: Ed25519, type 1.
func LogVerifier(vkey string) (note.Verifier, error) {
	alg, _, err := splitKey(vkey)
	if err != nil {
		return nil, err
	}
	if alg != algEd25519 {
		return nil, ErrKey.Wrap(fmt.Errorf("a log's key has type 1, this one %d", alg))
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, ErrKey.Wrap(err)
	}
	return v, nil
}

// WitnessVerifier reads a witness's vkey: Ed25519 cosignatures (type 4) or ML-DSA-44 (type 6).
func WitnessVerifier(vkey string) (note.Verifier, error) {
	alg, _, err := splitKey(vkey)
	if err != nil {
		return nil, err
	}
	if alg != algCosignature && alg != algMLDSA44 {
		return nil, ErrKey.Wrap(fmt.Errorf("a witness's key has type 4 or 6, this one %d", alg))
	}
	v, err := fnote.NewVerifierForCosignatureV1(vkey)
	if err != nil {
		return nil, ErrKey.Wrap(err)
	}
	return v, nil
}

// splitKey checks the form of a vkey, name+id+base64, and that the id fits.
func splitKey(vkey string) (alg byte, public string, err error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return 0, "", ErrKey
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(parts[2])
	if err != nil || len(raw) < 2 {
		return 0, "", ErrKey
	}
	if fmt.Sprintf("%08x", keyID(parts[0], raw)) != parts[1] {
		return 0, "", ErrKey.Wrap(fmt.Errorf("its key id does not fit"))
	}
	return raw[0], string(raw[1:]), nil
}

// keyID is the key id of signed-note: the first 4 bytes of SHA-256(name ‖ newline ‖ type ‖ key).
func keyID(name string, typed []byte) uint32 {
	sum := sha256.Sum256(append([]byte(name+"\n"), typed...))
	return binary.BigEndian.Uint32(sum[:])
}

// LogKey writes the vkey of a log's Ed25519 key.
func LogKey(name string, key ed25519.PublicKey) string { return vkey(name, algEd25519, key) }

// WitnessKey writes the vkey of a witness's Ed25519 key.
func WitnessKey(name string, key ed25519.PublicKey) string { return vkey(name, algCosignature, key) }

func vkey(name string, alg byte, key ed25519.PublicKey) string {
	typed := append([]byte{alg}, key...)
	return fmt.Sprintf("%s+%08x+%s", name, keyID(name, typed), base64.StdEncoding.EncodeToString(typed))
}
