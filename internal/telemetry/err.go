package telemetry

import (
	"context"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"strings"
	"syscall"

	"github.com/dosewire/dosewire/internal/fault"
)

// Err is an error as a log may show it: kind, code and a text made of our own sentences and of what
// the operating system or the database's state says. Texts of other libraries are left out, because
// they may quote what they choked on.
func Err(err error) slog.Attr {
	if err == nil {
		return slog.Attr{}
	}
	attrs := []any{slog.String("kind", fault.KindOf(err).String()), slog.String("reason", Text(err))}
	if c := fault.CodeOf(err); c != "" {
		attrs = append(attrs, slog.String("code", string(c)))
	}
	return slog.Group("error", attrs...)
}

// Text is the part of an error's story that cannot hold patient data.
func Text(err error) string {
	var parts []string
	walk(err, func(e error) {
		if t := vouched(e); t != "" {
			parts = append(parts, t)
		}
	})
	if len(parts) == 0 {
		return "unclassified"
	}
	return strings.Join(parts, ": ")
}

// walk visits an error and everything that it wraps, outermost first.
func walk(err error, visit func(error)) {
	if err == nil {
		return
	}
	visit(err)
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		walk(e.Unwrap(), visit)
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			walk(inner, visit)
		}
	}
}

// vouched is the text of one error alone, "" when nobody vouches for it.
func vouched(err error) string {
	switch e := err.(type) {
	case *fault.Error:
		if e.Path() != "" {
			return e.Text() + " at " + e.Path()
		}
		return e.Text()
	case *net.OpError:
		return e.Op + " " + e.Net
	case *fs.PathError:
		return e.Op
	case syscall.Errno:
		return e.Error()
	case interface{ SQLState() string }:
		return "SQLSTATE " + e.SQLState()
	}
	for _, known := range []error{context.Canceled, context.DeadlineExceeded, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed} {
		if err == known { //nolint:errorlint // the chain is walked by the caller
			return known.Error()
		}
	}
	return ""
}

// isErr finds an error in a log value.
func isErr(v slog.Value) (error, bool) {
	if v.Kind() != slog.KindAny {
		return nil, false
	}
	err, ok := v.Any().(error)
	return err, ok
}
