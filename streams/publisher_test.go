package streams_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/streams"
)

func intake(id string, body []byte) streams.Message {
	return streams.Message{ID: id, Subject: streams.IntakeSubject("org", streams.TypeBundle), Body: body}
}

func TestPublishConcurrently(t *testing.T) {
	h := startHub(t)
	p := h.publisher(t)
	const callers, each = 200, 10
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				if err := p.Publish(t.Context(), intake(fmt.Sprintf("org.%d.%d", c, i), []byte("{}"))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := h.state(t, streams.Intake).Msgs; got > callers*each/2 {
		t.Errorf("%d stream messages for %d: hardly any share a parcel", got, callers*each)
	}
	seen := map[string]bool{}
	for _, m := range readAll(t, h, streams.Intake, callers*each) {
		seen[m.ID] = true
		if m.Subject != streams.IntakeSubject("org", streams.TypeBundle) || string(m.Body) != "{}" || m.Parts > 0 && m.Part >= m.Parts {
			t.Fatalf("message %+v", m)
		}
	}
	if len(seen) != callers*each {
		t.Errorf("%d different ids, want %d", len(seen), callers*each)
	}
}

// A positive but duplicate ack says only that somebody used the id: the message must get its own place.
func TestPublishIgnoresDuplicateAck(t *testing.T) {
	h := startHub(t)
	p := h.publisher(t)
	for range 2 {
		if err := p.Publish(t.Context(), intake("org.1", []byte("{}"))); err != nil {
			t.Fatal(err)
		}
	}
	if got := h.state(t, streams.Intake).Msgs; got != 2 {
		t.Errorf("stored %d messages, want 2", got)
	}
}

func TestPublishErrors(t *testing.T) {
	h := openHub(t, t.TempDir(), streams.Settings{Epoch: 1, IntakeBytes: 64 << 10})
	p := h.publisher(t)
	small := bytes.Repeat([]byte("x"), 40<<10)

	tests := []struct {
		name    string
		message streams.Message
		code    fault.Code
	}{
		{"first fits", intake("org.1", small), ""},
		{"full stream", intake("org.2", small), fault.CodeBusy},
		{"over max_payload", intake("org.3", make([]byte, streams.MaxPayload)), fault.CodeTooLarge},
		{"no stream", streams.Message{ID: "a", Subject: "nobody.listens"}, fault.CodeUnavailable},
	}
	for _, tt := range tests {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		err := p.Publish(ctx, tt.message)
		cancel()
		if got := fault.CodeOf(err); got != tt.code {
			t.Errorf("%s: got %q (%v), want %q", tt.name, got, err, tt.code)
		}
	}
}

func TestPublishEndsWithContext(t *testing.T) {
	h := startHub(t)
	p := h.publisher(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Publish(ctx, intake("org.1", nil)); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("got %v, want Unavailable", err)
	}
	if err := p.Publish(t.Context(), intake("org.2", nil)); err != nil {
		t.Errorf("the next message: %v", err)
	}
}

func TestPublishLeavesHeaderAlone(t *testing.T) {
	h := startHub(t)
	header := nats.Header{streams.HeaderClaim: {"3"}}
	m := intake("org.1", []byte("{}"))
	m.Header = header
	if err := h.publisher(t).Publish(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if len(header) != 1 {
		t.Errorf("the caller's header was changed: %v", header)
	}
	got := readAll(t, h, streams.Intake, 1)[0]
	if got.Header.Get(streams.HeaderClaim) != "3" || got.ID != "org.1" {
		t.Errorf("stored headers %v", got.Header)
	}
}
