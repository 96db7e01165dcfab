package receipt

import (
	"context"
	"errors"
	"runtime"
	"strconv"

	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/trust"
)

// State is how far a walk has come: what a later one goes on from. The zero State is the beginning of
// the log whose origin it names first. Its JSON form is kept by `dosewire verify --resume`.
type State struct {
	Origin string
	Head   ledger.Head // Size, Leaf and Time count
	Tree   Tree
	Signed Remembered // the newest checkpoint that was accepted
}

// Remembered is a signed tree that a walk has found to be as signed. The zero value is none.
type Remembered struct {
	Size uint64
	Root ledger.Hash
}

// Walker walks the published tiles of a log: every entry, every link of the chain, every hash tile and
// the root. The zero value of a field means its default.
type Walker struct {
	Tiles    Tiles
	Judge    trust.Judge
	Workers  int                // bundles that are read and hashed at the same time; default the number of CPUs, more for a URL
	Progress func(n, of uint64) // called now and then, from the walking goroutine; nil = nobody
}

// Counts are the entries of a walk by kind.
type Counts [ledger.KindAccess + 1]uint64

// Result is what a walk has seen. On an error it is what was good before it.
type Result struct {
	Checkpoint trust.Signed
	Walked     uint64      // entries, in this walk
	Kinds      Counts      // of those
	Leaf       ledger.Hash // of the last good entry
}

// Walk goes on from a state to the newest checkpoint and moves the state to the last full bundle, so
// that it never rests on a tile that is still growing. The checkpoint itself is remembered: a later one
// must be as large at least, and hold the same tree. It stops at the first thing that is wrong:
//
//   - *ledger.BadEntry with ErrEntry, ErrChain, ErrChanged (an entry was changed after it was signed)
//   - *BadTile with ErrMissingTile, ErrTile, ErrTileHash
//   - ErrRoot, ErrRollback, ErrRewritten for the log as a whole
//   - what the checkpoint is refused for
//
// ErrOrigin and ErrUnreadable are obstacles, not verdicts.
func (w Walker) Walk(ctx context.Context, from State) (State, Result, error) {
	_, c, err := readCheckpoint(ctx, w.Tiles, w.Judge)
	res := Result{Checkpoint: c}
	if err != nil {
		return from, res, err
	}
	if from.Origin == "" {
		from.Origin = c.Origin
	}
	if from.Head.Size == 0 {
		from.Head.Leaf = ledger.Origin(c.Origin)
	}
	switch {
	case from.Origin != c.Origin || from.Tree.Size() != from.Head.Size || from.Head.Size%tileWidth != 0:
		return from, res, ErrOrigin
	case c.Size < max(from.Head.Size, from.Signed.Size):
		return from, res, ErrRollback
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	run := walk{Walker: w, ctx: ctx, at: from.Clone(), end: c, res: &res}
	kept, err := run.all()
	if err == nil {
		kept.Signed = Remembered{c.Size, c.Root}
	}
	return kept, res, err
}

// Clone is a copy that can be grown apart.
func (s State) Clone() State {
	levels := s.Tree.Levels
	s.Tree.Levels = nil
	for _, l := range levels {
		s.Tree.Levels = append(s.Tree.Levels, append(make([]ledger.Hash, 0, tileWidth), l...))
	}
	return s
}

// walk is one run. Only its own goroutine touches it; readers work ahead and hand over bundles.
type walk struct {
	Walker
	ctx context.Context // ends the readers with the run
	at  State           // after the last good entry
	end trust.Signed
	res *Result
}

// bundle is what a reader has made of one entry bundle and the tile of its hashes.
type bundle struct {
	n       uint64
	entries []ledger.Entry
	leaves  []ledger.Hash
	err     error // the entries before it are good
	tileErr error // of the hash tile
	differs int   // first entry whose hash is not in the tile, -1 = none
}

func (w *walk) all() (State, error) {
	kept := w.at.Clone()
	for next := range w.readers() {
		b := <-next
		if err := w.bundle(b); err != nil {
			return kept, err
		}
		if w.Progress != nil {
			w.Progress(w.at.Head.Size, w.end.Size)
		}
		if len(b.entries) == tileWidth {
			kept = w.at.Clone()
		}
	}
	if err := w.ctx.Err(); err != nil {
		return kept, err
	}
	return kept, w.finish()
}

// readers starts reading ahead. Bundles come in order, each as soon as it and those before it are
// there.
func (w *walk) readers() <-chan chan bundle {
	workers := w.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
		if _, remote := w.Tiles.(URL); remote {
			workers *= 4
		}
	}
	queue, slots := make(chan chan bundle, workers), make(chan struct{}, workers)
	first := w.at.Head.Size / tileWidth
	go func() {
		defer close(queue)
		for n := first; n*tileWidth < w.end.Size; n++ {
			select {
			case slots <- struct{}{}:
			case <-w.ctx.Done():
				return
			}
			done := make(chan bundle, 1)
			go func() { done <- w.read(n); <-slots }()
			select {
			case queue <- done:
			case <-w.ctx.Done():
				return
			}
		}
	}()
	return queue
}

