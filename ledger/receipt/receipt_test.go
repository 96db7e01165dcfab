package receipt_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dosewire/dosewire/internal/testenv"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/receipt"
	"github.com/dosewire/dosewire/ledger/trust"
)

const message = `{"resourceType":"MedicationRequest"}`

// recorded is a log of n entries whose entry at is a record of message.
func recorded(t testing.TB, n, at, witnesses int) (log *testenv.Log, dir string, opening receipt.Opening) {
	t.Helper()
	log, dir = &testenv.Log{Origin: "dosewire.example/log", Witnesses: witnesses, Now: 1_790_000_100}, t.TempDir()
	log.Append(at, ledger.KindAccess)
	copy(opening[:], bytes.Repeat([]byte{7}, len(opening)))
	log.Append(1, ledger.KindRecord)
	log.Entries[at].Commitment = sha256.Sum256(append(opening[:], message...))
	log.Append(n-at-1, ledger.KindAccess)
	if err := log.Publish(dir); err != nil {
		t.Fatal(err)
	}
	return log, dir, opening
}

func policy(t testing.TB, text string) *trust.Policy {
	t.Helper()
	p, err := trust.ParsePolicy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestEveryEntryOfEverySize proves every entry of small trees, and a few at the edges of tiles.
func TestEveryEntryOfEverySize(t *testing.T) {
	sizes := []int{1, 2, 3, 7, 8, 255, 256, 257, 513, 256*256 + 300}
	for _, n := range sizes {
		log := &testenv.Log{Origin: "dosewire.example/log", Witnesses: 2, Now: 1}
		log.Append(n, ledger.KindRecord)
		dir := t.TempDir()
		if err := log.Publish(dir); err != nil {
			t.Fatal(err)
		}
		p := policy(t, log.Policy(2))
		for i := range n {
			if n > 300 && i%97 != 0 && i < n-2 {
				continue
			}
			if n > 1000 && i%9700 != 0 && i < n-2 {
				continue
			}
			r, err := receipt.Make(t.Context(), receipt.Dir(dir), p.Open, log.Entries[i], nil)
			if err != nil {
				t.Fatalf("%d of %d: make: %v", i, n, err)
			}
			v, err := receipt.Verify(r.Bytes(), p, nil)
			if err != nil || v.Size != uint64(n) || v.Entry != log.Entries[i] || len(v.Cosigned) != 2 || v.Message {
				t.Errorf("%d of %d: %+v, %v", i, n, v, err)
			}
		}
	}
}

func TestMessage(t *testing.T) {
	log, dir, opening := recorded(t, 300, 5, 0)
	p := policy(t, log.Policy(0))
	r, err := receipt.Make(t.Context(), receipt.Dir(dir), p.Open, log.Entries[5], &opening)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		message string
		want    error
	}{
		{"the message", message, nil},
		{"one space more", message + " ", receipt.ErrCommitment},
		{"nothing", "", receipt.ErrCommitment},
	} {
		v, err := receipt.Verify(r.Bytes(), p, []byte(c.message))
		if !errors.Is(err, c.want) || v.Message != (c.want == nil) {
			t.Errorf("%s: %v, %v, want %v", c.name, v.Message, err, c.want)
		}
	}
	r.Opening = nil
	if _, err := receipt.Verify(r.Bytes(), p, []byte(message)); !errors.Is(err, receipt.ErrOpening) {
		t.Errorf("without opening: %v", err)
	}
}

// verdictCase is a receipt with the verdict that everybody must give.
type verdictCase struct {
	name   string
	text   string
	policy string
	want   error
}

