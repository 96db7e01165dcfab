// Package telemetry sets up logs, traces and metrics so that none of them can carry patient data.
//
// Promises:
//   - A log attribute of an unknown key keeps its value only if that is a number, a duration, a time
//     or a bool; every text under an unknown key is replaced by [Redacted]. The known keys are in
//     attr.go, with a constructor each.
//   - An error in a log is its fault kind, code and our own sentences; of a stranger only what the
//     operating system or a database state says (see [Err]).
//   - A span ends with the fault kind as its status, never with an error's text ([End]).
//   - Metrics are served at /metrics and sent over OTLP when OTEL_EXPORTER_OTLP_ENDPOINT is set;
//     traces are sent over OTLP or nowhere.
//   - Everything here is safe for concurrent use. [Telemetry.Close] sends what is left.
//
// It sets OpenTelemetry's process-wide providers, because libraries look for them there; it does not
// rotate, ship or keep logs.
package telemetry
