package trust

import (
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

// MaxNote is the longest signed checkpoint that is looked at, bytes. ML-DSA-44 cosignatures take
// 3.3 kB each.
const MaxNote = 256 << 10

// Checkpoint is the head of a log's tree: C2SP tlog-checkpoint.
type Checkpoint struct {
	Origin string      // the log's name, one line
	Size   uint64      // entries in the tree
	Root   ledger.Hash // RFC 6962 tree hash of them
}

// ErrCheckpoint says that a text is not a checkpoint.
var ErrCheckpoint = fault.New(fault.Tampered, "trust: not a checkpoint")

// Text is what logs and witnesses sign.
func (c Checkpoint) Text() string {
	return c.Origin + "\n" + strconv.FormatUint(c.Size, 10) + "\n" + base64.StdEncoding.EncodeToString(c.Root[:]) + "\n"
}

// ParseCheckpoint reads the text of a note, without its signatures. Extension lines after the third
// are allowed and ignored, as the specification says; they are covered by the signatures.
func ParseCheckpoint(text string) (Checkpoint, error) {
	if len(text) > MaxNote || !strings.HasSuffix(text, "\n") {
		return Checkpoint{}, ErrCheckpoint
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 3 || lines[0] == "" {
		return Checkpoint{}, ErrCheckpoint
	}
	for _, extension := range lines[3:] {
		if extension == "" {
			return Checkpoint{}, ErrCheckpoint
		}
	}
	size, err := ParseSize(lines[1])
	if err != nil {
		return Checkpoint{}, err
	}
	root, err := ParseHash(lines[2])
	if err != nil {
		return Checkpoint{}, err
	}
	return Checkpoint{Origin: lines[0], Size: size, Root: root}, nil
}

// ParseSize reads a tree size as the formats write it: decimal, no sign, no leading zeroes, below
// 2⁶³.
func ParseSize(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil || strconv.FormatUint(n, 10) != s {
		return 0, ErrCheckpoint
	}
	return n, nil
}

// ParseHash reads a hash in standard base64 with padding; any other spelling of it is refused.
func ParseHash(s string) (ledger.Hash, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != sha256.Size || len(s) != base64.StdEncoding.EncodedLen(sha256.Size) {
		return ledger.Hash{}, ErrCheckpoint
	}
	return ledger.Hash(b), nil
}
