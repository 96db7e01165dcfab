package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// logger writes the server's lines to slog. Fatalf is remembered, and does not end the process.
//
// Lines about a connection contain its description ("addr - cid:7 - …") and may quote subjects and
// names that the client chose: of those only the kind of event is kept.
type logger struct {
	log *slog.Logger

	orgOf func(address string) string // "" = not let in; nil knows nobody

	mu   sync.Mutex // guards what follows
	dead error
	said map[string]time.Time // when a client's event was last logged
}

func (l *logger) Noticef(format string, v ...any) { l.log.Debug(line(format, v)) }
func (l *logger) Warnf(format string, v ...any)   { l.problem(slog.LevelWarn, format, v) }
func (l *logger) Errorf(format string, v ...any)  { l.problem(slog.LevelError, format, v) }
func (l *logger) Debugf(format string, v ...any)  { l.log.Debug(line(format, v)) }
func (l *logger) Tracef(string, ...any)           {} // protocol lines carry bodies

func (l *logger) Fatalf(format string, v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead = errors.New(line(format, v))
	l.log.Error(line(format, v))
}

// quiet is how long the same event of the same organisation is not logged again.
const quiet = 10 * time.Second

// problem logs a line. One about a connection is a client's fault, never an error of ours; it names the
// organisation, whose id says nothing of anybody, and does not let a client fill the log.
func (l *logger) problem(level slog.Level, format string, v []any) {
	text := line(format, v)
	if !strings.Contains(format, "cid:") {
		l.log.Log(context.Background(), level, text)
		return
	}
	org := l.org(format)
	if l.repeats(text+org, time.Now()) {
		return
	}
	if org == "" {
		l.log.Warn(text)
		return
	}
	l.log.Warn(text, "org", org)
}

// org finds the organisation that a line is about: its description begins with the address from which
// somebody was let in.
func (l *logger) org(format string) string {
	address, _, ok := strings.Cut(format, " - ")
	if !ok || l.orgOf == nil {
		return ""
	}
	return l.orgOf(address)
}

func (l *logger) repeats(key string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.said == nil {
		l.said = map[string]time.Time{}
	}
	if now.Sub(l.said[key]) < quiet {
		return true
	}
	l.said[key] = now
	return false
}

func (l *logger) fatal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dead
}

// events are what a line about a connection may be called.
var events = [...]string{"Publish Violation", "Subscription Violation", "Reply Violation", "authentication", "Slow Consumer",
	"Maximum Payload", "Maximum Connections", "TLS handshake", "Stale", "Parser Error"}

func line(format string, v []any) string {
	if !strings.Contains(format, "cid:") {
		return "nats: " + fmt.Sprintf(format, v...)
	}
	if len(v) > 0 {
		if err, ok := v[0].(error); ok { // one of the server's own
			format += err.Error()
		}
	}
	for _, e := range events {
		if strings.Contains(strings.ToLower(format), strings.ToLower(e)) {
			return "nats: client: " + strings.ToLower(e)
		}
	}
	return "nats: client: something else"
}

// connError takes what the client library would else print to standard error. Readers notice and mend
// what is lost; a violation of permissions by the hub itself would be a bug.
func (l *logger) connError(_ *nats.Conn, _ *nats.Subscription, err error) {
	if errors.Is(err, nats.ErrSlowConsumer) {
		l.log.Debug("nats: own connection: slow consumer")
		return
	}
	l.log.Warn("nats: own connection: asynchronous error", "permission", errors.Is(err, nats.ErrPermissionViolation))
}
