package safety

import (
	"slices"

	"github.com/dosewire/dosewire/fhir"
)

// Kind is what a signal is about, in codes of v3-ActCode (DetectedIssueCategory).
type Kind string

// Kinds.
const (
	Double      Kind = "DUPTHPY" // another therapy with the same medicine
	Allergic    Kind = "ALGY"    // an allergy to it
	Intolerance Kind = "INT"     // an intolerance of it
)

// Kinds lists them.
func Kinds() []Kind { return []Kind{Double, Allergic, Intolerance} }

// Bases lists those by which a signal can be found.
func Bases() []Basis { return bases() }

// Tokens stand for the codings of a medicine: keyed hashes of one patient, so that neither codes nor
// equal medicines of two patients can be read from them.
type Tokens struct {
	Codes []string
	Parts []string
}

// Hash makes the token of a coding for one patient.
type Hash func(fhir.Coding) string

// TokensOf are an order's own.
func TokensOf(t fhir.Therapy, h Hash) Tokens {
	return Tokens{tokens(t.Codes, h), tokens(t.Parts, h)}
}

func tokens(codings []fhir.Coding, h Hash) (all []string) {
	for _, c := range codings {
		if token := h(c); !slices.Contains(all, token) {
			all = append(all, token)
		}
	}
	return all
}

// Check compares one order. It belongs to one goroutine.
type Check struct {
	m      *Map
	t      fhir.Therapy
	hash   Hash
	own    Tokens
	kin    map[string]bool // tokens of the codes in its classes
	looked bool            // kin is made
}

// Check begins to compare an order. m may be nil.
func (m *Map) Check(t fhir.Therapy, h Hash) *Check {
	return &Check{m: m, t: t, hash: h, own: TokensOf(t, h)}
}

// Tokens are the order's own.
func (c *Check) Tokens() Tokens { return c.own }

// Against compares it with another medicine of the same patient.
func (c *Check) Against(other Tokens) (Basis, bool) {
	switch {
	case meet(c.own.Codes, other.Codes):
		return Code, true
	case meet(c.own.Parts, other.Parts), meet(c.own.Codes, other.Parts), meet(c.own.Parts, other.Codes):
		return Ingredient, true
	case c.related(other.Codes), c.related(other.Parts):
		return Class, true
	}
	return "", false
}

// Sought are the tokens of all that it could be a double of: whatever has none of them is none.
func (c *Check) Sought() []string {
	c.look()
	all := slices.Concat(c.own.Codes, c.own.Parts)
	for token := range c.kin {
		all = append(all, token)
	}
	return all
}

// related reports whether one of the tokens is that of a code in a class of the order's.
func (c *Check) related(others []string) bool {
	if c.m == nil || len(others) == 0 {
		return false
	}
	c.look()
	return slices.ContainsFunc(others, func(token string) bool { return c.kin[token] })
}

func (c *Check) look() {
	if c.looked || c.m == nil {
		return
	}
	c.looked, c.kin = true, map[string]bool{}
	for _, k := range c.m.kin(c.m.classes(c.t.Codes, c.t.Parts)) {
		c.kin[c.hash(k)] = true
	}
}

// Match is an allergy that the order meets.
type Match struct {
	Kind       Kind
	By         Basis
	Expression string
	High       bool
	Private    bool
}

// Allergies compares it with the allergies of its message.
func (c *Check) Allergies() (all []Match) {
	parts := append(slices.Clip(c.t.Parts), c.t.Excipients...)
	classes := c.m.classes(c.t.Codes, parts)
	for _, a := range c.t.Allergies {
		m := Match{Kind: Allergic, Expression: a.Expression, High: a.High, Private: a.Private}
		if a.Intolerance {
			m.Kind = Intolerance
		}
		switch {
		case meet(a.Codes, c.t.Codes):
			m.By = Code
		case meet(a.Codes, parts):
			m.By = Ingredient
		case meet(c.m.classes(a.Codes), classes):
			m.By = Class
		default:
			continue
		}
		all = append(all, m)
	}
	return all
}

func meet[T comparable](a, b []T) bool {
	return slices.ContainsFunc(a, func(x T) bool { return slices.Contains(b, x) })
}
