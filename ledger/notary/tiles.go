package notary

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"github.com/dosewire/dosewire/ledger"
)

// writers is how many objects are stored at once.
const writers = 8

// store creates objects side by side.
func store(ctx context.Context, s Storage, all []object) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(writers)
	for _, o := range all {
		g.Go(func() error { return s.Create(ctx, o.path, o.data) })
	}
	err := g.Wait()
	if errors.Is(err, ErrDiffers) {
		return ErrRewrite.Wrap(err)
	}
	if err != nil {
		return fmt.Errorf("notary: store tiles: %w", err)
	}
	return nil
}

// prune lets go of the partial tiles beside full ones, where the storage can.
func prune(ctx context.Context, s Storage, full []string) error {
	p, ok := s.(pruner)
	if !ok {
		return nil
	}
	for _, path := range full {
		if err := p.Prune(ctx, path+".p"); err != nil {
			return fmt.Errorf("notary: prune: %w", err)
		}
	}
	return nil
}

// fetch reads the first w of a tile's elements, each size bytes long: from the partial tile, or
// from the full one when that has taken its place.
func fetch(ctx context.Context, s Register, path string, w, size int) ([]byte, error) {
	data, err := s.Get(ctx, path)
	if whole, _, is := strings.Cut(path, ".p/"); is && errors.Is(err, ErrNoObject) {
		data, err = s.Get(ctx, whole)
		if len(data) == width*size {
			data = data[:w*size]
		}
	}
	if err != nil {
		return nil, fmt.Errorf("notary: read %s: %w", path, err)
	}
	if len(data) != w*size {
		return nil, ErrState.Wrap(fmt.Errorf("%s has %d bytes, want %d", path, len(data), w*size))
	}
	return data, nil
}

const entrySize = 2 + ledger.EntrySize

// readEdge reads the right edge of a tree of this size from its tiles. Whether it is the right one is
// for the caller to check by its root; the bundle is checked here against its leaves.
func readEdge(ctx context.Context, s Register, size uint64) (*tree, error) {
	t := &tree{size: size}
	for level := 0; size>>(height*level) > 0; level++ {
		n := size >> (height * level)
		w := int(n % width)
		t.levels = append(t.levels, nil)
		if w == 0 {
			continue
		}
		data, err := fetch(ctx, s, tilePath(level, n>>height, w), w, tlog.HashSize)
		if err != nil {
			return nil, err
		}
		for i := range w {
			t.levels[level] = append(t.levels[level], tlog.Hash(data[i*tlog.HashSize:]))
		}
	}
	return t, t.readBundle(ctx, s)
}

func (t *tree) readBundle(ctx context.Context, s Register) (err error) {
	w := int(t.size % width)
	if w == 0 {
		return nil
	}
	path := entriesPath(t.size>>height, w)
	if t.bundle, err = fetch(ctx, s, path, w, entrySize); err != nil {
		return err
	}
	for i := range w {
		one := t.bundle[i*entrySize:][:entrySize]
		if binary.BigEndian.Uint16(one) != ledger.EntrySize || tlog.RecordHash(one[2:]) != t.levels[0][i] {
			return ErrState.Wrap(fmt.Errorf("%s does not fit its tile", path))
		}
	}
	return nil
}

// prove makes the consistency proof from an older size, out of the tiles, which it checks against
// the root.
func prove(ctx context.Context, s Register, size uint64, root ledger.Hash, old uint64) ([]tlog.Hash, error) {
	if old == 0 || old == size {
		return nil, nil
	}
	r := tlog.TileHashReader(tlog.Tree{N: int64(size), Hash: tlog.Hash(root)}, tileReader{ctx, s})
	proof, err := tlog.ProveTree(int64(size), int64(old), r)
	if err != nil {
		return nil, fmt.Errorf("notary: prove %d to %d: %w", old, size, err)
	}
	return proof, nil
}

// tileReader is tlog's view of a Register.
type tileReader struct {
	ctx context.Context
	s   Register
}

func (r tileReader) Height() int { return height }

func (r tileReader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	all := make([][]byte, len(tiles))
	for i, t := range tiles {
		var err error
		if all[i], err = fetch(r.ctx, r.s, tilePath(t.L, uint64(t.N), t.W), t.W, tlog.HashSize); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (r tileReader) SaveTiles([]tlog.Tile, [][]byte) {}