// verdictCases are one row for every way in which a receipt can be wrong.
func verdictCases(t *testing.T) []verdictCase {
	t.Helper()
	log, dir, opening := recorded(t, 300, 5, 2)
	two := policy(t, log.Policy(2))
	r, err := receipt.Make(t.Context(), receipt.Dir(dir), two.Open, log.Entries[5], &opening)
	if err != nil {
		t.Fatal(err)
	}
	other := &testenv.Log{Origin: "dosewire.example/log", Witnesses: 2, Now: 1}
	other.Append(299, ledger.KindRecord)
	otherDir := t.TempDir()
	if err := other.Publish(otherDir); err != nil {
		t.Fatal(err)
	}
	stranger := &testenv.Log{Origin: "stranger.example/log"}
	forked, err := receipt.Make(t.Context(), receipt.Dir(otherDir), two.Open, other.Entries[5], nil)
	if err != nil {
		t.Fatal(err)
	}
	good := string(r.Bytes())
	noOpening := r
	noOpening.Opening = nil
	lines := strings.Split(log.Policy(2), "\n")
	nested := join(lines[1], lines[3], lines[4], lines[5], "group two 2 w0 w1", "group both all two w2", "quorum both")
	either := join(lines[1], lines[3], lines[4], lines[5], "group two 2 w0 w1", "group both any two w2", "quorum both")
	_, signed, _ := strings.Cut(good, "\n\n")
	c, err := trust.Unjudged([]byte(signed))
	if err != nil {
		t.Fatal(err)
	}
	timed := func(seconds int64) string {
		at := testenv.Log{Origin: log.Origin, Witnesses: 2, Now: seconds}
		return strings.TrimSuffix(good, signed) + string(at.Note(300, c.Root))
	}
	huge := func(size uint64, hashes int, root ledger.Hash) string {
		h := r
		h.Proof, h.Checkpoint = make([]ledger.Hash, hashes), log.Note(int(size), root)
		return string(h.Bytes())
	}
	const most = 1<<63 - 1
	return []verdictCase{
		{"cosigned at the last second there is", timed(math.MaxInt64), log.Policy(2), nil},
		{"cosigned a second later", timed(math.MinInt64), log.Policy(2), trust.ErrSignature},
		{"a stranger's name with U+0085", good + "— a\u0085b AAAAAAAA\n", log.Policy(2), trust.ErrCheckpoint},
		{"a stranger's name with U+3000", good + "— a\u3000b AAAAAAAA\n", log.Policy(2), trust.ErrCheckpoint},
		{"a stranger's name with U+FEFF", good + "— a\ufeffb AAAAAAAA\n", log.Policy(2), nil},
		{"a note above 64 KiB", good + "— stranger " + strings.Repeat("AAAA", 16<<10) + "\n", log.Policy(2), trust.ErrCheckpoint},
		{"untouched", good, log.Policy(2), nil},
		{"empty", "", log.Policy(0), receipt.ErrFormat},
		{"another header", strings.Replace(good, "@v1", "@v2", 1), log.Policy(0), receipt.ErrFormat},
		{"another index", strings.Replace(good, "\nindex 5\n", "\nindex 6\n", 1), log.Policy(0), receipt.ErrIndex},
		{"index twice spelled", strings.Replace(good, "\nindex 5\n", "\nindex 05\n", 1), log.Policy(0), receipt.ErrFormat},
		{"no extra", strings.Replace(good, "extra ", "extro ", 1), log.Policy(0), receipt.ErrFormat},
		{"entry of another version", with(r, func(r *receipt.Receipt, b []byte) []byte { b[0] = 2; return b }), log.Policy(0), ledger.ErrEntry},
		{"entry with another digest", with(r, func(r *receipt.Receipt, b []byte) []byte { b[50]++; return b }), log.Policy(0), receipt.ErrInclusion},
		{"a proof hash changed", proof(r, func(h []ledger.Hash) []ledger.Hash { h[2][0]++; return h }), log.Policy(0), receipt.ErrInclusion},
		{"a proof hash less", proof(r, func(h []ledger.Hash) []ledger.Hash { return h[1:] }), log.Policy(0), receipt.ErrInclusion},
		{"a proof hash more", proof(r, func(h []ledger.Hash) []ledger.Hash { return append(h, ledger.Hash{}) }), log.Policy(0), receipt.ErrInclusion},
		{"the log's key is another", good, stranger.Policy(0), trust.ErrSignature},
		{"the size in the checkpoint", strings.Replace(good, "\n300\n", "\n301\n", 1), log.Policy(0), trust.ErrSignature},
		{"a witness too few", good, log.Policy(3), trust.ErrQuorum},
		{"a stripped cosignature", good[:strings.LastIndex(good, "— ")], log.Policy(2), trust.ErrQuorum},
		{"another tree's checkpoint", string(receipt.Receipt{Entry: r.Entry, Opening: r.Opening, Proof: r.Proof, Checkpoint: forked.Checkpoint}.Bytes()), log.Policy(2), receipt.ErrInclusion},
		{"carriage return", strings.Replace(good, "index 5", "index 5\r", 1), log.Policy(0), receipt.ErrFormat},
		{"no checkpoint", good[:strings.Index(good, "\n\n")+2], log.Policy(0), receipt.ErrFormat},
		{"no signature", good[:strings.Index(good, "\n— ")+1], log.Policy(0), trust.ErrCheckpoint},
		{"cosignature's time", retime(good), log.Policy(2), trust.ErrSignature},
		{"a wrong cosignature after a good one", good + retime(good)[strings.LastIndex(good, "— "):], log.Policy(2), trust.ErrSignature},
		{"a cosignature twice", good + good[strings.LastIndex(good, "— "):], log.Policy(3), trust.ErrQuorum},
		{"no opening", string(noOpening.Bytes()), log.Policy(2), receipt.ErrOpening},
		{"another opening", with(r, func(_ *receipt.Receipt, b []byte) []byte { b[120]++; return b }), log.Policy(2), receipt.ErrCommitment},
		{"groups of groups, not satisfied", good, nested, trust.ErrQuorum},
		{"groups of groups, satisfied", good, either, nil},
		{"the largest size, and a proof that leads there", huge(most, 63, folded(r.Entry.Leaf(), 5, 63)), log.Policy(2), nil},
		{"the largest size, another root", huge(most, 63, ledger.Hash{1}), log.Policy(2), receipt.ErrInclusion},
		{"the largest size, a hash less", huge(most, 62, folded(r.Entry.Leaf(), 5, 62)), log.Policy(2), receipt.ErrInclusion},
		{"the largest size, one hash", huge(most, 1, ledger.Hash{1}), log.Policy(2), receipt.ErrInclusion},
		{"size 2⁶² + 1, no hash", huge(1<<62+1, 0, r.Entry.Leaf()), log.Policy(2), receipt.ErrInclusion},
		{"size 2⁶², a proof that leads there", huge(1<<62, 62, folded(r.Entry.Leaf(), 5, 62)), log.Policy(2), nil},
		{"size 2⁶³", strings.Replace(good, "\n300\n", "\n9223372036854775808\n", 1), log.Policy(0), trust.ErrCheckpoint},
		{"64 hashes", huge(most, 64, ledger.Hash{1}), log.Policy(2), receipt.ErrFormat},
	}
}

