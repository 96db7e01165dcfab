package telemetry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/telemetry"
)

// canary is a patient's name: it must be nowhere.
const canary = "Zyxwina Canary"

type named struct{ Name string }

type valuer struct{}

func (valuer) LogValue() slog.Value { return slog.StringValue(canary) }

func TestLogKeepsPatientsOut(t *testing.T) {
	strange := fmt.Errorf("parse %q: %w", canary, io.EOF)
	for name, log := range map[string]func(*slog.Logger){
		"text under an unknown key":   func(l *slog.Logger) { l.Info("m", "patient", canary) },
		"struct":                      func(l *slog.Logger) { l.Info("m", "code", named{canary}) },
		"pointer":                     func(l *slog.Logger) { l.Info("m", "body", &named{canary}) },
		"bytes":                       func(l *slog.Logger) { l.Info("m", "code", []byte(canary)) },
		"log valuer":                  func(l *slog.Logger) { l.Info("m", "subject", valuer{}) },
		"group":                       func(l *slog.Logger) { l.Info("m", slog.Group("patient", "name", canary)) },
		"group in a group":            func(l *slog.Logger) { l.Info("m", slog.Group("a", slog.Group("b", "name", canary))) },
		"With":                        func(l *slog.Logger) { l.With("name", canary).Info("m") },
		"WithGroup":                   func(l *slog.Logger) { l.WithGroup("g").Info("m", "name", canary) },
		"error of a stranger":         func(l *slog.Logger) { l.Info("m", "error", strange) },
		"error under an unknown key":  func(l *slog.Logger) { l.Info("m", "cause", strange) },
		"error in a group":            func(l *slog.Logger) { l.Info("m", slog.Group("g", "cause", strange)) },
		"error in With":               func(l *slog.Logger) { l.With("cause", strange).Info("m") },
		"stranger under a fault":      func(l *slog.Logger) { l.Info("m", "error", fault.Of(fault.CodeInternal).Wrap(strange)) },
		"stranger joined to a fault":  func(l *slog.Logger) { l.Info("m", "error", errors.Join(fault.Of(fault.CodeBusy), strange)) },
		"no key at all":               func(l *slog.Logger) { l.Info("m", []any{canary}...) },
		"Err":                         func(l *slog.Logger) { l.Info("m", telemetry.Err(strange)) },
		"level and source in a group": func(l *slog.Logger) { l.Info("m", slog.Group("g", "source", named{canary})) },
	} {
		for _, json := range []bool{false, true} {
			var out bytes.Buffer
			log(telemetry.NewLogger(&out, telemetry.LogOptions{JSON: json}))
			if strings.Contains(out.String(), "Canary") {
				t.Errorf("%s (json %v): the log says %s", name, json, out.String())
			}
			if !strings.Contains(out.String(), "m") {
				t.Errorf("%s (json %v): nothing was logged", name, json)
			}
		}
	}
}

func TestLogKeepsWhatOperatorsNeed(t *testing.T) {
	var out bytes.Buffer
	log := telemetry.NewLogger(&out, telemetry.LogOptions{})
	log.Info("listening", telemetry.Address("127.0.0.1:8080"), telemetry.Bytes(12), telemetry.Elapsed(1500*time.Microsecond), "count", 3)
	log.Warn("refused", "error", fmt.Errorf("clinic: %w", fault.Of(fault.CodeValue).At("MedicationRequest.authoredOn")))
	for _, want := range []string{"level=INFO", "msg=listening", "address=127.0.0.1:8080", "bytes=12", "elapsed=1.5", "count=3",
		"error.kind=invalid", "error.code=RX_VALUE", "MedicationRequest.authoredOn"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), telemetry.Redacted) {
		t.Errorf("something harmless was redacted:\n%s", out.String())
	}
}

func TestSubjectKindDropsTheLastToken(t *testing.T) {
	for subject, want := range map[string]string{"push.webpush." + canary: "push.webpush", canary: ""} {
		if got := telemetry.SubjectKind(subject).Value.String(); got != want {
			t.Errorf("SubjectKind = %q, want %q", got, want)
		}
	}
}

func TestSpanStatusIsTheKind(t *testing.T) {
	spans := tracetest.NewInMemoryExporter()
	tel := start(t, telemetry.Options{Spans: []sdktrace.SpanExporter{spans}})
	for _, err := range []error{
		nil,
		fault.Of(fault.CodeValue).Wrap(errors.New(canary)),
		fmt.Errorf("%s: %w", canary, fault.Of(fault.CodeUnavailable)),
		errors.New(canary),
	} {
		_, span := tel.Tracer("test").Start(t.Context(), "op")
		telemetry.End(span, err)
	}
	got := spans.GetSpans()
	want := []codes.Code{codes.Unset, codes.Unset, codes.Error, codes.Error}
	if len(got) != len(want) {
		t.Fatalf("%d spans, want %d", len(got), len(want))
	}
	for i, s := range got {
		if s.Status.Code != want[i] {
			t.Errorf("span %d: status %v, want %v", i, s.Status.Code, want[i])
		}
		if all := fmt.Sprintf("%+v", s); strings.Contains(all, "Canary") {
			t.Errorf("span %d shows the error's text: %s", i, all)
		}
	}
}

func TestMetricsAreServed(t *testing.T) {
	tel := start(t, telemetry.Options{})
	counter, err := otel.Meter("test").Int64Counter("dosewire.test.things")
	if err != nil {
		t.Fatal(err)
	}
	counter.Add(t.Context(), 3, metric.WithAttributes(attribute.String("fate", "recorded")))
	w := httptest.NewRecorder()
	tel.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{`dosewire_test_things_total{fate="recorded"`, "go_goroutines", "} 3"} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
}

func start(t *testing.T, o telemetry.Options) *telemetry.Telemetry {
	t.Helper()
	tel, err := telemetry.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tel.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return tel
}
