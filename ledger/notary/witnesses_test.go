package notary_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger/notary"
	"github.com/dosewire/dosewire/ledger/trust"
)

// witnessed3 is a notary with three witnesses, of which two are asked for.
func witnessed3(t testing.TB, c *chain, quorum string) (*setup, []*witnessed, *trust.Policy) {
	t.Helper()
	dir := t.TempDir()
	key := logKey(t, dir)
	var ws []*witnessed
	text := "log " + key.VKey + "\n"
	for i := range 3 {
		w := newWitness(t, fmt.Sprintf("w%d.test/witness", i), key)
		ws = append(ws, w)
		text += fmt.Sprintf("witness w%d %s %s\n", i, w.key.VKey, w.URL)
	}
	p := policy(t, text+"group all3 2 w0 w1 w2\nquorum "+quorum+"\n")
	s := newSetup(t, c, func(n *notary.Config) {
		n.Signer, n.Verifier, n.Policy = key, key.Verifier, p
	})
	s.key = key
	return s, ws, p
}

func TestCosigned(t *testing.T) {
	c := newChain()
	s, _, p := witnessed3(t, c, "all3")
	for _, n := range []int{1, 300, 5} {
		c.add(n)
		s.tick(t)
		s.reopen(t)
		b, _ := s.tiles.Get(t.Context(), "checkpoint")
		v, err := p.Open(b)
		if err != nil || len(v.Cosigned) != 3 || v.Size != uint64(len(c.entries)) {
			t.Fatalf("checkpoint: %+v, %v", v, err)
		}
		for _, w := range v.Cosigned {
			if d := time.Since(w.Time); d < -time.Second || d > 5*time.Second {
				t.Errorf("%s cosigned at %v", w.Witness, w.Time)
			}
		}
	}
}

// TestQuorumLost: the last cosigned checkpoint stays, an alarm says so, and the next one catches up.
func TestQuorumLost(t *testing.T) {
	c := newChain()
	s, ws, p := witnessed3(t, c, "all3")
	c.add(10)
	s.tick(t)
	ws[1].down = true
	c.add(10)
	s.tick(t) // two of three suffice
	ws[2].down = true
	c.add(10)
	err := s.Tick(t.Context())
	if !errors.Is(err, notary.ErrQuorum) || fault.KindOf(err) != fault.Unavailable {
		t.Fatalf("tick: %v, want ErrQuorum", err)
	}
	st := s.Status()
	if st.Alarm != "quorum" || st.Size != 30 || st.Published != 20 || st.Unsigned <= 0 || s.Healthy() != nil {
		t.Errorf("status %+v", st)
	}
	if v := s.published(t); v.Size != 20 {
		t.Errorf("published size %d", v.Size)
	}
	ws[1].down, ws[2].down = false, false
	s.reopen(t)
	s.tick(t)
	b, _ := s.tiles.Get(t.Context(), "checkpoint")
	if v, err := p.Open(b); err != nil || v.Size != 30 || len(v.Cosigned) != 3 {
		t.Errorf("after they came back: %+v, %v", v, err)
	}
	if st := s.Status(); st.Alarm != "" || st.Unsigned != 0 {
		t.Errorf("status %+v", st)
	}
}

// TestStolenKey: whoever has the log's key and another ledger gets no cosignature for it, and leaves
// both signed notes with the witness. Smaller, equal and larger forks.
func TestStolenKey(t *testing.T) {
	for name, tt := range map[string]struct {
		size     int
		evidence string
	}{"smaller": {60, ""}, "of the same size": {100, "two"}, "larger": {150, "proof"}} {
		t.Run(name, func(t *testing.T) {
			c := newChain()
			s, ws, _ := witnessed3(t, c, "all3")
			c.add(100)
			s.tick(t)

			other := newChain()
			other.add(tt.size)
			thief := newSetup(t, other, func(n *notary.Config) {
				n.Signer, n.Verifier, n.Policy = s.config.Signer, s.config.Verifier, s.config.Policy
			})
			thief.key = s.key
			err := thief.Tick(t.Context())
			if !errors.Is(err, notary.ErrFork) || notary.AlarmName(err) != "fork" || thief.Healthy() == nil {
				t.Fatalf("the thief's tick: %v, want ErrFork", err)
			}
			if _, err := thief.tiles.Get(t.Context(), "checkpoint"); !errors.Is(err, notary.ErrNoObject) {
				t.Errorf("the fork was published: %v", err)
			}
			for _, w := range ws {
				found, _ := filepath.Glob(filepath.Join(w.dir(), "evidence", "*", "*"))
				if (len(found) > 0) != (tt.evidence != "") {
					t.Fatalf("evidence: %v", found)
				}
				if len(found) == 0 {
					continue
				}
				b, err := os.ReadFile(found[0])
				if err != nil || bytes.Count(b, []byte(origin+"\n")) != 2 || strings.Count(string(b), "— "+origin) != 2 {
					t.Errorf("the evidence does not hold both signed notes: %v\n%s", err, b)
				}
			}
			c.add(50)
			s.tick(t) // the honest log goes on
			if v := s.published(t); v.Size != 150 {
				t.Errorf("published %d", v.Size)
			}
		})
	}
}

