package receipt

import (
	"crypto/sha256"

	"github.com/dosewire/dosewire/ledger"
)

// Tree is the right edge of a Merkle tree (RFC 6962) over the entries seen so far: for each tile level
// the hashes that do not fill a tile yet. The zero Tree is empty. It is what Walker and a walk of the
// database remember between runs. Not safe for concurrent use.
type Tree struct {
	Levels [][]ledger.Hash // each shorter than 256; Levels[0] are leaves
}

// Add appends a leaf.
func (t *Tree) Add(leaf ledger.Hash) {
	_ = t.push(0, leaf, nil) // without a check nothing fails
}

// push appends a hash to a tile level. A tile that is full is handed to check, if there is one, and
// its root goes to the level above.
func (t *Tree) push(level int, h ledger.Hash, check func(level int, tile []ledger.Hash) error) error {
	for len(t.Levels) <= level {
		t.Levels = append(t.Levels, nil)
	}
	t.Levels[level] = append(t.Levels[level], h)
	if len(t.Levels[level]) < tileWidth {
		return nil
	}
	if check != nil {
		if err := check(level, t.Levels[level]); err != nil {
			return err
		}
	}
	root := rootOf(t.Levels[level])
	t.Levels[level] = t.Levels[level][:0]
	return t.push(level+1, root, check)
}

// Size is the number of entries.
func (t *Tree) Size() (n uint64) {
	for level, hashes := range t.Levels {
		n += uint64(len(hashes)) << (8 * level)
	}
	return n
}

// Root is the tree's hash; of no entries, SHA-256 of nothing.
func (t *Tree) Root() ledger.Hash {
	var edge []subtree
	for level := len(t.Levels) - 1; level >= 0; level-- {
		for _, h := range t.Levels[level] {
			edge = grow(edge, subtree{h, 8 * level})
		}
	}
	if len(edge) == 0 {
		return sha256.Sum256(nil)
	}
	root := edge[len(edge)-1].hash
	for i := len(edge) - 2; i >= 0; i-- {
		root = node(edge[i].hash, root)
	}
	return root
}

// subtree is a full tree over 2^height entries.
type subtree struct {
	hash   ledger.Hash
	height int
}

// grow appends a subtree that is no higher than those before it, and joins what is of equal height.
func grow(edge []subtree, s subtree) []subtree {
	for len(edge) > 0 && edge[len(edge)-1].height == s.height {
		s = subtree{node(edge[len(edge)-1].hash, s.hash), s.height + 1}
		edge = edge[:len(edge)-1]
	}
	return append(edge, s)
}

// rootOf is the root of a full tile.
func rootOf(tile []ledger.Hash) ledger.Hash {
	var row [tileWidth]ledger.Hash
	n := copy(row[:], tile)
	for ; n > 1; n /= 2 {
		for i := range n / 2 {
			row[i] = node(row[2*i], row[2*i+1])
		}
	}
	return row[0]
}

// node is SHA-256(01 ‖ left ‖ right).
func node(left, right ledger.Hash) ledger.Hash {
	var b [1 + 2*sha256.Size]byte
	b[0] = 1
	copy(b[1:], left[:])
	copy(b[1+sha256.Size:], right[:])
	return sha256.Sum256(b[:])
}
