package embedded_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/dosewire/dosewire/streams"
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

// TestLogNamesWhoBreaksRules by the organisation's id, once in a while, and not as an error of ours.
func TestLogNamesWhoBreaksRules(t *testing.T) {
	const client, org = "0199c3a5-7d10-7c3e-9f5e-2f6a1b3c4d5e", "0199c3a5-7d10-7c3e-9f5e-2f6a1b3c4d5f"
	var out lockedBuffer
	c := config(t.TempDir())
	c.Auth = onlyOne{client, org}
	s, err := embedded.Start(t.Context(), c, slog.New(slog.NewTextHandler(&out, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 3 {
		if nc, err := nats.Connect(s.URL(), nats.UserInfo("stranger", "x")); err == nil {
			nc.Close()
			t.Error("a stranger was let in")
		}
	}
	nc, err := nats.Connect(s.URL(), nats.UserInfo(client, "x"), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for range 5 {
		if err := nc.Publish("rx.intake.other", nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.FlushTimeout(5 * time.Second); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	if strings.Count(text, "publish violation") != 1 || !strings.Contains(text, "org="+org) || strings.Count(text, "authentication") != 1 || strings.Contains(text, "level=ERROR") {
		t.Errorf("log:\n%s", text)
	}
}

type onlyOne struct{ client, org string }

func (o onlyOne) Check(user, _ string) (streams.Permissions, error) {
	if user != o.client {
		return streams.Permissions{}, errors.New("a stranger")
	}
	return streams.PermissionsFor(o.org), nil
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
