package trust_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/trust"
)

// voice is a key that signs.
type voice struct {
	note.Signer
	vkey string
}

// seeded makes keys that are the same in every run.
func seeded(name string, n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func logVoice(t testing.TB, name string, n byte) voice {
	t.Helper()
	skey := skeyOf(t, name, n)
	s, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return voice{s, trust.LogKey(name, seeded(name, n).Public().(ed25519.PublicKey))}
}

func witnessVoice(t testing.TB, name string, n byte) voice {
	t.Helper()
	s, err := fnote.NewSignerForCosignatureV1(skeyOf(t, name, n))
	if err != nil {
		t.Fatal(err)
	}
	return voice{s, trust.WitnessKey(name, seeded(name, n).Public().(ed25519.PublicKey))}
}

func mldsaVoice(t testing.TB) voice {
	t.Helper()
	skey, vkey := mldsaWitness(t)
	s, err := fnote.NewSignerForCosignatureV1(skey)
	if err != nil {
		t.Fatal(err)
	}
	return voice{s, vkey}
}

func skeyOf(t testing.TB, name string, n byte) string {
	t.Helper()
	skey, _, err := note.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{n}, 64)), name)
	if err != nil {
		t.Fatal(err)
	}
	return skey
}

func TestOpen(t *testing.T) {
	log, other := logVoice(t, "log.test/1", 1), logVoice(t, "other.test/1", 9)
	w1, w2, w3 := witnessVoice(t, "w1.test", 2), witnessVoice(t, "w2.test", 3), witnessVoice(t, "w3.test", 4)
	pq := mldsaVoice(t)
	p, err := trust.ParsePolicy(fmt.Appendf(nil, "log %s\nlog %s\nwitness a %s\nwitness b %s\nwitness c %s\nwitness p %s\ngroup ab any a b\ngroup cp any c p\ngroup q all ab cp\nquorum q\n",
		log.vkey, other.vkey, w1.vkey, w2.vkey, w3.vkey, pq.vkey))
	if err != nil {
		t.Fatal(err)
	}
	c := trust.Checkpoint{Origin: "log.test/1", Size: 7, Root: ledger.Hash{1}}
	for name, tt := range map[string]struct {
		text string
		by   []voice
		want error
		who  []string
	}{
		"quorum":                         {c.Text(), []voice{log, w1, w3}, nil, []string{"a", "c"}},
		"all":                            {c.Text(), []voice{w3, w2, w1, log}, nil, []string{"a", "b", "c"}},
		"extension lines":                {c.Text() + "more\n", []voice{log, w1, w3}, nil, []string{"a", "c"}},
		"one group short":                {c.Text(), []voice{log, w1, w2}, trust.ErrQuorum, []string{"a", "b"}},
		"nobody":                         {c.Text(), []voice{log}, trust.ErrQuorum, nil},
		"no log":                         {c.Text(), []voice{w1, w2, w3}, trust.ErrSignature, nil},
		"another log's key":              {c.Text(), []voice{other, w1, w3}, trust.ErrSignature, nil},
		"an ML-DSA witness":              {c.Text(), []voice{log, w1, pq}, nil, []string{"a", "p"}},
		"an unknown key":                 {c.Text(), []voice{logVoice(t, "log.test/1", 77), w1, w3}, trust.ErrSignature, nil},
		"a plain signature of a witness": {c.Text(), []voice{log, w1, logVoice(t, "w3.test", 4)}, trust.ErrQuorum, []string{"a"}},
		"no checkpoint":                  {"hello\n", []voice{log, w1, w3}, trust.ErrCheckpoint, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var signers []note.Signer
			for _, v := range tt.by {
				if tt.want == trust.ErrCheckpoint && v != log {
					continue // cosigners refuse to sign it, rightly
				}
				signers = append(signers, v.Signer)
			}
			msg, err := note.Sign(&note.Note{Text: tt.text}, signers...)
			if err != nil {
				t.Fatal(err)
			}
			v, err := p.Open(msg)
			if !errors.Is(err, tt.want) && err != tt.want {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			var who []string
			for _, s := range v.Cosigned {
				who = append(who, s.Witness)
				if s.Time.IsZero() {
					t.Errorf("%s states no time", s.Witness)
				}
			}
			if !slices.Equal(who, tt.who) {
				t.Errorf("cosigned by %v, want %v", who, tt.who)
			}
			if err == nil && v.Checkpoint != c {
				t.Errorf("got %+v", v.Checkpoint)
			}
		})
	}
}

