package trust

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

// Checkpoint is the head of a log's tree: C2SP tlog-checkpoint.
type Checkpoint struct {
	Origin string      // the log's name, one line
	Size   uint64      // entries in the tree
	Root   ledger.Hash // RFC 6962 tree hash of them
}

// ErrCheckpoint says that bytes are not a checkpoint.
var ErrCheckpoint = fault.New(fault.Tampered, "trust: not a checkpoint")

// Text is what logs and witnesses sign.
func (c Checkpoint) Text() string {
	return c.Origin + "\n" + strconv.FormatUint(c.Size, 10) + "\n" + base64.StdEncoding.EncodeToString(c.Root[:]) + "\n"
}

// Unjudged reads a signed checkpoint without asking who signed it: for its own publisher.
// ErrCheckpoint.
func Unjudged(note []byte) (Signed, error) {
	text, _, err := splitNote(note)
	if err != nil {
		return Signed{}, ErrCheckpoint.Wrap(err)
	}
	c, err := ParseCheckpoint(string(text))
	return Signed{Checkpoint: c}, err
}

// ParseCheckpoint reads the text of a note, without its signatures. Extension lines after the third
// are allowed and ignored, as the specification says; the log has signed them.
func ParseCheckpoint(text string) (Checkpoint, error) {
	body, whole := strings.CutSuffix(text, "\n")
	lines := strings.Split(body, "\n")
	if len(text) > MaxNote || !whole || len(lines) < 3 || lines[0] == "" {
		return Checkpoint{}, ErrCheckpoint.Wrap(errors.New("not origin, size and root"))
	}
	for _, extension := range lines[3:] {
		if extension == "" {
			return Checkpoint{}, ErrCheckpoint.Wrap(errors.New("an empty extension line"))
		}
	}
	size, err := ParseSize(lines[1])
	if err != nil {
		return Checkpoint{}, ErrCheckpoint.Wrap(err)
	}
	root, err := ParseHash(lines[2])
	if err != nil {
		return Checkpoint{}, ErrCheckpoint.Wrap(err)
	}
	return Checkpoint{Origin: lines[0], Size: size, Root: root}, nil
}

// ParseSize reads a tree size as the formats write it: decimal, below 2⁶³, in its one spelling.
func ParseSize(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || strconv.FormatUint(n, 10) != text {
		return 0, fmt.Errorf("not a number")
	}
	return n, nil
}

// ParseHash reads a hash in standard base64 with padding; any other spelling of it is refused.
func ParseHash(text string) (h ledger.Hash, err error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != len(h) || len(text) != base64.StdEncoding.EncodedLen(len(h)) {
		return h, fmt.Errorf("not a hash")
	}
	return ledger.Hash(raw), nil
}
