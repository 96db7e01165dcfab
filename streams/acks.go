package streams

import (
	"crypto/rand"
	"encoding/json"
	"strconv"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ack is what became of one published message or batch.
type ack struct {
	seq       uint64 // of the (last) message stored
	duplicate bool   // stored before: nothing was stored now
	err       error  // not stored, or not known; carries a fault kind
}

// waiter is told once what became of what it published.
type waiter interface{ acknowledged(ack) }

// acks is one subscription that brings every PubAck of a connection back to whoever waits for it. It
// is far cheaper than a request inbox for each message. Safe for concurrent use.
type acks struct {
	prefix string

	mu      sync.Mutex
	last    uint64
	waiting map[uint64]waiter
}

// newAcks listens on an inbox under ReplyPrefix whose name nobody can guess.
func newAcks(nc *nats.Conn) (*acks, error) {
	a := &acks{prefix: ReplyPrefix + "ack." + rand.Text() + ".", waiting: make(map[uint64]waiter)}
	sub, err := nc.Subscribe(a.prefix+"*", a.arrived)
	if err != nil {
		return nil, wrap(err, "listen for acks")
	}
	// The default limit is for slow readers; acks are small, and losing one costs a time-out.
	return a, wrap(sub.SetPendingLimits(-1, -1), "listen for acks")
}

// expect registers w and returns the reply subject to publish with.
func (a *acks) expect(w waiter) (token uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last++
	a.waiting[a.last] = w
	return a.last
}

func (a *acks) subject(token uint64) string { return a.prefix + strconv.FormatUint(token, 36) }

// take removes a token. Of an ack, a time-out and a leaver only the first gets it.
func (a *acks) take(token uint64) (waiter, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w, ok := a.waiting[token]
	delete(a.waiting, token)
	return w, ok
}

func (a *acks) arrived(m *nats.Msg) {
	token, err := strconv.ParseUint(strings.TrimPrefix(m.Subject, a.prefix), 36, 64)
	if err != nil {
		return
	}
	if w, ok := a.take(token); ok {
		w.acknowledged(parseAck(m))
	}
}

// parseAck reads a PubAck, or the server's word that no stream listens.
func parseAck(m *nats.Msg) ack {
	if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
		return ack{err: classify(nats.ErrNoResponders)}
	}
	var p struct {
		Error     *jetstream.APIError `json:"error"`
		Seq       uint64              `json:"seq"`
		Duplicate bool                `json:"duplicate"`
	}
	switch err := json.Unmarshal(m.Data, &p); {
	case err != nil:
		return ack{err: wrap(err, "read ack")}
	case p.Error != nil:
		return ack{err: classify(p.Error)}
	}
	return ack{seq: p.Seq, duplicate: p.Duplicate}
}