// TestOneLiar: a witness that claims another tree cannot stop the log against the quorum of the others.
func TestOneLiar(t *testing.T) {
	c := newChain()
	s, ws, _ := witnessed3(t, c, "all3")
	c.add(10)
	s.tick(t)
	forked := newChain()
	forked.add(20)
	lonely := policy(t, fmt.Sprintf("log %s\nwitness w %s %s\nquorum w\n", s.key.VKey, ws[0].key.VKey, ws[0].URL))
	if err := os.RemoveAll(filepath.Join(ws[0].dir(), "logs")); err != nil { // it forgets, and believes a fork
		t.Fatal(err)
	}
	thief := newSetup(t, forked, func(n *notary.Config) { n.Signer, n.Verifier, n.Policy = s.key, s.key.Verifier, lonely })
	thief.key = s.key
	thief.tick(t)
	c.add(30)
	s.tick(t)
	b, _ := s.tiles.Get(t.Context(), "checkpoint")
	v, err := s.config.Policy.Open(b)
	if err != nil || v.Size != 40 || len(v.Cosigned) != 2 {
		t.Errorf("published %+v, %v", v, err)
	}
}

// TestLiarBesideNoQuorum: where the policy needs no witness, one that refuses is an alarm and stops
// nothing; where it is needed, nothing is published.
func TestLiarBesideNoQuorum(t *testing.T) {
	for _, status := range []int{http.StatusConflict, http.StatusUnprocessableEntity, http.StatusInternalServerError} {
		liar := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			fmt.Fprintln(w, 1<<40)
		}))
		t.Cleanup(liar.Close)
		for _, quorum := range []string{"none", "w"} {
			c := newChain()
			dir := t.TempDir()
			key := logKey(t, dir)
			w := newWitness(t, "w.test/witness", key)
			var log bytes.Buffer
			s := newSetup(t, c, func(n *notary.Config) {
				n.Signer, n.Verifier, n.Log = key, key.Verifier, slog.New(slog.NewTextHandler(&log, nil))
				n.Policy = policy(t, fmt.Sprintf("log %s\nwitness w %s %s\nquorum %s\n", key.VKey, w.key.VKey, liar.URL, quorum))
			})
			s.key = key
			c.add(7)
			err := s.Tick(t.Context())
			said := strings.Contains(log.String(), "claims another tree")
			switch fork := status != http.StatusInternalServerError; {
			case quorum == "none" && (err != nil || s.published(t).Size != 7 || s.Healthy() != nil):
				t.Errorf("%d: it is not published: %v", status, err)
			case quorum == "none" && said != fork:
				t.Errorf("%d: log %s", status, log.String())
			case quorum == "w" && errors.Is(err, notary.ErrFork) != fork, quorum == "w" && err == nil:
				t.Errorf("%d, needed: %v", status, err)
			}
		}
	}
}

// TestRefresh: a log that does not grow shows that it lives.
func TestRefresh(t *testing.T) {
	c := newChain()
	s, _, _ := witnessed3(t, c, "all3")
	now := time.Now()
	s.config.Now = func() time.Time { return now }
	s.reopen(t)
	c.add(3)
	now = now.Add(time.Second)
	s.tick(t)
	first, _ := s.tiles.Get(t.Context(), "checkpoint")
	s.tick(t)
	if same, _ := s.tiles.Get(t.Context(), "checkpoint"); !bytes.Equal(first, same) {
		t.Error("cosigned anew at once")
	}
	now = now.Add(11 * time.Minute)
	time.Sleep(1100 * time.Millisecond) // cosignatures count whole seconds of the real clock
	s.tick(t)
	if fresh, _ := s.tiles.Get(t.Context(), "checkpoint"); bytes.Equal(first, fresh) {
		t.Error("not cosigned anew after eleven minutes")
	}
}

// TestReceiptWithin is the promise of 2.5 s from commit to a cosigned checkpoint, with the default
// interval and a witness over HTTP.
func TestReceiptWithin(t *testing.T) {
	c := newChain()
	c.add(5000)
	s, _, p := witnessed3(t, c, "all3")
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	defer func() { stop(); <-done }() // its files go with the test
	var worst time.Duration
	for range 4 {
		c.add(100)
		c.mu.Lock()
		want := c.head.Size
		c.mu.Unlock()
		began := time.Now()
		for {
			b, err := s.tiles.Get(t.Context(), "checkpoint")
			if err == nil {
				if v, err := p.Open(b); err == nil && v.Size >= want {
					break
				}
			}
			if time.Since(began) > 10*time.Second {
				t.Fatal("no cosigned checkpoint in 10 s")
			}
			time.Sleep(10 * time.Millisecond) // polls a file
		}
		worst = max(worst, time.Since(began))
	}
	if worst > 2500*time.Millisecond {
		t.Errorf("commit to cosigned checkpoint took %v", worst)
	}
	t.Logf("worst of 4: %v", worst)
}

func BenchmarkTick(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		for _, witnesses := range []string{"none", "all3"} {
			b.Run(fmt.Sprintf("new=%d/quorum=%s", n, witnesses), func(b *testing.B) {
				c := newChain()
				c.add(100_000)
				var s *setup
				if witnesses == "none" {
					s = newSetup(b, c)
				} else {
					s, _, _ = witnessed3(b, c, witnesses)
				}
				s.tick(b)
				for b.Loop() {
					b.StopTimer()
					c.add(n)
					b.StartTimer()
					s.tick(b)
				}
				b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
			})
		}
	}
}
