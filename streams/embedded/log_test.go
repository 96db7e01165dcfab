package embedded_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/dosewire/dosewire/streams/embedded"
)

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// A client may put anything into a subject or a name: none of it reaches the log.
func TestLogShowsNothingThatAClientChose(t *testing.T) {
	const canary = "Mustermann"
	var out lockedBuffer
	s, err := embedded.Start(t.Context(), config(t.TempDir()), slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	nc, err := nats.Connect(s.URL(), nats.UserInfo("org", "x"), nats.Name(canary), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := nc.Publish("rx.intake."+canary, []byte(canary)); err != nil {
		t.Fatal(err)
	}
	if _, err := nc.Subscribe("x."+canary, func(*nats.Msg) {}); err != nil {
		t.Fatal(err)
	}
	if err := nc.FlushTimeout(5 * time.Second); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); strings.Contains(text, canary) || !strings.Contains(text, "violation") {
		t.Errorf("log:\n%s", text)
	}
}
