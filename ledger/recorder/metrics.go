package recorder

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// metrics are the recorder's instruments. They carry counts and codes, never who.
type metrics struct {
	messages   metric.Int64Counter
	batches    metric.Float64Histogram
	deliveries metric.Int64Counter
	lag        metric.Float64Histogram
	quarantine metric.Int64Counter

	fates [existing + 1]metric.MeasurementOption // what says that a unit had a fate
}

func newMetrics(m metric.Meter) (out metrics, err error) {
	var errs [5]error
	out.messages, errs[0] = m.Int64Counter("dosewire.recorder.messages", metric.WithDescription("Units decided, by fate."))
	out.batches, errs[1] = m.Float64Histogram("dosewire.recorder.batch", metric.WithUnit("s"), metric.WithDescription("Time from a batch's arrival to its commit."))
	out.deliveries, errs[2] = m.Int64Counter("dosewire.recorder.deliveries", metric.WithDescription("Deliveries announced."))
	out.lag, errs[3] = m.Float64Histogram("dosewire.recorder.announce.lag", metric.WithUnit("s"), metric.WithDescription("Stream time of a message to the announcement of its deliveries."))
	out.quarantine, errs[4] = m.Int64Counter("dosewire.recorder.quarantined", metric.WithDescription("Messages that could not be recorded; alarm when above 0."))
	for _, e := range errs {
		if e != nil {
			return out, fmt.Errorf("recorder: metrics: %w", e)
		}
	}
	for f, name := range [...]string{refused: "refused", repeated: "repeated", reused: "reused", recorded: "recorded", existing: "existing"} {
		out.fates[f] = metric.WithAttributeSet(attribute.NewSet(attribute.String("fate", name)))
	}
	return out, nil
}

func (m metrics) batch(ctx context.Context, units []*unit, took time.Duration) {
	var count [existing + 1]int64
	for _, u := range units {
		count[u.result.fate]++
	}
	for f, n := range count {
		if n > 0 {
			m.messages.Add(ctx, n, m.fates[f])
		}
	}
	m.batches.Record(ctx, took.Seconds())
}

func (m metrics) delivered(ctx context.Context, n int, since time.Time) {
	if n > 0 {
		m.deliveries.Add(ctx, int64(n))
		m.lag.Record(ctx, time.Since(since).Seconds())
	}
}

func (m metrics) quarantined(ctx context.Context) { m.quarantine.Add(ctx, 1) }
