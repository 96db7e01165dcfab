package witness

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/notary"
	"github.com/dosewire/dosewire/ledger/trust"
)

// history is a log's tree in memory.
type history struct {
	stored []tlog.Hash
	n      int64
}

func (h *history) ReadHashes(at []int64) (all []tlog.Hash, err error) {
	for _, i := range at {
		all = append(all, h.stored[i])
	}
	return all, nil
}

func grow(t testing.TB, n int, seed string) *history {
	t.Helper()
	h := &history{}
	for ; h.n < int64(n); h.n++ {
		hashes, err := tlog.StoredHashes(h.n, fmt.Appendf(nil, "%s%d", seed, h.n), h)
		if err != nil {
			t.Fatal(err)
		}
		h.stored = append(h.stored, hashes...)
	}
	return h
}

func (h *history) checkpoint(t testing.TB, origin string, size int64) trust.Checkpoint {
	t.Helper()
	root, err := tlog.TreeHash(size, h)
	if err != nil {
		t.Fatal(err)
	}
	return trust.Checkpoint{Origin: origin, Size: uint64(size), Root: ledger.Hash(root)}
}

func (h *history) proof(t testing.TB, from, to int64) []tlog.Hash {
	t.Helper()
	if from == 0 || from == to {
		return nil
	}
	p, err := tlog.ProveTree(to, from, h)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func body(t testing.TB, old string, proof []tlog.Hash, text string, by ...note.Signer) []byte {
	t.Helper()
	msg, err := note.Sign(&note.Note{Text: text}, by...)
	if err != nil {
		t.Fatal(err)
	}
	b := "old " + old + "\n"
	for _, h := range proof {
		b += base64.StdEncoding.EncodeToString(h[:]) + "\n"
	}
	return append([]byte(b+"\n"), msg...)
}

type bench struct {
	*Witness
	log, key *notary.Key
	store    *notary.Dir
	dir      string
}

func newBench(t testing.TB) *bench {
	t.Helper()
	dir := t.TempDir()
	log, err := notary.LogKey(filepath.Join(dir, "log"), "log.test/1")
	if err != nil {
		t.Fatal(err)
	}
	key, err := notary.WitnessKey(filepath.Join(dir, "key"), "w.test/1")
	if err != nil {
		t.Fatal(err)
	}
	store, err := notary.OpenDir(filepath.Join(dir, "store"), 0o700)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{log: log, key: key, store: store, dir: dir}
	b.reopen(t, store)
	return b
}

func (b *bench) reopen(t testing.TB, store notary.Storage) {
	t.Helper()
	p, err := trust.ParsePolicy([]byte("log " + b.log.VKey + "\nquorum none\n"))
	if err != nil {
		t.Fatal(err)
	}
	if b.Witness, err = New(Config{Signer: b.key, Policy: p, Store: store}); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) evidence(t testing.TB) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(b.dir, "store", "evidence", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestProtocol is the specification's list of answers, in the order in which it states them. The
// witness has cosigned size 5.
func TestProtocol(t *testing.T) {
	h, forked := grow(t, 20, "a"), grow(t, 20, "b")
	text := func(size int64) string { return h.checkpoint(t, "log.test/1", size).Text() }
	fork := func(size int64) string { return forked.checkpoint(t, "log.test/1", size).Text() }
	for name, tt := range map[string]struct {
		body     func(b *bench) []byte
		status   int
		evidence int
	}{
		"grows":                {func(b *bench) []byte { return body(t, "5", h.proof(t, 5, 9), text(9), b.log) }, 200, 0},
		"the same again":       {func(b *bench) []byte { return body(t, "5", nil, text(5), b.log) }, 200, 0},
		"with extension lines": {func(b *bench) []byte { return body(t, "5", h.proof(t, 5, 9), text(9)+"more\n", b.log) }, 200, 0},
		"unknown origin":       {func(b *bench) []byte { return body(t, "5", nil, strings.Replace(text(5), "log.", "gol.", 1), b.log) }, 404, 0},
		"signed by another":    {func(b *bench) []byte { return body(t, "5", nil, text(5), b.key) }, 403, 0},
		"signature of another": {func(b *bench) []byte {
			return bytes.Replace(body(t, "5", nil, text(5), b.log), []byte("\n5\n"), []byte("\n6\n"), 1)
		}, 403, 0},
		"old above the new":     {func(b *bench) []byte { return body(t, "9", nil, text(5), b.log) }, 400, 0},
		"old is not the last":   {func(b *bench) []byte { return body(t, "4", h.proof(t, 4, 9), text(9), b.log) }, 409, 0},
		"old 0 to learn":        {func(b *bench) []byte { return body(t, "0", nil, text(9), b.log) }, 409, 0},
		"smaller":               {func(b *bench) []byte { return body(t, "3", nil, text(3), b.log) }, 409, 0},
		"another root, size 5":  {func(b *bench) []byte { return body(t, "5", nil, fork(5), b.log) }, 409, 1},
		"another root, old 0":   {func(b *bench) []byte { return body(t, "0", nil, fork(5), b.log) }, 409, 1},
		"fork that grows":       {func(b *bench) []byte { return body(t, "5", forked.proof(t, 5, 9), fork(9), b.log) }, 422, 1},
		"no proof":              {func(b *bench) []byte { return body(t, "5", nil, text(9), b.log) }, 422, 1},
		"proof of another size": {func(b *bench) []byte { return body(t, "5", h.proof(t, 5, 8), text(9), b.log) }, 422, 1},
		"not a request":         {func(*bench) []byte { return []byte("hello") }, 400, 0},
		"leading zero":          {func(b *bench) []byte { return body(t, "05", h.proof(t, 5, 9), text(9), b.log) }, 400, 0},
		"a size beyond all": {func(b *bench) []byte {
			return body(t, "5", h.proof(t, 5, 9), trust.Checkpoint{Origin: "log.test/1", Size: 1<<63 - 1}.Text(), b.log)
		}, 422, 1},
		"63 hashes to a size beyond all": {func(b *bench) []byte {
			return body(t, "5", make([]tlog.Hash, 63), trust.Checkpoint{Origin: "log.test/1", Size: 1<<62 + 1}.Text(), b.log)
		}, 422, 1},
		"64 proof lines": {func(b *bench) []byte { return body(t, "5", make([]tlog.Hash, 64), text(9), b.log) }, 400, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			if a := b.Add(t.Context(), body(t, "0", nil, text(5), b.log)); a.Status != http.StatusOK {
				t.Fatalf("size 5: %d %s", a.Status, a.Body)
			}
			request := tt.body(b)
			a := b.Add(t.Context(), request)
			if a.Status != tt.status {
				t.Fatalf("%d %s, want %d", a.Status, a.Body, tt.status)
			}
			if a.Status == 409 && (string(a.Body) != "5\n" || !a.Size) {
				t.Errorf("409 says %q", a.Body)
			}
			if a.Status == 200 {
				_, msg, _ := bytes.Cut(request, []byte("\n\n"))
				if _, err := note.Open(append(msg, a.Body...), note.VerifierList(b.key.Verifier)); err != nil {
					t.Errorf("the cosignature does not hold: %v", err)
				}
			}
			if got := b.evidence(t); len(got) != tt.evidence {
				t.Errorf("evidence %v, want %d", got, tt.evidence)
			}
			b.reopen(t, b.store) // nothing but a cosigned checkpoint has moved it
			want := 409
			if a.Status != 200 || name == "the same again" {
				want = 200
			}
			if a := b.Add(t.Context(), body(t, "5", h.proof(t, 5, 12), text(12), b.log)); a.Status != want {
				t.Errorf("afterwards from 5 to 12: %d, want %d", a.Status, want)
			}
		})
	}
}

// TestEvidenceIsBounded: repeating oneself fills nothing, and what strangers can send takes no room from
// what only the log's key can sign.
func TestEvidenceIsBounded(t *testing.T) {
	b, h := newBench(t), grow(t, 300, "b")
	cosigned := grow(t, 2, "a").checkpoint(t, "log.test/1", 2)
	b.Add(t.Context(), body(t, "0", nil, cosigned.Text(), b.log))
	for i := range 3 * maxEvidence { // one published checkpoint, with any proof and any line of a stranger
		request := body(t, "2", h.proof(t, 3, 4+int64(i%200)), h.checkpoint(t, "log.test/1", 9).Text(), b.log)
		request = append(request, "— stranger "+base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, uint64(i)))+"\n"...)
		if a := b.Add(t.Context(), request); a.Status != 422 {
			t.Fatalf("%d: %d", i, a.Status)
		}
	}
	if got := b.evidence(t); len(got) != 1 {
		t.Errorf("%d pieces of evidence of one checkpoint", len(got))
	}
	for range 2 {
		for i := range maxEvidence + 20 {
			forked := cosigned
			forked.Root[0], forked.Root[1] = byte(i), forked.Root[1]^1
			if a := b.Add(t.Context(), body(t, "2", nil, forked.Text(), b.log)); a.Status != 409 {
				t.Fatalf("fork %d: %d", i, a.Status)
			}
		}
	}
	if got := b.evidence(t); len(got) != 1+maxEvidence {
		t.Errorf("%d pieces of evidence", len(got))
	}
}

