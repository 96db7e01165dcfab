package testenv

import (
	"bytes"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// nodeMajor is the oldest Node.js that has Ed25519 in WebCrypto.
const nodeMajor = 20

// Node runs Node.js and returns what it printed and its exit code. A missing or too old one fails the
// test.
func Node(t testing.TB, args ...string) (stdout string, code int) {
	t.Helper()
	version, err := exec.CommandContext(t.Context(), "node", "--version").Output()
	if err != nil {
		t.Fatalf("testenv: these tests need Node.js %d or later: install nodejs (%v)", nodeMajor, err)
	}
	major, _, _ := strings.Cut(strings.TrimPrefix(string(version), "v"), ".")
	if n, err := strconv.Atoi(major); err != nil || n < nodeMajor {
		t.Fatalf("testenv: these tests need Node.js %d or later, not %s", nodeMajor, version)
	}
	cmd := exec.CommandContext(t.Context(), "node", args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatalf("testenv: node: %v", err)
	}
	if errs.Len() > 0 {
		t.Logf("node: %s", errs.String())
	}
	return out.String(), cmd.ProcessState.ExitCode()
}
