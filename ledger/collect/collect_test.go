package collect_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/collect"
)

// keys is an index key of its own.
type keys string

func (k keys) Index(org ledger.ID, parts ...string) ledger.Key {
	h := hmac.New(sha256.New, []byte(k))
	h.Write([]byte(strings.Join(parts, "\x00")))
	return ledger.Key{Org: org, Hash: ledger.Hash(h.Sum(nil))}
}

var rx = uuid.MustParse("0192f3c4-5a6b-7c8d-9e0f-112233445566")

func TestLocatorNamesThePrescription(t *testing.T) {
	for _, n := range []uint16{0, 1, 255, 65535} {
		l := collect.Locator(rx, n)
		if id, number, ok := collect.ParseLocator(l); !ok || id != rx || number != n {
			t.Errorf("%s: %v %d %v", l, id, number, ok)
		}
	}
	l := collect.Locator(rx, 7)
	for name, bad := range map[string]string{"empty": "", "short": l[:20], "long": l + "a", "capitals": strings.ToUpper(l),
		"no base32": strings.Replace(l, l[3:4], "1", 1), "other spelling of the last bits": l[:len(l)-1] + string(l[len(l)-1]+1)} {
		if _, _, ok := collect.ParseLocator(bad); ok {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestCodeIsReadAsPeopleGiveIt(t *testing.T) {
	code := collect.Of(keys("k"), rx, collect.Locator(rx, 1))
	grouped := code.String()[:4] + " " + code.String()[4:9] + "-" + code.String()[9:]
	for _, s := range []string{code.String(), strings.ToUpper(code.String()), grouped} {
		if got, ok := collect.Parse(s); !ok || got != code {
			t.Errorf("%s: %v %v", s, got, ok)
		}
	}
	for _, s := range []string{"", ".", code.Locator, code.Locator + ".", code.String() + "a", "x" + code.String(), code.Secret + "." + code.Locator} {
		if _, ok := collect.Parse(s); ok {
			t.Errorf("%q: taken", s)
		}
	}
}

// A proof is for one body, one locator and one hub.
func TestProof(t *testing.T) {
	code := collect.Of(keys("k"), rx, collect.Locator(rx, 1))
	body := []byte(`{"resourceType":"MedicationDispense"}`)
	proof, ok := collect.ParseProof(code.Prove(body))
	if !ok || proof.Prescription != rx || proof.Locator != code.Locator || !proof.Right(keys("k"), body) {
		t.Fatalf("%+v %v", proof, ok)
	}
	if proof.Right(keys("k"), append(body, ' ')) || proof.Right(keys("other"), body) {
		t.Error("right for another body or hub")
	}
	other, _ := collect.ParseProof(collect.Of(keys("k"), rx, collect.Locator(rx, 2)).Prove(body))
	other.Locator = code.Locator
	if other.Right(keys("k"), body) {
		t.Error("another code's secret is right")
	}
	if _, ok := collect.ParseProof(code.String()); ok {
		t.Error("a secret was taken for a proof")
	}
	if strings.Contains(code.Prove(body), code.Secret) {
		t.Error("the proof holds the secret")
	}
}

// What an integrator computes, by the words of the documentation.
func TestProofByItsDescription(t *testing.T) {
	code := collect.Of(keys("k"), rx, collect.Locator(rx, 1))
	body := []byte("{}")
	sum := sha256.Sum256(body)
	h := hmac.New(sha256.New, []byte(code.Secret))
	h.Write(sum[:])
	if want := code.Locator + "." + hex.EncodeToString(h.Sum(nil)); code.Prove(body) != want {
		t.Errorf("%s, want %s", code.Prove(body), want)
	}
}

func FuzzParse(f *testing.F) {
	code := collect.Of(keys("k"), rx, collect.Locator(rx, 1))
	f.Add(code.String())
	f.Add(code.Prove(nil))
	f.Fuzz(func(t *testing.T, s string) {
		if c, ok := collect.Parse(s); ok {
			if again, ok := collect.Parse(c.String()); !ok || again != c {
				t.Errorf("%q: %v, then %v", s, c, again)
			}
		}
		if p, ok := collect.ParseProof(s); ok && p.Right(keys("other"), []byte(s)) {
			t.Error("guessed")
		}
	})
}
