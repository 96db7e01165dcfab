package streams

import (
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// NewAlonePublisher never makes parcels and keeps up to window messages on their way.
func NewAlonePublisher(nc *nats.Conn, window int) (*Publisher, error) {
	p, err := NewPublisher(nc)
	if err == nil {
		p.intake.window, p.intake.parcels = window, false
	}
	return p, err
}

// Pack and Unpack are pack and unpack.
func Pack(messages []Message) []byte          { return pack(messages) }
func Unpack(parcel []byte) ([]Message, error) { return unpack(parcel) }

// EncodeDelivery is a DeliveryPublisher's encode.
func EncodeDelivery(m *Message) *nats.Msg { return new(DeliveryPublisher).encode(m) }

// ParseReply is parseReply.
func ParseReply(value string) (inbox, correlation string, ok bool) { return parseReply(value) }

// Differences is differences.
func Differences(want, got jetstream.StreamConfig) []string { return differences(want, got) }

// Len is how many Callers are known.
func (here *Callers) Len() int {
	here.mu.RLock()
	defer here.mu.RUnlock()
	return len(here.byName)
}
