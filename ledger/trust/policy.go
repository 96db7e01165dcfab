package trust

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/dosewire/dosewire/internal/fault"
)

// Policy says whose signatures make a checkpoint one to be believed: any one of the logs, and the
// quorum of witnesses. The zero Policy believes nobody. It is immutable.
type Policy struct {
	Logs      []Log
	Witnesses []Witness
	quorum    rule // nil = none
	text      string
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

// Signed is a checkpoint with the witnesses of a policy whose cosignatures are good.
type Signed struct {
	Checkpoint
	Cosigned []Cosignature // in the policy's order
}

// Cosignature is one witness's word that it has seen this checkpoint after all it saw before.
type Cosignature struct {
	Witness string    // name within the policy
	Key     string    // name of the key
	Time    time.Time // by the witness's clock, whole seconds, no later than the end of year 9999; zero when an ML-DSA witness states none
}

// Judge reads a signed checkpoint and decides whether to believe it. [Policy.Open] is one, [Unjudged]
// another.
type Judge func(note []byte) (Signed, error)

// Refusals of Policy.Open, beside ErrCheckpoint.
var (
	ErrSignature = fault.New(fault.Tampered, "trust: no log of the policy has signed this checkpoint")
	ErrQuorum    = fault.New(fault.Tampered, "trust: too few witnesses of the policy have cosigned this checkpoint")
)

// rule is a witness or a group of rules.
type rule interface {
	met(signed map[string]bool) bool
}

type single string // a witness's name

func (s single) met(signed map[string]bool) bool { return signed[string(s)] }

type group struct {
	need    int
	members []rule
}

func (g group) met(signed map[string]bool) bool {
	n := 0
	for _, m := range g.members {
		if m.met(signed) {
			n++
		}
	}
	return n >= g.need
}

// Solo is the policy of one log without witnesses.
func Solo(log note.Verifier) *Policy { return &Policy{Logs: []Log{{Verifier: log}}} }

// For is this policy about one log alone.
func (p *Policy) For(log note.Verifier) *Policy {
	return &Policy{Logs: []Log{{Verifier: log}}, Witnesses: p.Witnesses, quorum: p.quorum}
}

// String is the text that was parsed.
func (p *Policy) String() string { return p.text }

// Origins are the names of the logs, which are their origin lines.
func (p *Policy) Origins() (all []string) {
	for _, l := range p.Logs {
		all = append(all, l.Verifier.Name())
	}
	return all
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
	return slices.ContainsFunc(p.Logs, func(l Log) bool {
		return l.Verifier.Name() == log.Name() && l.Verifier.KeyHash() == log.KeyHash()
	})
}

// Open reads a signed checkpoint and believes it if the policy does: ErrCheckpoint, ErrSignature,
// ErrQuorum. With ErrQuorum the answer holds what was good.
func (p *Policy) Open(msg []byte) (Signed, error) {
	text, sigs, err := splitNote(msg)
	if err != nil {
		return Signed{}, ErrCheckpoint.Wrap(err)
	}
	c, err := ParseCheckpoint(string(text))
	if err != nil {
		return Signed{}, err
	}
	byLog := false
	for _, l := range p.Logs {
		if l.Verifier.Name() != c.Origin { // another log's key says nothing about this one
			continue
		}
		_, good, wrong := signedBy(l.Verifier, text, sigs)
		if wrong {
			return Signed{}, ErrSignature.Wrap(errors.New("the log's signature is wrong"))
		}
		byLog = byLog || good
	}
	s := Signed{Checkpoint: c}
	for _, w := range p.Witnesses {
		sig, good, wrong := signedBy(w.Verifier, text, sigs)
		if wrong {
			return Signed{}, ErrSignature.Wrap(errors.New("the cosignature of a witness is wrong"))
		}
		if good {
			s.Cosigned = append(s.Cosigned, Cosignature{w.Name, w.Verifier.Name(), statedTime(sig)})
		}
	}
	switch {
	case !byLog:
		return Signed{}, ErrSignature
	case !p.Quorum(s.Cosigned):
		return s, ErrQuorum
	}
	return s, nil
}

// signedBy looks for the signatures that claim a key. The same key counts once, but no line of it may
// be wrong.
func signedBy(v note.Verifier, text []byte, sigs []signature) (first []byte, good, wrong bool) {
	for _, s := range sigs {
		if s.name != v.Name() || s.id != v.KeyHash() {
			continue
		}
		if !v.Verify(text, s.bytes) {
			return nil, false, true
		}
		if !good {
			first, good = s.bytes, true
		}
	}
	return first, good, false
}

// lastSecond is the last that RFC 3339 can write; a cosignature may state one far behind it.
const lastSecond = 253402300799

// statedTime is the time that a verified cosignature begins with.
func statedTime(sig []byte) time.Time {
	if at := int64(binary.BigEndian.Uint64(sig)); at != 0 {
		return time.Unix(min(at, lastSecond), 0).UTC()
	}
	return time.Time{}
}
