package receipt_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dosewire/dosewire/internal/testenv"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/receipt"
	"github.com/dosewire/dosewire/ledger/trust"
)

// published writes a log of n entries.
func published(t testing.TB, n int) (*testenv.Log, string) {
	t.Helper()
	log, dir := &testenv.Log{Origin: "dosewire.example/log", Witnesses: 1, Now: 1}, t.TempDir()
	log.Append(n, ledger.KindRecord)
	if err := log.Publish(dir); err != nil {
		t.Fatal(err)
	}
	return log, dir
}

func walker(t testing.TB, log *testenv.Log, dir string) receipt.Walker {
	return receipt.Walker{Tiles: receipt.Dir(dir), Judge: policy(t, log.Policy(1)).Open}
}

// TestTreeIsRFC6962 compares the right edge with golang.org/x/mod for every size up to three tiles.
func TestTreeIsRFC6962(t *testing.T) {
	var tree receipt.Tree
	var stored []tlog.Hash
	hashes := tlog.HashReaderFunc(func(indexes []int64) (out []tlog.Hash, err error) {
		for _, i := range indexes {
			out = append(out, stored[i])
		}
		return out, nil
	})
	for n := range int64(800) {
		want, err := tlog.TreeHash(n, hashes)
		if err != nil {
			t.Fatal(err)
		}
		if got := tree.Root(); got != ledger.Hash(want) || tree.Size() != uint64(n) {
			t.Fatalf("size %d: root %x, want %v", n, got, want)
		}
		leaf := tlog.RecordHash([]byte{byte(n), byte(n >> 8)})
		more, err := tlog.StoredHashesForRecordHash(n, leaf, hashes)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, more...)
		tree.Add(ledger.Hash(leaf))
	}
}

func TestWalkWhole(t *testing.T) {
	for _, n := range []int{1, 255, 256, 257, 700, 256*256 + 513} {
		log, dir := published(t, n)
		state, res, err := walker(t, log, dir).Walk(t.Context(), receipt.State{})
		if err != nil || res.Walked != uint64(n) || state.Head.Size != uint64(n/256*256) || res.Kinds[ledger.KindGenesis] != 1 {
			t.Errorf("%d: state at %d, %+v, %v", n, state.Head.Size, res, err)
		}
	}
}

// TestWalkResumes: what was walked is not read again, and a log that forgot or rewrote it is found.
func TestWalkResumes(t *testing.T) {
	log, dir := published(t, 700)
	w := walker(t, log, dir)
	state, _, err := w.Walk(t.Context(), receipt.State{})
	if err != nil {
		t.Fatal(err)
	}
	kept, err := json.Marshal(state)
	if err != nil {
		t.Fatal(err)
	}
	log.Append(600, ledger.KindRecord)
	if err := log.Publish(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "tile/entries/000")); err != nil {
		t.Fatal(err)
	}
	var again receipt.State
	if err := json.Unmarshal(kept, &again); err != nil {
		t.Fatal(err)
	}
	after, res, err := w.Walk(t.Context(), again)
	if err != nil || res.Walked != 1300-512 || after.Head.Size != 1280 {
		t.Errorf("resumed: %+v at %d, %v", res, after.Head.Size, err)
	}

	short, shortDir := published(t, 300)
	if _, _, err := walker(t, short, shortDir).Walk(t.Context(), after); !errors.Is(err, receipt.ErrRollback) {
		t.Errorf("rolled back: %v", err)
	}
	forked := &testenv.Log{Origin: log.Origin, Witnesses: 1}
	forked.Append(1280, ledger.KindAccess)
	forked.Entries = append(forked.Entries, log.Entries[1280:]...) // the chain goes on where the fork was joined
	forkedDir := t.TempDir()
	if err := forked.Publish(forkedDir); err != nil {
		t.Fatal(err)
	}
	if _, _, err := walker(t, forked, forkedDir).Walk(t.Context(), after); !errors.Is(err, receipt.ErrRewritten) && !errors.Is(err, receipt.ErrTileHash) {
		t.Errorf("rewritten: %v", err)
	}
	stranger := &testenv.Log{Origin: "other.example/log", Witnesses: 1}
	stranger.Append(1300, ledger.KindRecord)
	if err := stranger.Publish(forkedDir); err != nil {
		t.Fatal(err)
	}
	if _, _, err := walker(t, stranger, forkedDir).Walk(t.Context(), after); !errors.Is(err, receipt.ErrOrigin) {
		t.Errorf("another log's state: %v", err)
	}
}

