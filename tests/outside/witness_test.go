package outside

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/notary"
	"github.com/dosewire/dosewire/ledger/trust"
)

// buildWitness builds the foreign witness in a folder of its own: its modules are vendored there, and
// the one function that the released merkle module lacks is added.
func buildWitness(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum", "main.go"} {
		b, err := os.ReadFile(filepath.Join("witness", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tool(t, dir, "mod", "vendor")
	stub, err := os.ReadFile(filepath.Join("witness", "merkle-subtree.go.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "vendor/github.com/transparency-dev/merkle/proof/subtree.go"), stub, 0o644); err != nil {
		t.Fatal(err)
	}
	tool(t, dir, "build", "-mod=vendor", "-o", "witness", ".")
	return filepath.Join(dir, "witness")
}

func tool(t *testing.T, dir string, args ...string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), "go", args...)
	c.Dir, c.Env = dir, append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("go %v: %v\n%s", args, err, out)
	}
}

// startWitness runs it and returns a policy that asks for its cosignature.
func startWitness(t *testing.T, program string, log *notary.Key) *trust.Policy {
	t.Helper()
	skey, vkey, err := note.GenerateKey(rand.Reader, "foreign.test/witness")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	c := exec.CommandContext(ctx, program, skey, log.VKey)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(); _ = c.Wait() })
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if vkey, err = fnote.VKeyToCosignatureV1(vkey); err != nil {
		t.Fatal(err)
	}
	p, err := trust.ParsePolicy([]byte("log " + log.VKey + "\nwitness w " + vkey + " " + strings.TrimSpace(url) + "\nquorum w\n"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestForeignWitness has a witness that is not ours cosign an honest ledger as it grows, and refuse
// whoever signs another ledger with the same key: of the same size, and larger.
func TestForeignWitness(t *testing.T) {
	dir := t.TempDir()
	key, err := notary.LogKey(filepath.Join(dir, "key"), origin)
	if err != nil {
		t.Fatal(err)
	}
	policy := startWitness(t, buildWitness(t), key)
	honest := newLog(t, filepath.Join(dir, "honest"), key, policy, 0)
	for _, n := range []int{1, 299, 0, 400, 5} {
		honest.chain.add(n)
		if err := honest.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
		b, err := honest.tiles.Get(t.Context(), "checkpoint")
		if err != nil {
			t.Fatal(err)
		}
		if v, err := policy.Open(b); err != nil || v.Size != honest.chain.head.Size || len(v.Cosigned) != 1 || v.Cosigned[0].Time.IsZero() {
			t.Fatalf("checkpoint: %+v, %v", v, err)
		}
	}
	for name, size := range map[string]int{"smaller": 300, "same size": 705, "larger": 1000} {
		forked := newLog(t, filepath.Join(dir, name), key, policy, 1)
		forked.chain.add(size)
		if err := forked.Tick(t.Context()); !errors.Is(err, notary.ErrFork) {
			t.Errorf("%s: %v, want ErrFork", name, err)
		}
		if _, err := forked.tiles.Get(t.Context(), "checkpoint"); !errors.Is(err, notary.ErrNoObject) {
			t.Errorf("%s: the fork was published", name)
		}
	}
	honest.chain.add(1)
	if err := honest.Tick(t.Context()); err != nil {
		t.Errorf("the honest log afterwards: %v", err)
	}
}

// log is a ledger with its notary.
type log struct {
	*notary.Notary
	chain *chain
	tiles *notary.Dir
}

func newLog(t *testing.T, dir string, key *notary.Key, policy *trust.Policy, salt byte) *log {
	t.Helper()
	state, err := notary.OpenDir(filepath.Join(dir, "state"), 0o700)
	if err != nil {
		t.Fatal(err)
	}
	tiles, err := notary.OpenDir(filepath.Join(dir, "tiles"), 0o755)
	if err != nil {
		t.Fatal(err)
	}
	c := &chain{head: ledger.Head{Leaf: ledger.Origin(origin)}, salt: salt}
	n, err := notary.Open(notary.Config{Origin: origin, Source: c, State: state, Tiles: tiles, Signer: key, Verifier: key.Verifier, Policy: policy})
	if err != nil {
		t.Fatal(err)
	}
	return &log{n, c, tiles}
}
