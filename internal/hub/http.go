package hub

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/hub/admin"
)

// Limits of one connection. A body of 1 MiB must arrive within bodyWithin; an answer must be taken
// within answerWithin, streams of events excepted.
const (
	headerWithin = 10 * time.Second
	bodyWithin   = 30 * time.Second
	answerWithin = 60 * time.Second
	idleFor      = 2 * time.Minute
	maxHeader    = 32 << 10
)

// serveHTTP serves the public surface until ctx ends, then answers what it has taken.
func (h *Hub) serveHTTP(ctx context.Context) error {
	config, err := tlsConfig("http", h.config.HTTP.TLS)
	if err != nil {
		return err
	}
	return serve(ctx, h.public, config, h.surface(), h.config.Grace.HTTP, h.log)
}

// serveAdmin serves the operator until ctx ends.
func (h *Hub) serveAdmin(ctx context.Context) error {
	return serve(ctx, h.admin, nil, admin.NewHandler(h), time.Second, h.log)
}

// surface is everything that the public address answers.
func (h *Hub) surface() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", live)
	mux.HandleFunc("GET /readyz", h.readiness)
	mux.Handle("GET /metrics", direct(h.telemetry.Handler()))
	mux.Handle("/", h.routes.Handler())
	return mux
}

// direct hides a handler from requests that came through a proxy: metrics are for the inside.
func direct(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Forwarded") != "" {
			http.NotFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// serve runs one HTTP server: at the end it stops accepting, tells long answers to end, and gives
// the others grace.
func serve(ctx context.Context, l net.Listener, config *tls.Config, handler http.Handler, grace time.Duration, logger *slog.Logger) error {
	draining, drain := context.WithCancel(context.WithoutCancel(ctx))
	defer drain()
	srv := &http.Server{Handler: bounded(draining, handler), TLSConfig: config,
		ReadHeaderTimeout: headerWithin, IdleTimeout: idleFor, MaxHeaderBytes: maxHeader,
		ErrorLog: log.New(remarks{logger}, "", 0)}
	served := make(chan error, 1)
	go func() {
		if config != nil {
			served <- srv.ServeTLS(l, "", "")
			return
		}
		served <- srv.Serve(l)
	}()
	select {
	case err := <-served:
		return fault.New(fault.Internal, "hub: serving ended").Wrap(err)
	case <-ctx.Done():
	}
	drain()
	left, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err := srv.Shutdown(left)
	if err != nil {
		err = errors.Join(fault.New(fault.Unavailable, "hub: requests were cut off").Wrap(err), srv.Close())
	}
	<-served
	return err
}

// bounded gives each request its deadlines, and ends answers that would go on for ever when draining
// begins. Deadlines are set for each request and not on the server, because the server's would also
// cut event streams.
func bounded(draining context.Context, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		now := time.Now()
		if r.Body != http.NoBody {
			_ = rc.SetReadDeadline(now.Add(bodyWithin)) // connections have deadlines; recorders in tests need none
		}
		if !endless(r) {
			_ = rc.SetWriteDeadline(now.Add(answerWithin))
			next.ServeHTTP(w, r)
			return
		}
		_ = rc.SetWriteDeadline(time.Time{}) // the connection may carry an earlier request's
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(draining, cancel)()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// endless reports whether a request asks for an answer that waits for news.
func endless(r *http.Request) bool {
	return r.Method == http.MethodGet &&
		(strings.Contains(r.Header.Get("Accept"), "text/event-stream") || r.URL.Query().Has("wait"))
}

// remarks turns what net/http says into log lines without its text, which may quote a request or a
// panic.
type remarks struct{ log *slog.Logger }

func (r remarks) Write(p []byte) (int, error) {
	switch text := string(p); {
	case strings.Contains(text, "panic"):
		r.log.Error("http: a handler panicked")
	case strings.Contains(text, "TLS handshake"):
		r.log.Debug("http: TLS handshake failed")
	default:
		r.log.Warn("http: the server made a remark", "bytes", len(p))
	}
	return len(p), nil
}

// tlsConfig loads a certificate; nil means none is set.
func tlsConfig(name string, t TLS) (*tls.Config, error) {
	if t.Certificate == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(t.Certificate, t.Key)
	if err != nil {
		return nil, fault.New(fault.Invalid, fmt.Sprintf("hub: %s.tls cannot be loaded", name)).Wrap(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}, nil
}
