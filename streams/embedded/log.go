package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
)

// logger writes the server's lines to slog. Fatalf is remembered, and does not end the process.
//
// Lines about a connection contain its description ("addr - cid:7 - …") and may quote subjects and
// names that the client chose: of those only the kind of event is kept.
type logger struct {
	log *slog.Logger

	mu   sync.Mutex
	dead error // guarded by mu
}

func (l *logger) Noticef(format string, v ...any) { l.log.Debug(line(format, v)) }
func (l *logger) Warnf(format string, v ...any)   { l.log.Warn(line(format, v)) }
func (l *logger) Errorf(format string, v ...any)  { l.log.Error(line(format, v)) }
func (l *logger) Debugf(format string, v ...any)  { l.log.Debug(line(format, v)) }
func (l *logger) Tracef(string, ...any)           {} // protocol lines carry bodies

func (l *logger) Fatalf(format string, v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead = errors.New(line(format, v))
	l.log.Error(line(format, v))
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
