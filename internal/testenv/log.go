package testenv

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/dosewire/dosewire/ledger"
)

// Log publishes entries as tlog-tiles for tests of what reads them. It is written plainly with
// golang.org/x/mod and knows nothing of the readers.
type Log struct {
	Origin    string
	Entries   []ledger.Entry
	Witnesses int   // how many of the three cosign
	Now       int64 // unix seconds of the cosignatures
}

// logKey is the key of a name, the same in every run.
func logKey(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("test key of " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

// vkey writes a verifier key; typ is 1 for logs, 4 for witnesses.
func vkey(name string, typ byte) (text string, id uint32) {
	raw := append([]byte{typ}, logKey(name).Public().(ed25519.PublicKey)...)
	sum := sha256.Sum256(append([]byte(name+"\n"), raw...))
	id = binary.BigEndian.Uint32(sum[:])
	return fmt.Sprintf("%s+%08x+%s", name, id, base64.StdEncoding.EncodeToString(raw)), id
}

// witnessName of one of three.
func witnessName(i int) string { return fmt.Sprintf("witness%d.example", i) }

// VKey is the log's verifier key.
func (l *Log) VKey() string { text, _ := vkey(l.Origin, 1); return text }

// Policy trusts the log with any quorum of three witnesses, 0 = none.
func (l *Log) Policy(quorum int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# a test's\nlog %s https://log.example/\n\n", l.VKey())
	for i := range 3 {
		text, _ := vkey(witnessName(i), 4)
		fmt.Fprintf(&b, "witness w%d %s\n", i, text)
	}
	if quorum == 0 {
		return b.String() + "quorum none\n"
	}
	fmt.Fprintf(&b, "group all-three %d w0 w1 w2\nquorum all-three\n", quorum)
	return b.String()
}

// Append links n more entries of a kind with digests of their own.
func (l *Log) Append(n int, kind ledger.Kind) {
	head := ledger.Head{Leaf: ledger.Origin(l.Origin), Size: uint64(len(l.Entries)), Time: 1_790_000_000_000}
	if k := len(l.Entries); k > 0 {
		head.Leaf, head.Time = l.Entries[k-1].Leaf(), l.Entries[k-1].Time
	}
	for range n {
		k := kind
		if head.Size == 0 {
			k = ledger.KindGenesis
		}
		e := ledger.Entry{Kind: k, Index: head.Size, Time: head.Time + 1, Prev: head.Leaf}
		e.Digest = sha256.Sum256(fmt.Appendf(nil, "digest %d", e.Index))
		if k == ledger.KindRecord {
			e.Commitment = sha256.Sum256(fmt.Appendf(nil, "commitment %d", e.Index))
		}
		l.Entries = append(l.Entries, e)
		head = ledger.Head{Size: e.Index + 1, Leaf: e.Leaf(), Time: e.Time}
	}
}

// hashes are all stored hashes of the tree.
func (l *Log) hashes() (all tlog.HashReaderFunc, stored []tlog.Hash, err error) {
	all = func(indexes []int64) (out []tlog.Hash, err error) {
		for _, i := range indexes {
			out = append(out, stored[i])
		}
		return out, nil
	}
	for i, e := range l.Entries {
		b := e.Bytes()
		more, err := tlog.StoredHashes(int64(i), b[:], all)
		if err != nil {
			return nil, nil, err
		}
		stored = append(stored, more...)
	}
	return all, stored, nil
}

// Note is the checkpoint over a root, signed.
func (l *Log) Note(size int, root [32]byte) []byte {
	text := fmt.Sprintf("%s\n%d\n%s\n", l.Origin, size, base64.StdEncoding.EncodeToString(root[:]))
	var b strings.Builder
	b.WriteString(text + "\n")
	_, id := vkey(l.Origin, 1)
	line := func(name string, id uint32, sig []byte) {
		fmt.Fprintf(&b, "— %s %s\n", name, base64.StdEncoding.EncodeToString(append(binary.BigEndian.AppendUint32(nil, id), sig...)))
	}
	line(l.Origin, id, ed25519.Sign(logKey(l.Origin), []byte(text)))
	for i := range l.Witnesses {
		name := witnessName(i)
		_, id := vkey(name, 4)
		sig := ed25519.Sign(logKey(name), fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", uint64(l.Now), text))
		line(name, id, append(binary.BigEndian.AppendUint64(nil, uint64(l.Now)), sig...))
	}
	return []byte(b.String())
}

// Publish writes tiles, bundles and checkpoint into a folder.
func (l *Log) Publish(dir string) error {
	hashes, _, err := l.hashes()
	if err != nil {
		return err
	}
	size := int64(len(l.Entries))
	for _, t := range tlog.NewTiles(8, 0, size) {
		data, err := tlog.ReadTileData(t, hashes)
		if err != nil {
			return err
		}
		if err := write(dir, tilePath(fmt.Sprint(t.L), t.N, t.W), data); err != nil {
			return err
		}
	}
	n := 0
	for chunk := range slices.Chunk(l.Entries, 256) {
		var data []byte
		for _, e := range chunk {
			b := e.Bytes()
			data = append(binary.BigEndian.AppendUint16(data, ledger.EntrySize), b[:]...)
		}
		if err := write(dir, tilePath("entries", int64(n), len(chunk)), data); err != nil {
			return err
		}
		n++
	}
	root, err := tlog.TreeHash(size, hashes)
	if err != nil {
		return err
	}
	checkpoint := l.Note(int(size), root)
	if _, err := note.Open(checkpoint, note.VerifierList(must(note.NewVerifier(l.VKey())))); err != nil {
		return fmt.Errorf("testenv: our own checkpoint: %w", err)
	}
	return write(dir, "checkpoint", checkpoint)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// tilePath is C2SP tlog-tiles' own.
func tilePath(level string, n int64, width int) string {
	name := fmt.Sprintf("%03d", n%1000)
	for ; n >= 1000; n /= 1000 {
		name = fmt.Sprintf("x%03d/%s", n/1000%1000, name)
	}
	if width < 256 {
		name = fmt.Sprintf("%s.p/%d", name, width)
	}
	return path.Join("tile", level, name)
}

func write(dir, name string, data []byte) error {
	name = filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, data, 0o644)
}
