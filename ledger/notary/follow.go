package notary

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/trust"
)

const (
	// atOnce is how many entries are read in one query.
	atOnce = 4096
	// ahead is how far an entry's time may be before the notary's clock.
	ahead = 2 * time.Second
	// behind is how far the time of an entry that has just been made may be behind the notary's clock.
	behind = 5 * time.Second
)

// position is the end of what was checked.
type position struct {
	size uint64
	leaf ledger.Hash // of the last entry; of an empty ledger SHA-256(origin)
	time int64       // of the last entry, unix ms
}

// next checks that an entry follows, by its own bytes alone.
func (p position) next(e ledger.Entry, now time.Time) (position, error) {
	switch {
	case e.Index > p.size:
		return p, at(p.size, ErrGap)
	case e.Index < p.size, e.Prev != p.leaf, (e.Kind == ledger.KindGenesis) != (e.Index == 0):
		return p, at(p.size, ErrRewrite)
	case e.Time < p.time:
		return p, at(p.size, ErrClock.Wrap(errors.New("it goes back")))
	case e.Time > now.Add(ahead).UnixMilli():
		return p, at(p.size, ErrClock.Wrap(fmt.Errorf("it is %v ahead", time.UnixMilli(e.Time).Sub(now).Round(time.Millisecond))))
	}
	return position{p.size + 1, e.Leaf(), e.Time}, nil
}

func (n *Notary) position() position {
	if n.state.Size == 0 {
		return position{leaf: ledger.Origin(n.config.Origin)}
	}
	return position{n.state.Size, ledger.Hash(n.state.Leaf), n.state.Time}
}

// recall demands that the ledger still holds the last entry that was signed, and at least as many.
func (n *Notary) recall(ctx context.Context) error {
	_, _, err := n.look(ctx)
	return err
}

// look reads the head and then the entries from the last signed one on, so that a chain that was
// recomputed shows even when nothing was added.
func (n *Notary) look(ctx context.Context) (ledger.Head, []ledger.Entry, error) {
	head, err := n.config.Source.Head(ctx)
	if err != nil {
		return head, nil, fmt.Errorf("notary: read head: %w", err)
	}
	p := n.position()
	if head.Size < p.size {
		return head, nil, &Rollback{p.size, head.Size}
	}
	all, head, err := n.within(ctx, head, max(p.size, 1)-1)
	switch {
	case err != nil:
		return head, nil, err
	case p.size == 0:
		return head, all, nil
	case len(all) == 0 || all[0].Index != p.size-1:
		return head, nil, at(p.size-1, ErrGap)
	case all[0].Leaf() != p.leaf:
		return head, nil, at(p.size-1, ErrRewrite)
	case head.Size == p.size && head.Leaf != p.leaf:
		return head, nil, at(p.size-1, ErrRewrite.Wrap(errors.New("the head is not the end")))
	}
	return head, all[1:], nil
}

// within reads entries that a head covers: that one or, if they were committed since it was read, the
// present one. An entry behind both was committed by nobody, and nothing is signed beside it: what was
// signed can never be taken back.
func (n *Notary) within(ctx context.Context, head ledger.Head, from uint64) ([]ledger.Entry, ledger.Head, error) {
	all, err := n.entries(ctx, from)
	if err != nil || len(all) == 0 || all[len(all)-1].Index < head.Size {
		return all, head, err
	}
	now, err := n.config.Source.Head(ctx)
	if err != nil {
		return nil, head, fmt.Errorf("notary: read head: %w", err)
	}
	if now.Size < head.Size {
		return nil, head, &Rollback{head.Size, now.Size}
	}
	for _, e := range all {
		if e.Index >= now.Size {
			return nil, head, at(e.Index, ErrBeyond)
		}
	}
	return all, now, nil
}

func (n *Notary) entries(ctx context.Context, from uint64) ([]ledger.Entry, error) {
	all, err := n.config.Source.Entries(ctx, from, atOnce)
	if err != nil {
		return nil, fmt.Errorf("notary: read entries: %w", err)
	}
	return all, nil
}

// follow takes in what is new: checks it, stores its tiles, signs, and moves the state.
func (n *Notary) follow(ctx context.Context) error {
	head, fresh, err := n.look(ctx)
	if err != nil {
		return err
	}
	before := n.position()
	g := &growth{notary: n, tree: n.tree.clone(), at: before, now: n.config.Now()}
	g.head = head
	if err := g.take(ctx, fresh); err != nil {
		return err
	}
	if g.at.size == before.size {
		n.caught = g.now
		return nil
	}
	if err := n.commit(ctx, g); err != nil {
		return err
	}
	n.late(ctx, g.first)
	n.caught = g.now
	return nil
}

// commit makes the growth the notary's own: after the swap it is bound to this tree.
func (n *Notary) commit(ctx context.Context, g *growth) error {
	if err := store(ctx, n.config.Tiles, g.tree.partial(n.state.Size)); err != nil {
		return err
	}
	s := n.state
	s.Origin, s.Size, s.Leaf, s.Time, s.Edge = n.config.Origin, g.at.size, hash(g.at.leaf), g.at.time, nil
	for _, h := range g.tree.edge() {
		s.Edge = append(s.Edge, hash(h))
	}
	var err error
	if s.Signed, err = n.sign(s.checkpoint()); err != nil {
		return err
	}
	if err := n.swap(ctx, s); err != nil {
		return err
	}
	n.tree = g.tree
	n.out.full = append(n.out.full, g.full...)
	n.out.waiting(g.first)
	return nil
}

