package notary_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/notary"
	"github.com/dosewire/dosewire/ledger/notary/witness"
	"github.com/dosewire/dosewire/ledger/trust"
)

const origin = "dosewire.test/ledger/1"

// chain is a ledger in memory, which its owner can rewrite.
type chain struct {
	mu      sync.Mutex
	head    ledger.Head
	entries []ledger.Entry
	now     func() time.Time
	err     error // of the next reads
	read    int   // entries handed out
}

func newChain() *chain {
	return &chain{head: ledger.Head{Leaf: ledger.Origin(origin)}, now: time.Now}
}

func (c *chain) Head(context.Context) (ledger.Head, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.head, c.err
}

func (c *chain) Entries(_ context.Context, from uint64, limit int) ([]ledger.Entry, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := min(from, uint64(len(c.entries)))
	page := slices.Clone(c.entries[i:min(uint64(len(c.entries)), i+uint64(limit))])
	c.read += len(page)
	return page, c.err
}

func (c *chain) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for range n {
		kind := ledger.KindRecord
		if c.head.Size == 0 {
			kind = ledger.KindGenesis
		}
		var digest, commitment ledger.Hash
		rand.Read(digest[:])
		rand.Read(commitment[:])
		var e ledger.Entry
		e, c.head = ledger.Link(c.head, kind, c.now(), digest, commitment)
		c.entries = append(c.entries, e)
	}
}

// relink recomputes the chain from an index on, as a database's owner would.
func (c *chain) relink(from int) {
	head := ledger.Head{Leaf: ledger.Origin(origin)}
	for i, e := range c.entries {
		if i < from {
			head.Size, head.Leaf, head.Time = head.Size+1, e.Leaf(), e.Time
			continue
		}
		c.entries[i], head = ledger.Link(head, e.Kind, time.UnixMilli(e.Time), e.Digest, e.Commitment)
	}
	c.head = head
}

// cut removes the tail.
func (c *chain) cut(n int) { c.entries = c.entries[:n]; c.relink(0) }

// root is the tree hash by another implementation.
func (c *chain) root(t testing.TB, size int) ledger.Hash {
	t.Helper()
	var stored []tlog.Hash
	read := tlog.HashReaderFunc(func(at []int64) (all []tlog.Hash, err error) {
		for _, i := range at {
			all = append(all, stored[i])
		}
		return all, nil
	})
	for i, e := range c.entries[:size] {
		raw := e.Bytes()
		hashes, err := tlog.StoredHashes(int64(i), raw[:], read)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hashes...)
	}
	h, err := tlog.TreeHash(int64(size), read)
	if err != nil {
		t.Fatal(err)
	}
	return ledger.Hash(h)
}

// setup is a notary with everything around it.
type setup struct {
	*notary.Notary
	chain  *chain
	dir    string
	config notary.Config
	tiles  *notary.Dir
	state  *notary.Dir
	key    *notary.Key
}

func logKey(t testing.TB, dir string) *notary.Key {
	t.Helper()
	k, err := notary.LogKey(filepath.Join(dir, "key"), origin)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func openDir(t testing.TB, path string) *notary.Dir {
	t.Helper()
	d, err := notary.OpenDir(path, 0o700)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func newSetup(t testing.TB, c *chain, edit ...func(*notary.Config)) *setup {
	t.Helper()
	dir := t.TempDir()
	s := &setup{chain: c, dir: dir, tiles: openDir(t, filepath.Join(dir, "tiles")), state: openDir(t, filepath.Join(dir, "state")), key: logKey(t, dir)}
	s.config = notary.Config{Origin: origin, Source: c, State: s.state, Tiles: s.tiles, Signer: s.key, Verifier: s.key.Verifier}
	for _, e := range edit {
		e(&s.config)
	}
	s.reopen(t)
	return s
}

// reopen is the notary after a restart.
func (s *setup) reopen(t testing.TB) {
	t.Helper()
	n, err := notary.Open(s.config)
	if err != nil {
		t.Fatal(err)
	}
	s.Notary = n
}

func (s *setup) tick(t testing.TB) {
	t.Helper()
	if err := s.Tick(t.Context()); err != nil {
		t.Fatalf("tick: %v", err)
	}
}

// published is the checkpoint as others would read it.
func (s *setup) published(t testing.TB) trust.Signed {
	t.Helper()
	b, err := s.tiles.Get(t.Context(), "checkpoint")
	if err != nil {
		t.Fatal(err)
	}
	v, err := trust.Solo(s.key.Verifier).Open(b)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// refuses demands this alarm, that nothing was published, and that /readyz would say so.
func (s *setup) refuses(t testing.TB, want error, name string) {
	t.Helper()
	before := s.published(t)
	err := s.Tick(t.Context())
	if !errors.Is(err, want) || fault.KindOf(err) != fault.Tampered {
		t.Fatalf("tick: %v, want %v", err, want)
	}
	if got := s.Status().Alarm; got != name {
		t.Errorf("alarm %q, want %q", got, name)
	}
	if s.Healthy() == nil {
		t.Error("healthy")
	}
	if after := s.published(t); after.Checkpoint != before.Checkpoint {
		t.Errorf("published size %d after the alarm", after.Size)
	}
}

// entriesOf reads all entries from the bundles, as an auditor does.
func entriesOf(t testing.TB, d *notary.Dir, size uint64) (all [][]byte) {
	t.Helper()
	for n := uint64(0); n*256 < size; n++ {
		path := "tile/entries/" + tilePath(n, min(256, size-n*256))
		b, err := d.Get(t.Context(), path)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for len(b) > 0 {
			l := int(binary.BigEndian.Uint16(b))
			all, b = append(all, b[2:2+l]), b[2+l:]
		}
	}
	return all
}

// tilePath is written here once more, on purpose.
func tilePath(n, w uint64) string {
	digits := []byte{byte('0' + n/100%10), byte('0' + n/10%10), byte('0' + n%10)}
	path := string(digits)
	if n >= 1000 {
		path = "x" + tilePath(n/1000, 256) + "/" + path
	}
	if w < 256 {
		path += ".p/" + string(bytes.TrimLeft([]byte{byte('0' + w/100), byte('0' + w/10%10)}, "0")) + string(rune('0'+w%10))
	}
	return path
}

// witnessed is a witness on a real port.
type witnessed struct {
	*httptest.Server
	key   *notary.Key
	store *notary.Dir
	path  string
	down  bool
}

func newWitness(t testing.TB, name string, log *notary.Key) *witnessed {
	t.Helper()
	dir := t.TempDir()
	key, err := notary.WitnessKey(filepath.Join(dir, "key"), name)
	if err != nil {
		t.Fatal(err)
	}
	w := &witnessed{key: key, store: openDir(t, filepath.Join(dir, "store")), path: filepath.Join(dir, "store")}
	p, err := trust.ParsePolicy([]byte("log " + log.VKey + "\nquorum none\n"))
	if err != nil {
		t.Fatal(err)
	}
	served, err := witness.New(witness.Config{Signer: key, Policy: p, Store: w.store})
	if err != nil {
		t.Fatal(err)
	}
	h := served.Handler()
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if w.down {
			http.Error(rw, "down", http.StatusBadGateway)
			return
		}
		h.ServeHTTP(rw, r)
	}))
	t.Cleanup(w.Close)
	return w
}

func policy(t testing.TB, text string) *trust.Policy {
	t.Helper()
	p, err := trust.ParsePolicy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (w *witnessed) dir() string { return w.path }
