package trust

import (
	"errors"
	"fmt"
	"time"

	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"github.com/dosewire/dosewire/internal/fault"
)

// Policy is a parsed trust policy.
type Policy struct {
	Logs      []Log
	Witnesses []Witness
	quorum    rule // nil = none
}

// Log is one whose checkpoints may be believed.
type Log struct {
	Verifier note.Verifier // its name is the origin
	URL      string        // "" = not given
}

// Witness is one whose cosignatures may count.
type Witness struct {
	Name     string        // within the policy
	Verifier note.Verifier // of cosignatures
	URL      string        // submission prefix of tlog-witness; "" = not given
}

// Cosignature is one that holds.
type Cosignature struct {
	Witness string    // name within the policy
	Key     string    // name of the key
	Time    time.Time // by the witness's clock, whole seconds; zero when an ML-DSA witness states none
}

// Verdict is what a checkpoint that is believed says.
type Verdict struct {
	Checkpoint
	Cosigned []Cosignature // in the policy's order
}

// Refusals of Policy.Open.
var (
	ErrUnsigned = fault.New(fault.Tampered, "trust: the checkpoint is not signed by a log of the policy")
	ErrQuorum   = fault.New(fault.Tampered, "trust: the checkpoint lacks the cosignatures that the policy asks for")
)

// rule is a witness or a group of rules.
type rule interface {
	met(signed map[string]bool) bool
}

type single string // a witness's name

func (s single) met(signed map[string]bool) bool { return signed[string(s)] }

type group struct {
	k       int
	members []rule
}

func (g group) met(signed map[string]bool) bool {
	n := 0
	for _, m := range g.members {
		if m.met(signed) {
			n++
		}
	}
	return n >= g.k
}

// Solo is the policy of one log without witnesses.
func Solo(log note.Verifier) *Policy { return &Policy{Logs: []Log{{Verifier: log}}} }

// For is this policy about one log alone.
func (p *Policy) For(log note.Verifier) *Policy {
	return &Policy{Logs: []Log{{Verifier: log}}, Witnesses: p.Witnesses, quorum: p.quorum}
}

// Quorum reports whether these cosignatures are enough.
func (p *Policy) Quorum(by []Cosignature) bool {
	if p.quorum == nil {
		return true
	}
	signed := map[string]bool{}
	for _, c := range by {
		signed[c.Witness] = true
	}
	return p.quorum.met(signed)
}

// Needed reports whether the quorum asks for any witness.
func (p *Policy) Needed() bool { return p.quorum != nil }

// Knows reports whether the policy names this log's key.
func (p *Policy) Knows(log note.Verifier) bool {
	for _, l := range p.Logs {
		if l.Verifier.Name() == log.Name() && l.Verifier.KeyHash() == log.KeyHash() {
			return true
		}
	}
	return false
}

// Open verifies a signed checkpoint: ErrCheckpoint, ErrUnsigned, ErrQuorum. With ErrQuorum the
// verdict holds what was good.
func (p *Policy) Open(msg []byte) (Verdict, error) {
	if len(msg) > MaxNote {
		return Verdict{}, ErrCheckpoint
	}
	n, err := note.Open(msg, note.VerifierList(p.verifiers()...))
	if _, unknown := errors.AsType[*note.UnverifiedNoteError](err); unknown {
		return Verdict{}, ErrUnsigned
	}
	if err != nil {
		return Verdict{}, ErrUnsigned.Wrap(fmt.Errorf("a signature or the note is malformed"))
	}
	c, err := ParseCheckpoint(n.Text)
	if err != nil {
		return Verdict{}, err
	}
	if !p.signedByLog(n, c.Origin) {
		return Verdict{}, ErrUnsigned
	}
	v := Verdict{Checkpoint: c, Cosigned: p.cosigned(n)}
	if !p.Quorum(v.Cosigned) {
		return v, ErrQuorum
	}
	return v, nil
}

func (p *Policy) verifiers() (all []note.Verifier) {
	for _, l := range p.Logs {
		all = append(all, l.Verifier)
	}
	for _, w := range p.Witnesses {
		all = append(all, w.Verifier)
	}
	return all
}

// signedByLog demands the signature of the log whose name is the origin: another log's key says
// nothing about this one.
func (p *Policy) signedByLog(n *note.Note, origin string) bool {
	for _, l := range p.Logs {
		if l.Verifier.Name() == origin && signed(n, l.Verifier) != nil {
			return true
		}
	}
	return false
}

func (p *Policy) cosigned(n *note.Note) (all []Cosignature) {
	for _, w := range p.Witnesses {
		if s := signed(n, w.Verifier); s != nil {
			at, _ := CosignedAt(*s)
			all = append(all, Cosignature{Witness: w.Name, Key: w.Verifier.Name(), Time: at})
		}
	}
	return all
}

// signed finds the verified signature of a key.
func signed(n *note.Note, v note.Verifier) *note.Signature {
	for i, s := range n.Sigs {
		if s.Name == v.Name() && s.Hash == v.KeyHash() {
			return &n.Sigs[i]
		}
	}
	return nil
}

// CosignedAt is the time that a verified cosignature states.
func CosignedAt(s note.Signature) (time.Time, error) {
	at, err := fnote.CoSigV1Timestamp(s)
	if err != nil || at.Unix() == 0 {
		return time.Time{}, err
	}
	return at.UTC(), nil
}