func TestEmptyTreeHasOneRoot(t *testing.T) {
	b := newBench(t)
	for root, want := range map[ledger.Hash]int{{1}: 422, sha256.Sum256(nil): 200} {
		c := trust.Checkpoint{Origin: "log.test/1", Root: root}
		if a := b.Add(t.Context(), body(t, "0", nil, c.Text(), b.log)); a.Status != want {
			t.Errorf("%x: %d %s, want %d", root[:4], a.Status, a.Body, want)
		}
	}
}

// broken fails to store.
type broken struct{ *notary.Dir }

func (broken) Replace(context.Context, string, []byte, []byte) error {
	return fault.New(fault.Unavailable, "disk full")
}

// TestStoredBeforeAnswered: without storing there is no cosignature.
func TestStoredBeforeAnswered(t *testing.T) {
	b := newBench(t)
	b.reopen(t, broken{b.store})
	a := b.Add(t.Context(), body(t, "0", nil, grow(t, 5, "a").checkpoint(t, "log.test/1", 5).Text(), b.log))
	if a.Status != http.StatusInternalServerError || bytes.Contains(a.Body, []byte("—")) {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

// TestRace: of many forks at once, in two processes on one store, exactly one is cosigned.
func TestRace(t *testing.T) {
	b := newBench(t)
	other := *b
	other.reopen(t, b.store)
	var wg sync.WaitGroup
	cosigned := make([]int, 16)
	for i := range cosigned {
		request := body(t, "0", nil, grow(t, 5, fmt.Sprint(i)).checkpoint(t, "log.test/1", 5).Text(), b.log)
		w := []*Witness{b.Witness, other.Witness}[i%2]
		wg.Go(func() { cosigned[i] = w.Add(context.Background(), request).Status })
	}
	wg.Wait()
	n := 0
	for _, status := range cosigned {
		if status == http.StatusOK {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d forks were cosigned: %v", n, cosigned)
	}
}

// FuzzRequest: what is accepted is within the limits and has one encoding.
func FuzzRequest(f *testing.F) {
	b, h := newBench(f), grow(f, 9, "a")
	f.Add(body(f, "5", h.proof(f, 5, 9), h.checkpoint(f, "log.test/1", 9).Text(), b.log))
	f.Add([]byte("old 0\n\nx\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := parse(raw)
		if err != nil {
			if !errors.Is(err, ErrRequest) {
				t.Fatalf("another error: %v", err)
			}
			return
		}
		again := fmt.Sprintf("old %d\n", r.old)
		for _, h := range r.proof {
			again += base64.StdEncoding.EncodeToString(h[:]) + "\n"
		}
		if again += "\n" + string(r.note); again != string(raw) || len(r.proof) > maxProof {
			t.Fatalf("%q is read as %q", raw, again)
		}
	})
}
