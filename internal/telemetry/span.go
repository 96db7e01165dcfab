package telemetry

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/dosewire/dosewire/internal/fault"
)

// End ends a span. Its status is the kind of err, an error only where an operator has something to
// do about it; the text of err stays out.
func End(span trace.Span, err error) {
	defer span.End()
	if err == nil {
		return
	}
	kind := fault.KindOf(err)
	span.SetAttributes(attribute.String("error.type", kind.String()))
	if c := fault.CodeOf(err); c != "" {
		span.SetAttributes(attribute.String("dosewire.code", string(c)))
	}
	if kind.Row().Status >= 500 {
		span.SetStatus(codes.Error, kind.String())
	}
}
