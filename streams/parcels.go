package streams

import (
	"context"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// headerParts says how many messages a parcel carries.
const headerParts = "Rx-Parts"

// Parcels returns how many messages each parcel of RX_INTAKE with after < sequence <= upTo carried, as
// far as it is still there. It reads headers alone.
func Parcels(ctx context.Context, js jetstream.JetStream, after, upTo uint64) (map[uint64]int, error) {
	consumer, err := js.CreateConsumer(ctx, Intake, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: after + 1, FilterSubject: FactSubject(parcelKind),
		HeadersOnly: true, AckPolicy: jetstream.AckNonePolicy, InactiveThreshold: 5 * time.Second, MemoryStorage: true, Replicas: 1,
	})
	if err != nil {
		return nil, wrap(err, "parcels")
	}
	info := consumer.CachedInfo()
	defer func() { _ = js.DeleteConsumer(ctx, Intake, info.Name) }() // it would end by itself
	parts := map[uint64]int{}
	for left := info.NumPending; left > 0 && ctx.Err() == nil; {
		batch, err := consumer.Fetch(int(min(left, pullMessages)), jetstream.FetchMaxWait(time.Second))
		if err != nil {
			return nil, wrap(err, "parcels")
		}
		n := uint64(0)
		for msg := range batch.Messages() {
			meta, err := msg.Metadata()
			if err != nil {
				return nil, wrap(err, "parcels")
			}
			if meta.Sequence.Stream > upTo {
				return parts, nil
			}
			if parcel, err := strconv.Atoi(msg.Headers().Get(headerParts)); err == nil && isParcel(msg.Subject(), msg.Headers().Get(HeaderMsgID)) {
				parts[meta.Sequence.Stream] = parcel
			}
			n++
		}
		if err := batch.Error(); err != nil {
			return nil, wrap(err, "parcels")
		}
		if n == 0 {
			break // purged meanwhile
		}
		left -= min(n, left)
	}
	return parts, nil
}
