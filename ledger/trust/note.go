package trust

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of a signed note.
const (
	// MaxNote is the longest signed checkpoint that is looked at, bytes. A cosignature with ML-DSA-44
	// takes 3.3 kB.
	MaxNote       = 64 << 10
	maxSignatures = 100 // as golang.org/x/mod/sumdb/note
)

// signature is one line below a note.
type signature struct {
	name  string
	id    uint32
	bytes []byte
}

// splitNote divides a signed note (C2SP signed-note): text ending in a newline, an empty line,
// signature lines.
func splitNote(note []byte) (text []byte, sigs []signature, err error) {
	if len(note) > MaxNote || !utf8.Valid(note) {
		return nil, nil, errors.New("too long, or not UTF-8")
	}
	for _, c := range note {
		if c < 0x20 && c != '\n' {
			return nil, nil, errors.New("a control character")
		}
	}
	cut := bytes.LastIndex(note, []byte("\n\n"))
	if cut < 0 || note[len(note)-1] != '\n' {
		return nil, nil, errors.New("no signatures")
	}
	text = note[:cut+1]
	for line := range strings.SplitSeq(strings.TrimSuffix(string(note[cut+2:]), "\n"), "\n") {
		s, err := parseSignature(line)
		if err != nil {
			return nil, nil, err
		}
		if sigs = append(sigs, s); len(sigs) > maxSignatures {
			return nil, nil, errors.New("too many signatures")
		}
	}
	return text, sigs, nil
}

func parseSignature(line string) (signature, error) {
	rest, ok := strings.CutPrefix(line, "— ")
	name, text, cut := strings.Cut(rest, " ")
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if !ok || !cut || !validName(name) || err != nil || len(raw) < 5 {
		return signature{}, errors.New("a malformed signature line")
	}
	return signature{name, binary.BigEndian.Uint32(raw), raw[4:]}, nil
}

// validName is C2SP signed-note's rule for key names.
func validName(name string) bool {
	return name != "" && utf8.ValidString(name) && strings.IndexFunc(name, unicode.IsSpace) < 0 && !strings.Contains(name, "+")
}
