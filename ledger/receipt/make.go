package receipt

import (
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/trust"
)

// maxTree is the largest tree that a proof is made in. No log has so many entries; tlog's walk down a
// tree does not end in larger ones.
const maxTree = 1 << 62

// Make proves an entry from the tiles of its log. The proof is checked before it is returned, so a
// receipt that Make gives is one that Verify accepts under the policy that judged its checkpoint. ErrNotYet while no checkpoint covers
// the entry; ErrInclusion when the tree holds another entry at its index; else what the tiles or the
// checkpoint are refused for.
func Make(ctx context.Context, t Tiles, judge trust.Judge, e ledger.Entry, opening *Opening) (Receipt, error) {
	note, c, err := readCheckpoint(ctx, t, judge)
	if err != nil {
		return Receipt{}, err
	}
	if e.Index >= c.Size {
		return Receipt{}, ErrNotYet
	}
	if c.Size > maxTree {
		return Receipt{}, trust.ErrCheckpoint.Wrap(fmt.Errorf("no log has %d entries", c.Size))
	}
	hashes := hashReader{ctx, t, c}
	leaf, err := hashes.ReadHashes([]int64{tlog.StoredHashIndex(0, int64(e.Index))})
	if err != nil {
		return Receipt{}, fmt.Errorf("receipt: read tiles: %w", err)
	}
	if ledger.Hash(leaf[0]) != e.Leaf() {
		return Receipt{}, &ledger.BadEntry{Index: e.Index, Err: ErrInclusion}
	}
	proof, err := tlog.ProveRecord(int64(c.Size), int64(e.Index), hashes)
	if err != nil {
		return Receipt{}, fmt.Errorf("receipt: prove: %w", err)
	}
	r := Receipt{Entry: e, Opening: opening, Checkpoint: note}
	for _, h := range proof {
		r.Proof = append(r.Proof, ledger.Hash(h))
	}
	if !c.Includes(e.Index, e.Leaf(), r.Proof) {
		return Receipt{}, &ledger.BadEntry{Index: e.Index, Err: ErrInclusion}
	}
	return r, nil
}

// hashReader reads single hashes of a tree through its tiles.
type hashReader struct {
	ctx   context.Context // of the one call that it serves
	tiles Tiles
	c     trust.Signed
}

// ReadHashes is as in tlog.HashReader.
func (r hashReader) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		at := tlog.TileForIndex(8, index)
		width := min(r.c.Size>>(8*at.L)-uint64(at.N)*tileWidth, tileWidth)
		at.W = int(width)
		b, err := readTile(r.ctx, r.tiles, fmt.Sprint(at.L), uint64(at.N), at.W, tlog.HashSize)
		if err != nil {
			return nil, err
		}
		if out[i], err = tlog.HashFromTile(at, b, index); err != nil {
			return nil, &BadTile{tilePath(fmt.Sprint(at.L), uint64(at.N), at.W), uint64(at.N) << (8 * (at.L + 1)), ErrTile}
		}
	}
	return out, nil
}

// LeavesFrom are the leaf hashes that the tiles publish for index and what follows it in its tile, in a
// tree of this size. Nothing vouches for them: compare them with what is vouched for.
func LeavesFrom(ctx context.Context, t Tiles, size, index uint64) (leaves []ledger.Hash, err error) {
	n := index / tileWidth
	width := int(min(size-n*tileWidth, tileWidth))
	b, err := readTile(ctx, t, "0", n, width, tlog.HashSize)
	for b = b[min(len(b), int(index%tileWidth)*tlog.HashSize):]; len(b) > 0; b = b[tlog.HashSize:] {
		leaves = append(leaves, ledger.Hash(b[:tlog.HashSize]))
	}
	return leaves, err
}
