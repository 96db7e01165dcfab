package signature_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/dosewire/dosewire/internal/signature"
)

// TestVectors: signatures that other programs made (testdata/vectors/signature/make.py).
func TestVectors(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "testdata", "vectors", "signature", "signature.json"))
	must(t, err)
	var vectors []struct {
		Name    string
		Body    []byte
		JWS     string
		Anchors string
		Time    time.Time
		Verdict signature.Verdict
		Reason  signature.Reason
	}
	must(t, json.Unmarshal(text, &vectors))
	if len(vectors) < 17 {
		t.Fatalf("%d vectors", len(vectors))
	}
	for _, v := range vectors {
		anchors, err := signature.ParseAnchors([]byte(v.Anchors))
		must(t, err)
		signer, err := signature.Verify(v.JWS, v.Body, anchors, v.Time)
		e := signature.Judge(signature.Record, v.Time.UnixMilli(), signature.NewSeen("header", v.JWS, signer, err))
		if e.Verdict != v.Verdict || e.Reason != v.Reason {
			t.Errorf("%s: %s, want %s %s", v.Name, e, v.Verdict, v.Reason)
		}
	}
}

// TestFIPS runs the verdicts where only FIPS 140-3 approved algorithms work.
func TestFIPS(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^(TestVectors|TestVerify|TestKeySigns)$", "-test.v")
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=only")
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestVectors")) || !bytes.Contains(out, []byte("--- PASS: TestKeySigns")) {
		t.Fatalf("with fips140=only: %v\n%s", err, out)
	}
}
