package streams

import (
	"context"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/propagation"
)

// Inject writes the span of ctx into h as W3C trace context. h must not be nil. Without a span it does
// nothing.
func Inject(ctx context.Context, h nats.Header) { propagation.TraceContext{}.Inject(ctx, carrier(h)) }

// Extract returns ctx with the remote span that h names. A nil or malformed header leaves ctx as it is.
func Extract(ctx context.Context, h nats.Header) context.Context {
	return propagation.TraceContext{}.Extract(ctx, carrier(h))
}

// carrier lets otel read and write NATS headers, whose keys are case-sensitive, unlike HTTP's.
type carrier nats.Header

func (c carrier) Get(key string) string { return nats.Header(c).Get(key) }
func (c carrier) Set(key, value string) { nats.Header(c).Set(key, value) }
func (c carrier) Keys() []string {
	keys := make([]string, 0, len(c))
	for k := range c {
		keys = append(keys, k)
	}
	return keys
}
