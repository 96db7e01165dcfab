package streams

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dosewire/dosewire/internal/fault"
)

// EnsureConsumer makes or updates the durable pull consumer of an organisation on RX_DELIVERY.
//
// A delivery is offered until it is acknowledged: MaxDeliver is unlimited, because a counter that ends
// would lose a prescription in silence. A receiver that cannot take a message terminates it (Term),
// which leaves a pointer in RX_DEAD and the message in the database.
func EnsureConsumer(ctx context.Context, js jetstream.JetStream, org string) error {
	_, err := js.CreateOrUpdateConsumer(ctx, Delivery, jetstream.ConsumerConfig{
		Durable:       ConsumerName(org),
		FilterSubject: deliveries(org),
		AckPolicy:     jetstream.AckExplicitPolicy,
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckWait:       30 * time.Second,
		BackOff:       []time.Duration{30 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute},
		MaxDeliver:    -1,
		MaxAckPending: 256,
		MaxWaiting:    64,
	})
	return wrap(err, "consumer of an organisation")
}

func deliveries(org string) string { return "rx.deliver." + org + ".>" }

// AcknowledgedUpTo is the number of the last delivery up to which org has acknowledged all of its own.
// announced is the number up to which everything was published before the call; it is the answer when
// nothing of org's waits. fault.NotFound when the organisation has no consumer.
func AcknowledgedUpTo(ctx context.Context, js jetstream.JetStream, org string, announced uint64) (uint64, error) {
	consumer, err := js.Consumer(ctx, Delivery, ConsumerName(org))
	if err != nil {
		return 0, wrap(err, "acknowledged index")
	}
	if info := consumer.CachedInfo(); info.NumPending == 0 && info.NumAckPending == 0 {
		return announced, nil
	}
	stream, err := js.Stream(ctx, Delivery)
	if err != nil {
		return 0, wrap(err, "acknowledged index")
	}
	// Acknowledged messages leave the stream, so the oldest one left is the first that waits.
	first, err := stream.GetMsg(ctx, 1, jetstream.WithGetMsgSubject(deliveries(org)))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return announced, nil
	}
	if err != nil {
		return 0, wrap(err, "acknowledged index")
	}
	n, err := strconv.ParseUint(first.Header.Get(HeaderDelivery), 10, 64)
	if err != nil || n == 0 {
		return 0, fault.New(fault.Internal, "streams: a delivery without its number")
	}
	return min(n-1, announced), nil
}

// DeliveryWaits reports whether a delivery of a record to an organisation is still in the stream: published, and
// neither acknowledged nor terminated.
func DeliveryWaits(ctx context.Context, js jetstream.JetStream, org, record string) (bool, error) {
	stream, err := js.Stream(ctx, Delivery)
	if err != nil {
		return false, wrap(err, "waiting delivery")
	}
	_, err = stream.GetMsg(ctx, 1, jetstream.WithGetMsgSubject(DeliverySubject(org, "*", record)))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	return err == nil, wrap(err, "waiting delivery")
}
