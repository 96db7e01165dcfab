package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/dosewire/dosewire/internal/fault"
)

// Options of Start.
type Options struct {
	Service string                  // service.name; "" means dosewire
	Version string                  // service.version
	Spans   []sdktrace.SpanExporter // besides OTLP, each span at once; tests
}

// Telemetry holds the providers of one process.
type Telemetry struct {
	traces   *sdktrace.TracerProvider
	metrics  *sdkmetric.MeterProvider
	registry *prometheus.Registry
}

// Start makes the providers and sets them process-wide. Traces go to OTEL_EXPORTER_OTLP_ENDPOINT
// (OTLP over HTTP; the other OTEL_EXPORTER_OTLP variables hold too) when that is set.
func Start(ctx context.Context, o Options) (*Telemetry, error) {
	if o.Service == "" {
		o.Service = "dosewire"
	}
	about := resource.NewSchemaless(attribute.String("service.name", o.Service), attribute.String("service.version", o.Version))
	traces, err := tracerProvider(ctx, o, about)
	if err != nil {
		return nil, err
	}
	t := &Telemetry{traces: traces, registry: prometheus.NewRegistry()}
	t.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	reader, err := exporter.New(exporter.WithRegisterer(t.registry))
	if err != nil {
		return nil, fmt.Errorf("telemetry: metrics: %w", err)
	}
	t.metrics = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), sdkmetric.WithResource(about))
	otel.SetTracerProvider(t.traces)
	otel.SetMeterProvider(t.metrics)
	otel.SetTextMapPropagator(propagation.TraceContext{})
	return t, nil
}

// exporting reports whether the environment names an OTLP receiver for traces.
func exporting() bool {
	return os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
}

func tracerProvider(ctx context.Context, o Options, about *resource.Resource) (*sdktrace.TracerProvider, error) {
	options := []sdktrace.TracerProviderOption{sdktrace.WithResource(about)}
	for _, e := range o.Spans {
		options = append(options, sdktrace.WithSyncer(e))
	}
	switch {
	case exporting():
		otlp, err := otlptracehttp.New(ctx)
		if err != nil {
			return nil, fmt.Errorf("telemetry: traces: %w", err)
		}
		options = append(options, sdktrace.WithBatcher(otlp))
	case len(o.Spans) == 0:
		// Nobody looks: spans cost nothing but still carry the caller's trace id onwards.
		options = append(options, sdktrace.WithSampler(sdktrace.NeverSample()))
	}
	return sdktrace.NewTracerProvider(options...), nil
}

// Handler serves Prometheus' text format.
func (t *Telemetry) Handler() http.Handler {
	return promhttp.HandlerFor(t.registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
}

// Tracer is the tracer of a package.
func (t *Telemetry) Tracer(name string) trace.Tracer { return t.traces.Tracer(name) }

// Meter is the meter of a package.
func (t *Telemetry) Meter(name string) metric.Meter { return t.metrics.Meter(name) }

// Close sends what is left, as long as ctx allows. It may be called twice.
func (t *Telemetry) Close(ctx context.Context) error {
	err := errors.Join(t.traces.Shutdown(ctx), t.metrics.Shutdown(ctx))
	if err == nil || errors.Is(err, sdkmetric.ErrReaderShutdown) {
		return nil
	}
	return fault.New(fault.Unavailable, "telemetry: not all was sent").Wrap(err)
}
