package rest_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/dosewire/dosewire/adapters/adaptertest"
	"github.com/dosewire/dosewire/fhir"
)

// stalled is a body of which one byte comes, and then nothing until it is abandoned.
type stalled struct {
	sent    bool
	reading chan<- struct{}
	ctx     context.Context
}

func (s *stalled) Read(p []byte) (int, error) {
	if !s.sent {
		s.sent = true
		p[0] = '{'
		return 1, nil
	}
	s.reading <- struct{}{}
	<-s.ctx.Done()
	return 0, io.ErrUnexpectedEOF
}

// stall opens requests of a member that claim these sizes and send one byte each.
func stall(t *testing.T, w *adaptertest.World, m adaptertest.Member, sizes ...int64) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	reading, done := make(chan struct{}, len(sizes)), make(chan struct{}, len(sizes))
	for _, size := range sizes {
		r := httptest.NewRequest(http.MethodPost, "/fhir", &stalled{reading: reading, ctx: ctx})
		r.ContentLength = size
		go func() { w.Send(m, r); done <- struct{}{} }()
	}
	t.Cleanup(func() {
		cancel()
		for range sizes {
			<-done
		}
	})
	for range sizes {
		select {
		case <-reading:
		case <-time.After(2 * time.Second):
			t.Fatal("a body waits for room although nothing has come")
		}
	}
}

// TestStalledBodiesHoldUpNobody: a size that is only claimed takes no room from others, nor from the
// organisation that claims it.
func TestStalledBodiesHoldUpNobody(t *testing.T) {
	w := world(t)
	sizes := []int64{349525}
	for range 15 {
		sizes = append(sizes, fhir.MaxBytes)
	}
	stall(t, w, w.Clinic, sizes...)
	for _, m := range []adaptertest.Member{w.Clinic, w.Pharmacy} {
		began := time.Now()
		resp := w.Do(m, http.MethodPost, "/fhir", adaptertest.Request("rx-1"))
		if resp.StatusCode == http.StatusServiceUnavailable || time.Since(began) > 2*time.Second {
			t.Errorf("a small message beside stalled ones: %d after %v", resp.StatusCode, time.Since(began))
		}
	}
}

// slow is a body that comes whole, and whose end does not.
type slow struct {
	content io.Reader
	stalled
}

func (s *slow) Read(p []byte) (int, error) {
	if n, err := s.content.Read(p); err == nil {
		return n, nil
	}
	s.sent = true
	return s.stalled.Read(p)
}

// TestOneOrganizationLeavesRoom: whoever sends as much as it can, and waits for more room, leaves
// enough for the others, and what waits stands in nobody's way.
func TestOneOrganizationLeavesRoom(t *testing.T) {
	w := world(t)
	ctx, cancel := context.WithCancel(context.Background())
	reading := make(chan struct{}, 8)
	done := make(chan int, 8)
	for range cap(done) {
		body := strings.NewReader(strings.Repeat(" ", fhir.MaxBytes-1))
		r := httptest.NewRequest(http.MethodPost, "/fhir", &slow{body, stalled{reading: reading, ctx: ctx}})
		r.ContentLength = fhir.MaxBytes
		go func() { done <- w.Send(w.Clinic, r).StatusCode }()
	}
	<-reading // one has its room; others wait for theirs
	time.Sleep(200 * time.Millisecond)
	began := time.Now()
	resp := w.Do(w.Pharmacy, http.MethodPost, "/fhir", adaptertest.Request("rx-1"))
	if resp.StatusCode == http.StatusServiceUnavailable || time.Since(began) > 2*time.Second {
		t.Errorf("another's message: %d after %v", resp.StatusCode, time.Since(began))
	}
	cancel()
	for range cap(done) {
		<-done
	}
}

// dripping is a body that comes in small parts, so that many come at the same time.
type dripping struct{ content io.Reader }

func (d dripping) Read(p []byte) (int, error) {
	time.Sleep(time.Millisecond) // others are read meanwhile
	return d.content.Read(p[:min(len(p), 64<<10)])
}

// TestLargeBodiesOfOneOrganization: bodies that take their room as they come, and together want more than
// there is, do not hold each other up.
func TestLargeBodiesOfOneOrganization(t *testing.T) {
	w := world(t)
	status := make(chan int, 16)
	for range cap(status) {
		r := httptest.NewRequest(http.MethodPost, "/fhir", dripping{strings.NewReader(strings.Repeat(" ", fhir.MaxBytes))})
		r.ContentLength = fhir.MaxBytes
		go func() { status <- w.Send(w.Clinic, r).StatusCode }()
	}
	for range cap(status) {
		if got := <-status; got != http.StatusBadRequest {
			t.Errorf("a large body of blanks: %d, want 400", got)
		}
	}
}