// growth is a tree on its way to a new size.
type growth struct {
	notary *Notary
	tree   *tree
	at     position
	now    time.Time
	head   ledger.Head // covers the entries taken so far
	upTo   uint64      // stop here; 0 = at the head
	dry    bool        // store nothing
	first  int64       // time of the first new entry, unix ms

	full []string // tiles that were made full
}

// take checks and adds entries, page by page, to the end, which must be the head.
func (g *growth) take(ctx context.Context, page []ledger.Entry) error {
	for len(page) > 0 {
		if err := g.page(ctx, page); err != nil {
			return err
		}
		if g.upTo > 0 && g.at.size == g.upTo {
			return nil
		}
		if err := g.more(ctx, &page); err != nil {
			return err
		}
	}
	if g.at.size < max(g.head.Size, g.upTo) {
		return at(g.at.size, ErrGap)
	}
	return nil
}

// more reads the next page. On the way to a checkpoint that was signed before, what lies behind it is
// not taken.
func (g *growth) more(ctx context.Context, page *[]ledger.Entry) (err error) {
	if g.upTo > 0 {
		*page, err = g.notary.entries(ctx, g.at.size)
		return err
	}
	*page, g.head, err = g.notary.within(ctx, g.head, g.at.size)
	return err
}

func (g *growth) page(ctx context.Context, page []ledger.Entry) error {
	var full []object
	for _, e := range page {
		next, err := g.at.next(e, g.now)
		if err != nil {
			return err
		}
		if g.first == 0 {
			g.first = e.Time
		}
		full = append(full, g.tree.add(e)...)
		if next.size == g.head.Size && next.leaf != g.head.Leaf {
			return at(e.Index, ErrRewrite.Wrap(errors.New("the head is not the end")))
		}
		if g.at = next; g.upTo > 0 && g.at.size == g.upTo {
			break
		}
	}
	if g.dry {
		return nil
	}
	for _, o := range full {
		g.full = append(g.full, o.path)
	}
	return store(ctx, g.notary.config.Tiles, full)
}

// late raises an alarm, and no more, when entries carry times that lie behind the moment at which
// they were not there yet: the hub's clock is slow, or it records a backlog.
func (n *Notary) late(ctx context.Context, first int64) {
	if !n.caught.IsZero() && time.UnixMilli(first).Before(n.caught.Add(-behind)) {
		n.warn(ctx, "clock", "entries are made with times that lie behind")
	}
}

// warn counts and logs what does not stop the notary.
func (n *Notary) warn(ctx context.Context, alarm, text string) {
	n.metrics.alarm(ctx, alarm)
	n.config.Log.WarnContext(ctx, "notary: "+strings.TrimSpace(text))
}

// ensure loads the state and the right edge of the tree, or makes them anew from the ledger.
func (n *Notary) ensure(ctx context.Context) error {
	if n.tree != nil {
		return nil
	}
	s, stored, err := loadState(ctx, n.config.State)
	if err != nil {
		return err
	}
	n.stored = stored
	if s == nil {
		return n.begin(ctx)
	}
	if err := s.check(n.config.Origin, n.config.Verifier); err != nil {
		return err
	}
	n.state = *s
	if err := n.findPublished(ctx); err != nil {
		return err
	}
	t, err := readEdge(ctx, n.config.Tiles, s.Size)
	if err == nil && root(t.edge()) == s.root() {
		n.tree = t
		return nil
	}
	if err != nil && !errors.Is(err, ErrNoObject) && !errors.Is(err, ErrState) {
		return err
	}
	return n.rebuild(ctx, s.checkpoint())
}

// begin starts without a state. What was published earlier, with this key, is a state too: the
// ledger must still lead there.
func (n *Notary) begin(ctx context.Context) error {
	n.state = state{Origin: n.config.Origin}
	if err := n.findPublished(ctx); err != nil {
		return err
	}
	if n.out.note == nil {
		n.tree = &tree{}
		return nil
	}
	return n.rebuild(ctx, n.out.checkpoint)
}

// rebuild makes the tree of a checkpoint from the ledger, entry by entry, and stores what is missing
// of its tiles. A ledger that does not lead to this checkpoint is not the one that was signed.
func (n *Notary) rebuild(ctx context.Context, c trust.Checkpoint) error {
	n.config.Log.WarnContext(ctx, "notary: the tree is made anew from the ledger")
	head, err := n.config.Source.Head(ctx)
	if err != nil {
		return fmt.Errorf("notary: read head: %w", err)
	}
	if head.Size < c.Size {
		return &Rollback{c.Size, head.Size}
	}
	// First without storing anything: tiles of another ledger must not get in the way of the right ones.
	if _, err := n.regrow(ctx, c, true); err != nil {
		return err
	}
	g, err := n.regrow(ctx, c, false)
	if err != nil {
		return err
	}
	if n.state.Size == c.Size { // the state was there, only tiles were missing
		if err := store(ctx, n.config.Tiles, g.tree.partial(0)); err != nil {
			return err
		}
		n.tree = g.tree
		return nil
	}
	if err := n.commit(ctx, g); err != nil {
		return err
	}
	n.out.first = 0 // it was published
	return nil
}

// regrow is the tree of a checkpoint, from the first entry on.
func (n *Notary) regrow(ctx context.Context, c trust.Checkpoint, dry bool) (*growth, error) {
	g := &growth{notary: n, tree: &tree{}, at: position{leaf: ledger.Origin(n.config.Origin)}, now: n.config.Now(), upTo: c.Size, dry: dry}
	page, err := n.entries(ctx, 0)
	if err != nil {
		return nil, err
	}
	if err := g.take(ctx, page); err != nil {
		return nil, err
	}
	if root(g.tree.edge()) != c.Root {
		return nil, ErrRewrite.Wrap(fmt.Errorf("the first %d entries have another root than was signed", c.Size))
	}
	return g, nil
}
