package receipt

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"

	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/trust"
)

// MediaType of a receipt. Files end in .tlog-proof.
const MediaType = "text/plain; charset=utf-8"

const (
	proofHeader = "c2sp.org/tlog-proof@v1"
	maxReceipt  = 128 << 10 // bytes
	maxHashes   = 63        // the longest proof in a tree of fewer than 2⁶³ entries
)

// Opening is the secret beside the message that a commitment covers.
type Opening = [ledger.OpeningSize]byte

// Receipt proves that an entry is in the tree that a checkpoint names. Opening is nil for entries
// without a commitment, and where the holder may not see the whole message.
type Receipt struct {
	Entry      ledger.Entry
	Opening    *Opening
	Proof      []ledger.Hash // from the leaf's sibling up (RFC 6962 2.1.1)
	Checkpoint []byte        // signed note, as published
}

// Bytes is the receipt as a C2SP tlog-proof.
func (r Receipt) Bytes() []byte {
	entry := r.Entry.Bytes()
	extra := entry[:]
	if r.Opening != nil {
		extra = append(extra, r.Opening[:]...)
	}
	b := fmt.Appendf(nil, "%s\nextra %s\nindex %d\n", proofHeader, base64.StdEncoding.EncodeToString(extra), r.Entry.Index)
	for _, h := range r.Proof {
		b = base64.StdEncoding.AppendEncode(b, h[:])
		b = append(b, '\n')
	}
	b = append(b, '\n')
	return append(b, r.Checkpoint...)
}

// Parse reads a receipt, and nothing but the one spelling of it. It believes nothing: see Verify.
// ErrFormat; ledger.ErrEntry when the extra line holds no entry; ErrIndex when that entry is another.
func Parse(b []byte) (Receipt, error) {
	if len(b) > maxReceipt {
		return Receipt{}, ErrFormat
	}
	head, checkpoint, ok := bytes.Cut(b, []byte("\n\n"))
	lines := bytes.Split(head, []byte("\n"))
	if !ok || len(lines) < 3 || len(lines) > 3+maxHashes || string(lines[0]) != proofHeader || len(checkpoint) == 0 {
		return Receipt{}, ErrFormat
	}
	r := Receipt{Checkpoint: checkpoint}
	if err := r.extra(lines[1]); err != nil {
		return Receipt{}, err
	}
	index, ok := bytes.CutPrefix(lines[2], []byte("index "))
	if !ok {
		return Receipt{}, ErrFormat
	}
	n, err := trust.ParseSize(string(index))
	if err != nil {
		return Receipt{}, ErrFormat
	}
	if n != r.Entry.Index {
		return Receipt{}, ErrIndex
	}
	for _, line := range lines[3:] {
		h, err := trust.ParseHash(string(line))
		if err != nil {
			return Receipt{}, ErrFormat
		}
		r.Proof = append(r.Proof, h)
	}
	return r, nil
}

// extra reads entry and opening.
func (r *Receipt) extra(line []byte) (err error) {
	text, ok := bytes.CutPrefix(line, []byte("extra "))
	raw, err := base64.StdEncoding.Strict().DecodeString(string(text))
	if !ok || err != nil || len(text) != base64.StdEncoding.EncodedLen(len(raw)) {
		return ErrFormat
	}
	switch len(raw) {
	case ledger.EntrySize:
	case ledger.EntrySize + ledger.OpeningSize:
		o := Opening(raw[ledger.EntrySize:])
		r.Opening = &o
	default:
		return ErrFormat
	}
	r.Entry, err = ledger.Parse(raw[:ledger.EntrySize])
	return err
}

// Verdict is what a good receipt shows.
type Verdict struct {
	trust.Signed
	Entry   ledger.Entry
	Message bool // the message was given, and is the one recorded
}

// Verify judges a receipt by a policy. message is the plaintext as it was received, or nil when the
// holder does not have it: then the verdict is about the entry alone. No network, no key, no clock.
//
// Errors, in the order in which they are looked for: ErrFormat, ledger.ErrEntry, ErrIndex,
// trust.ErrCheckpoint, trust.ErrSignature, trust.ErrQuorum, ErrIndex again when the tree is smaller, ErrInclusion,
// ErrOpening, ErrCommitment.
func Verify(receipt []byte, p *trust.Policy, message []byte) (Verdict, error) {
	r, err := Parse(receipt)
	if err != nil {
		return Verdict{}, err
	}
	v := Verdict{Entry: r.Entry}
	if v.Signed, err = p.Open(r.Checkpoint); err != nil {
		return v, err
	}
	if r.Entry.Index >= v.Size {
		return v, ErrIndex
	}
	if !v.Includes(r.Entry.Index, r.Entry.Leaf(), r.Proof) {
		return v, ErrInclusion
	}
	if message == nil {
		return v, nil
	}
	if r.Opening == nil {
		return v, ErrOpening
	}
	if commit(*r.Opening, message) != r.Entry.Commitment {
		return v, ErrCommitment
	}
	v.Message = true
	return v, nil
}

// commit is SHA-256(opening ‖ message).
func commit(o Opening, message []byte) (h ledger.Hash) {
	d := sha256.New()
	d.Write(o[:])
	d.Write(message)
	d.Sum(h[:0])
	return h
}

// FileName is what a receipt is saved as.
func FileName(index uint64) string { return strconv.FormatUint(index, 10) + ".tlog-proof" }
