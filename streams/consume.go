package streams

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dosewire/dosewire/internal/fault"
)

// Handler does the work that one message asks for. It may see a message again, and must say by the
// kind of its error what is to be done ([Dispose]). It records its own failures: Consume sees to the
// message, not to the log.
type Handler func(ctx context.Context, m Message) error

const (
	workWait    = 30 * time.Second // how long a message may be worked on without a sign of life
	workSign    = 10 * time.Second // how often that sign is given
	haltedDelay = time.Minute      // a message that halted its consumer comes back after a restart
)

// Consume calls h for the messages of a durable consumer, at most workers at a time, until ctx ends;
// then it finishes what it began and returns nil. A durable that does not exist is made, over the
// whole stream. Each message is acknowledged, retried or parked (terminated: a pointer stays in
// RX_DEAD) as Dispose says; long work is kept alive.
//
// It returns h's error when that halts (fault.Tampered), and fault.Unavailable or fault.NotFound when
// the consumer cannot be made or is deleted. Reconnects are survived in silence.
func Consume(ctx context.Context, js jetstream.JetStream, stream, durable string, workers int, h Handler) error {
	consumer, err := durableConsumer(ctx, js, stream, durable, workers)
	if err != nil {
		return consumeEnd(ctx, nil, err, stream)
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessagesWithBytesLimit(2*workers, pullBytes),
		jetstream.PullExpiry(pullExpires), jetstream.PullHeartbeat(heartbeat), jetstream.WithMessagesErrOnMissingHeartbeat(false))
	if err != nil {
		return consumeEnd(ctx, nil, err, stream)
	}
	stop := context.AfterFunc(ctx, messages.Stop)
	defer stop()

	var group sync.WaitGroup
	halted := make(chan error, workers)
	seats := make(chan struct{}, workers)
	for {
		msg, err := messages.Next()
		if err != nil {
			messages.Stop()
			group.Wait()
			close(halted)
			return consumeEnd(ctx, <-halted, err, stream)
		}
		seats <- struct{}{}
		group.Go(func() {
			defer func() { <-seats }()
			if err := work(context.WithoutCancel(ctx), msg, h); err != nil {
				halted <- err
				messages.Stop()
			}
		})
	}
}

func durableConsumer(ctx context.Context, js jetstream.JetStream, stream, durable string, workers int) (jetstream.Consumer, error) {
	consumer, err := js.Consumer(ctx, stream, durable)
	if !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return consumer, err
	}
	return js.CreateConsumer(ctx, stream, jetstream.ConsumerConfig{
		Durable: durable, AckPolicy: jetstream.AckExplicitPolicy, AckWait: workWait, MaxDeliver: -1, MaxAckPending: 4 * workers,
	})
}

// consumeEnd says why there are no more messages, or none at all: a handler halted, ctx ended, or the consumer
// is gone.
func consumeEnd(ctx context.Context, halted, err error, stream string) error {
	switch {
	case halted != nil:
		return halted
	case ctx.Err() != nil:
		return nil
	}
	return wrap(err, "consume %s", stream)
}

// work handles one message and says to the server what became of it. The error is one that halts. An
// ack that is lost means one more delivery, so errors of acks are nothing to act on.
func work(ctx context.Context, msg jetstream.Msg, h Handler) error {
	meta, err := msg.Metadata()
	if err != nil {
		return wrap(err, "message without position")
	}
	err = kept(ctx, msg, meta, h)
	switch disposition, delay := Dispose(err, meta.NumDelivered); disposition {
	case fault.Ack:
		_ = msg.Ack()
	case fault.Retry:
		_ = msg.NakWithDelay(delay)
	case fault.Park:
		_ = msg.TermWithReason(fault.KindOf(err).String())
	default:
		_ = msg.NakWithDelay(haltedDelay)
		return err
	}
	return nil
}

// kept runs the handler, telling the server now and then that the message is being worked on.
func kept(ctx context.Context, msg jetstream.Msg, meta *jetstream.MsgMetadata, h Handler) error {
	var sign *time.Timer
	var mu sync.Mutex // orders the last sign before the ack
	ended := false
	mu.Lock()
	sign = time.AfterFunc(workSign, func() {
		mu.Lock()
		defer mu.Unlock()
		if !ended {
			_ = msg.InProgress()
			sign.Reset(workSign)
		}
	})
	mu.Unlock()
	defer func() {
		mu.Lock()
		defer mu.Unlock()
		ended = true
		sign.Stop()
	}()
	header := msg.Headers()
	return h(ctx, Message{ID: header.Get(HeaderMsgID), Subject: msg.Subject(), Header: header, Body: msg.Data(),
		Seq: meta.Sequence.Stream, Time: meta.Timestamp})
}
