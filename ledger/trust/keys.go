package trust

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"github.com/dosewire/dosewire/internal/fault"
)

// Signature types of C2SP signed-note keys.
const (
	typeEd25519     = 1
	typeCosignature = 4 // Ed25519, cosignature/v1
	typeMLDSA44     = 6 // ML-DSA-44, cosignature of subtrees
)

// ErrKey says that a text is not a key of the kind that is wanted here.
var ErrKey = fault.New(fault.Invalid, "trust: not a verifier key")

// key is a vkey, parsed: name+id+base64(type ‖ public key).
type key struct {
	name   string
	typ    byte
	public []byte
}

// parseKey checks the form of a vkey, and that the id fits.
func parseKey(vkey string) (key, error) {
	name, rest, _ := strings.Cut(vkey, "+")
	id, text, ok := strings.Cut(rest, "+")
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if !ok || !validName(name) || len(id) != 8 || err != nil || len(raw) < 2 {
		return key{}, ErrKey.Wrap(errors.New("it is not written name+id+base64"))
	}
	k := key{name, raw[0], raw[1:]}
	if id != fmt.Sprintf("%08x", k.id()) {
		return key{}, ErrKey.Wrap(errors.New("its key id does not fit"))
	}
	return k, nil
}

// id is the first four bytes of SHA-256(name ‖ newline ‖ type ‖ public key).
func (k key) id() uint32 {
	sum := sha256.Sum256(slices.Concat([]byte(k.name), []byte{'\n', k.typ}, k.public))
	return binary.BigEndian.Uint32(sum[:])
}

func (k key) String() string {
	return fmt.Sprintf("%s+%08x+%s", k.name, k.id(), base64.StdEncoding.EncodeToString(append([]byte{k.typ}, k.public...)))
}

// LogKey writes the vkey of a log's Ed25519 key.
func LogKey(name string, public ed25519.PublicKey) string {
	return key{name, typeEd25519, public}.String()
}

// WitnessKey writes the vkey of a witness's Ed25519 key.
func WitnessKey(name string, public ed25519.PublicKey) string {
	return key{name, typeCosignature, public}.String()
}

// LogVerifier reads a log's vkey: Ed25519, type 1.
func LogVerifier(vkey string) (note.Verifier, error) {
	k, err := parseKey(vkey)
	if err != nil {
		return nil, err
	}
	return k.log()
}

// WitnessVerifier reads a witness's vkey: Ed25519 cosignatures (type 4; type 1 is taken for it), or
// ML-DSA-44 (type 6).
func WitnessVerifier(vkey string) (note.Verifier, error) {
	k, err := parseKey(vkey)
	if err != nil {
		return nil, err
	}
	return k.witness()
}

func (k key) log() (note.Verifier, error) {
	if k.typ != typeEd25519 || len(k.public) != ed25519.PublicKeySize {
		return nil, ErrKey.Wrap(fmt.Errorf("a log's key has type 1, this one %d", k.typ))
	}
	v, err := note.NewVerifier(k.String())
	if err != nil {
		return nil, ErrKey.Wrap(err)
	}
	return v, nil
}

func (k key) witness() (note.Verifier, error) {
	switch k.typ {
	case typeEd25519, typeCosignature, typeMLDSA44:
	default:
		return nil, ErrKey.Wrap(fmt.Errorf("a witness's key has type 4 or 6, this one %d", k.typ))
	}
	v, err := fnote.NewVerifierForCosignatureV1(k.String())
	if err != nil {
		return nil, ErrKey.Wrap(err)
	}
	return timed{v}, nil
}

// timed is a verifier of cosignatures that refuses times no clock can show.
type timed struct{ note.Verifier }

// Verify is as in note.Verifier; a cosignature begins with its time, unix seconds.
func (t timed) Verify(text, sig []byte) bool {
	return len(sig) > 8 && binary.BigEndian.Uint64(sig) <= math.MaxInt64 && t.Verifier.Verify(text, sig)
}
