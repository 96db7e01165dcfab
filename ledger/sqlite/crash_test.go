package sqlite

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/ledgertest"
)

// crashVar names the store that TestCrashWriter writes to when it is run as another process.
const crashVar = "DOSEWIRE_CRASH_STORE"

// TestCrashWriter is the process that TestKilledWhileCommitting kills. It says each size that was
// committed; alone it has nothing to do.
func TestCrashWriter(t *testing.T) {
	path := os.Getenv(crashVar)
	if path == "" {
		return
	}
	s := reopen(t, path)
	h := ledgertest.Fill(t, s, 1)
	for range 100_000 {
		h = ledgertest.Extend(t, s, h, 5)
		fmt.Println("committed", h.Size)
	}
}

// TestKilledWhileCommitting: what a killed process was told is committed is there, and what it was
// in the middle of is there whole or not at all.
func TestKilledWhileCommitting(t *testing.T) {
	for round := range 3 {
		path := filepath.Join(t.TempDir(), "records.db")
		if err := Migrate(t.Context(), path); err != nil {
			t.Fatal(err)
		}
		told := killed(t, path, 20+13*round)
		s := reopen(t, path)
		h, err := s.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if h.Size < told || (h.Size-4)%5 != 0 {
			t.Errorf("%d entries after a crash, %d were committed, five at a time", h.Size, told)
		}
		at, _, err := ledger.Verify(t.Context(), s, ledger.Head{Leaf: ledger.Origin(ledgertest.Origin)}, nil)
		if err != nil || at.Size != h.Size {
			t.Errorf("Verify: %d of %d, %v", at.Size, h.Size, err)
		}
	}
}

// killed runs the writer until it has committed some times, kills it, and returns the last size that
// it said.
func killed(t *testing.T, path string, commits int) (told uint64) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCrashWriter$")
	cmd.Env = append(os.Environ(), crashVar+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); {
		var size uint64
		if _, err := fmt.Sscanf(lines.Text(), "committed %d", &size); err != nil {
			t.Fatalf("the writer says %q", lines.Text())
		}
		told = size
		if n++; n == commits {
			if err := cmd.Process.Kill(); err != nil { // SIGKILL; what it said before is still read
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the writer ended by itself")
	}
	return told
}
