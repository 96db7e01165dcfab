package receipt

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dosewire/dosewire/ledger"
)

// Bounds of a checkpoint.
const (
	maxCheckpoint = 64 << 10 // bytes
	maxSignatures = 100      // as golang.org/x/mod/sumdb/note
)

// Checkpoint is what a log and its witnesses signed: the root of the tree over the first Size entries.
type Checkpoint struct {
	Origin    string
	Size      uint64
	Root      ledger.Hash
	Witnesses []Cosignature // those of the policy whose cosignature is good
}

// Cosignature is one witness's word that it has seen this checkpoint after all it saw before.
type Cosignature struct {
	Name string
	Time time.Time // by the witness's clock, whole seconds
}

// Judge reads a checkpoint and decides whether to believe it. [Policy.Open] is one, [Unjudged] another.
type Judge func(note []byte) (Checkpoint, error)

// Unjudged reads a checkpoint without asking who signed it: for its own publisher. ErrCheckpoint.
func Unjudged(note []byte) (Checkpoint, error) {
	text, _, err := splitNote(note)
	if err != nil {
		return Checkpoint{}, ErrCheckpoint.Wrap(err)
	}
	c, err := parseCheckpoint(text)
	if err != nil {
		return Checkpoint{}, ErrCheckpoint.Wrap(err)
	}
	return c, nil
}

// Open reads a checkpoint (C2SP tlog-checkpoint, signed-note) and believes it if the policy does.
// Signatures of strangers are ignored; one that claims a key of the policy and is wrong is an error,
// as in signed-note. ErrCheckpoint, ErrSignature, ErrQuorum.
func (p Policy) Open(note []byte) (Checkpoint, error) {
	text, sigs, err := splitNote(note)
	if err != nil {
		return Checkpoint{}, ErrCheckpoint.Wrap(err)
	}
	c, err := parseCheckpoint(text)
	if err != nil {
		return Checkpoint{}, ErrCheckpoint.Wrap(err)
	}
	signed, cosigned := false, map[int]bool{}
	for _, s := range sigs {
		for _, k := range p.logs {
			if k.name != s.name || k.id != s.id || k.name != c.Origin {
				continue
			}
			if !ed25519.Verify(k.public, text, s.bytes) {
				return Checkpoint{}, ErrSignature.Wrap(fmt.Errorf("the log's signature is wrong"))
			}
			signed = true
		}
		for _, w := range p.witnesses {
			if w.name != s.name || w.id != s.id || cosigned[w.at] {
				continue
			}
			at, ok := verifyCosignature(w.public, text, s.bytes)
			if !ok {
				return Checkpoint{}, ErrSignature.Wrap(fmt.Errorf("the cosignature of a witness is wrong"))
			}
			cosigned[w.at] = true
			c.Witnesses = append(c.Witnesses, Cosignature{w.name, at})
		}
	}
	switch {
	case !signed:
		return Checkpoint{}, ErrSignature
	case !p.satisfied(cosigned):
		return Checkpoint{}, ErrQuorum
	}
	return c, nil
}

// verifyCosignature checks timestamp ‖ Ed25519 signature over the text with the time above it (C2SP
// tlog-cosignature).
func verifyCosignature(public ed25519.PublicKey, text, sig []byte) (time.Time, bool) {
	if len(sig) != 8+ed25519.SignatureSize {
		return time.Time{}, false
	}
	at := binary.BigEndian.Uint64(sig)
	if at > math.MaxInt64 {
		return time.Time{}, false
	}
	message := append(fmt.Appendf(nil, "cosignature/v1\ntime %d\n", at), text...)
	return time.Unix(int64(at), 0).UTC(), ed25519.Verify(public, message, sig[8:])
}

// signature is one line below a note.
type signature struct {
	name  string
	id    uint32
	bytes []byte
}

// splitNote divides a signed note: text ending in a newline, an empty line, signature lines.
func splitNote(note []byte) (text []byte, sigs []signature, err error) {
	if len(note) > maxCheckpoint || !utf8.Valid(note) {
		return nil, nil, fmt.Errorf("too long, or not UTF-8")
	}
	for _, c := range note {
		if c < 0x20 && c != '\n' {
			return nil, nil, fmt.Errorf("a control character")
		}
	}
	cut := bytes.LastIndex(note, []byte("\n\n"))
	if cut < 0 || note[len(note)-1] != '\n' {
		return nil, nil, fmt.Errorf("no signatures")
	}
	text = note[:cut+1]
	for line := range strings.SplitSeq(strings.TrimSuffix(string(note[cut+2:]), "\n"), "\n") {
		s, err := parseSignature(line)
		if err != nil {
			return nil, nil, err
		}
		if sigs = append(sigs, s); len(sigs) > maxSignatures {
			return nil, nil, fmt.Errorf("more than %d signatures", maxSignatures)
		}
	}
	return text, sigs, nil
}

func parseSignature(line string) (signature, error) {
	rest, ok := strings.CutPrefix(line, "— ")
	name, text, cut := strings.Cut(rest, " ")
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if !ok || !cut || !validName(name) || err != nil || len(raw) < 5 {
		return signature{}, fmt.Errorf("a malformed signature line")
	}
	return signature{name, binary.BigEndian.Uint32(raw), raw[4:]}, nil
}

// parseCheckpoint reads origin, size and root. Extension lines are allowed and ignored, as they are
// signed.
func parseCheckpoint(text []byte) (c Checkpoint, err error) {
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(lines) < 3 || lines[0] == "" {
		return c, fmt.Errorf("not origin, size and root")
	}
	for _, extension := range lines[3:] {
		if extension == "" {
			return c, fmt.Errorf("an empty extension line")
		}
	}
	c.Origin = lines[0]
	if c.Size, err = decimal(lines[1]); err != nil {
		return c, err
	}
	c.Root, err = parseHash(lines[2])
	return c, err
}

// decimal reads a number below 2⁶³ in its one spelling.
func decimal(text string) (uint64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != text {
		return 0, fmt.Errorf("not a number")
	}
	return uint64(n), nil
}

func parseHash(text string) (h ledger.Hash, err error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != len(h) || len(text) != base64.StdEncoding.EncodedLen(len(h)) {
		return h, fmt.Errorf("not a hash")
	}
	return ledger.Hash(raw), nil
}
