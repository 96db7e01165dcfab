package collect

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"strings"

	"github.com/dosewire/dosewire/ledger"
)

// Fact says that a patient wants a code for a prescription: JSON on rx.fact.collect. The code before it
// dies.
type Fact struct {
	Patient      string `json:"patient"`
	Prescription string `json:"prescription"`
	Locator      string `json:"locator"`
}

// FactKind is the kind under which a Fact is published.
const FactKind = "collect"

const (
	secretBytes = 16
	idBytes     = len(ledger.ID{})
)

// text is how locators and secrets are written: lower case, without padding.
var text = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Locator names a code: the prescription's, and which one it is.
func Locator(prescription ledger.ID, number uint16) string {
	return text.EncodeToString(binary.BigEndian.AppendUint16(prescription[:], number))
}

// ParseLocator reads what Locator wrote, in that one spelling.
func ParseLocator(s string) (prescription ledger.ID, number uint16, ok bool) {
	b, err := text.DecodeString(s)
	if err != nil || len(b) != idBytes+2 {
		return prescription, 0, false
	}
	copy(prescription[:], b)
	number = binary.BigEndian.Uint16(b[idBytes:])
	return prescription, number, Locator(prescription, number) == s
}

// Keys makes keyed hashes; *ledger.Keyring.
type Keys interface {
	Index(org ledger.ID, parts ...string) ledger.Key
}

// Code is what a patient shows.
type Code struct{ Locator, Secret string }

// Of is the code of a locator.
func Of(k Keys, prescription ledger.ID, locator string) Code {
	sum := k.Index(ledger.ID{}, "collect", prescription.String(), locator).Hash
	return Code{Locator: locator, Secret: text.EncodeToString(sum[:secretBytes])}
}

// Parse reads a code as a person or a scanner gives it. ok is false for what no code looks like; whether
// it opens anything is not said here.
func Parse(s string) (c Code, ok bool) {
	s = strings.ToLower(strings.NewReplacer(" ", "", "-", "").Replace(s))
	c.Locator, c.Secret, _ = strings.Cut(s, ".")
	_, _, ok = ParseLocator(c.Locator)
	secret, err := text.DecodeString(c.Secret)
	return c, ok && err == nil && len(secret) == secretBytes
}

// String is the code as it is shown.
func (c Code) String() string { return c.Locator + "." + c.Secret }

// Prove makes the proof that goes with a body: locator.HMAC-SHA-256(secret, SHA-256(body)), the secret
// as its text, the hash as bytes, the result in hex.
func (c Code) Prove(body []byte) string {
	return c.Locator + "." + hex.EncodeToString(c.mac(body))
}

func (c Code) mac(body []byte) []byte {
	h := hmac.New(sha256.New, []byte(c.Secret))
	sum := sha256.Sum256(body)
	h.Write(sum[:])
	return h.Sum(nil)
}

// Proof is a code shown with a body.
type Proof struct {
	Locator      string
	Prescription ledger.ID
	mac          []byte
}

// ParseProof reads what Prove wrote.
func ParseProof(s string) (p Proof, ok bool) {
	locator, sum, _ := strings.Cut(s, ".")
	p.Locator = locator
	p.Prescription, _, ok = ParseLocator(locator)
	mac, err := hex.DecodeString(sum)
	p.mac = mac
	return p, ok && err == nil && len(mac) == sha256.Size
}

// Right reports whether whoever made the proof knew the locator's secret and meant this body.
func (p Proof) Right(k Keys, body []byte) bool {
	return hmac.Equal(p.mac, Of(k, p.Prescription, p.Locator).mac(body))
}
