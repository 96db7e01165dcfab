package notary

import (
	"encoding/binary"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dosewire/dosewire/ledger"
)

// C2SP tlog-tiles: tiles are eight levels high, 256 hashes wide.
const (
	height = 8
	width  = 1 << height
)

// tree is the right edge of the Merkle tree: for each level of tiles the hashes of the one that is
// not full yet, and the entries of the last bundle. All to the left of it is in full tiles.
type tree struct {
	size   uint64
	levels [][]tlog.Hash // each shorter than width
	bundle []byte        // of the entries beside levels[0]
}

// object is something to be published.
type object struct {
	path string
	data []byte
}

// add appends one entry and returns the tiles that it made full.
func (t *tree) add(e ledger.Entry) (full []object) {
	raw := e.Bytes()
	t.bundle = appendEntry(t.bundle, raw[:])
	h := tlog.RecordHash(raw[:])
	index := t.size
	t.size++
	for level := 0; ; level++ {
		if level == len(t.levels) {
			t.levels = append(t.levels, nil)
		}
		t.levels[level] = append(t.levels[level], h)
		if len(t.levels[level]) < width {
			return full
		}
		index >>= height
		if level == 0 {
			full = append(full, object{entriesPath(index, width), t.bundle})
			t.bundle = nil
		}
		full = append(full, object{tilePath(level, index, width), joined(t.levels[level])})
		h = perfect(t.levels[level])
		t.levels[level] = nil
	}
}

// appendEntry is the coding of entry bundles: a big-endian uint16 length before each entry.
func appendEntry(b, raw []byte) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(raw))), raw...)
}

// partial returns what is not full at this size, but was not there, or narrower, at size before.
func (t *tree) partial(before uint64) (some []object) {
	for level, hashes := range t.levels {
		w := len(hashes)
		covered := uint(height * level)
		if w == 0 || t.size>>covered == before>>covered {
			continue
		}
		n := t.size >> covered >> height
		if level == 0 {
			some = append(some, object{entriesPath(n, w), slices.Clone(t.bundle)})
		}
		some = append(some, object{tilePath(level, n, w), joined(hashes)})
	}
	return some
}

// edge is the tree as perfect subtrees, the largest first: what the root is made of.
func (t *tree) edge() (all []ledger.Hash) {
	for _, hashes := range slices.Backward(t.levels) {
		for w := width / 2; w > 0; w /= 2 {
			if len(hashes)&w != 0 {
				all = append(all, ledger.Hash(perfect(hashes[:w])))
				hashes = hashes[w:]
			}
		}
	}
	return all
}

// root folds an edge; RFC 6962 gives the empty tree SHA-256 of nothing, which is never asked for here.
func root(edge []ledger.Hash) (h ledger.Hash) {
	for i, sub := range slices.Backward(edge) {
		if i == len(edge)-1 {
			h = sub
			continue
		}
		h = ledger.Hash(tlog.NodeHash(tlog.Hash(sub), tlog.Hash(h)))
	}
	return h
}

// perfect is the hash of a perfect subtree over 2ⁿ hashes.
func perfect(h []tlog.Hash) tlog.Hash {
	if len(h) == 1 {
		return h[0]
	}
	return tlog.NodeHash(perfect(h[:len(h)/2]), perfect(h[len(h)/2:]))
}

// clone is a tree that grows apart from t.
func (t *tree) clone() *tree {
	c := &tree{size: t.size, bundle: slices.Clone(t.bundle)}
	for _, hashes := range t.levels {
		c.levels = append(c.levels, slices.Clone(hashes))
	}
	return c
}

func joined(hashes []tlog.Hash) []byte {
	b := make([]byte, 0, len(hashes)*tlog.HashSize)
	for _, h := range hashes {
		b = append(b, h[:]...)
	}
	return b
}

// tilePath and entriesPath are where C2SP tlog-tiles puts tile n, of which w hashes are there.
func tilePath(level int, n uint64, w int) string {
	return strings.Replace(tlog.Tile{H: height, L: level, N: int64(n), W: w}.Path(), "tile/8/", "tile/", 1)
}

func entriesPath(n uint64, w int) string {
	return strings.Replace(tlog.Tile{H: height, L: -1, N: int64(n), W: w}.Path(), "tile/8/data/", "tile/entries/", 1)
}
