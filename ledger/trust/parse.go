package trust

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/dosewire/dosewire/internal/fault"
)

// ErrPolicy says that a policy file breaks the format, and where.
var ErrPolicy = fault.New(fault.Invalid, "trust: not a policy")

// Bounds of a policy file. C2SP asks for 32 logs, witnesses and groups.
const (
	maxPolicy = 64 << 10 // bytes
	maxParts  = 256
)

// ParsePolicy reads a C2SP tlog-policy file: log, witness, group and quorum lines. Every error is
// ErrPolicy and names the line.
func ParsePolicy(text []byte) (*Policy, error) {
	if len(text) > maxPolicy {
		return nil, ErrPolicy.Wrap(fmt.Errorf("it is longer than %d bytes", maxPolicy))
	}
	p := &parser{rules: map[string]rule{}, member: map[string]bool{}, keys: map[string]bool{}}
	for i, line := range bytes.Split(text, []byte("\n")) {
		if err := p.line(string(line)); err != nil {
			return nil, ErrPolicy.Wrap(fmt.Errorf("line %d: %w", i+1, err))
		}
	}
	switch {
	case !p.done:
		return nil, ErrPolicy.Wrap(errors.New("it has no quorum line"))
	case len(p.policy.Logs) == 0:
		return nil, ErrPolicy.Wrap(errors.New("it has no log line"))
	}
	p.policy.text = string(text)
	return &p.policy, nil
}

type parser struct {
	policy Policy
	rules  map[string]rule // witnesses and groups by name
	member map[string]bool // names that a group has taken
	keys   map[string]bool // public keys seen, by use
	done   bool            // the quorum line was seen
}

func (p *parser) line(line string) error {
	for i := range len(line) {
		if c := line[i]; c < 0x20 && c != '\t' || c == 0x7f {
			return errors.New("a control character")
		}
	}
	words := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
	if len(words) == 0 || words[0][0] == '#' {
		return nil
	}
	if words[0] != "quorum" && len(p.policy.Logs)+len(p.rules) >= maxParts {
		return errors.New("too many logs, witnesses and groups")
	}
	switch words[0] {
	case "log":
		return p.log(words[1:])
	case "witness":
		return p.witness(words[1:])
	case "group":
		return p.group(words[1:])
	case "quorum":
		return p.quorum(words[1:])
	}
	return errors.New("it begins with none of log, witness, group, quorum")
}

// log <vkey> [<url>]
func (p *parser) log(words []string) error {
	if len(words) < 1 || len(words) > 2 {
		return errors.New("want: log <vkey> [<url>]")
	}
	k, err := parseKey(words[0])
	if err != nil {
		return err
	}
	v, err := k.log()
	if err != nil {
		return err
	}
	if err := p.fresh("log", k); err != nil {
		return err
	}
	p.policy.Logs = append(p.policy.Logs, Log{Verifier: v, URL: optional(words, 1)})
	return nil
}

// witness <name> <vkey> [<url>]
func (p *parser) witness(words []string) error {
	if len(words) < 2 || len(words) > 3 {
		return errors.New("want: witness <name> <vkey> [<url>]")
	}
	k, err := parseKey(words[1])
	if err != nil {
		return err
	}
	v, err := k.witness()
	if err != nil {
		return err
	}
	if err := p.fresh("witness", k); err != nil {
		return err
	}
	p.policy.Witnesses = append(p.policy.Witnesses, Witness{Name: words[0], Verifier: v, URL: optional(words, 2)})
	return p.define(words[0], single(words[0]))
}

// group <name> all|any|<k> <name>...
func (p *parser) group(words []string) error {
	if len(words) < 3 {
		return errors.New("want: group <name> all|any|<k> and one or more names")
	}
	names := words[2:]
	need, err := threshold(words[1], len(names))
	if err != nil {
		return err
	}
	g := group{need: need}
	for _, name := range names {
		r, ok := p.rules[name]
		switch {
		case !ok:
			return fmt.Errorf("%q is not defined above", name)
		case p.member[name]:
			return fmt.Errorf("%q is in a group already", name)
		}
		p.member[name] = true
		g.members = append(g.members, r)
	}
	return p.define(words[0], g)
}

func threshold(word string, n int) (int, error) {
	switch word {
	case "any":
		return 1, nil
	case "all":
		return n, nil
	}
	k, err := strconv.ParseUint(word, 10, 16)
	if err != nil || strconv.FormatUint(k, 10) != word || k < 1 || int(k) > n {
		return 0, fmt.Errorf("the threshold is not all, any or a number from 1 to %d", n)
	}
	return int(k), nil
}

// quorum <name>
func (p *parser) quorum(words []string) error {
	switch {
	case len(words) != 1:
		return errors.New("want: quorum <name>")
	case p.done:
		return errors.New("a second quorum line")
	}
	p.done = true
	if words[0] == "none" {
		return nil
	}
	r, ok := p.rules[words[0]]
	if !ok {
		return fmt.Errorf("%q is not defined above", words[0])
	}
	p.policy.quorum = r
	return nil
}

func (p *parser) define(name string, r rule) error {
	if name == "none" {
		return errors.New("none is not a name")
	}
	if _, taken := p.rules[name]; taken {
		return fmt.Errorf("%q is defined already", name)
	}
	p.rules[name] = r
	return nil
}

// fresh refuses a public key that was given before, whatever its name: one key, one voice.
func (p *parser) fresh(use string, k key) error {
	id := use + string(k.public)
	if p.keys[id] {
		return errors.New("the same public key was given before")
	}
	p.keys[id] = true
	return nil
}

func optional(words []string, i int) string {
	if i < len(words) {
		return words[i]
	}
	return ""
}
