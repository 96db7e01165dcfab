package telemetry

import (
	"log/slog"
	"strings"
	"time"
)

// Redacted stands where a text was that nobody vouched for.
const Redacted = "[redacted]"

// maxText is how much of a known text is kept, bytes.
const maxText = 256

// known lists the keys whose texts are logged as they are. Their values are ids that the hub made,
// names from the code or the configuration, and numbers: never a client's words.
func known(key string) bool {
	switch key {
	case "adapter", "address", "code", "commit", "component", "consumer", "correlation", "device",
		"error", "host", "kind", "leaf", "level", "method", "mode", "msg", "nats", "org", "origin",
		"pattern", "prescription", "reason", "record", "request", "role", "route", "server", "stage",
		"store", "stream", "time", "transport", "url", "version":
		return true
	}
	return false
}

// Adapter names an adapter of the configuration.
func Adapter(name string) slog.Attr { return slog.String("adapter", name) }

// Address is where the hub listens.
func Address(a string) slog.Attr { return slog.String("address", a) }

// Code is a code of the catalogue in internal/fault.
func Code(c string) slog.Attr { return slog.String("code", c) }

// Component names a part of the hub, as /readyz does.
func Component(name string) slog.Attr { return slog.String("component", name) }

// Kind is the name of a fault kind.
func Kind(k string) slog.Attr { return slog.String("kind", k) }

// Org is the hub's id of an organisation.
func Org(id string) slog.Attr { return slog.String("org", id) }

// Record is the hub's id of a record.
func Record(id string) slog.Attr { return slog.String("record", id) }

// Stage names a stage of the hub's life.
func Stage(name string) slog.Attr { return slog.String("stage", name) }

// SubjectKind is a NATS subject without its last token, which may be a client's word.
func SubjectKind(subject string) slog.Attr {
	cut := strings.LastIndexByte(subject, '.')
	return slog.String("kind", subject[:max(cut, 0)])
}

// Seq is a stream sequence.
func Seq(n uint64) slog.Attr { return slog.Uint64("seq", n) }

// Bytes is a size.
func Bytes(n int) slog.Attr { return slog.Int("bytes", n) }

// Count is a number of things.
func Count(n int) slog.Attr { return slog.Int("count", n) }

// Elapsed is how long something took, in milliseconds with three decimals.
func Elapsed(d time.Duration) slog.Attr {
	return slog.Float64("elapsed", float64(d.Microseconds())/1000)
}
