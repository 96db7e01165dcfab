package streams_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dosewire/dosewire/streams"
)

func TestEnsureAgain(t *testing.T) {
	h := startHub(t)
	fill(t, h, 3, 10)
	// The head has moved on since: what FirstSeq asks for is for a new stream only.
	if err := streams.Ensure(t.Context(), h.js, streams.Settings{Epoch: 1, FirstSeq: 900}); err != nil {
		t.Fatal(err)
	}
	if s := h.state(t, streams.Intake); s.FirstSeq != 1 || s.Msgs != 3 {
		t.Errorf("first sequence %d, %d messages; want 1 and 3", s.FirstSeq, s.Msgs)
	}
}

func TestEnsureNewEpochStartsBehindTheHead(t *testing.T) {
	h := openHub(t, t.TempDir(), streams.Settings{Epoch: 2, FirstSeq: 1001})
	fill(t, h, 1, 10)
	if got := readAll(t, h, streams.Intake, 1)[0].Seq; got != 1001 {
		t.Errorf("first message has sequence %d, want 1001", got)
	}
}

func TestEnsureRefusesAnotherEpoch(t *testing.T) {
	h := startHub(t)
	if err := streams.Ensure(t.Context(), h.js, streams.Settings{Epoch: 2}); !errors.Is(err, streams.ErrEpoch) {
		t.Errorf("got %v, want ErrEpoch", err)
	}
}

// Somebody opened what must stay shut: Ensure shuts it, or refuses when the server does not let it.
func TestEnsureMendsOrRefuses(t *testing.T) {
	change := func(name string, f func(*jetstream.StreamConfig)) error {
		h := startHub(t)
		s, err := h.js.Stream(t.Context(), streams.Intake)
		if err != nil {
			t.Fatal(err)
		}
		c := s.CachedInfo().Config
		f(&c)
		if _, err := h.js.UpdateStream(t.Context(), c); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		err = streams.Ensure(t.Context(), h.js, streams.Settings{Epoch: 1})
		if now, infoErr := h.js.Stream(t.Context(), streams.Intake); infoErr != nil || now.CachedInfo().Config.AllowRollup {
			t.Errorf("%s: rollup is still allowed (%v)", name, infoErr)
		}
		return err
	}
	if err := change("rollup", func(c *jetstream.StreamConfig) { c.AllowRollup = true }); err != nil {
		t.Errorf("rollup: %v", err)
	}
	if err := change("window", func(c *jetstream.StreamConfig) { c.Duplicates, c.MaxBytes = time.Hour, 5<<20 }); err != nil {
		t.Errorf("window: %v", err)
	}
	// Per-message TTL, once on, stays on: the server refuses to take it back.
	if err := change("ttl", func(c *jetstream.StreamConfig) { c.AllowMsgTTL = true }); err == nil {
		t.Error("a stream with per-message TTL was accepted")
	}
}

// The comparison itself: all differences at once.
func TestDifferences(t *testing.T) {
	want := jetstream.StreamConfig{Name: "S", Subjects: []string{"a", "b"}, Metadata: map[string]string{"epoch": "1"}}
	same := jetstream.StreamConfig{Name: "S", Subjects: []string{"b", "a"}, FirstSeq: 7, Sources: []*jetstream.StreamSource{},
		Metadata: map[string]string{"epoch": "1", "_nats.ver": "2.15.2"}}
	if got := streams.Differences(want, same); len(got) != 0 {
		t.Errorf("equal settings differ: %v", got)
	}
	other := same
	other.AllowRollup, other.MaxAge, other.Metadata = true, time.Hour, nil
	got := strings.Join(streams.Differences(want, other), "\n")
	for _, name := range []string{"AllowRollup", "MaxAge", "Metadata.epoch"} {
		if !strings.Contains(got, name) {
			t.Errorf("%s is missing in %q", name, got)
		}
	}
}

func TestSeqBeforeAndPurge(t *testing.T) {
	h := startHub(t)
	fill(t, h, 5, 10)
	middle := time.Now()
	waitFor(t, func() bool { return time.Since(middle) > 20*time.Millisecond })
	fill(t, h, 5, 10)
	for _, tt := range []struct {
		at   time.Time
		want uint64
	}{{middle.Add(-time.Hour), 1}, {middle.Add(10 * time.Millisecond), 6}, {time.Now().Add(time.Hour), 11}} {
		got, err := streams.SeqBefore(t.Context(), h.js, streams.Intake, tt.at)
		if err != nil || got != tt.want {
			t.Errorf("got %d, %v; want %d", got, err, tt.want)
		}
	}
	if err := streams.PurgeBefore(t.Context(), h.js, streams.Intake, 0); err != nil || h.state(t, streams.Intake).Msgs != 10 {
		t.Errorf("purging below 0 removed something (%v)", err)
	}
	if err := streams.PurgeBefore(t.Context(), h.js, streams.Intake, 6); err != nil || h.state(t, streams.Intake).Msgs != 5 {
		t.Errorf("purging below 6: %v", err)
	}
	if err := streams.PurgeSubject(t.Context(), h.js, streams.Intake, "rx.intake.org.>"); err != nil || h.state(t, streams.Intake).Msgs != 0 {
		t.Errorf("purging a subject: %v", err)
	}
}
