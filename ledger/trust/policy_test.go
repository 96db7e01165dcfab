package trust_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dosewire/dosewire/internal/testenv"
	"github.com/dosewire/dosewire/ledger/trust"
)

var update = flag.Bool("update", false, "write the test vectors anew")

type policyCase struct {
	name, text string
	ok         bool
}

func policyCases(t testing.TB) []policyCase {
	_, mldsaKey := mldsaWitness(t)
	log := &testenv.Log{Origin: "dosewire.example/log"}
	lines := strings.Split(log.Policy(2), "\n")
	logLine, w0, w1 := lines[1], lines[3], lines[4]
	return []policyCase{
		{"whole", log.Policy(2), true},
		{"nobody", log.Policy(0), true},
		{"one witness", join(logLine, w0, "quorum w0"), true},
		{"groups of groups", join(logLine, w0, w1, "group a any w0", "group b all w1", "group c 2 a b", "quorum c"), true},
		{"tabs, spaces, comments", "\t# x\n  " + strings.ReplaceAll(logLine, " ", "\t") + " \n\nquorum none", true},
		{"empty", "", false},
		{"no log", join("quorum none"), false},
		{"no quorum", join(logLine), false},
		{"two quorums", join(logLine, "quorum none", "quorum none"), false},
		{"unknown keyword", join(logLine, "quorum none", "trust me"), false},
		{"unknown quorum", join(logLine, "quorum w0"), false},
		{"quorum before its witness", join(logLine, "quorum w0", w0), false},
		{"unknown member", join(logLine, w0, "group g any w0 w1", "quorum g"), false},
		{"member twice", join(logLine, w0, "group g any w0 w0", "quorum g"), false},
		{"member of two groups", join(logLine, w0, w1, "group a any w0", "group b any w0 w1", "quorum b"), false},
		{"none as a member", join(logLine, w0, "group a any none", "quorum a"), false},
		{"threshold 0", join(logLine, w0, "group a 0 w0", "quorum a"), false},
		{"threshold above", join(logLine, w0, "group a 2 w0", "quorum a"), false},
		{"threshold +1", join(logLine, w0, "group a +1 w0", "quorum a"), false},
		{"a name twice", join(logLine, w0, strings.Replace(w1, "w1", "w0", 1), "quorum none"), false},
		{"a witness named none", join(logLine, strings.Replace(w0, "w0", "none", 1), "quorum none"), false},
		{"a key twice", join(logLine, w0, strings.Replace(w0, "w0", "w9", 1), "quorum none"), false},
		{"a log twice", join(logLine, logLine, "quorum none"), false},
		{"a witness as log", join("log "+strings.Fields(w0)[2], "quorum none"), false},
		{"a key's hash", join(strings.Replace(logLine, "+", "+0", 1), "quorum none"), false},
		{"carriage return", join(logLine+"\r", "quorum none"), false},
		{"an ML-DSA-44 witness", join(logLine, "witness p "+mldsaKey, "quorum p"), true},
		{"a witness key of type 1", join(logLine, "witness p "+strings.Fields(logLine)[1], "quorum p"), true},
		{"an ML-DSA-44 log", join("log "+mldsaKey, "quorum none"), false},
		{"an ML-DSA-44 key cut short", join(logLine, "witness p "+mldsaKey[:len(mldsaKey)-8], "quorum p"), false},
		{"the same key under another name", join(logLine, "witness p "+strings.Fields(logLine)[1], "witness q "+retyped(strings.Fields(logLine)[1]), "quorum p"), false},
		{"64 KiB", log.Policy(0) + strings.Repeat("#", 64<<10-len(log.Policy(0))), true},
		{"above 64 KiB", log.Policy(0) + strings.Repeat("#", 64<<10-len(log.Policy(0))+1), false},
		{"256 parts", join(append([]string{logLine, w0}, append(nested(254), "quorum g253")...)...), true},
		{"257 parts", join(append([]string{logLine, w0}, append(nested(255), "quorum g254")...)...), false},
		{"a key id in capitals", join(strings.Replace(logLine, strings.Split(logLine, "+")[1], strings.ToUpper(strings.Split(logLine, "+")[1]), 1), "quorum none"), false},
		{"empty group", join(logLine, "group a all", "quorum a"), false},
	}
}

