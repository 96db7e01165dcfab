package streams

import (
	"context"
	"errors"
	"maps"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dosewire/dosewire/internal/fault"
)

// Publisher stores messages in a stream and retries the same id until it is stored or ctx ends
// (at least 30 s when ctx allows). Safe for concurrent use.
type Publisher struct {
	nc        *nats.Conn
	entrances *entrances
	intake    *lane
	others    *lane
}

const (
	// giveUp is when a message that cannot be stored is given back to a caller whose ctx has no end.
	giveUp = time.Minute

	// intakeWindow sendings on their way: while one is synced the next is already at the server.
	intakeWindow = 2

	retryFirst = 250 * time.Millisecond
	retryMost  = 4 * time.Second
)

// NewPublisher uses nc's JetStream. It lives as long as nc.
func NewPublisher(nc *nats.Conn) (*Publisher, error) {
	a, err := newAcks(nc)
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, wrap(err, "publisher")
	}
	return &Publisher{
		nc:        nc,
		entrances: &entrances{js: js, known: make(map[string]string)},
		intake:    &lane{nc: nc, acks: a, window: intakeWindow, parcels: true},
		others:    &lane{nc: nc, acks: a, window: 256},
	}, nil
}

// Publish returns nil when the message is on disk in its stream. Concurrent calls to RX_INTAKE
// subjects share a parcel. There a PubAck marked duplicate is not an answer and is retried: somebody else
// may have used the id. Trace context is the caller's to set.
//
// Errors: CodeTooLarge; CodeBusy when the stream is full or the server at its limit, at once, so that
// the pressure reaches the sender; CodeUnavailable after a minute, or with the cause of ctx. An
// Unavailable message may have been stored: send the same one again.
func (p *Publisher) Publish(ctx context.Context, m Message) error { return p.publish(ctx, m, nil) }

// publish ends early, with nil, when enough is closed: the answer itself has come.
func (p *Publisher) publish(ctx context.Context, m Message, enough <-chan struct{}) error {
	lane, isIntake := p.others, isIntakeSubject(m.Subject)
	if isIntake {
		lane = p.intake
	}
	end := time.Now().Add(giveUp)
	timer := time.NewTimer(ackWait)
	defer timer.Stop()
	for wait := retryFirst; ; wait = min(2*wait, retryMost) {
		timer.Reset(ackWait)
		a, ended := p.attempt(ctx, lane, m, enough, timer.C)
		switch {
		case ended:
			return a.err
		case a.err == nil && a.duplicate && isIntake:
			wait = IntakeWindow + IntakeWindow/4 // the id is free again after the window
		case a.err == nil:
			return nil
		case !worthRetrying(a.err) || time.Now().Add(wait).After(end):
			return a.err
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-enough:
			return nil
		case <-ctx.Done():
			return unavailable(ctx)
		}
	}
}

// attempt submits the message once. ended means that nobody wants to know more.
func (p *Publisher) attempt(ctx context.Context, l *lane, m Message, enough <-chan struct{}, timeout <-chan time.Time) (a ack, ended bool) {
	if int64(m.size()) > p.nc.MaxPayload() {
		return ack{err: fault.Of(fault.CodeTooLarge)}, true
	}
	subject, err := p.address(ctx, m.Subject)
	if err != nil {
		return ack{err: fault.Of(fault.CodeUnavailable).Wrap(err)}, false
	}
	m.Subject = subject
	f := &flight{msg: m, done: make(chan ack, 1)}
	l.submit(f)
	select {
	case a := <-f.done:
		if errors.Is(a.err, nats.ErrNoResponders) {
			p.entrances.forget(Push)
		}
		return a, false
	case <-timeout:
		l.leave(f)
		return ack{err: fault.Of(fault.CodeUnavailable)}, false
	case <-enough:
		l.leave(f)
		return ack{}, true
	case <-ctx.Done():
		l.leave(f)
		return ack{err: unavailable(ctx)}, true
	}
}

// Waiting is the header of the wake that waits under a subject of PUSH, nil when none does.
func (p *Publisher) Waiting(ctx context.Context, subject string) (nats.Header, error) {
	s, err := p.entrances.js.Stream(ctx, Push)
	if err != nil {
		return nil, wrap(err, "find %s", Push)
	}
	m, err := s.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, wrap(err, "waiting wake")
	}
	return m.Header, nil
}

// address sends a wake through PUSH's entrance.
func (p *Publisher) address(ctx context.Context, subject string) (string, error) {
	if !strings.HasPrefix(subject, "push.") {
		return subject, nil
	}
	entrance, err := p.entrances.of(ctx, Push)
	return entrance + subject, err
}

// encode makes the wire form, with a header of its own: Message's header belongs to the caller.
func encode(m Message) *nats.Msg {
	h := make(nats.Header, len(m.Header)+4)
	maps.Copy(h, m.Header)
	if m.ID != "" {
		h[HeaderMsgID] = []string{m.ID}
	}
	return &nats.Msg{Subject: m.Subject, Header: h, Data: m.Body}
}

func isIntakeSubject(s string) bool {
	return strings.HasPrefix(s, intakePrefix) || strings.HasPrefix(s, "rx.fact.")
}

// worthRetrying: the same message may be stored a little later. A full stream is not worth it.
func worthRetrying(err error) bool {
	return fault.KindOf(err) == fault.Unavailable && fault.CodeOf(err) != fault.CodeBusy &&
		!errors.Is(err, nats.ErrConnectionClosed)
}

func unavailable(ctx context.Context) error {
	return fault.Of(fault.CodeUnavailable).Wrap(context.Cause(ctx))
}
