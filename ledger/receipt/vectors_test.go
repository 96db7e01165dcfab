package receipt_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/receipt"
	"github.com/dosewire/dosewire/ledger/trust"
)

var update = flag.Bool("update", false, "write the test vectors anew")

// vector compares what was computed with the committed file.
func vector[T any](t *testing.T, name string, made T) {
	t.Helper()
	path := filepath.Join("..", "..", "testdata", "vectors", "ledger", name)
	b, err := json.MarshalIndent(made, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stored, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(stored), string(b)+"\n"); d != "" {
		t.Errorf("%s (-committed +computed):\n%s", name, d)
	}
}

// words are the verdicts of receipts as other languages give them.
func word(err error) string {
	for w, e := range map[string]error{"format": receipt.ErrFormat, "entry": ledger.ErrEntry, "index": receipt.ErrIndex,
		"checkpoint": trust.ErrCheckpoint, "signature": trust.ErrSignature, "quorum": trust.ErrQuorum,
		"inclusion": receipt.ErrInclusion, "opening": receipt.ErrOpening, "commitment": receipt.ErrCommitment} {
		if errors.Is(err, e) {
			return w
		}
	}
	return "ok"
}

type receiptVector struct {
	Name    string `json:"name"`
	Policy  string `json:"policy"`
	Receipt string `json:"receipt"`
	Message string `json:"message"`
	Verdict string `json:"verdict"`
}

func TestVectorsReceipts(t *testing.T) {
	var all []receiptVector
	for _, c := range verdictCases(t) {
		all = append(all, receiptVector{c.name, c.policy, c.text, message, word(c.want)})
	}
	for i := range all[:1] {
		forged := all[i]
		forged.Name, forged.Message, forged.Verdict = "another message", message+" ", "commitment"
		all = append(all, forged)
	}
	for _, v := range all {
		_, err := receipt.Verify([]byte(v.Receipt), policy(t, v.Policy), []byte(v.Message))
		if word(err) != v.Verdict {
			t.Errorf("%s: %v, want %s", v.Name, err, v.Verdict)
		}
	}
	vector(t, "receipts.json", all)
}

type treeVector struct {
	Size int    `json:"size"`
	Root string `json:"root"`
}

// TestVectorsTree has the root over the leaves SHA-256(00 ‖ n in decimal) for some sizes.
func TestVectorsTree(t *testing.T) {
	var all []treeVector
	var tree receipt.Tree
	for n := range 70_000 {
		switch n {
		case 0, 1, 2, 3, 5, 8, 255, 256, 257, 300, 65536, 65537, 69_999:
			root := tree.Root()
			all = append(all, treeVector{n, hex.EncodeToString(root[:])})
		}
		tree.Add(sha256.Sum256(append([]byte{0}, decimalOf(n)...)))
	}
	vector(t, "tree.json", all)
}

func decimalOf(n int) []byte { b, _ := json.Marshal(n); return b }
