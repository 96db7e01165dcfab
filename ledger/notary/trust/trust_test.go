package trust_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/notary/trust"
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

func skeyOf(t testing.TB, name string, n byte) string {
	t.Helper()
	skey, _, err := note.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{n}, 64)), name)
	if err != nil {
		t.Fatal(err)
	}
	return skey
}

func TestPolicyText(t *testing.T) {
	log, w1, w2, w3 := logVoice(t, "log.test/1", 1).vkey, witnessVoice(t, "w1.test", 2).vkey, witnessVoice(t, "w2.test", 3).vkey, witnessVoice(t, "w3.test", 4).vkey
	three := "witness a " + w1 + "\nwitness b " + w2 + " https://b.test/\nwitness c " + w3 + "\n"
	forged := strings.Replace(w1, "w1.test", "wx.test", 1)
	for name, tt := range map[string]struct {
		text string
		says string // "" = accepted
	}{
		"the least":               {"quorum none\n", ""},
		"no final newline":        {"quorum none", ""},
		"comments and blanks":     {"# one\n\n \t\n  # two\n\tlog  \t " + log + " https://log.test \nquorum none\n", ""},
		"all kinds":               {"log " + log + "\n" + three + "group g 2 a b\ngroup h any g c\nquorum h\n", ""},
		"names beyond ASCII":      {"witness Zürich " + w1 + "\nquorum Zürich\n", ""},
		"empty":                   {"", "no quorum"},
		"only comments":           {"# quorum none\n", "no quorum"},
		"two quorums":             {"quorum none\nquorum none\n", "line 2: a second quorum"},
		"unknown word":            {"logs " + log + "\nquorum none\n", "line 1"},
		"comment after":           {"quorum none # really\n", "line 1"},
		"carriage return":         {"quorum none\r\n", "line 1: a control character"},
		"control character":       {"# \x01\nquorum none\n", "line 1: a control character"},
		"log without key":         {"log\nquorum none\n", "line 1"},
		"log with a witness key":  {"log " + w1 + "\nquorum none\n", "type 1"},
		"witness with a log key":  {"witness a " + log + "\nquorum a\n", "type 4 or 6"},
		"key id does not fit":     {"witness a " + forged + "\nquorum a\n", "key id"},
		"duplicate log":           {"log " + log + "\nlog " + log + "\nquorum none\n", "line 2: the same public key"},
		"duplicate witness key":   {"witness a " + w1 + "\nwitness b " + w1 + "\nquorum a\n", "line 2: the same public key"},
		"same key, another name":  {"witness a " + w1 + "\nwitness b " + witnessVoice(t, "wx.test", 2).vkey + "\nquorum a\n", "the same public key"},
		"duplicate name":          {"witness a " + w1 + "\nwitness a " + w2 + "\nquorum a\n", "defined already"},
		"named none":              {"witness none " + w1 + "\nquorum none\n", "none is not a name"},
		"group of nobody":         {"group g any\nquorum g\n", "want: group"},
		"group above its members": {three + "group g 4 a b c\nquorum g\n", "threshold"},
		"threshold zero":          {three + "group g 0 a\nquorum g\n", "threshold"},
		"threshold 02":            {three + "group g 02 a b\nquorum g\n", "threshold"},
		"threshold +1":            {three + "group g +1 a b\nquorum g\n", "threshold"},
		"member in two groups":    {three + "group g all a b\ngroup h all a c\nquorum h\n", "in a group already"},
		"member twice":            {three + "group g 2 a a\nquorum g\n", "in a group already"},
		"member none":             {three + "group g any none\nquorum g\n", "not defined"},
		"member below":            {"group g any a\n" + three + "quorum g\n", "not defined"},
		"group of itself":         {"group g any g\nquorum g\n", "not defined"},
		"quorum before":           {"quorum a\n" + three, "not defined"},
		"too long a line":         {"quorum none none\n", "want: quorum"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := trust.ParsePolicy([]byte(tt.text))
			switch {
			case tt.says == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.says != "" && (!errors.Is(err, trust.ErrPolicy) || !strings.Contains(err.Error(), tt.says)):
				t.Errorf("got %v, want it to say %q", err, tt.says)
			}
		})
	}
}

func TestOpen(t *testing.T) {
	log, other := logVoice(t, "log.test/1", 1), logVoice(t, "other.test/1", 9)
	w1, w2, w3 := witnessVoice(t, "w1.test", 2), witnessVoice(t, "w2.test", 3), witnessVoice(t, "w3.test", 4)
	p, err := trust.ParsePolicy([]byte(fmt.Sprintf("log %s\nlog %s\nwitness a %s\nwitness b %s\nwitness c %s\ngroup ab any a b\ngroup q all ab c\nquorum q\n",
		log.vkey, other.vkey, w1.vkey, w2.vkey, w3.vkey)))
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
		"no log":                         {c.Text(), []voice{w1, w2, w3}, trust.ErrUnsigned, nil},
		"another log's key":              {c.Text(), []voice{other, w1, w3}, trust.ErrUnsigned, nil},
		"an unknown key":                 {c.Text(), []voice{logVoice(t, "log.test/1", 77), w1, w3}, trust.ErrUnsigned, nil},
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

// FuzzPolicy: what is accepted has a quorum that everybody together meets, and reads the same again.
func FuzzPolicy(f *testing.F) {
	log, w1, w2 := logVoice(f, "log.test/1", 1).vkey, witnessVoice(f, "w1.test", 2).vkey, witnessVoice(f, "w2.test", 3).vkey
	f.Add("log " + log + " https://log.test\nwitness a " + w1 + "\nwitness b " + w2 + " https://b.test/\ngroup g all a b\nquorum g\n")
	f.Add("witness a " + w1 + "\nquorum a\n# x")
	f.Add("quorum none\n")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := trust.ParsePolicy([]byte(text))
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
		if !p.Quorum(all) || p.Needed() && p.Quorum(nil) {
			t.Fatalf("a quorum that all do not meet, or nobody does: %q", text)
		}
		again, err := trust.ParsePolicy([]byte("# again\n" + text))
		if err != nil || len(again.Witnesses) != len(p.Witnesses) || len(again.Logs) != len(p.Logs) {
			t.Fatalf("read again: %v", err)
		}
	})
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
		if v, err := p.Open([]byte(s)); err == nil && (v.Size != 12 || !strings.HasPrefix(s, text)) {
			t.Fatalf("%q was believed", s)
		}
	})
}
