package trust_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/trust"
)

// forest is a tree by another implementation.
type forest struct{ stored []tlog.Hash }

func (f *forest) ReadHashes(at []int64) (all []tlog.Hash, err error) {
	for _, i := range at {
		all = append(all, f.stored[i])
	}
	return all, nil
}

func grown(t testing.TB, n int64) *forest {
	t.Helper()
	f := &forest{}
	for i := range n {
		hashes, err := tlog.StoredHashes(i, fmt.Append(nil, i), f)
		if err != nil {
			t.Fatal(err)
		}
		f.stored = append(f.stored, hashes...)
	}
	return f
}

func (f *forest) at(t testing.TB, size int64) trust.Checkpoint {
	t.Helper()
	root, err := tlog.TreeHash(size, f)
	if err != nil {
		t.Fatal(err)
	}
	return trust.Checkpoint{Size: uint64(size), Root: ledger.Hash(root)}
}

func hashes(all []tlog.Hash) (out []ledger.Hash) {
	for _, h := range all {
		out = append(out, ledger.Hash(h))
	}
	return out
}

// wrong are proofs that differ from a good one in one thing.
func wrong(good []ledger.Hash) map[string][]ledger.Hash {
	all := map[string][]ledger.Hash{"one more": append(append([]ledger.Hash(nil), good...), ledger.Hash{1})}
	if n := len(good); n > 0 {
		all["one less"], all["first gone"] = good[:n-1], good[1:]
		changed := append([]ledger.Hash(nil), good...)
		changed[n/2][7] ^= 1
		all["changed"] = changed
	}
	return all
}

// TestProofs judges every proof between small trees as another implementation makes them, and none
// that differs in one hash, its length or a size.
func TestProofs(t *testing.T) {
	const largest = 70
	f := grown(t, largest)
	for n := int64(1); n <= largest; n++ {
		c := f.at(t, n)
		for m := int64(0); m < n; m++ {
			record, err := tlog.ProveRecord(n, m, f)
			if err != nil {
				t.Fatal(err)
			}
			leaf, good := ledger.Hash(tlog.RecordHash(fmt.Append(nil, m))), hashes(record)
			if !c.Includes(uint64(m), leaf, good) {
				t.Errorf("entry %d of %d is refused", m, n)
			}
			for name, p := range wrong(good) {
				if c.Includes(uint64(m), leaf, p) {
					t.Errorf("entry %d of %d, %s: accepted", m, n, name)
				}
			}
			if c.Includes(uint64(n), leaf, good) || c.Includes(uint64(m), ledger.Hash{}, good) {
				t.Errorf("entry %d of %d: another index or leaf is accepted", m, n)
			}
		}
		for m := int64(1); m <= n; m++ {
			tree, err := tlog.ProveTree(n, m, f)
			if err != nil {
				t.Fatal(err)
			}
			earlier, good := f.at(t, m), hashes(tree)
			if !c.Continues(earlier, good) {
				t.Errorf("%d to %d is refused", m, n)
			}
			for name, p := range wrong(good) {
				if c.Continues(earlier, p) {
					t.Errorf("%d to %d, %s: accepted", m, n, name)
				}
			}
			for _, other := range []trust.Checkpoint{{Size: earlier.Size, Root: ledger.Hash{1}}, {Root: earlier.Root}, {Size: c.Size + 1, Root: earlier.Root}} {
				if c.Continues(other, good) {
					t.Errorf("%d to %d: it continues size %d of another tree", m, n, other.Size)
				}
			}
		}
	}
}

// TestProofsOfAbsurdSizes: sizes that no tree has are judged at once.
func TestProofsOfAbsurdSizes(t *testing.T) {
	began := time.Now()
	for _, size := range []uint64{1<<62 - 1, 1 << 62, 1<<62 + 1, 1<<63 - 1, 1 << 63, math.MaxUint64} {
		c := trust.Checkpoint{Size: size}
		for _, at := range []uint64{0, 1, 1 << 61, 1 << 62, size - 1} {
			for n := range 65 {
				proof := make([]ledger.Hash, n)
				if c.Includes(at, ledger.Hash{1}, proof) || c.Continues(trust.Checkpoint{Size: at, Root: ledger.Hash{1}}, proof) {
					t.Errorf("size %d, %d, %d hashes: accepted", size, at, n)
				}
			}
		}
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

// FuzzProof: every proof is judged in bounded time, and as the other implementation judges it where
// that one comes to an end.
func FuzzProof(f *testing.F) {
	f.Add(uint64(5), uint64(300), make([]byte, 9*32))
	f.Add(uint64(1), uint64(1<<63-1), make([]byte, 32))
	f.Add(uint64(1<<62), uint64(1<<62+1), []byte{})
	f.Fuzz(func(t *testing.T, at, size uint64, raw []byte) {
		var proof []ledger.Hash
		for ; len(raw) >= 32 && len(proof) < 64; raw = raw[32:] {
			proof = append(proof, ledger.Hash(raw))
		}
		c, leaf := trust.Checkpoint{Size: size, Root: ledger.Hash{1}}, ledger.Hash{2}
		includes, continues := c.Includes(at, leaf, proof), c.Continues(trust.Checkpoint{Size: at, Root: leaf}, proof)
		if size > 1<<62 || at >= size || at == 0 {
			return
		}
		var theirs []tlog.Hash
		for _, h := range proof {
			theirs = append(theirs, tlog.Hash(h))
		}
		if want := tlog.CheckRecord(theirs, int64(size), tlog.Hash(c.Root), int64(at), tlog.Hash(leaf)) == nil; want != includes {
			t.Errorf("entry %d of %d: %v, another implementation says %v", at, size, includes, want)
		}
		if want := tlog.CheckTree(theirs, int64(size), tlog.Hash(c.Root), int64(at), tlog.Hash(leaf)) == nil; want != continues {
			t.Errorf("%d to %d: %v, another implementation says %v", at, size, continues, want)
		}
	})
}
