package streams_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/trace"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/streams"
)

func TestDispose(t *testing.T) {
	boom := errors.New("boom")
	tests := []struct {
		name      string
		err       error
		delivered uint64
		want      fault.Disposition
		atLeast   time.Duration
	}{
		{"done", nil, 1, fault.Ack, 0},
		{"refused", fault.Of(fault.CodeStructure), 1, fault.Ack, 0},
		{"denied", fault.Of(fault.CodeForbidden), 1, fault.Ack, 0},
		{"later", fault.Of(fault.CodeUnavailable), 1, fault.Retry, time.Second},
		{"later again", fault.Of(fault.CodeUnavailable), 3, fault.Retry, 30 * time.Second},
		{"much later", fault.Of(fault.CodeUnavailable), 1000, fault.Retry, 10 * time.Minute},
		{"as told", fmt.Errorf("push: %w", fault.Of(fault.CodeBusy).After(time.Hour)), 1, fault.Retry, time.Hour},
		{"unknown", boom, 1, fault.Retry, time.Second},
		{"unknown for long", boom, 5, fault.Park, 0},
		{"never delivered", fault.Of(fault.CodeUnavailable), 0, fault.Retry, time.Second},
		{"tampered", fault.New(fault.Tampered, "x"), 1, fault.Halt, 0},
	}
	for _, tt := range tests {
		got, delay := streams.Dispose(tt.err, tt.delivered)
		if got != tt.want || delay < tt.atLeast || (tt.atLeast == 0 && delay != 0) {
			t.Errorf("%s: got %v after %v", tt.name, got, delay)
		}
	}
}

func wake(device string) streams.Message {
	return streams.Message{ID: "w." + device, Subject: streams.PushSubject("webpush", device)}
}

func TestConsume(t *testing.T) {
	h := startHub(t)
	p := h.publisher(t)
	for _, device := range []string{"a", "b", "c", "refused", "broken"} {
		if err := p.Publish(t.Context(), wake(device)); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	seen := map[string]int{}
	busy, most := 0, 0
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- streams.Consume(ctx, h.js, streams.Push, "push", 2, func(_ context.Context, m streams.Message) error {
			mu.Lock()
			seen[m.Subject]++
			n := seen[m.Subject]
			busy++
			most = max(most, busy)
			mu.Unlock()
			defer func() { mu.Lock(); busy--; mu.Unlock() }()
			switch {
			case m.Subject == streams.PushSubject("webpush", "refused"):
				return fault.Of(fault.CodeForbidden)
			case m.Subject == streams.PushSubject("webpush", "broken") && n == 1:
				return fault.Of(fault.CodeUnavailable)
			}
			return nil
		})
	}()
	waitFor(t, func() bool { return h.state(t, streams.Push).Msgs == 0 })
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if len(seen) != 5 || seen[streams.PushSubject("webpush", "broken")] != 2 || seen[streams.PushSubject("webpush", "a")] != 1 {
		t.Errorf("handled %v", seen)
	}
	if most > 2 {
		t.Errorf("%d at once with 2 workers", most)
	}
}

func TestConsumeFinishesWhatItBegan(t *testing.T) {
	h := startHub(t)
	if err := h.publisher(t).Publish(t.Context(), wake("a")); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	finished := false
	err := streams.Consume(ctx, h.js, streams.Push, "push", 1, func(work context.Context, _ streams.Message) error {
		stop()
		time.Sleep(100 * time.Millisecond) // longer than Consume needs to notice
		finished = work.Err() == nil
		return work.Err()
	})
	if err != nil || !finished {
		t.Errorf("finished %v, %v", finished, err)
	}
	waitFor(t, func() bool { return h.state(t, streams.Push).Msgs == 0 }) // the ack is on its way
}

// Whoever is stopped before the server has said anything was stopped, and has not failed.
func TestConsumeStoppedWhileItBegins(t *testing.T) {
	h := startHub(t)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := streams.Consume(ctx, h.js, streams.Push, "wakes", 1, func(context.Context, streams.Message) error { return nil }); err != nil {
		t.Errorf("got %v, want nil", err)
	}
}

func TestConsumeHalts(t *testing.T) {
	h := startHub(t)
	if err := h.publisher(t).Publish(t.Context(), wake("a")); err != nil {
		t.Fatal(err)
	}
	bad := fault.New(fault.Tampered, "not what was written")
	err := streams.Consume(t.Context(), h.js, streams.Push, "push", 4, func(context.Context, streams.Message) error { return bad })
	if !errors.Is(err, bad) {
		t.Errorf("got %v", err)
	}
	if got := h.state(t, streams.Push).Msgs; got != 1 {
		t.Errorf("%d messages left, want the one that halted", got)
	}
}

// What a receiver cannot take leaves a pointer in RX_DEAD.
func TestTerminatedLeavesAPointer(t *testing.T) {
	h := startHub(t)
	if _, err := newDeliveryPublisher(t, h).Publish(t.Context(), numbered("org", 1, 1)); err != nil {
		t.Fatal(err)
	}
	if err := streams.EnsureConsumer(t.Context(), h.js, "org"); err != nil {
		t.Fatal(err)
	}
	if err := pull(t, h, "org", 1)[0].TermWithReason("unreadable"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return h.state(t, streams.Dead).Msgs == 1 })
}

// The newest wake of a device replaces the one that waits.
func TestPushCollapses(t *testing.T) {
	h := startHub(t)
	p := h.publisher(t)
	for i := range 5 {
		m := wake("a")
		m.ID = fmt.Sprintf("w.%d", i)
		if err := p.Publish(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if got := h.state(t, streams.Push).Msgs; got != 1 {
		t.Errorf("%d wakes wait, want 1", got)
	}
}

func TestTraceContext(t *testing.T) {
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled})
	h := nats.Header{}
	streams.Inject(trace.ContextWithSpanContext(t.Context(), span), h)
	if h.Get(streams.HeaderTraceParent) == "" {
		t.Fatalf("no %s in %v", streams.HeaderTraceParent, h)
	}
	got := trace.SpanContextFromContext(streams.Extract(t.Context(), h))
	if got.TraceID() != span.TraceID() || got.SpanID() != span.SpanID() || !got.IsRemote() {
		t.Errorf("got %v", got)
	}
	if got := streams.Extract(t.Context(), nil); trace.SpanContextFromContext(got).IsValid() {
		t.Error("a span out of nothing")
	}
}