// read reads, parses and hashes one bundle.
func (w *walk) read(n uint64) bundle {
	width := int(min(w.end.Size-n*tileWidth, tileWidth))
	b := bundle{n: n, differs: -1}
	raw, err := readTile(w.ctx, w.Tiles, "entries", n, width, bundleEntry)
	if err != nil {
		b.err = err
		return b
	}
	b.entries, b.err = parseBundle(raw, n*tileWidth)
	for _, e := range b.entries {
		b.leaves = append(b.leaves, e.Leaf())
	}
	tile, err := readTile(w.ctx, w.Tiles, "0", n, width, len(ledger.Hash{}))
	if err != nil {
		b.tileErr = err
		return b
	}
	b.differs = differs(tile, b.leaves)
	return b
}

// differs is the position of the first hash that is not the tile's, -1 if none.
func differs(tile []byte, hashes []ledger.Hash) int {
	for i, h := range hashes {
		if string(tile[i*len(h):(i+1)*len(h)]) != string(h[:]) {
			return i
		}
	}
	return -1
}

// bundle follows the chain through one bundle.
func (w *walk) bundle(b bundle) error {
	first := w.at.Head.Size
	for i, e := range b.entries {
		next, err := ledger.Check(w.at.Head, e)
		if err != nil || (e.Kind == ledger.KindGenesis) != (e.Index == 0) {
			if i > 0 && b.differs == i-1 { // the entry before was changed, and this one still names the old
				return &ledger.BadEntry{Index: first + uint64(i-1), Err: ErrChanged}
			}
			return &ledger.BadEntry{Index: first + uint64(i), Err: ledger.ErrChain}
		}
		if b.differs == i && i == len(b.entries)-1 && b.err == nil {
			return w.last(b, next)
		}
		w.at.Head = next
		w.res.Walked++
		w.res.Leaf = next.Leaf
		w.res.Kinds[e.Kind]++
	}
	if b.err != nil {
		return b.err
	}
	if b.tileErr != nil {
		return b.tileErr
	}
	if b.differs >= 0 {
		return w.badHash(0, b.n, b.differs)
	}
	for i, leaf := range b.leaves {
		if err := w.at.Tree.push(0, leaf, w.upper(b.n)); err != nil {
			return err
		}
		if known := w.at.Signed; known.Size == first+uint64(i)+1 && w.at.Tree.Root() != known.Root {
			return errors.Join(ErrRoot, ErrRewritten)
		}
	}
	return nil
}

// last decides whether a bundle's last entry or its hash was changed: the entry after it knows, and
// where there is none, the root.
func (w *walk) last(b bundle, after ledger.Head) error {
	i := len(b.entries) - 1
	if next := (b.n + 1) * tileWidth; next < w.end.Size {
		raw, err := readTile(w.ctx, w.Tiles, "entries", b.n+1, int(min(w.end.Size-next, tileWidth)), bundleEntry)
		if err != nil {
			return err
		}
		if e, err := ledger.Parse(raw[2:bundleEntry]); err == nil && e.Prev == after.Leaf {
			return w.badHash(0, b.n, i)
		}
		return &ledger.BadEntry{Index: after.Size - 1, Err: ErrChanged}
	}
	whole := w.at.Clone().Tree
	for _, leaf := range b.leaves {
		whole.Add(leaf)
	}
	if whole.Root() == w.end.Root {
		return w.badHash(0, b.n, i)
	}
	return &ledger.BadEntry{Index: after.Size - 1, Err: ErrChanged}
}

// badHash names a hash tile and the first entry below the hash that is wrong.
func (w *walk) badHash(level int, n uint64, i int) error {
	width := int(min(w.end.Size>>(8*level)-n*tileWidth, tileWidth))
	return &BadTile{tilePath(strconv.Itoa(level), n, width), (n*tileWidth + uint64(i)) << (8 * level), ErrTileHash}
}

// upper checks full tiles above the leaves as they fill. n is the bundle that filled them.
func (w *walk) upper(n uint64) func(int, []ledger.Hash) error {
	return func(level int, hashes []ledger.Hash) error {
		if level == 0 {
			return nil // compared already
		}
		return w.compare(level, n>>(8*level), hashes)
	}
}

// compare reads a hash tile above the leaves and compares it with what was computed.
func (w *walk) compare(level int, n uint64, hashes []ledger.Hash) error {
	tile, err := readTile(w.ctx, w.Tiles, strconv.Itoa(level), n, len(hashes), len(ledger.Hash{}))
	if err != nil {
		return err
	}
	if i := differs(tile, hashes); i >= 0 {
		return w.badHash(level, n, i)
	}
	return nil
}

// finish compares the tiles on the right edge, and the root.
func (w *walk) finish() error {
	for level, hashes := range w.at.Tree.Levels {
		if level == 0 || len(hashes) == 0 {
			continue
		}
		if err := w.compare(level, w.end.Size>>(8*level)/tileWidth, hashes); err != nil {
			return err
		}
	}
	if w.at.Tree.Root() == w.end.Root {
		return nil
	}
	if w.res.Walked < w.end.Size {
		return errors.Join(ErrRoot, ErrRewritten)
	}
	return ErrRoot
}
