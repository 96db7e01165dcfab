package streams

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"

	"github.com/nats-io/nats.go/jetstream"
)

// A stock server answers wherever a request asks it to, and does not check that the asker may publish
// there: with a reply subject of rx.deliver.<somebody>.x, the PubAck of an organisation's own message
// would be stored as somebody's delivery. So RX_DELIVERY and PUSH do not listen on the subjects that
// they hold. They listen behind an entrance, a prefix with a secret of 128 bits that the hub reads from
// the stream's settings and nobody else can, and store under the subject without it.

const entrancePrefix = "hub."

// behindEntrance makes c, which has one subject, listen at an entrance.
func behindEntrance(c jetstream.StreamConfig, entrance string) jetstream.StreamConfig {
	holds := c.Subjects[0]
	c.Subjects = []string{entrance + holds}
	c.SubjectTransform = &jetstream.SubjectTransformConfig{Source: entrance + holds, Destination: holds}
	return c
}

func newEntrance() string { return entrancePrefix + rand.Text() + "." }

// entranceOf reads a stream's entrance from its settings; "" when it has none.
func entranceOf(c jetstream.StreamConfig) string {
	if c.SubjectTransform == nil || !strings.HasPrefix(c.SubjectTransform.Source, entrancePrefix) {
		return ""
	}
	return strings.TrimSuffix(c.SubjectTransform.Source, c.SubjectTransform.Destination)
}

// entrances remembers the entrances of a server. Safe for concurrent use.
type entrances struct {
	js jetstream.JetStream

	mu    sync.Mutex // guards what follows
	known map[string]string
}

// of returns the entrance of a stream, asking the server the first time.
func (e *entrances) of(ctx context.Context, stream string) (string, error) {
	e.mu.Lock()
	entrance, ok := e.known[stream]
	e.mu.Unlock()
	if ok {
		return entrance, nil
	}
	s, err := e.js.Stream(ctx, stream)
	if err != nil {
		return "", wrap(err, "find %s", stream)
	}
	entrance = entranceOf(s.CachedInfo().Config)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.known[stream] = entrance
	return entrance, nil
}

// forget is for when nobody listens at an entrance: the stream may have been made anew.
func (e *entrances) forget(stream string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.known, stream)
}
