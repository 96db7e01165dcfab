package streams_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/dosewire/dosewire/streams"
)

// readAll reads n messages from the beginning and checks that they are contiguous.
func readAll(t testing.TB, h *hub, stream string, n int) []streams.Message {
	t.Helper()
	r, err := streams.OpenReader(t.Context(), h.js, stream, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	return readSome(t, r, n)
}

func follows(before, m streams.Message) bool {
	if !before.Ends() {
		return m.Seq == before.Seq && m.Part == before.Part+1
	}
	return m.Seq == before.Seq+1 && m.Part == 0
}

func readSome(t testing.TB, r *streams.Reader, n int) []streams.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var all []streams.Message
	for len(all) < n {
		batch, err := r.Batch(ctx, 100, 1<<20, time.Second)
		if err != nil {
			t.Fatalf("after %d of %d messages: %v", len(all), n, err)
		}
		for _, m := range batch {
			if len(all) > 0 && !follows(all[len(all)-1], m) {
				t.Fatalf("sequence %d part %d follows %d part %d", m.Seq, m.Part, all[len(all)-1].Seq, all[len(all)-1].Part)
			}
			all = append(all, m)
		}
	}
	return all
}

// fill stores n messages, each by itself.
func fill(t testing.TB, h *hub, n, size int) {
	t.Helper()
	p := h.publisher(t)
	for i := range n {
		if err := p.Publish(t.Context(), intake(fmt.Sprintf("org.fill.%d", i), make([]byte, size))); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReaderBounds(t *testing.T) {
	h := startHub(t)
	fill(t, h, 50, 1000)
	r, err := streams.OpenReader(t.Context(), h.js, streams.Intake, 11)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var seqs []uint64
	for len(seqs) < 40 {
		batch, err := r.Batch(t.Context(), 7, 3500, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if len(batch) > 3 {
			t.Fatalf("%d messages of 1000 bytes in a batch of at most 3500", len(batch))
		}
		for _, m := range batch {
			seqs = append(seqs, m.Seq)
		}
	}
	if seqs[0] != 11 || seqs[39] != 50 {
		t.Errorf("read %d to %d, want 11 to 50", seqs[0], seqs[39])
	}
	if batch, err := r.Batch(t.Context(), 7, 3500, time.Millisecond); len(batch) != 0 || err != nil {
		t.Errorf("an idle stream gave %d messages, %v", len(batch), err)
	}
	fill(t, h, 1, 5000)
	if batch, err := r.Batch(t.Context(), 7, 3500, 5*time.Second); len(batch) != 1 || err != nil {
		t.Errorf("a message above maxBytes: %d messages, %v", len(batch), err)
	}
}

func TestReaderSkipsWhatWasPurged(t *testing.T) {
	h := startHub(t)
	fill(t, h, 20, 10)
	if err := streams.PurgeBefore(t.Context(), h.js, streams.Intake, 11); err != nil {
		t.Fatal(err)
	}
	r, err := streams.OpenReader(t.Context(), h.js, streams.Intake, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got := readSome(t, r, 10); got[0].Seq != 11 {
		t.Errorf("first sequence %d, want 11", got[0].Seq)
	}
}

func TestReaderSurvivesLossOfItsConsumer(t *testing.T) {
	h := startHub(t)
	fill(t, h, 5, 10)
	r, err := streams.OpenReader(t.Context(), h.js, streams.Intake, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	readSome(t, r, 5)
	s, err := h.js.Stream(t.Context(), streams.Intake)
	if err != nil {
		t.Fatal(err)
	}
	for name := range s.ConsumerNames(t.Context()).Name() {
		if err := s.DeleteConsumer(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	fill(t, h, 5, 10)
	if got := readSome(t, r, 5); got[0].Seq != 6 {
		t.Errorf("went on at %d, want 6", got[0].Seq)
	}
}

func TestReaderClose(t *testing.T) {
	h := startHub(t)
	r, err := streams.OpenReader(t.Context(), h.js, streams.Intake, 1)
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	r.Close()
	if _, err := r.Batch(t.Context(), 1, 1, time.Minute); !errors.Is(err, streams.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
}

// Eight times more than the reader may hold: everything arrives all the same.
func TestReaderWithLargeMessages(t *testing.T) {
	h := startHub(t)
	fill(t, h, 64, 1<<20)
	r, err := streams.OpenReader(t.Context(), h.js, streams.Intake, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	readSome(t, r, 64)
}
