package push

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// metrics counts by transport and push service, never by patient or device. The service is the
// allowed host, so there are few.
type metrics struct {
	attempts, drops    metric.Int64Counter
	duration, receipts metric.Float64Histogram
}

func newMetrics() (metrics, error) {
	meter := otel.Meter("github.com/dosewire/dosewire/adapters/push")
	var m metrics
	var errs [4]error
	m.attempts, errs[0] = meter.Int64Counter("dosewire.push.attempts", metric.WithDescription("Wakes by outcome: sent, dead, retry, config, expired."))
	m.drops, errs[1] = meter.Int64Counter("dosewire.push.dropped", metric.WithDescription("Devices that ended, by reason."))
	m.duration, errs[2] = meter.Float64Histogram("dosewire.push.duration", metric.WithUnit("s"), metric.WithDescription("Time of one attempt."))
	m.receipts, errs[3] = meter.Float64Histogram("dosewire.push.shown", metric.WithUnit("s"), metric.WithDescription("Time from sending a wake to the phone's receipt."))
	return m, errors.Join(errs[:]...)
}

func of(service string, more ...attribute.KeyValue) metric.MeasurementOption {
	return metric.WithAttributes(append(more, attribute.String("transport", transport), attribute.String("service", service))...)
}

func (m metrics) attempt(ctx context.Context, service, outcome string, took time.Duration) {
	m.attempts.Add(ctx, 1, of(service, attribute.String("outcome", outcome)))
	if took > 0 {
		m.duration.Record(ctx, took.Seconds(), of(service))
	}
}

func (m metrics) dropped(ctx context.Context, service, reason string) {
	m.drops.Add(ctx, 1, of(service, attribute.String("reason", reason)))
}

func (m metrics) shown(ctx context.Context, after time.Duration) {
	m.receipts.Record(ctx, max(after, 0).Seconds(), metric.WithAttributes(attribute.String("transport", transport)))
}
