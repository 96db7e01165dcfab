package witness

import (
	"bytes"
	"strings"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/trust"
)

// Limits of a request: C2SP tlog-witness allows 63 proof lines.
const (
	maxRequest = 64 << 10
	maxProof   = 63
)

// ErrRequest says that a body is not an add-checkpoint request.
var ErrRequest = fault.New(fault.Invalid, "witness: not an add-checkpoint request")

// request is an add-checkpoint body.
type request struct {
	old   uint64
	proof []ledger.Hash
	note  []byte
}

// parse reads a body: "old <size>", proof lines, an empty line, the note.
func parse(body []byte) (r request, err error) {
	head, rest, ok := bytes.Cut(body, []byte("\n\n"))
	if !ok || len(body) > maxRequest {
		return request{}, ErrRequest
	}
	lines := strings.Split(string(head), "\n")
	size, ok := strings.CutPrefix(lines[0], "old ")
	if !ok || len(lines)-1 > maxProof {
		return request{}, ErrRequest
	}
	if r.old, err = trust.ParseSize(size); err != nil {
		return request{}, ErrRequest
	}
	for _, line := range lines[1:] {
		h, err := trust.ParseHash(line)
		if err != nil {
			return request{}, ErrRequest
		}
		r.proof = append(r.proof, h)
	}
	r.note = rest
	return r, nil
}
