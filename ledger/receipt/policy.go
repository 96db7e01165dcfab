package receipt

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Signature types of C2SP signed-note.
const (
	typeEd25519     = 1
	typeCosignature = 4
)

// Bounds of a policy file; C2SP tlog-policy asks for at least 32 of each kind.
const (
	maxPolicy = 64 << 10 // bytes
	maxNamed  = 256      // witnesses and groups
)

// Policy says whose signatures make a checkpoint one to be believed: any one of the logs, and the
// quorum of witnesses. The zero Policy believes nobody. It is immutable.
type Policy struct {
	logs      []key
	witnesses []witness
	groups    []group
	quorum    int // position among the components, -1 = none
	text      string
}

// key is a verifier key: a vkey, parsed.
type key struct {
	name   string
	id     uint32
	public ed25519.PublicKey
}

// witness and group are the components of a quorum. Components are numbered in the order of their
// lines; a group's members come before it, so one pass decides.
type witness struct {
	key
	at int
}

type group struct {
	members []int
	need    int
	at      int
}

// Origins are the names of the logs that p accepts, which are their origin lines.
func (p Policy) Origins() (all []string) {
	for _, k := range p.logs {
		all = append(all, k.name)
	}
	return all
}

// String is the text that was parsed.
func (p Policy) String() string { return p.text }

// ParsePolicy reads a C2SP tlog-policy: log, witness, group and quorum lines. Logs have Ed25519 keys
// (type 1), witnesses Ed25519 cosignature keys (type 4; type 1 is read as such). A policy without a
// log would accept anybody's checkpoints and is refused. ErrPolicy, with the line.
func ParsePolicy(text []byte) (Policy, error) {
	r := policyReader{names: map[string]int{}, keys: map[string]bool{}, member: map[int]bool{}, p: Policy{quorum: -1, text: string(text)}}
	if len(text) > maxPolicy {
		return Policy{}, ErrPolicy.Wrap(fmt.Errorf("longer than %d bytes", maxPolicy))
	}
	n := 0
	for line := range bytes.SplitSeq(text, []byte("\n")) {
		n++
		if err := r.line(string(line)); err != nil {
			return Policy{}, ErrPolicy.Wrap(fmt.Errorf("line %d: %w", n, err))
		}
	}
	switch {
	case !r.quorum:
		return Policy{}, ErrPolicy.Wrap(fmt.Errorf("there is no quorum line"))
	case len(r.p.logs) == 0:
		return Policy{}, ErrPolicy.Wrap(fmt.Errorf("there is no log line"))
	}
	return r.p, nil
}

// policyReader is a policy half read.
type policyReader struct {
	p      Policy
	names  map[string]int  // components by name
	keys   map[string]bool // public keys seen: l or w ‖ key
	member map[int]bool    // already in a group
	quorum bool
}

func (r *policyReader) line(line string) error {
	for i := range len(line) {
		if c := line[i]; c < 0x20 && c != '\t' || c == 0x7f {
			return fmt.Errorf("a control character")
		}
	}
	f := strings.FieldsFunc(line, func(c rune) bool { return c == ' ' || c == '\t' })
	if len(f) == 0 || f[0][0] == '#' {
		return nil
	}
	switch f[0] {
	case "log":
		return r.log(f[1:])
	case "witness":
		return r.witness(f[1:])
	case "group":
		return r.group(f[1:])
	case "quorum":
		return r.setQuorum(f[1:])
	}
	return fmt.Errorf("an unknown keyword")
}

func (r *policyReader) log(f []string) error {
	if len(f) != 1 && len(f) != 2 {
		return fmt.Errorf("write: log <vkey> [<url>]")
	}
	k, typ, err := parseKey(f[0])
	if err != nil {
		return err
	}
	if typ != typeEd25519 {
		return fmt.Errorf("a log has an Ed25519 key (type 1)")
	}
	if err := r.once("l", k); err != nil {
		return err
	}
	r.p.logs = append(r.p.logs, k)
	return nil
}

func (r *policyReader) witness(f []string) error {
	if len(f) != 2 && len(f) != 3 {
		return fmt.Errorf("write: witness <name> <vkey> [<url>]")
	}
	k, typ, err := parseKey(f[1])
	if err != nil {
		return err
	}
	if typ == typeEd25519 {
		k.id = keyID(k.name, typeCosignature, k.public)
	}
	if err := r.once("w", k); err != nil {
		return err
	}
	at, err := r.name(f[0])
	if err != nil {
		return err
	}
	r.p.witnesses = append(r.p.witnesses, witness{k, at})
	return nil
}

