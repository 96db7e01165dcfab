package scrub

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// metrics are the watch's instruments.
type metrics struct {
	rows   metric.Int64Counter
	alarms metric.Int64Counter
}

func newMetrics(m metric.Meter, status func() Status) (out metrics, err error) {
	var errs []error
	keep := func(err error) { errs = append(errs, err) }
	out.rows, err = m.Int64Counter("dosewire.scrub.rows", metric.WithDescription("Rows checked."))
	keep(err)
	out.alarms, err = m.Int64Counter("dosewire.scrub.alarms", metric.WithDescription("Things found wrong, by alarm, each once; page when it rises."))
	keep(err)
	whole := func(name, about string, value func(Status) int64) {
		_, err := m.Int64ObservableGauge(name, metric.WithDescription(about),
			metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
				o.Observe(value(status()))
				return nil
			}))
		keep(err)
	}
	seconds := func(name, about string, value func(Status) float64) {
		_, err := m.Float64ObservableGauge(name, metric.WithUnit("s"), metric.WithDescription(about),
			metric.WithFloat64Callback(func(_ context.Context, o metric.Float64Observer) error {
				o.Observe(value(status()))
				return nil
			}))
		keep(err)
	}
	seconds("dosewire.scrub.oldest.age", "Time since the row that waits longest was checked; alarm above 86400 s.", func(s Status) float64 { return s.Oldest.Seconds() })
	whole("dosewire.scrub.damaged", "Rows that are damaged now; page above 0.", func(s Status) int64 { return int64(s.Damaged) })
	whole("dosewire.scrub.head.broken", "1 while the head is not the end of the chain that was seen; page.", func(s Status) int64 {
		if s.Head != nil {
			return 1
		}
		return 0
	})
	whole("dosewire.reconcile.unaccounted", "Messages of the intake that left nothing behind; page above 0.", func(s Status) int64 { return int64(s.Unaccounted) })
	whole("dosewire.reconcile.seq", "The last intake sequence that is accounted for.", func(s Status) int64 { return int64(s.Reconciled) })
	seconds("dosewire.access.unchained.age", "Age of the oldest disclosure without an entry; alarm above 5 s.", func(s Status) float64 { return s.Waiting.Seconds() })
	for _, e := range errs {
		if e != nil {
			return out, fmt.Errorf("scrub: metrics: %w", e)
		}
	}
	return out, nil
}

func (m metrics) checked(ctx context.Context, n int64) {
	if n > 0 {
		m.rows.Add(ctx, n)
	}
}

func (m metrics) alarm(ctx context.Context, name string) {
	m.alarms.Add(ctx, 1, metric.WithAttributes(attribute.String("alarm", name)))
}
