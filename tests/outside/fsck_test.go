package outside

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	fnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"

	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/notary"
)

const origin = "dosewire.test/ledger/1"

// chain is a ledger in memory.
type chain struct {
	head    ledger.Head
	entries []ledger.Entry
	salt    byte // makes another ledger of it
}

func (c *chain) Head(context.Context) (ledger.Head, error) { return c.head, nil }

func (c *chain) Entries(_ context.Context, from uint64, limit int) ([]ledger.Entry, error) {
	rest := c.entries[min(from, uint64(len(c.entries))):]
	return rest[:min(len(rest), limit)], nil
}

func (c *chain) add(n int) {
	for range n {
		kind := ledger.KindRecord
		if c.head.Size == 0 {
			kind = ledger.KindGenesis
		}
		digest := sha256.Sum256(binary.BigEndian.AppendUint64([]byte{c.salt}, c.head.Size))
		var e ledger.Entry
		e, c.head = ledger.Link(c.head, kind, time.Now(), digest, digest)
		c.entries = append(c.entries, e)
	}
}

// export makes a ledger grow in these steps under a notary, and returns the folder of its tiles.
func export(t *testing.T, steps ...int) (tiles string, key *notary.Key) {
	t.Helper()
	dir := t.TempDir()
	key, err := notary.LogKey(filepath.Join(dir, "key"), origin)
	if err != nil {
		t.Fatal(err)
	}
	l := newLog(t, dir, key, nil, 0)
	for _, step := range steps {
		l.chain.add(step)
		if err := l.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "tiles"), key
}

// check is Tessera's fsck over a folder.
func check(t *testing.T, tiles, vkey string) error {
	t.Helper()
	v, err := fnote.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	hashes := func(bundle []byte) (all [][]byte, err error) {
		var b api.EntryBundle
		if err := b.UnmarshalText(bundle); err != nil {
			return nil, err
		}
		for _, e := range b.Entries {
			all = append(all, rfc6962.DefaultHasher.HashLeaf(e))
		}
		return all, nil
	}
	// A broken log can make this fsck wait for ever; a context ends it.
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return fsck.New(origin, v, client.FileFetcher{Root: tiles}, hashes, fsck.Opts{N: 4}).Check(ctx)
}

func TestTesseraFsckAccepts(t *testing.T) {
	for name, steps := range map[string][]int{
		"one":             {1},
		"a full tile":     {255, 1},
		"one more":        {256, 1},
		"grown in steps":  {1, 2, 3, 250, 17, 256, 1000, 1, 1, 1},
		"three levels":    {65_536, 300},
		"between restart": {70_000},
	} {
		t.Run(name, func(t *testing.T) {
			tiles, key := export(t, steps...)
			if err := check(t, tiles, key.VKey); err != nil {
				t.Errorf("fsck: %v", err)
			}
		})
	}
}

// TestTesseraFsckRefuses shows that it looks: one changed byte in a tile is found.
func TestTesseraFsckRefuses(t *testing.T) {
	tiles, key := export(t, 700)
	path := filepath.Join(tiles, "tile", "0", "001")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[100] ^= 1
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := check(t, tiles, key.VKey); err == nil {
		t.Error("fsck accepts a changed tile")
	}
}

// TestNoteByHand verifies a checkpoint with nothing but the standard library and the text of C2SP
// signed-note.
func TestNoteByHand(t *testing.T) {
	tiles, key := export(t, 300)
	msg, err := os.ReadFile(filepath.Join(tiles, "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	if err := verifyNote(string(msg), key.VKey); err != nil {
		t.Error(err)
	}
	if err := verifyNote(strings.Replace(string(msg), "\n300\n", "\n301\n", 1), key.VKey); err == nil {
		t.Error("another size is accepted")
	}
}

func verifyNote(msg, vkey string) error {
	i := strings.LastIndex(msg, "\n\n")
	if i < 0 {
		return fmt.Errorf("no blank line")
	}
	text, lines := msg[:i+1], strings.Split(strings.TrimSuffix(msg[i+2:], "\n"), "\n")
	parts := strings.SplitN(vkey, "+", 3)
	typed, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(typed) != 33 || typed[0] != 1 {
		return fmt.Errorf("not an Ed25519 vkey")
	}
	id := sha256.Sum256(append([]byte(parts[0]+"\n"), typed...))
	for _, line := range lines {
		words := strings.Split(line, " ")
		if len(words) != 3 || words[0] != "—" || words[1] != parts[0] {
			continue
		}
		sig, err := base64.StdEncoding.DecodeString(words[2])
		if err != nil || len(sig) != 4+ed25519.SignatureSize || string(sig[:4]) != string(id[:4]) {
			continue
		}
		if ed25519.Verify(typed[1:], []byte(text), sig[4:]) {
			return nil
		}
	}
	return fmt.Errorf("no signature of %s holds", parts[0])
}