// TestWalkNamesThePlace spoils one file at a time.
func TestWalkRemembersItsCheckpoint(t *testing.T) {
	log, dir := published(t, 32)
	state, _, err := walker(t, log, dir).Walk(t.Context(), receipt.State{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(state)
	if err != nil {
		t.Fatal(err)
	}
	var kept receipt.State
	if err := json.Unmarshal(text, &kept); err != nil {
		t.Fatal(err)
	}
	older, olderDir := published(t, 12)
	if _, _, err := walker(t, older, olderDir).Walk(t.Context(), kept); !errors.Is(err, receipt.ErrRollback) {
		t.Errorf("rolled back below a full bundle: %v", err)
	}
	for _, n := range []int{32, 40, 300} {
		other := &testenv.Log{Origin: log.Origin, Witnesses: 1}
		other.Append(n, ledger.KindAccess)
		otherDir := t.TempDir()
		if err := other.Publish(otherDir); err != nil {
			t.Fatal(err)
		}
		if _, _, err := walker(t, other, otherDir).Walk(t.Context(), kept); !errors.Is(err, receipt.ErrRewritten) {
			t.Errorf("another tree of %d: %v", n, err)
		}
	}
	log.Append(300, ledger.KindRecord)
	if err := log.Publish(dir); err != nil {
		t.Fatal(err)
	}
	if next, _, err := walker(t, log, dir).Walk(t.Context(), kept); err != nil || next.Signed.Size != 332 {
		t.Errorf("it goes on: %+v, %v", next.Signed, err)
	}
}

func TestWalkNamesThePlace(t *testing.T) {
	const n = 256*256 + 600 // one full tile of level 1, and partial ones of every level
	log, dir := published(t, n)
	const size = 116
	for _, c := range []struct {
		name  string
		file  string
		spoil func([]byte) []byte // nil = remove
		want  error
		entry int64 // -1 = none
		tile  string
	}{
		{"a bundle is missing", "tile/entries/003", nil, receipt.ErrMissingTile, 768, "tile/entries/003"},
		{"the last bundle is missing", "tile/entries/258.p/88", nil, receipt.ErrMissingTile, 258 * 256, "tile/entries/258.p/88"},
		{"a hash tile is missing", "tile/0/017", nil, receipt.ErrMissingTile, 17 * 256, "tile/0/017"},
		{"a level 1 tile is missing", "tile/1/000", nil, receipt.ErrMissingTile, 0, "tile/1/000"},
		{"the right edge is missing", "tile/1/001.p/2", nil, receipt.ErrMissingTile, 65536, "tile/1/001.p/2"},
		{"the top is missing", "tile/2/000.p/1", nil, receipt.ErrMissingTile, 0, "tile/2/000.p/1"},
		{"a digest changed", "tile/entries/002", flip(10*size + 2 + 50), receipt.ErrChanged, 522, ""},
		{"a time moved forward", "tile/entries/002", flip(10*size + 2 + 14), receipt.ErrChanged, 522, ""},
		{"an index changed", "tile/entries/002", flip(10*size + 2 + 9), ledger.ErrChain, 522, ""},
		{"a prev changed", "tile/entries/002", flip(10*size + 2 + 20), ledger.ErrChain, 522, ""},
		{"a kind that is none", "tile/entries/002", flip(10*size + 2 + 1), ledger.ErrEntry, 522, ""},
		{"a length", "tile/entries/002", flip(10*size + 1), ledger.ErrEntry, 522, ""},
		{"the last of a bundle", "tile/entries/002", flip(255*size + 2 + 50), receipt.ErrChanged, 767, ""},
		{"the very last", "tile/entries/258.p/88", flip(87*size + 2 + 50), receipt.ErrChanged, n - 1, ""},
		{"a bundle cut short", "tile/entries/002", func(b []byte) []byte { return b[:len(b)-1] }, receipt.ErrTile, 512, "tile/entries/002"},
		{"a hash changed", "tile/0/002", flip(10 * 32), receipt.ErrTileHash, 522, "tile/0/002"},
		{"the last hash changed", "tile/0/258.p/88", flip(87 * 32), receipt.ErrTileHash, n - 1, "tile/0/258.p/88"},
		{"a bundle's last hash", "tile/0/002", flip(255 * 32), receipt.ErrTileHash, 767, "tile/0/002"},
		{"a hash of level 1", "tile/1/000", flip(5 * 32), receipt.ErrTileHash, 5 * 256, "tile/1/000"},
		{"a hash of the top", "tile/2/000.p/1", flip(0), receipt.ErrTileHash, 0, "tile/2/000.p/1"},
		{"the checkpoint is missing", "checkpoint", nil, receipt.ErrMissingTile, 0, "checkpoint"},
		{"the checkpoint's root", "checkpoint", flip(30), trust.ErrSignature, -1, ""},
	} {
		path := filepath.Join(dir, filepath.FromSlash(c.file))
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if c.spoil == nil {
			err = os.Remove(path)
		} else {
			err = os.WriteFile(path, c.spoil(append([]byte(nil), good...)), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_, _, err = walker(t, log, dir).Walk(t.Context(), receipt.State{})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if bad, ok := errors.AsType[*ledger.BadEntry](err); ok && c.entry >= 0 && bad.Index != uint64(c.entry) {
			t.Errorf("%s: entry %d is named, want %d", c.name, bad.Index, c.entry)
		}
		bad, ok := errors.AsType[*receipt.BadTile](err)
		if ok != (c.tile != "") || ok && (bad.Path != c.tile || bad.Entry != uint64(c.entry)) {
			t.Errorf("%s: %+v, want %s at %d", c.name, bad, c.tile, c.entry)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s: took %v", c.name, took)
		}
		if err := os.WriteFile(path, good, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func flip(at int) func([]byte) []byte {
	return func(b []byte) []byte { b[at] ^= 0x08; return b }
}

// TestWalkOverHTTP reads a web server that removes partial tiles once they are full, and one that
// fails.
func TestWalkOverHTTP(t *testing.T) {
	log, dir := published(t, 700)
	files := http.FileServer(http.Dir(dir))
	broken := false
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if broken && strings.HasPrefix(r.URL.Path, "/tile/entries/") {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		files.ServeHTTP(w, r)
	}))
	defer srv.Close()
	w := walker(t, log, dir)
	w.Tiles = receipt.TilesAt(srv.URL + "/")
	if _, res, err := w.Walk(t.Context(), receipt.State{}); err != nil || res.Walked != 700 {
		t.Errorf("%+v, %v", res, err)
	}
	broken = true
	if _, _, err := w.Walk(t.Context(), receipt.State{}); !errors.Is(err, receipt.ErrUnreadable) {
		t.Errorf("bad gateway: %v", err)
	}
}

// TestFullTileServesAnOlderCheckpoint: partial tiles may be gone when the log has grown.
func TestFullTileServesAnOlderCheckpoint(t *testing.T) {
	log, dir := published(t, 300)
	older, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	log.Append(300, ledger.KindRecord)
	if err := log.Publish(dir); err != nil {
		t.Fatal(err)
	}
	for _, partial := range []string{"tile/0/001.p", "tile/entries/001.p"} {
		if err := os.RemoveAll(filepath.Join(dir, partial)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "checkpoint"), older, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, res, err := walker(t, log, dir).Walk(t.Context(), receipt.State{}); err != nil || res.Walked != 300 {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestWalkStopsWithItsContext(t *testing.T) {
	log, dir := published(t, 3000)
	ctx, cancel := context.WithCancel(t.Context())
	w := walker(t, log, dir)
	w.Progress = func(uint64, uint64) { cancel() }
	if _, _, err := w.Walk(ctx, receipt.State{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// BenchmarkWalk measures the chain, every hash tile and the root, from files.
func BenchmarkWalk(b *testing.B) {
	const n = 1 << 17
	log, dir := published(b, n)
	w := walker(b, log, dir)
	for b.Loop() {
		if _, _, err := w.Walk(b.Context(), receipt.State{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "entries/s")
}