// nested are n groups, each of the one before; the first is of w0.
func nested(n int) (lines []string) {
	of := "w0"
	for i := range n {
		name := fmt.Sprint("g", i)
		lines = append(lines, "group "+name+" any "+of)
		of = name
	}
	return lines
}

func join(lines ...string) string { return strings.Join(lines, "\n") + "\n" }

// retyped is a type 1 vkey as the type 4 key with the same name and public key.
func retyped(vkey string) string {
	name, rest, _ := strings.Cut(vkey, "+")
	_, text, _ := strings.Cut(rest, "+")
	raw, _ := base64.StdEncoding.DecodeString(text)
	return trust.WitnessKey(name, ed25519.PublicKey(raw[1:]))
}

// mldsaWitness is a recorded pair of keys of witness9.example: the signature scheme has no seeds that
// other implementations would share.
func mldsaWitness(t testing.TB) (skey, vkey string) {
	t.Helper()
	b, err := os.ReadFile("testdata/mldsa-witness.txt")
	if err != nil {
		t.Fatal(err)
	}
	skey, vkey, _ = strings.Cut(strings.TrimSuffix(string(b), "\n"), "\n")
	return skey, vkey
}

func TestPolicies(t *testing.T) {
	for _, c := range policyCases(t) {
		p, err := trust.ParsePolicy([]byte(c.text))
		if (err == nil) != c.ok || err != nil && !errors.Is(err, trust.ErrPolicy) {
			t.Errorf("%s: %v", c.name, err)
		}
		if err == nil && (p.String() != c.text || !slices.Equal(p.Origins(), []string{"dosewire.example/log"})) {
			t.Errorf("%s: %v, %q", c.name, p.Origins(), p)
		}
	}
}

// TestPolicyErrorsNameTheLine: an operator finds the mistake.
func TestPolicyErrorsNameTheLine(t *testing.T) {
	lines := strings.Split((&testenv.Log{Origin: "dosewire.example/log"}).Policy(2), "\n")
	log, w0 := lines[1], lines[3]
	for text, says := range map[string]string{
		join(log, "quorum none", "quorum none"): "line 3: a second quorum",
		"quorum none\r\n":                       "line 1: a control character",
		join(log, w0, w0):                       "line 3: ",
		join(log):                               "no quorum line",
		join("quorum none"):                     "no log line",
		join(log, "group g any w0", "quorum g"): `line 2: "w0" is not defined above`,
		join(log, "quorum none # really"):       "line 2: want: quorum <name>",
	} {
		if _, err := trust.ParsePolicy([]byte(text)); !errors.Is(err, trust.ErrPolicy) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", text, err, says)
		}
	}
}

type policyVector struct {
	Name   string `json:"name"`
	Policy string `json:"policy"`
	Valid  bool   `json:"valid"`
}

func TestVectorsPolicies(t *testing.T) {
	var all []policyVector
	for _, c := range policyCases(t) {
		all = append(all, policyVector{c.name, c.text, c.ok})
	}
	made, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("..", "..", "testdata", "vectors", "ledger", "policies.json")
	if *update {
		if err := os.WriteFile(path, append(made, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stored, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(stored), string(made)+"\n"); d != "" {
		t.Errorf("(-committed +computed):\n%s", d)
	}
}

// FuzzPolicy: what is accepted has a log and a quorum that everybody together meets, reads the same
// again, and believes nothing unsigned.
func FuzzPolicy(f *testing.F) {
	for _, c := range policyCases(f) {
		f.Add([]byte(c.text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := trust.ParsePolicy(text)
		if err != nil {
			if !errors.Is(err, trust.ErrPolicy) {
				t.Fatalf("another error: %v", err)
			}
			return
		}
		var all []trust.Cosignature
		for _, w := range p.Witnesses {
			all = append(all, trust.Cosignature{Witness: w.Name})
		}
		if !p.Quorum(all) || p.Needed() && p.Quorum(nil) || len(p.Logs) == 0 {
			t.Fatalf("a quorum that all do not meet, or nobody does: %q", text)
		}
		again, err := trust.ParsePolicy(bytes.Clone(text))
		if err != nil || len(again.Witnesses) != len(p.Witnesses) || !slices.Equal(again.Origins(), p.Origins()) || !bytes.Equal(text, []byte(p.String())) {
			t.Fatalf("read again: %v", err)
		}
		if _, err := p.Open([]byte("x\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n— x AAAAAAA=\n")); err == nil {
			t.Fatal("a forged checkpoint is believed")
		}
	})
}
