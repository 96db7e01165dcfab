package streams

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Bounds of a Reader. Two pull requests may overlap, so at most 2*pullBytes are under way and
// readAhead waits in memory, each plus one message: about 8 MiB with messages of 1 MiB, 1 MiB with small ones.
// More is of no use: whoever reads works in batches of a few hundred.
const (
	pullMessages = 256
	pullBytes    = 3 << 20
	readAhead    = 512 << 10
	pullExpires  = 30 * time.Second
	heartbeat    = 2 * time.Second // a silent server is noticed after twice that

	// gather is how long Batch waits for messages that the server has said are in the stream already.
	gather = 2 * time.Millisecond

	// What is offered directly is let in up to these.
	offeredMessages = 1000
	offeredBytes    = 4 << 20

	// late is how long after a message of the stream one may be offered that overtakes those behind it.
	late = time.Second
)

// Reader reads a stream in order from a sequence, without acks (a JetStream ordered consumer). It
// survives reconnects, restarts of the server and the loss of its consumer: then it goes on behind
// the last message it has seen. One goroutine may use it; Offer and Close may be called by any.
type Reader struct {
	js       jetstream.JetStream
	stream   string
	consumer jetstream.Consumer
	messages jetstream.MessagesContext
	pumped   sync.WaitGroup
	closing  sync.Once

	mu     sync.Mutex // guards what follows
	ready  []Message
	bytes  int    // in ready
	pulled int    // of them, what came from the stream
	behind uint64 // messages that the server had behind last
	last   uint64
	stored time.Time // when the server stored last; zero before the first
	err    error
	closed bool
	waits  bool          // a message of the stream waits for room
	full   *sync.Cond    // signalled when room was made
	news   chan struct{} // holds one token when ready or err may have changed
	gone   chan struct{} // closed by Close
}

// OpenReader starts at sequence from (the first one >= from).
func OpenReader(ctx context.Context, js jetstream.JetStream, stream string, from uint64) (*Reader, error) {
	consumer, err := js.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: max(from, 1), InactiveThreshold: time.Minute,
	})
	if err != nil {
		return nil, wrap(err, "read %s", stream)
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessagesWithBytesLimit(pullMessages, pullBytes),
		jetstream.PullExpiry(pullExpires), jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return nil, wrap(err, "read %s", stream)
	}
	r := &Reader{js: js, stream: stream, consumer: consumer, messages: messages, last: max(from, 1) - 1,
		behind: consumer.CachedInfo().NumPending, news: make(chan struct{}, 1), gone: make(chan struct{})}
	r.full = sync.NewCond(&r.mu)
	r.pumped.Go(r.pump)
	return r, nil
}

// pump moves messages into ready until the reader is closed or fails. It runs beside Batch so that
// what arrives during a commit is at hand when the commit is done.
func (r *Reader) pump() {
	for {
		msg, err := r.messages.Next()
		if err == nil {
			err = r.put(msg)
		}
		if err != nil {
			r.end(err)
			return
		}
	}
}

