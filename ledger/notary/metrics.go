package notary

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// metrics are the notary's instruments.
type metrics struct {
	ticks   metric.Float64Histogram
	alarms  metric.Int64Counter
	answers metric.Int64Counter
}

func newMetrics(m metric.Meter, status func() Status) (out metrics, err error) {
	var errs [6]error
	out.ticks, errs[0] = m.Float64Histogram("dosewire.notary.tick", metric.WithUnit("s"), metric.WithDescription("Duration of a tick."))
	out.alarms, errs[1] = m.Int64Counter("dosewire.notary.alarms", metric.WithDescription("Ticks that found something wrong, by alarm; page when rollback, rewrite, gap, clock, fork or state rises."))
	out.answers, errs[2] = m.Int64Counter("dosewire.notary.witness", metric.WithDescription("Requests for a cosignature, by witness and outcome."))
	_, errs[3] = m.Float64ObservableGauge("dosewire.notary.unsigned.age", metric.WithUnit("s"),
		metric.WithDescription("Age of the oldest entry that no published checkpoint covers; 0 when none is known."),
		metric.WithFloat64Callback(func(_ context.Context, o metric.Float64Observer) error {
			o.Observe(status().Unsigned.Seconds())
			return nil
		}))
	_, errs[4] = m.Int64ObservableGauge("dosewire.notary.size", metric.WithDescription("Entries covered, by stage: signed, published."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			s := status()
			o.Observe(int64(s.Size), metric.WithAttributes(attribute.String("stage", "signed")))
			o.Observe(int64(s.Published), metric.WithAttributes(attribute.String("stage", "published")))
			return nil
		}))
	_, errs[5] = m.Float64ObservableGauge("dosewire.notary.checked.age", metric.WithUnit("s"),
		metric.WithDescription("Time since the ledger was last found to continue; alarm above 30 s."),
		metric.WithFloat64Callback(func(_ context.Context, o metric.Float64Observer) error {
			if s := status(); !s.Checked.IsZero() {
				o.Observe(time.Since(s.Checked).Seconds())
			}
			return nil
		}))
	for _, e := range errs {
		if e != nil {
			return out, fmt.Errorf("notary: metrics: %w", e)
		}
	}
	return out, nil
}

func (m metrics) ticked(ctx context.Context, took time.Duration, alarm string) {
	m.ticks.Record(ctx, took.Seconds())
	if alarm != "" {
		m.alarm(ctx, alarm)
	}
}

func (m metrics) alarm(ctx context.Context, name string) {
	m.alarms.Add(ctx, 1, metric.WithAttributes(attribute.String("alarm", name)))
}

func (m metrics) asked(ctx context.Context, witness string, err error) {
	outcome := "cosigned"
	if err != nil {
		outcome = AlarmName(err)
	}
	m.answers.Add(ctx, 1, metric.WithAttributes(attribute.String("witness", witness), attribute.String("outcome", outcome)))
}
