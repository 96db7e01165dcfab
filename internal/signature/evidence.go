package signature

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"strings"

	"github.com/dosewire/dosewire/internal/fault"
)

// Policy is what is asked of an organisation's messages.
type Policy string

// Policies. The zero value is the one that asks nothing.
const (
	Off     Policy = ""        // signatures are not looked at
	Record  Policy = "record"  // they are judged, and recorded whatever the verdict
	Require Policy = "require" // a message without a verified one is refused
)

// ParsePolicy reads what an operator writes: off, record or require.
func ParsePolicy(text string) (Policy, bool) {
	switch p := Policy(text); p {
	case "off", Off:
		return Off, true
	case Record, Require:
		return p, true
	}
	return Off, false
}

// Verdict is the end of a judgement.
type Verdict string

// Verdicts.
const (
	Verified Verdict = "verified"
	Failed   Verdict = "failed"
	Absent   Verdict = "absent"
)

// Evidence is what is stored beside a message of its signatures: the verdict, and all that somebody
// needs to judge anew, later, with knowledge that we did not have (a revocation). docs/signatures.md.
type Evidence struct {
	Version    int     `json:"v"` // 1
	Policy     Policy  `json:"policy"`
	Verdict    Verdict `json:"verdict"`
	Reason     Reason  `json:"reason,omitempty"` // of a failure
	Time       int64   `json:"time"`             // stream time at which it was judged, unix ms
	Signatures []Seen  `json:"signatures,omitempty"`
}

// Seen is one signature as it came.
type Seen struct {
	Place     string   `json:"place"` // "header", or the FHIR expression of the Signature
	Algorithm string   `json:"alg,omitempty"`
	JWS       string   `json:"jws,omitempty"`    // as received; "" if it is too long or no text at all
	Chain     [][]byte `json:"chain,omitempty"`  // DER, the signer's first, the anchor last; none unless it led to one
	Reason    Reason   `json:"reason,omitempty"` // why this one failed
}

// evidenceVersion is that of the JSON.
const evidenceVersion = 1

var errEvidence = fault.New(fault.Tampered, "signature: stored evidence is not understood")

// Bytes is the stored form.
func (e Evidence) Bytes() []byte {
	e.Version = evidenceVersion
	b, _ := json.Marshal(e) // texts, numbers and bytes only: cannot fail
	return b
}

// ErrNone: nothing was judged.
var ErrNone = fault.New(fault.NotFound, "signature: no evidence is stored")

// part is the signatures' part of what is stored beside a message: the member "signature" of an object
// that has one for the message too. Older records hold that part alone.
func part(stored []byte) []byte {
	var whole struct{ Message, Signature json.RawMessage }
	if json.Unmarshal(stored, &whole) != nil || whole.Message == nil {
		return stored
	}
	return whole.Signature
}

// ParseEvidence reads what Bytes wrote, alone or as the part "signature" of a record's evidence. ErrNone
// when that has none.
func ParseEvidence(b []byte) (e Evidence, err error) {
	if b = part(b); b == nil {
		return Evidence{}, ErrNone
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil || e.Version != evidenceVersion {
		return Evidence{}, errEvidence
	}
	return e, nil
}

// String is the verdict as a header says it: verified, absent, or failed;reason=<reason>.
func (e Evidence) String() string {
	if e.Reason == "" {
		return string(e.Verdict)
	}
	return string(e.Verdict) + ";reason=" + string(e.Reason)
}

// VerdictOf is String of stored evidence, "" of none.
func VerdictOf(stored []byte) (string, error) {
	if len(stored) == 0 {
		return "", nil
	}
	e, err := ParseEvidence(stored)
	if errors.Is(err, ErrNone) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return e.String(), nil
}

// NewSeen notes a signature and what came of it. err is nil or a Reason.
func NewSeen(place, jws string, s Signer, err error) Seen {
	seen := Seen{Place: place, Algorithm: s.Algorithm, Chain: der(s.Chain), Reason: reasonOf(err)}
	if len(jws) <= MaxSize && strings.IndexFunc(jws, func(r rune) bool { return r < ' ' || r > '~' }) < 0 {
		seen.JWS = jws
	}
	return seen
}

// Judge makes the evidence of what was seen: failed by the first that failed.
func Judge(p Policy, at int64, seen ...Seen) Evidence {
	e := Evidence{Version: evidenceVersion, Policy: p, Verdict: Verified, Time: at, Signatures: seen}
	if len(seen) == 0 {
		e.Verdict = Absent
	}
	for _, s := range seen {
		if s.Reason != "" {
			e.Verdict, e.Reason = Failed, s.Reason
			break
		}
	}
	return e
}

func reasonOf(err error) Reason {
	if err == nil {
		return ""
	}
	if r, ok := errors.AsType[Reason](err); ok {
		return r
	}
	return ErrMalformed
}

func der(chain []*x509.Certificate) (all [][]byte) {
	for _, c := range chain {
		all = append(all, c.Raw)
	}
	return all
}
