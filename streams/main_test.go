package streams_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dosewire/dosewire/streams"
	"github.com/dosewire/dosewire/streams/embedded"
)

// hub is a real server with the four streams and the hub's own connection.
type hub struct {
	*embedded.Server
	nc *nats.Conn
	js jetstream.JetStream
}

// organisations lets in any user as the organisation of that name.
type organisations struct{}

func (organisations) Check(user, password string) (streams.Permissions, error) {
	if password != "secret" {
		return streams.Permissions{}, errors.New("wrong password")
	}
	return streams.PermissionsFor(user), nil
}

func config(dir string) embedded.Config {
	return embedded.Config{Dir: dir, Key: bytes.Repeat([]byte{7}, embedded.KeySize), Auth: organisations{}}
}

func startHub(t testing.TB) *hub { return openHub(t, t.TempDir(), streams.Settings{Epoch: 1}) }

func openHub(t testing.TB, dir string, s streams.Settings) *hub {
	t.Helper()
	server, err := embedded.Start(t.Context(), config(dir), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	h := &hub{Server: server}
	h.nc = h.connect(t)
	if h.js, err = jetstream.New(h.nc); err != nil {
		t.Fatal(err)
	}
	if err := streams.Ensure(t.Context(), h.js, s); err != nil {
		t.Fatal(err)
	}
	return h
}

// connect is one more connection of the hub.
func (h *hub) connect(t testing.TB, opts ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := h.Conn(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func (h *hub) publisher(t testing.TB) *streams.Publisher {
	t.Helper()
	p, err := streams.NewPublisher(h.nc)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (h *hub) state(t testing.TB, stream string) jetstream.StreamState {
	t.Helper()
	s, err := h.js.Stream(context.WithoutCancel(t.Context()), stream)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State
}