// put appends one message, waiting for room.
func (r *Reader) put(msg jetstream.Msg) error {
	meta, err := msg.Metadata()
	if err != nil {
		return wrap(err, "read position")
	}
	seq, h := meta.Sequence.Stream, msg.Headers()
	parts := opened(Message{ID: h.Get(HeaderMsgID), Subject: msg.Subject(), Header: h, Body: msg.Data(), Seq: seq, Time: meta.Timestamp})
	size := 0
	for i := range parts {
		size += len(parts[i].Body)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	// The ordered consumer sees to it that nothing between two sequences was skipped: it checks the
	// consumer's own numbering and starts anew at the first gap.
	if seq <= r.last {
		return ErrOrder
	}
	for len(r.ready) > 0 && (r.pulled+size > readAhead || r.bytes+size > offeredBytes) && !r.closed {
		r.waits = true
		r.full.Wait()
	}
	r.waits = false
	r.last, r.stored = seq, meta.Timestamp
	r.bytes, r.pulled = r.bytes+size, r.pulled+size
	r.behind = meta.NumPending
	r.ready = append(r.ready, parts...)
	r.tell()
	return nil
}

// Offer hands m to the Reader's user in its turn, as if it had come from the stream, if there is room: it
// lies nowhere but in memory. What the stream has waits for nobody: m is not taken while a message of the
// stream waits for room, nor while the Reader is late, because whoever decides by the time of m would decide
// what was stored long before it by that time too. gone is closed when the Reader is; then m may have been
// dealt with or not.
func (r *Reader) Offer(m Message) (gone <-chan struct{}, taken bool) {
	m.Direct, m.Time = true, time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	full := r.waits || r.bytes+len(m.Body) > offeredBytes || len(r.ready) >= offeredMessages
	behind := r.behind > 0 && m.Time.Sub(r.stored) > late
	tooLarge := m.size() > MaxPayload // as it is for the stream, which says so
	if full || behind || tooLarge || r.closed || r.err != nil {
		return nil, false
	}
	r.bytes += len(m.Body)
	r.ready = append(r.ready, m)
	r.tell()
	return r.gone, true
}

// opened is the messages that m carried: those of a parcel, else m. What claims to be a parcel and is
// none is left to the reader, who knows no such fact.
func opened(m Message) []Message {
	if !isParcel(m.Subject, m.ID) {
		return []Message{m}
	}
	parts, err := unpack(m.Body)
	if err != nil {
		return []Message{m}
	}
	for i := range parts {
		parts[i].Seq, parts[i].Time, parts[i].Part, parts[i].Parts = m.Seq, m.Time, i, len(parts)
	}
	return parts
}

func (r *Reader) end(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || errors.Is(err, jetstream.ErrMsgIteratorClosed) {
		err = ErrClosed
	}
	r.err = wrap(err, "read")
	r.tell()
}

// tell leaves a token for Batch.
func (r *Reader) tell() {
	select {
	case r.news <- struct{}{}:
	default:
	}
}

// Batch waits for at least one message, then returns what has arrived, at most maxMsgs messages or
// maxBytes bytes (one message may exceed it). It returns what it has after idle without any message
// (possibly none, with nil error). Sequences are ascending; a hole is only what was purged. What was offered
// stands between them in the order in which all of it came.
//
// Errors: that of ctx; ErrClosed; ErrOrder. What was read before an error is returned first.
func (r *Reader) Batch(ctx context.Context, maxMsgs, maxBytes int, idle time.Duration) ([]Message, error) {
	end := time.NewTimer(idle)
	defer end.Stop()
	var together <-chan time.Time
	for {
		n, whole, err := r.state(maxMsgs, maxBytes)
		switch {
		case whole, n == 0 && err != nil:
			return r.take(maxMsgs, maxBytes)
		case n > 0 && together == nil:
			timer := time.NewTimer(gather)
			defer timer.Stop()
			together = timer.C
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-end.C:
			return r.take(maxMsgs, maxBytes)
		case <-together:
			return r.take(maxMsgs, maxBytes)
		case <-r.news:
		}
	}
}

// Ready is how many messages Batch would return at once.
func (r *Reader) Ready() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.ready)
}

// state tells how many messages are ready, and whether nothing is gained by waiting: the batch is full,
// or the server had nothing behind them when it sent the last.
func (r *Reader) state(maxMsgs, maxBytes int) (n int, whole bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n = len(r.ready)
	return n, n > 0 && (r.behind == 0 || n >= maxMsgs || r.bytes >= min(maxBytes, readAhead) || r.err != nil), r.err
}

// take removes the next batch from ready.
func (r *Reader) take(maxMsgs, maxBytes int) ([]Message, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.ready) == 0 {
		return nil, r.err
	}
	n, size := 0, 0
	for n < len(r.ready) && n < maxMsgs {
		size += len(r.ready[n].Body)
		if n > 0 && size > maxBytes {
			size -= len(r.ready[n].Body)
			break
		}
		n++
	}
	batch := r.ready[:n:n]
	// The rest moves to an array of its own, so that a caller who keeps a batch keeps no more than it.
	r.ready = append([]Message(nil), r.ready[n:]...)
	r.bytes -= size
	for i := range batch {
		if !batch[i].Direct {
			r.pulled -= len(batch[i].Body)
		}
	}
	r.full.Signal()
	return batch, nil
}

// Close ends the consumer and waits for the goroutine that reads. It may be called twice.
func (r *Reader) Close() {
	r.closing.Do(func() {
		r.mu.Lock()
		r.closed = true
		r.full.Broadcast()
		close(r.gone)
		r.mu.Unlock()
		r.messages.Stop()
		r.pumped.Wait()
		// The server forgets an idle consumer by itself after a minute; this is tidier, no more.
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = r.js.DeleteConsumer(ctx, r.stream, r.consumer.CachedInfo().Name)
	})
}
