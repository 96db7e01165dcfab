package streams

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dosewire/dosewire/internal/fault"
)

// DeliveryPublisher stores deliveries in RX_DELIVERY in the order given. Each message expects the one
// before it to be the last of the stream, so that of two recorders only one can announce. Every message
// needs an ID. It belongs
// to one goroutine.
type DeliveryPublisher struct {
	nc       *nats.Conn
	js       jetstream.JetStream
	acks     *acks
	entrance string // where the stream listens
	last     uint64 // sequence of the stream's last message as this publisher knows it
	sure     bool   // false after a failure, until a message is stored: what was sent may arrive yet
	lost     bool   // deposed, for good
	leads    func(context.Context) error
}

const (
	headerExpectedLast   = "Nats-Expected-Last-Sequence"
	headerExpectedLastID = "Nats-Expected-Last-Msg-Id"

	// deliveryBatch is the number of messages from which one atomic batch is used; below it they are
	// pipelined. See pace for what was measured.
	deliveryBatch = 5

	// After a failure, messages already sent may still be on their way into the stream: its end is asked
	// for again until it stands still, at most this often and this long apart.
	settleTries = 100
	settleEvery = 20 * time.Millisecond
)

// NewDeliveryPublisher goes on behind the present end of the stream: whoever was announcing before is
// deposed by the first message stored. Only the holder of the lease may announce, so leads is asked each
// time after the stream's end was learned: it returns nil while no other term has begun, ErrDeposed once
// one has. In that order a term that begins later learns a later end, and one of the two is refused.
func NewDeliveryPublisher(ctx context.Context, js jetstream.JetStream, leads func(context.Context) error) (*DeliveryPublisher, error) {
	a, err := newAcks(js.Conn())
	if err != nil {
		return nil, err
	}
	p := &DeliveryPublisher{nc: js.Conn(), js: js, acks: a, sure: true, leads: leads}
	return p, p.learn(ctx)
}

// LastSequence is the sequence of the last message stored; 0 means that the stream is new.
func (p *DeliveryPublisher) LastSequence() uint64 { return p.last }

// learn asks the server where the stream ends, and then whether this is still the one to go on behind it.
func (p *DeliveryPublisher) learn(ctx context.Context) error {
	stream, err := p.js.Stream(ctx, Delivery)
	if err != nil {
		return wrap(err, "end of %s", Delivery)
	}
	info := stream.CachedInfo()
	p.last, p.entrance = info.State.LastSeq, entranceOf(info.Config)
	err = p.leads(ctx)
	p.lost = p.lost || errors.Is(err, ErrDeposed)
	return err
}

// Publish returns nil when all messages are on disk, in order; stored is how many of them the server did
// not have before. It writes in the messages' headers.
//
// ErrDeposed: somebody else has stored a message since, or leads; it is the answer from then on. Any
// other error leaves a prefix stored, possibly all: the same call, made again, stores the rest. Within
// half a minute the server recognises what it has; after that, receivers do by the id.
func (p *DeliveryPublisher) Publish(ctx context.Context, messages []Message) (stored int, err error) {
	if p.lost {
		return 0, ErrDeposed
	}
	careful, settled := !p.sure, 0
	if careful {
		if err := p.learn(ctx); err != nil {
			return 0, err
		}
	}
	for len(messages) > 0 {
		group := messages[:groupSize(messages)]
		if careful {
			group = messages[:1]
		}
		n, fresh, err := p.store(ctx, group)
		if errors.Is(err, ErrDeposed) && !p.sure && settled < settleTries {
			settled++
			if err := p.settle(ctx); err != nil {
				return stored, err
			}
			continue
		}
		if err != nil {
			p.sure, p.lost = false, errors.Is(err, ErrDeposed)
			return stored + n, err
		}
		if stored += n; !fresh {
			stored--
		}
		// One by one until the first that the server did not have yet: behind a repeat the stream is
		// shorter than a pipeline expects.
		careful = !fresh
		p.sure = p.sure || fresh
		messages = messages[n:]
	}
	p.sure = true
	return stored, nil
}

// settle waits a little and learns again where the stream ends.
func (p *DeliveryPublisher) settle(ctx context.Context) error {
	timer := time.NewTimer(settleEvery)
	defer timer.Stop()
	select {
	case <-timer.C:
		return p.learn(ctx)
	case <-ctx.Done():
		return unavailable(ctx)
	}
}

