package main

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/hub/admin"
	"github.com/dosewire/dosewire/streams"
)

// natsSource reads the organisation's durable consumer, one message at a time: what was fetched ahead
// and not used would be kept from the next reader for the consumer's AckWait.
type natsSource struct {
	*natsClient
	consumer jetstream.Consumer
	held     map[uint64]jetstream.Msg // printed, not acknowledged
}

func newNATSSource(ctx context.Context, c admin.Credential) (*natsSource, error) {
	client, err := dialNATS(c)
	if err != nil {
		return nil, err
	}
	consumer, err := client.js.Consumer(ctx, streams.Delivery, streams.ConsumerName(c.Org))
	if err != nil {
		client.close()
		return nil, fault.New(fault.Unavailable, "the organisation's consumer cannot be reached").Wrap(err)
	}
	return &natsSource{client, consumer, map[uint64]jetstream.Msg{}}, nil
}

// close hands back what was not acknowledged, so that the next reader need not wait for it.
func (s *natsSource) close() {
	for _, m := range s.held {
		_ = m.Nak() // else it comes again after AckWait
	}
	_ = s.nc.FlushTimeout(time.Second)
	s.natsClient.close()
}

// fetch waits for the next message.
func (s *natsSource) fetch(ctx context.Context) (jetstream.Msg, error) {
	for {
		wait, cancel := context.WithTimeout(ctx, 20*time.Second)
		m, err := s.consumer.Next(jetstream.FetchContext(wait))
		idle := wait.Err() != nil
		cancel()
		switch {
		case err == nil:
			return m, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case !idle && !errors.Is(err, nats.ErrTimeout) && !errors.Is(err, jetstream.ErrNoMessages):
			return nil, fault.New(fault.Unavailable, "the connection to the broker ended").Wrap(err)
		}
	}
}

func (s *natsSource) next(ctx context.Context) (delivery, error) {
	m, err := s.fetch(ctx)
	if err != nil {
		return delivery{}, err
	}
	h := m.Headers()
	number, err := strconv.ParseUint(h.Get(streams.HeaderDelivery), 10, 64)
	if err != nil {
		return delivery{}, fault.New(fault.Internal, "a delivery without "+streams.HeaderDelivery)
	}
	parts := strings.Split(m.Subject(), ".") // rx.deliver.<org>.<Type>.<record>
	d := delivery{Number: number, Rx: h.Get(streams.HeaderID), State: h.Get(streams.HeaderState), Claim: h.Get(streams.HeaderClaim),
		Index: h.Get(streams.HeaderIndex), Cause: h.Get(streams.HeaderCause), Signed: h.Get(streams.HeaderVerdict), Body: m.Data(), bytes: m.Data()}
	if len(parts) > 3 {
		d.Type = parts[3]
	}
	s.held[number] = m
	d.acked = func() error {
		delete(s.held, number)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		return m.DoubleAck(ctx)
	}
	return d, nil
}
