package inbox

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/fhir/rx"
	"github.com/dosewire/dosewire/internal/fault"
)

// wantLine reads lines until one has the prefix. The client's deadline bounds it.
func wantLine(t *testing.T, s *bufio.Scanner, prefix string) {
	t.Helper()
	for s.Scan() {
		if strings.HasPrefix(s.Text(), prefix) {
			return
		}
	}
	t.Fatalf("stream ended before %q: %v", prefix, s.Err())
}

func TestLiveTellsThatSomethingChanged(t *testing.T) {
	h := newHousehold(t)
	c := h.client(h.serve()).signIn(h.world, h.ada)
	c.Timeout = 20 * time.Second
	res, err := c.Get(c.base + "/inbox/live")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" || res.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("got %d %v", res.StatusCode, res.Header)
	}
	lines := bufio.NewScanner(res.Body)
	wantLine(t, lines, ": open")
	h.move(h.collect, rx.State{Phase: rx.Ready, FillsAllowed: 3, FillsDone: 1, Pharmacy: h.river.String()}, "ready")
	wantLine(t, lines, "event: change")

	// The session ends: the next word is the last.
	h.mu.Lock()
	clear(h.sessions)
	h.mu.Unlock()
	h.move(h.collect, rx.State{Phase: rx.Ready, FillsAllowed: 3, FillsDone: 1, Pharmacy: h.river.String()}, "ready")
	wantLine(t, lines, "event: end")
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "event:") {
			t.Error("goes on after the end")
		}
	}
	if h.listening(h.ada) {
		t.Error("still subscribed")
	}
}

func TestLiveEndsWithTheHub(t *testing.T) {
	h := newHousehold(t)
	c := h.client(h.serve()).signIn(h.world, h.ada)
	c.Timeout = 20 * time.Second
	res, err := c.Get(c.base + "/inbox/live")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	wantLine(t, lines, ": open")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.app.Run(ctx); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
	}
	if lines.Err() != nil {
		t.Errorf("stream broke: %v", lines.Err())
	}
	if res, _ := c.get("/inbox/live"); res.StatusCode != 503 {
		t.Errorf("a stream after the end: got %d", res.StatusCode)
	}
}

// recorder is a ResponseWriter that can be read while it is written.
type recorder struct {
	httptest.ResponseRecorder
	mu   sync.Mutex // guards text
	text strings.Builder
}

func (r *recorder) WriteString(s string) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.WriteString(s)
}

func (r *recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

func TestHeartbeatsAndTheEndOfASession(t *testing.T) {
	h := newHousehold(t)
	synctest.Test(t, func(t *testing.T) {
		s := session{patient: h.ada, hash: tokenHash("s")}
		h.sessions[s.hash], h.ends[s.hash] = h.ada, h.clock.Add(time.Hour)
		rec := &recorder{}
		finished := make(chan struct{})
		go func() {
			defer close(finished)
			h.app.feed(t.Context(), eventWriter{rec, http.NewResponseController(rec)}, s, nil)
		}()
		time.Sleep(3*heartbeat + time.Second) // in the bubble's time
		synctest.Wait()
		if n := strings.Count(rec.String(), ": still here"); n != 3 {
			t.Errorf("%d heartbeats in a minute, want 3", n)
		}
		h.mu.Lock()
		h.clock = h.clock.Add(2 * time.Hour)
		h.mu.Unlock()
		<-finished
		if !strings.HasSuffix(rec.String(), "event: end\ndata: {}\n\n") {
			t.Errorf("got %q", rec.String())
		}
	})
}

func TestStreamsAreBoundedPerPatient(t *testing.T) {
	c := newStreamCount()
	patient := uuid.New()
	var leaves []func()
	for range maxStreamsPerPatient {
		_, leave, err := c.enter(t.Context(), patient)
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, leave)
	}
	if _, _, err := c.enter(t.Context(), patient); fault.CodeOf(err) != fault.CodeBusy {
		t.Errorf("got %v, want CodeBusy", err)
	}
	_, leave, err := c.enter(t.Context(), uuid.New())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range append(leaves, leave) {
		l()
	}
	c.close()
	if len(c.patient) != 0 {
		t.Error("patients are kept")
	}
}
