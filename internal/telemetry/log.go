package telemetry

import (
	"context"
	"io"
	"log/slog"
)

// LogOptions choose a log's form. The zero value is text, from level info on.
type LogOptions struct {
	JSON  bool
	Level slog.Leveler // nil means slog.LevelInfo
}

// NewLogger writes one line for each event to w. See the package's promises for what it leaves out.
func NewLogger(w io.Writer, o LogOptions) *slog.Logger {
	h := &slog.HandlerOptions{Level: o.Level, ReplaceAttr: replace}
	if o.JSON {
		return slog.New(strict{slog.NewJSONHandler(w, h)})
	}
	return slog.New(strict{slog.NewTextHandler(w, h)})
}

// strict keeps LogValuers and groups from escaping the rule: the inner handler calls replace for
// every leaf, but never for a group, whose members are leaves again. Only the message is left, and
// that is a constant of the code.
type strict struct{ slog.Handler }

func (s strict) WithAttrs(attrs []slog.Attr) slog.Handler { return strict{s.Handler.WithAttrs(attrs)} }
func (s strict) WithGroup(name string) slog.Handler       { return strict{s.Handler.WithGroup(name)} }

// Handle expands errors, which replace cannot turn into groups.
func (s strict) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		if err, ok := isErr(a.Value.Resolve()); ok {
			a = Err(err)
		}
		out.AddAttrs(a)
		return true
	})
	return s.Handler.Handle(ctx, out)
}

// replace is the rule for one attribute that is not a group.
func replace(groups []string, a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindBool, slog.KindInt64, slog.KindUint64, slog.KindFloat64, slog.KindDuration, slog.KindTime:
		return a
	case slog.KindString:
		if known(a.Key) {
			return slog.String(a.Key, v.String()[:min(len(v.String()), maxText)])
		}
	default:
		if len(groups) == 0 && (a.Key == slog.LevelKey || a.Key == slog.SourceKey) {
			return a
		}
		if err, ok := isErr(v); ok {
			return slog.String(a.Key, Text(err))
		}
	}
	return slog.String(a.Key, Redacted)
}
