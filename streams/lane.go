package streams

import (
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// lane carries messages to one stream. It decides what is sent when, and owns the group commit:
//
//   - while fewer than window messages are on their way, each is sent at once and alone;
//   - what arrives beyond that waits; as soon as so many wait that an atomic batch is faster ([pace])
//     they go as one, for which the server syncs the disk once, not once for each;
//   - while a batch is on its way everything waits for it: the next batch is what arrived meanwhile.
//
// There is no timer and no goroutine: whoever submits, and every ack, moves the lane on.
type lane struct {
	nc     *nats.Conn
	acks   *acks
	window int
	groups bool // false: this lane never makes batches

	mu       sync.Mutex // guards what follows, and the state of every flight
	pace     pace
	queue    []*flight
	flying   int
	batching bool
}

// Limits of one atomic batch. The server refuses more than 1000 messages; the bytes bound what is
// staged on disk and in memory at once.
const (
	batchMessages = 1000
	batchBytes    = 4 << 20
)

// flight is one attempt to store one message.
type flight struct {
	lane  *lane
	sent  time.Time
	msg   *nats.Msg
	token uint64
	state flightState
	done  chan ack // buffered: the lane never waits for the caller
}

type flightState uint8

const (
	queued  flightState = iota
	alone               // sent by itself, counted in flying
	grouped             // sent in a batch
	left                // nobody waits any more
)

// submit sends or queues f. The result comes on f.done.
func (l *lane) submit(f *flight) {
	l.mu.Lock()
	l.queue = append(l.queue, f)
	s := l.next()
	l.mu.Unlock()
	l.send(s)
}

// leave tells the lane that nobody waits for f any more. The message may be stored all the same.
func (l *lane) leave(f *flight) {
	l.mu.Lock()
	state := f.state
	f.state = left
	var s sending
	if state == alone {
		if _, ok := l.acks.take(f.token); ok {
			l.flying--
			s = l.next()
		}
	}
	l.mu.Unlock()
	l.send(s)
}

// acknowledged is called with the ack of a message sent alone.
func (f *flight) acknowledged(a ack) {
	l := f.lane
	l.mu.Lock()
	l.flying--
	l.pace.alone(f.sent, time.Now(), a.err == nil)
	s := l.next()
	l.mu.Unlock()
	f.done <- a
	l.send(s)
}

// sending is what next chose: messages to send alone, or a batch, or nothing.
type sending struct {
	alone []*flight
	batch *batch
}

// next takes from the queue what may go now. mu is held; the caller sends after releasing it.
func (l *lane) next() sending {
	if l.batching || len(l.queue) == 0 {
		return sending{}
	}
	if enough := l.pace.breakEven(); l.groups && len(l.queue) >= enough {
		if b := l.group(enough); b != nil {
			l.batching = true
			return sending{batch: b}
		}
	}
	var s sending
	for l.flying < l.window && len(l.queue) > 0 {
		f := l.queue[0]
		l.queue[0] = nil
		l.queue = l.queue[1:]
		if f.state != left {
			l.launch(f)
			s.alone = append(s.alone, f)
		}
	}
	return s
}

// launch counts f as sent alone. mu is held.
func (l *lane) launch(f *flight) {
	f.state, f.token, f.sent = alone, l.acks.expect(f), time.Now()
	l.flying++
}

// group takes the next batch from the queue, or nil when too few messages fit to make one worth it.
// mu is held.
func (l *lane) group(enough int) *batch {
	n, size := 0, 0
	for n < len(l.queue) && n < batchMessages {
		size += l.queue[n].msg.Size()
		if size > batchBytes {
			break
		}
		n++
	}
	if n < enough {
		return nil
	}
	b := &batch{lane: l, sent: time.Now(), flights: make([]*flight, 0, n)}
	for i, f := range l.queue[:n] {
		l.queue[i] = nil
		if f.state == left {
			continue
		}
		f.state = grouped
		b.flights = append(b.flights, f)
	}
	l.queue = l.queue[n:]
	if len(b.flights) == 0 {
		return nil
	}
	b.token = l.acks.expect(b)
	return b
}

func (l *lane) send(s sending) {
	for _, f := range s.alone {
		f.msg.Reply = l.acks.subject(f.token)
		if err := l.nc.PublishMsg(f.msg); err != nil {
			if w, ok := l.acks.take(f.token); ok {
				w.acknowledged(ack{err: classify(err)})
			}
		}
	}
	if s.batch != nil {
		s.batch.send()
	}
}
