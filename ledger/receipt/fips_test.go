package receipt_test

import (
	"crypto/fips140"
	"os"
	"os/exec"
	"testing"
)

// TestFIPS judges and hashes again where only FIPS 140-3 cryptography is allowed.
func TestFIPS(t *testing.T) {
	if fips140.Enforced() {
		return // this is that run
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^Test(Message|Tampered|Vectors|WalkResumes)", "-test.count=1")
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=only")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
