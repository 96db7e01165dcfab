package trust

import (
	"crypto/sha256"
	"math/bits"

	"github.com/dosewire/dosewire/ledger"
)

// A proof has at most as many steps as a size has bits. Both judgements below take as many steps as the
// proof has hashes, whatever the sizes are: a checkpoint can name a tree that nobody could have built, and
// the libraries for sizes that are known to be sane do not come back from those.

// Includes says whether a proof leads from an entry's leaf to the root (RFC 9162 2.1.3.2).
func (c Checkpoint) Includes(index uint64, leaf ledger.Hash, proof []ledger.Hash) bool {
	if index >= c.Size {
		return false
	}
	fn, sn, r := index, c.Size-1, leaf
	for _, p := range proof {
		if sn == 0 {
			return false
		}
		if fn&1 == 1 || fn == sn {
			r = node(p, r)
			up := bits.TrailingZeros64(fn) % 64 // of fn = 0 none
			fn, sn = fn>>up, sn>>up
		} else {
			r = node(r, p)
		}
		fn, sn = fn>>1, sn>>1
	}
	return sn == 0 && r == c.Root
}

// Continues says whether a proof shows that the first entries of this tree are those of an earlier
// checkpoint, which is not empty (RFC 9162 2.1.4.2). Of a tree and itself the proof is empty.
func (c Checkpoint) Continues(earlier Checkpoint, proof []ledger.Hash) bool {
	switch {
	case earlier.Size == 0 || earlier.Size > c.Size:
		return false
	case earlier.Size == c.Size:
		return len(proof) == 0 && earlier.Root == c.Root
	}
	if earlier.Size&(earlier.Size-1) == 0 { // the earlier tree is one of the subtrees that the proof begins with
		proof = append([]ledger.Hash{earlier.Root}, proof...)
	}
	if len(proof) == 0 {
		return false
	}
	up := bits.TrailingZeros64(earlier.Size)
	fn, sn := (earlier.Size-1)>>up, (c.Size-1)>>up
	before, now := proof[0], proof[0]
	for _, p := range proof[1:] {
		if sn == 0 {
			return false
		}
		if fn&1 == 1 || fn == sn {
			before, now = node(p, before), node(p, now)
			up := bits.TrailingZeros64(fn) % 64
			fn, sn = fn>>up, sn>>up
		} else {
			now = node(now, p)
		}
		fn, sn = fn>>1, sn>>1
	}
	return sn == 0 && before == earlier.Root && now == c.Root
}

// node is SHA-256(01 ‖ left ‖ right).
func node(left, right ledger.Hash) ledger.Hash {
	var b [1 + 2*sha256.Size]byte
	b[0] = 1
	copy(b[1:], left[:])
	copy(b[1+sha256.Size:], right[:])
	return sha256.Sum256(b[:])
}
