package adapters

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/telemetry"
)

// HeaderRequestID names the request in answers. Logs have our own correlation id, and beside it the
// hash of a client's request id, which may hold anything.
const HeaderRequestID = "X-Request-Id"

// instrumentation names this package to OpenTelemetry.
const instrumentation = "github.com/dosewire/dosewire/adapters"

// observe gives every request an id, a span and a line in the log, and survives a handler's panic.
// Routes are named by their pattern, never by the URL.
func (r *Routes) observe(next *http.ServeMux) http.Handler {
	tracer := otel.Tracer(instrumentation)
	took, err := otel.Meter(instrumentation).Float64Histogram("http.server.request.duration", metric.WithUnit("s"),
		metric.WithDescription("Time to answer a request, by route."))
	if err != nil {
		otel.Handle(err) // our own constant name; what came back measures nothing
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_, pattern := next.Handler(req)
		ctx := propagation.TraceContext{}.Extract(req.Context(), propagation.HeaderCarrier(req.Header))
		ctx, span := tracer.Start(ctx, pattern, trace.WithSpanKind(trace.SpanKindServer))
		o := &observation{ResponseWriter: w, correlation: uuid.NewString(), status: http.StatusOK,
			pattern: pattern, method: method(req.Method), began: time.Now()}
		o.request = o.correlation
		if id := req.Header.Get(HeaderRequestID); plainToken(id) {
			o.request = id
		}
		w.Header().Set(HeaderRequestID, o.request)
		defer func() {
			if p := recover(); p != nil {
				r.panicked(ctx, o, p)
			}
			r.finished(ctx, span, o)
			took.Record(ctx, time.Since(o.began).Seconds(), metric.WithAttributeSet(attribute.NewSet(
				attribute.String("http.route", o.pattern), attribute.Int("http.response.status_code", o.status))))
			if o.aborted {
				panic(http.ErrAbortHandler) // net/http closes the connection
			}
		}()
		next.ServeHTTP(o, req.WithContext(ctx))
	})
}

// panicked answers for a handler that gave up. The panic's value may quote a body: it is not logged,
// only where it happened.
func (r *Routes) panicked(ctx context.Context, o *observation, p any) {
	if p == http.ErrAbortHandler {
		o.aborted = true
		return
	}
	o.err = fault.Of(fault.CodeInternal)
	r.log.ErrorContext(ctx, "handler panicked", slog.String("pattern", o.pattern), slog.String("correlation", o.correlation), slog.String("reason", frames()))
	if o.begun {
		o.aborted = true // what was sent must not look whole
		return
	}
	Refuse(o, o.err)
}

// finished writes the request's line and ends its span. An error that only an operator can do
// something about is logged as such; the others were the client's, and were answered.
func (r *Routes) finished(ctx context.Context, span trace.Span, o *observation) {
	if span.IsRecording() {
		span.SetAttributes(attribute.String("http.request.method", o.method), attribute.String("http.route", o.pattern),
			attribute.Int("http.response.status_code", o.status))
	}
	telemetry.End(span, o.err)
	level := slog.LevelDebug
	if o.err != nil && unexplained(o.err) {
		level = slog.LevelError
	}
	if !r.log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{slog.String("method", o.method), slog.String("pattern", o.pattern), slog.String("correlation", o.correlation),
		slog.Int("status", o.status), telemetry.Elapsed(time.Since(o.began))}
	if o.request != o.correlation {
		attrs = append(attrs, slog.String("request", hashed(o.request)))
	}
	if o.err != nil {
		attrs = append(attrs, telemetry.Err(o.err))
	}
	r.log.LogAttrs(ctx, level, "request", attrs...)
}

// observation is one request as it is answered. Unwrap lets http.ResponseController reach through it.
type observation struct {
	http.ResponseWriter
	correlation string // ours: log and span
	request     string // what X-Request-Id says
	pattern     string
	method      string
	began       time.Time
	status      int
	begun       bool
	aborted     bool
	err         error // what was refused
}

func (o *observation) WriteHeader(status int) {
	if !o.begun && status >= 200 { // 1xx are not the answer
		o.status, o.begun = status, true
	}
	o.ResponseWriter.WriteHeader(status)
}

func (o *observation) Write(b []byte) (int, error) {
	o.begun = true
	return o.ResponseWriter.Write(b)
}

func (o *observation) Unwrap() http.ResponseWriter { return o.ResponseWriter }

// observed finds the observation beneath what middleware wrapped around it.
func observed(w http.ResponseWriter) (*observation, bool) {
	for {
		switch v := w.(type) {
		case *observation:
			return v, true
		case interface{ Unwrap() http.ResponseWriter }:
			w = v.Unwrap()
		default:
			return nil, false
		}
	}
}

// plainToken reports whether a client's id can be given back in a header as it came.
func plainToken(id string) bool {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
	return len(id) > 0 && len(id) <= 64 && strings.Trim(id, plain) == ""
}

// hashed stands for a client's word in the log: whoever knows the word can find it.
func hashed(word string) string {
	sum := sha256.Sum256([]byte(word))
	return hex.EncodeToString(sum[:8])
}

// method is one of HTTP's own, so that nobody's word gets into logs and spans.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "other"
}

// frames is where a panic happened, innermost first: functions only, no arguments.
func frames() string {
	pcs := make([]uintptr, 16)
	callers := runtime.CallersFrames(pcs[:runtime.Callers(4, pcs)])
	var names []string
	for {
		f, more := callers.Next()
		if name, ours := strings.CutPrefix(f.Function, "github.com/dosewire/dosewire/"); ours {
			names = append(names, name)
		}
		if !more || len(names) == 4 {
			return strings.Join(names, " < ")
		}
	}
}