func (r *policyReader) group(f []string) error {
	if len(f) < 3 {
		return fmt.Errorf("write: group <name> all|any|<k> and one name or more")
	}
	g := group{}
	for _, name := range f[2:] {
		at, ok := r.names[name]
		switch {
		case !ok:
			return fmt.Errorf("a member that no line above defines")
		case r.member[at]:
			return fmt.Errorf("a member that is in a group already")
		}
		r.member[at] = true
		g.members = append(g.members, at)
	}
	switch k, err := strconv.Atoi(f[1]); {
	case f[1] == "any":
		g.need = 1
	case f[1] == "all":
		g.need = len(g.members)
	case err != nil || strconv.Itoa(k) != f[1] || k < 1 || k > len(g.members):
		return fmt.Errorf("a threshold that is not between 1 and the number of members")
	default:
		g.need = k
	}
	at, err := r.name(f[0])
	if err != nil {
		return err
	}
	g.at = at
	r.p.groups = append(r.p.groups, g)
	return nil
}

func (r *policyReader) setQuorum(f []string) error {
	if len(f) != 1 {
		return fmt.Errorf("write: quorum <name>|none")
	}
	if r.quorum {
		return fmt.Errorf("a second quorum")
	}
	r.quorum = true
	if f[0] == "none" {
		return nil
	}
	at, ok := r.names[f[0]]
	if !ok {
		return fmt.Errorf("a quorum that no line above defines")
	}
	r.p.quorum = at
	return nil
}

func (r *policyReader) name(name string) (int, error) {
	if _, ok := r.names[name]; ok || name == "none" {
		return 0, fmt.Errorf("a name that is taken")
	}
	if len(r.names) == maxNamed {
		return 0, fmt.Errorf("more than %d witnesses and groups", maxNamed)
	}
	r.names[name] = len(r.names)
	return r.names[name], nil
}

func (r *policyReader) once(role string, k key) error {
	if r.keys[role+string(k.public)] {
		return fmt.Errorf("a key that is there already")
	}
	r.keys[role+string(k.public)] = true
	return nil
}

// satisfied reports whether these witnesses are the quorum.
func (p Policy) satisfied(cosigned map[int]bool) bool {
	if p.quorum < 0 {
		return true
	}
	for _, g := range p.groups { // members are decided before their group
		n := 0
		for _, m := range g.members {
			if cosigned[m] {
				n++
			}
		}
		cosigned[g.at] = n >= g.need
	}
	return cosigned[p.quorum]
}

// parseKey reads a vkey: name+hash+base64(type ‖ public key), C2SP signed-note.
func parseKey(vkey string) (k key, typ byte, err error) {
	name, rest, _ := strings.Cut(vkey, "+")
	hash, text, ok := strings.Cut(rest, "+")
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if !ok || !validName(name) || len(hash) != 8 || err != nil || len(raw) == 0 {
		return key{}, 0, fmt.Errorf("a key that is not written name+hash+base64")
	}
	typ = raw[0]
	if typ != typeEd25519 && typ != typeCosignature || len(raw) != 1+ed25519.PublicKeySize {
		return key{}, 0, fmt.Errorf("a key of type %d: only Ed25519 is understood", typ)
	}
	k = key{name: name, public: ed25519.PublicKey(raw[1:])}
	k.id = keyID(name, typ, k.public)
	if hash != fmt.Sprintf("%08x", k.id) {
		return key{}, 0, fmt.Errorf("a key whose hash is not its own")
	}
	return k, typ, nil
}

// keyID is the first four bytes of SHA-256(name ‖ newline ‖ type ‖ public key).
func keyID(name string, typ byte, public ed25519.PublicKey) uint32 {
	sum := sha256.Sum256(slices.Concat([]byte(name), []byte{'\n', typ}, public))
	return binary.BigEndian.Uint32(sum[:])
}

// validName is C2SP signed-note's rule for key names.
func validName(name string) bool {
	return name != "" && utf8.ValidString(name) && strings.IndexFunc(name, unicode.IsSpace) < 0 && !strings.Contains(name, "+")
}