func TestCheckpointText(t *testing.T) {
	good := trust.Checkpoint{Origin: "o", Size: 12, Root: ledger.Hash{0xff}}.Text()
	for name, bad := range map[string]string{
		"empty": "", "no newline": strings.TrimSuffix(good, "\n"), "no origin": good[1:], "leading zero": strings.Replace(good, "12", "012", 1),
		"sign": strings.Replace(good, "12", "+12", 1), "too large": strings.Replace(good, "12", "9223372036854775808", 1),
		"no padding": strings.Replace(good, "=", "", 1), "stray bits": strings.Replace(good, "AAA=", "AAB=", 1),
		"short root": "o\n12\nAAAA\n", "empty extension": good + "\n", "two lines": "o\n12\n",
	} {
		if c, err := trust.ParseCheckpoint(bad); !errors.Is(err, trust.ErrCheckpoint) {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
}

// FuzzCheckpoint: an accepted text without extensions is the one encoding of what it says; a note is
// believed only if its signature is the log's.
func FuzzCheckpoint(f *testing.F) {
	log, w := logVoice(f, "log.test/1", 1), witnessVoice(f, "w1.test", 2)
	text := trust.Checkpoint{Origin: "log.test/1", Size: 12, Root: ledger.Hash{0xff}}.Text()
	msg, err := note.Sign(&note.Note{Text: text}, log, w)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(text + "extension\n")
	f.Add(string(msg))
	p, err := trust.ParsePolicy([]byte("log " + log.vkey + "\nwitness w " + w.vkey + "\nquorum w\n"))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if c, err := trust.ParseCheckpoint(s); err == nil && !strings.HasPrefix(s, c.Text()) {
			t.Fatalf("%q is read as %q", s, c.Text())
		}
		v, err := p.Open([]byte(s))
		if u, uerr := trust.Unjudged([]byte(s)); err == nil && (uerr != nil || u.Checkpoint != v.Checkpoint) {
			t.Fatalf("Open and Unjudged differ: %v", uerr)
		}
		if err == nil && (v.Size != 12 || !strings.HasPrefix(s, text)) {
			t.Fatalf("%q was believed", s)
		}
	})
}

// TestWrongLines: strangers are ignored, and nobody may pretend to be a key of the policy.
func TestWrongLines(t *testing.T) {
	log, w, pq := logVoice(t, "log.test/1", 1), witnessVoice(t, "w1.test", 2), mldsaVoice(t)
	p, err := trust.ParsePolicy([]byte("log " + log.vkey + "\nwitness a " + w.vkey + "\nwitness p " + pq.vkey + "\nquorum a\n"))
	if err != nil {
		t.Fatal(err)
	}
	good, err := note.Sign(&note.Note{Text: trust.Checkpoint{Origin: "log.test/1", Size: 7}.Text()}, log, w, pq)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := p.Open(good); err != nil || len(s.Cosigned) != 2 {
		t.Fatalf("%+v, %v", s, err)
	}
	text, sigs, _ := strings.Cut(string(good), "\n\n")
	lines := strings.SplitAfter(strings.TrimSuffix(sigs, "\n"), "\n")
	lines[2] += "\n"
	for name, tt := range map[string]struct {
		change func()
		want   error
	}{
		"a stranger":                     {func() { lines[2] = "— stranger.test AAAAAAAAAAAA\n" }, nil},
		"the log's name and another key": {func() { lines[2] = "— log.test/1 AAAAAAAAAAAA\n" }, nil},
		"a wrong one after the good one": {func() { lines = append(lines, spoilt(lines[1])) }, trust.ErrSignature},
		"a wrong log line":               {func() { lines[0] = spoilt(lines[0]) }, trust.ErrSignature},
		"a wrong ML-DSA line":            {func() { lines[2] = spoilt(lines[2]) }, trust.ErrSignature},
		"no line":                        {func() { lines = nil }, trust.ErrCheckpoint},
		"a control character":            {func() { text = "log.test/1\t" + text[10:] }, trust.ErrCheckpoint},
		"101 lines":                      {func() { lines = slices.Repeat(lines[:1], 101) }, trust.ErrCheckpoint},
		"too long":                       {func() { lines = slices.Repeat(lines, 20) }, trust.ErrCheckpoint},
	} {
		keptText, keptLines := text, slices.Clone(lines)
		tt.change()
		msg := []byte(text + "\n\n" + strings.Join(lines, ""))
		if _, err := p.Open(msg); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
		text, lines = keptText, keptLines
	}
}

// spoilt changes the last byte of a signature line.
func spoilt(line string) string {
	at := strings.LastIndex(line, " ") + 1
	raw, _ := base64.StdEncoding.DecodeString(strings.TrimSuffix(line[at:], "\n"))
	raw[len(raw)-1] ^= 1
	return line[:at] + base64.StdEncoding.EncodeToString(raw) + "\n"
}
