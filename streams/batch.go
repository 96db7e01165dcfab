package streams

import (
	"crypto/rand"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/dosewire/dosewire/internal/fault"
)

// Headers of an atomic batch (nats-architecture-and-design ADR-50).
const (
	headerBatchID       = "Nats-Batch-Id"
	headerBatchSequence = "Nats-Batch-Sequence"
	headerBatchCommit   = "Nats-Batch-Commit"
)

// ackWait is how long an attempt waits for its ack. A stream with replicas is silent for 4 to 7 s
// while it elects a leader.
const ackWait = 8 * time.Second

// batch is one atomic batch on its way: all of its messages are stored, or none. It only saves time:
// when the server refuses it, for whatever reason, its messages are sent one by one under the same
// ids, so that each gets its own answer.
type batch struct {
	lane    *lane
	sent    time.Time
	flights []*flight
	token   uint64
	timer   *time.Timer
}

func (b *batch) send() {
	l := b.lane
	b.timer = time.AfterFunc(ackWait, func() { b.failed(fault.Of(fault.CodeUnavailable)) })
	messages := make([]*nats.Msg, len(b.flights))
	for i, f := range b.flights {
		messages[i] = f.msg
	}
	if err := publishBatch(l.nc, messages, l.acks.subject(b.token)); err != nil {
		b.failed(err)
	}
}

// publishBatch sends messages as one atomic batch. The answer to the whole comes to reply.
func publishBatch(nc *nats.Conn, messages []*nats.Msg, reply string) error {
	id := rand.Text()
	for i, m := range messages {
		m.Reply = ""
		m.Header[headerBatchID] = []string{id}
		m.Header[headerBatchSequence] = []string{strconv.Itoa(i + 1)}
		if i == len(messages)-1 {
			m.Reply = reply
			m.Header[headerBatchCommit] = []string{"1"}
		}
		if err := nc.PublishMsg(m); err != nil {
			return classify(err)
		}
	}
	return nil
}

func unbatch(m *nats.Msg) {
	delete(m.Header, headerBatchID)
	delete(m.Header, headerBatchSequence)
	delete(m.Header, headerBatchCommit)
}

// failed ends the batch unless its ack was faster.
func (b *batch) failed(err error) {
	if _, ok := b.lane.acks.take(b.token); ok {
		b.acknowledged(ack{err: err})
	}
}

// acknowledged is called once, with the server's answer to the batch, or with what came instead.
func (b *batch) acknowledged(a ack) {
	b.timer.Stop()
	if a.err != nil {
		b.fallBack()
		return
	}
	l := b.lane
	l.mu.Lock()
	l.batching = false
	l.pace.batch(b.sent, time.Now(), len(b.flights))
	s := l.next()
	l.mu.Unlock()
	for _, f := range b.flights {
		f.done <- ack{}
	}
	l.send(s)
}

// fallBack sends each message alone. The window is overrun for once: these messages waited already.
func (b *batch) fallBack() {
	l := b.lane
	var again sending
	l.mu.Lock()
	l.batching = false
	for _, f := range b.flights {
		if f.state == left {
			continue
		}
		unbatch(f.msg)
		l.launch(f)
		again.alone = append(again.alone, f)
	}
	s := l.next()
	l.mu.Unlock()
	l.send(again)
	l.send(s)
}
