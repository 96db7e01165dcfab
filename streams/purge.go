package streams

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// PurgeBefore removes every message with a sequence below seq. The purge is durable when it returns.
func PurgeBefore(ctx context.Context, js jetstream.JetStream, stream string, seq uint64) error {
	if seq <= 1 {
		return nil // sequence 0 would mean: everything
	}
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return wrap(err, "purge %s", stream)
	}
	if s.CachedInfo().State.FirstSeq >= seq {
		return nil // the server would begin a block for nothing
	}
	return wrap(s.Purge(ctx, jetstream.WithPurgeSequence(seq)), "purge %s", stream)
}

// PurgeSubject removes every message whose subject matches (wildcards allowed): erasure.
func PurgeSubject(ctx context.Context, js jetstream.JetStream, stream, subject string) error {
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return wrap(err, "purge %s", stream)
	}
	return wrap(s.Purge(ctx, jetstream.WithPurgeSubject(subject)), "purge %s", stream)
}

// SeqBefore returns the first sequence whose message was stored at t or later: everything below it is
// older. When all messages are older it is the sequence that the next message will get.
func SeqBefore(ctx context.Context, js jetstream.JetStream, stream string, t time.Time) (uint64, error) {
	// The server finds a start time in its index; a consumer that nobody reads is how to ask it.
	consumer, err := js.CreateConsumer(ctx, stream, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &t, AckPolicy: jetstream.AckNonePolicy,
		InactiveThreshold: 5 * time.Second, MemoryStorage: true, Replicas: 1,
	})
	if err != nil {
		return 0, wrap(err, "position in %s", stream)
	}
	info := consumer.CachedInfo()
	if err := js.DeleteConsumer(ctx, stream, info.Name); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return 0, wrap(err, "position in %s", stream)
	}
	return info.Delivered.Stream + 1, nil
}

// SeqKeeping returns the first sequence to keep so that about keep bytes remain; 0 when the stream holds
// no more than that. It goes by the mean size of a message.
func SeqKeeping(ctx context.Context, js jetstream.JetStream, stream string, keep int64) (uint64, error) {
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return 0, wrap(err, "size of %s", stream)
	}
	state := s.CachedInfo().State
	if state.Bytes <= uint64(keep) || state.Msgs == 0 {
		return 0, nil
	}
	excess := float64(state.Bytes-uint64(keep)) / float64(state.Bytes)
	return state.FirstSeq + uint64(excess*float64(state.LastSeq+1-state.FirstSeq)), nil
}
