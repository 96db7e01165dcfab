package streams

import (
	"crypto/rand"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/dosewire/dosewire/internal/fault"
)

// ackWait is how long an attempt waits for its ack. A stream with replicas is silent for 4 to 7 s
// while it elects a leader.
const ackWait = 8 * time.Second

// lane carries messages to one stream. It decides what is sent when, and owns the group commit: while
// window sendings are on their way everything waits, and the next sending is what arrived meanwhile,
// as one parcel. There is no goroutine: whoever submits, and every ack, moves the lane on.
type lane struct {
	nc      *nats.Conn
	acks    *acks
	window  int
	parcels bool // false: each message is sent by itself

	mu     sync.Mutex // guards what follows
	queue  []*flight
	flying int
}

// flight is one attempt to store one message.
type flight struct {
	msg  Message
	left bool     // nobody waits any more; guarded by the lane's mu
	done chan ack // buffered: the lane never waits for the caller
}

// submit sends or queues f. The result comes on f.done.
func (l *lane) submit(f *flight) {
	l.mu.Lock()
	l.queue = append(l.queue, f)
	l.mu.Unlock()
	if l.parcels {
		runtime.Gosched() // others who are ready to submit right now come along
	}
	l.move()
}

// leave tells the lane that nobody waits for f any more. The message may be stored all the same.
func (l *lane) leave(f *flight) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f.left = true
}

// move sends what may go now.
func (l *lane) move() {
	for {
		l.mu.Lock()
		s := l.next()
		l.mu.Unlock()
		if s == nil {
			return
		}
		s.send()
	}
}

// next takes the next sending from the queue, or nil. mu is held.
func (l *lane) next() *sending {
	if l.flying >= l.window {
		return nil
	}
	var flights []*flight
	size, taken := 0, 0
	for _, f := range l.queue {
		if f.left {
			taken++
			continue
		}
		n := f.msg.size()
		alone := !l.parcels || n > parcelEach
		if len(flights) > 0 && (alone || size+n > parcelBytes || len(flights) == parcelMessages) {
			break
		}
		flights, size, taken = append(flights, f), size+n, taken+1
		if alone {
			break
		}
	}
	clear(l.queue[:taken])
	if l.queue = l.queue[taken:]; len(l.queue) == 0 {
		l.queue = nil
	}
	if len(flights) == 0 {
		return nil
	}
	l.flying++
	return &sending{lane: l, flights: flights}
}

// sending is one message on its way: that of a flight, or a parcel of several.
type sending struct {
	lane    *lane
	flights []*flight
	token   uint64
	timer   *time.Timer
}

func (s *sending) send() {
	m := s.message()
	s.token = s.lane.acks.expect(s)
	m.Reply = s.lane.acks.subject(s.token)
	s.timer = time.AfterFunc(ackWait, func() { s.failed(fault.Of(fault.CodeUnavailable)) })
	if err := s.lane.nc.PublishMsg(m); err != nil {
		s.failed(classify(err))
	}
}

func (s *sending) message() *nats.Msg {
	if len(s.flights) == 1 {
		return encode(s.flights[0].msg)
	}
	messages := make([]Message, len(s.flights))
	for i, f := range s.flights {
		messages[i] = f.msg
	}
	return encode(Message{ID: hubIDs + parcelKind + "." + rand.Text(), Subject: FactSubject(parcelKind),
		Header: nats.Header{headerParts: []string{strconv.Itoa(len(messages))}}, Body: pack(messages)})
}

// failed ends the sending unless its ack was faster.
func (s *sending) failed(err error) {
	if _, ok := s.lane.acks.take(s.token); ok {
		s.acknowledged(ack{err: err})
	}
}

// acknowledged is called once, with the server's answer or with what came instead.
func (s *sending) acknowledged(a ack) {
	s.timer.Stop()
	s.lane.mu.Lock()
	s.lane.flying--
	s.lane.mu.Unlock()
	for _, f := range s.flights {
		f.done <- a
	}
	s.lane.move()
}
