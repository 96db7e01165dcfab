package arch

import (
	"os/exec"
	"strings"
	"testing"
)

// TestTestCodeStaysOut lists what the program is linked from.
func TestTestCodeStaysOut(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "./cmd/dosewire")
	cmd.Dir = root(t)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	deps := strings.Fields(string(out))
	if len(deps) < 100 {
		t.Fatalf("go list named %d packages", len(deps))
	}
	for _, d := range deps {
		for _, banned := range []string{"testing", "net/http/httptest", "github.com/rogpeppe/go-internal", "github.com/google/go-cmp",
			module + "/ledger/ledgertest", module + "/adapters/adaptertest", module + "/ledger/awskms/kmstest", module + "/ledger/awss3/s3test", module + "/internal/testenv", module + "/internal/arch"} {
			if d == banned || strings.HasPrefix(d, banned+"/") {
				t.Errorf("the program links %s", d)
			}
		}
	}
}
