package hub

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/hub/admin"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/receipt"
)

// errAhead: a verification cannot compare a root that lies before the place where it begins.
var errAhead = fault.New(fault.Unavailable, "hub: the newest checkpoint is older than the entries that an earlier verification reached without one: verify again when there is a newer one")

// Verify walks the ledger from the configured origin, or from where an earlier walk ended, and every
// row digest, without a key. What is not as written is in the verdict; an error means that it could
// not read.
func (h *Hub) Verify(ctx context.Context, q admin.Verification, progress func(admin.Progress)) (admin.Verdict, error) {
	return verify(ctx, h.databases.records, h.config.Ledger.Origin, h.tiles, q, progress)
}

// VerifyStore is Hub.Verify on a database that no hub serves.
func VerifyStore(ctx context.Context, c Config, q admin.Verification, progress func(admin.Progress)) (admin.Verdict, error) {
	c = c.WithDefaults()
	tiles, err := Published(ctx, c)
	if err != nil {
		return admin.Verdict{}, err
	}
	r, closeStore, err := openRecords(ctx, c)
	if err != nil {
		return admin.Verdict{}, err
	}
	v, err := verify(ctx, r, c.Ledger.Origin, tiles, q, progress)
	return v, errors.Join(err, closeStore())
}

func verify(ctx context.Context, r ledger.Chain, origin string, tiles receipt.Tiles, q admin.Verification, progress func(admin.Progress)) (admin.Verdict, error) {
	stored, err := r.Head(ctx)
	if errors.Is(err, ledger.ErrNotFound) { // the one row that every store has from its first day on
		return admin.Verdict{Bad: &admin.Bad{Reason: ledger.ErrHead.Error()}}, nil
	}
	if err != nil {
		return admin.Verdict{}, fmt.Errorf("hub: head: %w", err)
	}
	tree, err := beginTree(origin, tiles, q)
	if err != nil {
		return admin.Verdict{}, err
	}
	walk := ledger.Walk{From: tree.state.Head, Each: tree.each, Progress: func(n uint64) {
		if progress != nil {
			progress(admin.Progress{Entries: tree.from + n, Total: stored.Size})
		}
	}}
	if stored.Size == 0 && tree.from == 0 {
		walk.From = ledger.Head{} // nothing was ever recorded
	}
	end, seen, err := walk.Verify(ctx, r)
	if err == nil && tree.at != 0 && tree.at < tree.from {
		// what was verified under a checkpoint, or in the database, is ahead of every checkpoint there is
		err = tree.older()
	}
	if err == nil {
		err = tree.compare(ctx, r, end)
	}
	v := admin.Verdict{Entries: seen.Entries, Records: seen.Records, Erased: seen.Erased,
		Accesses: seen.Accesses, Statements: seen.Statements, Leaf: hex.EncodeToString(end.Leaf[:])}
	if bad, ok := errors.AsType[*ledger.BadEntry](err); ok {
		v.Bad = &admin.Bad{Entry: bad.Index, Reason: bad.Err.Error()}
		return v, nil
	}
	if err != nil {
		return v, fmt.Errorf("hub: verify: %w", err)
	}
	if v.State, err = json.Marshal(tree.kept()); err != nil {
		return v, fmt.Errorf("hub: verify: %w", err)
	}
	return v, nil
}

// signedTree grows the Merkle tree beside a walk and compares it with the root that was signed. Only the
// walking goroutine touches it.
type signedTree struct {
	tiles receipt.Tiles
	from  uint64        // where the walk begins
	at    uint64        // size of the tree that was signed; 0 = no question
	root  string        // its root, hex
	state receipt.State // after the last good entry
	then  receipt.State // as it was at that size
}

func beginTree(origin string, tiles receipt.Tiles, q admin.Verification) (*signedTree, error) {
	t := &signedTree{tiles: tiles, at: q.At, root: q.Root}
	if q.State != nil {
		if err := json.Unmarshal(q.State, &t.state); err != nil {
			return nil, err
		}
		if t.state.Origin != origin {
			return nil, receipt.ErrOrigin
		}
	}
	t.state.Origin, t.from = origin, t.state.Head.Size
	if t.from == 0 {
		t.state.Head.Leaf = ledger.Origin(origin)
	}
	t.hold()
	return t, nil
}

func (t *signedTree) each(e ledger.Entry, leaf ledger.Hash) {
	t.state.Tree.Add(leaf)
	t.state.Head = ledger.Head{Size: e.Index + 1, Leaf: leaf, Time: e.Time}
	t.hold()
}

// older judges a checkpoint that lies before the place where the walk began: a rollback, if a newer one
// was accepted before; else there is nothing to compare it with.
func (t *signedTree) older() error {
	if t.state.Signed.Size > t.at {
		return &ledger.BadEntry{Index: t.at, Err: receipt.ErrRollback}
	}
	return errAhead
}

// hold remembers the state at the size that was signed.
func (t *signedTree) hold() {
	if t.at == t.state.Head.Size {
		t.then = t.state.Clone()
	}
}

// kept is where the next walk begins: nothing that is not yet signed is taken for verified.
func (t *signedTree) kept() receipt.State {
	if t.at > 0 {
		return t.then
	}
	return t.state
}

// compare names the first entry that is not the one signed.
func (t *signedTree) compare(ctx context.Context, r ledger.Chain, end ledger.Head) error {
	if t.at == 0 {
		return nil
	}
	if end.Size < t.at {
		return &ledger.BadEntry{Index: end.Size, Err: receipt.ErrRollback}
	}
	root := t.then.Tree.Root()
	if hex.EncodeToString(root[:]) == t.root {
		t.then.Signed = receipt.Remembered{Size: t.at, Root: root}
		return nil
	}
	var published []ledger.Hash
	for row, err := range r.Rows(ctx, t.from) {
		if err != nil {
			return err
		}
		e := row.Entry
		if e.Index >= t.at {
			break
		}
		if len(published) == 0 {
			if published, err = receipt.LeavesFrom(ctx, t.tiles, t.at, e.Index); err != nil {
				break // which one, only the tiles know
			}
		}
		if published[0] != e.Leaf() {
			return &ledger.BadEntry{Index: e.Index, Err: receipt.ErrRoot}
		}
		published = published[1:]
	}
	return &ledger.BadEntry{Index: t.at - 1, Err: receipt.ErrRoot}
}