// folded is the root of a tree so large that an entry with a small index is never on its right edge, where
// all other subtrees hash to zero: not a tree that anybody has, but one that a proof leads to.
func folded(leaf ledger.Hash, index uint64, hashes int) ledger.Hash {
	for ; hashes > 0; hashes, index = hashes-1, index/2 {
		b := append([]byte{1}, leaf[:]...)
		if b = append(b, make([]byte, 32)...); index%2 == 1 {
			b = append(append([]byte{1}, make([]byte, 32)...), leaf[:]...)
		}
		leaf = sha256.Sum256(b)
	}
	return leaf
}

func TestTampered(t *testing.T) {
	for _, c := range verdictCases(t) {
		_, err := receipt.Verify([]byte(c.text), policy(t, c.policy), []byte(message))
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// with rewrites the extra line of a receipt.
func with(r receipt.Receipt, change func(*receipt.Receipt, []byte) []byte) string {
	lines := strings.SplitN(string(r.Bytes()), "\n", 3)
	raw, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	lines[1] = "extra " + base64.StdEncoding.EncodeToString(change(&r, raw))
	return strings.Join(lines, "\n")
}

func proof(r receipt.Receipt, change func([]ledger.Hash) []ledger.Hash) string {
	r.Proof = change(append([]ledger.Hash(nil), r.Proof...))
	return string(r.Bytes())
}

// retime moves the last cosignature by a second.
func retime(text string) string {
	at := strings.LastIndex(text, " ") + 1
	raw, _ := base64.StdEncoding.DecodeString(strings.TrimSpace(text[at:]))
	raw[11]++
	return text[:at] + base64.StdEncoding.EncodeToString(raw) + "\n"
}

func TestMakeRefuses(t *testing.T) {
	log, dir, _ := recorded(t, 300, 5, 1)
	p, tiles := policy(t, log.Policy(1)), receipt.Dir(dir)
	future := log.Entries[299]
	future.Index = 300
	if _, err := receipt.Make(t.Context(), tiles, p.Open, future, nil); !errors.Is(err, receipt.ErrNotYet) {
		t.Errorf("an entry after the checkpoint: %v", err)
	}
	forged := log.Entries[7]
	forged.Digest[0]++
	_, err := receipt.Make(t.Context(), tiles, p.Open, forged, nil)
	bad, ok := errors.AsType[*ledger.BadEntry](err)
	if !ok || bad.Index != 7 || !errors.Is(err, receipt.ErrInclusion) {
		t.Errorf("an entry that is not in the tree: %v", err)
	}
	if _, err := receipt.Make(t.Context(), tiles, policy(t, log.Policy(2)).Open, log.Entries[7], nil); !errors.Is(err, trust.ErrQuorum) {
		t.Errorf("a checkpoint without its quorum: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "checkpoint"), log.Note(1<<63-1, ledger.Hash{1}), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := receipt.Make(t.Context(), tiles, p.Open, log.Entries[7], nil); !errors.Is(err, trust.ErrCheckpoint) {
		t.Errorf("a tree that cannot be: %v", err)
	}
	if _, err := receipt.Make(t.Context(), receipt.Dir(t.TempDir()), p.Open, log.Entries[7], nil); !errors.Is(err, receipt.ErrMissingTile) {
		t.Errorf("no tiles: %v", err)
	}
}

func join(lines ...string) string { return strings.Join(lines, "\n") + "\n" }

func FuzzReceipt(f *testing.F) {
	log, dir, opening := recorded(f, 300, 5, 2)
	p := policy(f, log.Policy(1))
	r, err := receipt.Make(f.Context(), receipt.Dir(dir), p.Open, log.Entries[5], &opening)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(r.Bytes())
	r.Opening, r.Proof = nil, nil
	f.Add(r.Bytes())
	r.Proof, r.Checkpoint = make([]ledger.Hash, 1), log.Note(1<<63-1, ledger.Hash{1})
	f.Add(r.Bytes())
	f.Add([]byte("c2sp.org/tlog-proof@v1\nindex 0\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := receipt.Parse(b)
		if err == nil && !bytes.Equal(r.Bytes(), b) {
			t.Errorf("accepted, but written as\n%s", r.Bytes())
		}
		v, err := receipt.Verify(b, p, []byte(message))
		if err == nil && (v.Entry.Index != 5 || !v.Message) {
			t.Errorf("a forged receipt: %+v", v)
		}
	})
}