// groupSize is how many messages go together: one atomic batch, or one pipeline.
func groupSize(messages []Message) int {
	n, size := 0, 0
	for n < len(messages) && n < batchMessages {
		size += len(messages[n].Body)
		if n > 0 && size > batchBytes {
			break
		}
		n++
	}
	return n
}

// store stores the first n of group. fresh is false when the server had the last of them already.
func (p *DeliveryPublisher) store(ctx context.Context, group []Message) (n int, fresh bool, err error) {
	messages := make([]*nats.Msg, len(group))
	for i := range group {
		messages[i] = p.encode(&group[i])
	}
	if len(group) >= deliveryBatch {
		stored, err := p.batch(ctx, messages)
		if stored || err != nil {
			return len(group), true, err
		}
		for _, m := range messages {
			unbatch(m)
		}
		// The server refused the batch: perhaps it has some of it. One message tells.
		messages = messages[:1]
	}
	return p.pipeline(ctx, messages)
}

// encode is the wire form of m, with m's own header: of what an earlier try wrote there nothing stays.
func (p *DeliveryPublisher) encode(m *Message) *nats.Msg {
	if m.Header == nil {
		m.Header = nats.Header{}
	}
	w := &nats.Msg{Subject: p.entrance + m.Subject, Header: m.Header, Data: m.Body}
	unbatch(w)
	delete(w.Header, headerExpectedLast)
	delete(w.Header, headerExpectedLastID)
	w.Header[HeaderMsgID] = []string{m.ID}
	return w
}

// batch stores all messages or none. stored is false, without an error, when the server refused the
// batch for a reason that single messages may not have.
func (p *DeliveryPublisher) batch(ctx context.Context, messages []*nats.Msg) (stored bool, err error) {
	p.expect(messages[0], p.last)
	w := make(result, 1)
	token := p.acks.expect(w)
	if err := publishBatch(p.nc, messages, p.acks.subject(token)); err != nil {
		p.acks.take(token)
		return false, err
	}
	a := p.await(ctx, w, token)
	switch {
	case a.err == nil:
		p.last = a.seq
		return true, nil
	case errors.Is(a.err, ErrDeposed), errors.Is(a.err, errUnknown):
		return false, a.err
	}
	return false, nil
}

// pipeline sends all messages, then reads their acks in order.
func (p *DeliveryPublisher) pipeline(ctx context.Context, messages []*nats.Msg) (n int, fresh bool, err error) {
	waiting := make([]result, len(messages))
	tokens := make([]uint64, len(messages))
	for i, m := range messages {
		p.expect(m, p.last+uint64(i))
		if i > 0 {
			// The sequence alone would let a message in behind a stranger's that took its predecessor's place.
			m.Header[headerExpectedLastID] = messages[i-1].Header[HeaderMsgID]
		}
		waiting[i] = make(result, 1)
		tokens[i] = p.acks.expect(waiting[i])
		m.Reply = p.acks.subject(tokens[i])
		if err := p.nc.PublishMsg(m); err != nil {
			waiting[i] <- ack{err: classify(err)}
		}
	}
	defer func() {
		for _, t := range tokens[n:] {
			p.acks.take(t)
		}
	}()
	for i := range messages {
		a := p.await(ctx, waiting[i], tokens[i])
		switch {
		case a.err == nil && a.duplicate:
			// Those behind it expected a longer stream: they were refused, or are repeats too.
			return n + 1, false, nil
		case a.err != nil:
			// Nothing behind a message that failed can be stored: its expectation fails.
			return n, false, a.err
		}
		p.last, n = a.seq, n+1
	}
	return n, true, nil
}

func (p *DeliveryPublisher) expect(m *nats.Msg, last uint64) {
	m.Header[headerExpectedLast] = []string{strconv.FormatUint(last, 10)}
}

// errUnknown: no ack came, so nobody knows.
var errUnknown = fault.Of(fault.CodeUnavailable)

// await waits for one ack. What it cannot say is unknown.
func (p *DeliveryPublisher) await(ctx context.Context, w result, token uint64) ack {
	timer := time.NewTimer(ackWait)
	defer timer.Stop()
	select {
	case a := <-w:
		return a
	case <-timer.C:
		p.acks.take(token)
		return ack{err: errUnknown}
	case <-ctx.Done():
		p.acks.take(token)
		return ack{err: unavailable(ctx)}
	}
}

// result receives one ack.
type result chan ack

func (r result) acknowledged(a ack) { r <- a }
