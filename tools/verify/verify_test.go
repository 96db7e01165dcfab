package verify_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/dosewire/dosewire/internal/testenv"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/receipt"
	"github.com/dosewire/dosewire/ledger/trust"
)

// verdict is what verify.mjs prints.
type verdict struct {
	OK        bool
	Vectors   int
	Entries   int
	Index     int
	Message   bool
	Verdict   string
	Reason    string
	Entry     *uint64
	Witnesses []string
}

func judge(t *testing.T, args ...string) verdict {
	t.Helper()
	out, code := testenv.Node(t, append([]string{"verify.mjs"}, args...)...)
	var v verdict
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatalf("%v: %v: %q", args, err, out)
	}
	if want := map[bool]int{true: 0, false: 5}[v.OK]; code != want {
		t.Errorf("%v: exit code %d, want %d", args, code, want)
	}
	return v
}

func TestVectors(t *testing.T) {
	if v := judge(t, "vectors", filepath.Join("..", "..", "testdata", "vectors", "ledger")); !v.OK || v.Vectors < 120 {
		t.Errorf("%+v", v)
	}
}

// exported writes a log and its policy.
func exported(t *testing.T, n int) (log *testenv.Log, dir, policy string) {
	t.Helper()
	log = &testenv.Log{Origin: "dosewire.example/log", Witnesses: 2, Now: 1_790_000_000}
	log.Append(n, ledger.KindRecord)
	dir = t.TempDir()
	policy = filepath.Join(t.TempDir(), "policy")
	if err := errors.Join(log.Publish(dir), os.WriteFile(policy, []byte(log.Policy(2)), 0o644)); err != nil {
		t.Fatal(err)
	}
	return log, dir, policy
}

func TestExportedLog(t *testing.T) {
	for _, n := range []int{1, 256, 257, 700, 256*256 + 513} {
		_, dir, policy := exported(t, n)
		if v := judge(t, "tiles", dir, "--policy", policy); !v.OK || v.Entries != n || len(v.Witnesses) != 2 {
			t.Errorf("%d entries: %+v", n, v)
		}
	}
}

// TestTwoVerifiersAgree spoils an exported log and compares the verdicts of both languages.
func TestTwoVerifiersAgree(t *testing.T) {
	log, dir, policy := exported(t, 256*256+600)
	p, err := trust.ParsePolicy([]byte(log.Policy(2)))
	if err != nil {
		t.Fatal(err)
	}
	words := map[string]error{"missing": receipt.ErrMissingTile, "tile": receipt.ErrTile, "entry": ledger.ErrEntry, "chain": ledger.ErrChain,
		"changed": receipt.ErrChanged, "hash": receipt.ErrTileHash, "signature": trust.ErrSignature, "checkpoint": trust.ErrCheckpoint}
	for _, c := range []struct {
		file string
		at   int // -1 = remove
	}{
		{"tile/entries/003", -1}, {"tile/entries/258.p/88", -1}, {"tile/0/017", -1}, {"tile/1/000", -1}, {"tile/2/000.p/1", -1}, {"checkpoint", -1},
		{"tile/entries/002", 10*116 + 52}, {"tile/entries/002", 10*116 + 16}, {"tile/entries/002", 10*116 + 11}, {"tile/entries/002", 10*116 + 22},
		{"tile/entries/002", 10*116 + 3}, {"tile/entries/002", 10*116 + 1}, {"tile/entries/002", 255*116 + 52}, {"tile/entries/258.p/88", 87*116 + 52},
		{"tile/0/002", 320}, {"tile/0/002", 255 * 32}, {"tile/0/258.p/88", 87 * 32}, {"tile/1/000", 160}, {"tile/2/000.p/1", 0}, {"checkpoint", 30}, {"checkpoint", 150},
	} {
		path := filepath.Join(dir, filepath.FromSlash(c.file))
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if c.at < 0 {
			err = os.Remove(path)
		} else {
			spoilt := append([]byte(nil), good...)
			spoilt[c.at] ^= 0x08
			err = os.WriteFile(path, spoilt, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		_, _, want := receipt.Walker{Tiles: receipt.Dir(dir), Judge: p.Open}.Walk(t.Context(), receipt.State{})
		got := judge(t, "tiles", dir, "--policy", policy)
		if want == nil || got.OK || !errors.Is(want, words[got.Verdict]) {
			t.Errorf("%s at %d: %+v, want %v", c.file, c.at, got, want)
		}
		var place uint64
		entry, isEntry := errors.AsType[*ledger.BadEntry](want)
		tile, isTile := errors.AsType[*receipt.BadTile](want)
		if isEntry {
			place = entry.Index
		} else if isTile {
			place = tile.Entry
		}
		if (isEntry || isTile) && (got.Entry == nil || *got.Entry != place) {
			t.Errorf("%s at %d: names %v, want %d", c.file, c.at, got.Entry, place)
		}
		if err := os.WriteFile(path, good, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReceiptFile(t *testing.T) {
	log, dir, policy := exported(t, 700)
	r, err := receipt.Make(t.Context(), receipt.Dir(dir), trust.Unjudged, log.Entries[699], nil)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), receipt.FileName(699))
	if err := os.WriteFile(file, r.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	if v := judge(t, "receipt", file, "--policy", policy); !v.OK || v.Index != 699 || v.Message {
		t.Errorf("%+v", v)
	}
	if v := judge(t, "receipt", file, "--policy", policy, "--message", policy); v.OK || v.Verdict != "opening" {
		t.Errorf("%+v", v)
	}
	if out, code := testenv.Node(t, "verify.mjs", "receipt", file); code != 2 {
		t.Errorf("without a policy: %d, %s", code, out)
	}
}
