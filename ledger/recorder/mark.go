package recorder

import (
	"bytes"
	"crypto/hmac"
	"encoding/binary"
	"encoding/hex"

	"github.com/dosewire/dosewire/ledger"
)

// The present state of a prescription is no part of the ledger: decisions read it, and they write it
// anew. So that nobody but the recorder can, each row carries an HMAC under the index key, over every
// column and the state as written. It is the last member of the state's JSON object.

const (
	markBegin = `,"mark":"`
	markEnd   = `"}`
	markSize  = len(markBegin) + 2*len(ledger.Hash{}) + len(markEnd)

	markPlain   = "dosewire/prescription/v1\x00"
	markTherapy = "dosewire/prescription/v2\x00"
)

// mark signs a row that is about to be written, and whose state is its own.
func mark(k *ledger.Keyring, p *ledger.Prescription) {
	if len(p.State) < 3 || p.State[len(p.State)-1] != '}' {
		return // no object with members: it will not be taken for ours
	}
	h := markOf(k, *p, p.State)
	state := append(p.State[:len(p.State)-1], markBegin...)
	state = hex.AppendEncode(state, h[:])
	p.State = append(state, markEnd...)
}

// Intact is nil for a row that the recorder wrote as it is, else ledger.ErrState.
func Intact(k *ledger.Keyring, p ledger.Prescription) error {
	at := len(p.State) - markSize
	if at < 1 || !bytes.HasPrefix(p.State[at:], []byte(markBegin)) || !bytes.HasSuffix(p.State, []byte(markEnd)) {
		return ledger.ErrState
	}
	var got ledger.Hash
	if _, err := hex.Decode(got[:], p.State[at+len(markBegin):len(p.State)-len(markEnd)]); err != nil {
		return ledger.ErrState
	}
	state := append(bytes.Clone(p.State[:at]), '}')
	want := markOf(k, p, state)
	if !hmac.Equal(got[:], want[:]) {
		return ledger.ErrState
	}
	return nil
}

// markOf covers every column; texts are preceded by their length.
func markOf(k *ledger.Keyring, p ledger.Prescription, state []byte) ledger.Hash {
	space := markPlain
	if p.Therapy != nil {
		space = markTherapy
	}
	b := make([]byte, 0, len(space)+6*16+2*32+6*8+len(p.Status))
	b = append(b, space...)
	for _, id := range []ledger.ID{p.ID, p.Clinic, p.Patient, p.Record, p.Pharmacy, p.Holder} {
		b = append(b, id[:]...)
	}
	b = append(append(b, p.Identity[:]...), p.Group[:]...)
	for _, n := range []uint64{p.Claim, uint64(p.FillsAllowed), uint64(p.FillsDone), uint64(p.DueAt), uint64(p.Version), uint64(len(p.Status))} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	b = append(b, p.Status...)
	if p.Therapy == nil {
		return k.Fingerprint(b, state)
	}
	return k.Fingerprint(b, state, []byte{0}, p.Therapy)
}
