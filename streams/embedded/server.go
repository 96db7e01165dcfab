package embedded

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/streams"
)

// Server is a running nats-server. Safe for concurrent use.
type Server struct {
	ns     *server.Server
	secret string // password of the hub's own connection
	lock   *os.File
	log    *logger

	failed  chan error
	stop    context.CancelFunc
	watch   sync.WaitGroup // the goroutines below; they end with stop
	staging string         // folder in memory, "" when there is none; written by stage, read after watch
	once    sync.Once
}

// Errors of Start and Healthy.
var (
	// ErrLocked: another process uses the folder.
	ErrLocked = fault.New(fault.Unavailable, "embedded: the store is used by another process")
	// ErrNotReady: the server did not come up in time; the cause, if the server said one, is wrapped.
	ErrNotReady = fault.New(fault.Unavailable, "embedded: the server is not ready")
	// ErrUnhealthy: JetStream cannot store. Only a restart mends it.
	ErrUnhealthy = fault.New(fault.Unavailable, "embedded: JetStream is unhealthy")
)

// Start runs a server on c and waits until JetStream serves: at most 30 s, or until ctx ends. ctx has
// no meaning after Start. ErrLocked, ErrNotReady, fault.Invalid for a wrong Config.
func Start(ctx context.Context, c Config, log *slog.Logger) (*Server, error) {
	s := &Server{secret: rand.Text(), log: &logger{log: log}, failed: make(chan error, 1)}
	gate := &gate{hub: s.secret, auth: c.Auth}
	s.log.orgOf = gate.orgOf
	options, err := c.options(gate)
	if err != nil {
		return nil, err
	}
	if s.lock, err = lockDir(c.Dir); err != nil {
		return nil, err
	}
	if err := dropHalfMade(c.Dir, log); err != nil {
		return nil, errors.Join(err, s.lock.Close())
	}
	if s.ns, err = server.NewServer(options); err != nil {
		return nil, errors.Join(ErrNotReady.Wrap(err), s.lock.Close())
	}
	if err := gate.lend(s.ns); err != nil {
		return nil, errors.Join(ErrNotReady.Wrap(err), s.lock.Close())
	}
	s.ns.SetLoggerV2(s.log, false, false, false)
	s.ns.Start()
	if err := s.ready(ctx); err != nil {
		s.Close()
		return nil, err
	}
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	s.watch.Go(func() { s.watchHealth(watching) })
	s.watch.Go(func() { s.stage(watching, c.Dir) })
	return s, nil
}

// ready waits for the listener and for JetStream to have recovered its streams.
func (s *Server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	var patience <-chan time.Time // for a server that listens and is not well: it recovers before it listens
	for {
		if err := s.log.fatal(); err != nil {
			return ErrNotReady.Wrap(err)
		}
		err := ctx.Err()
		if s.ns.ReadyForConnections(50 * time.Millisecond) {
			// Listening does not mean that every stream was recovered.
			if err = s.Healthy(); err == nil {
				return nil
			}
			if patience == nil {
				patience = time.After(healthWait)
			}
		}
		select {
		case <-patience:
			return ErrNotReady.Wrap(err)
		default:
		}
		if ctx.Err() != nil {
			return ErrNotReady.Wrap(cmp.Or(err, ctx.Err()))
		}
	}
}

// Conn is a new in-process connection with every right: the hub's own. It does not pass the network.
func (s *Server) Conn(opts ...nats.Option) (*nats.Conn, error) {
	own := []nats.Option{nats.InProcessServer(s.ns), nats.UserInfo(hubUser, s.secret), nats.MaxReconnects(-1),
		nats.CustomInboxPrefix(streams.ReplyPrefix + "conn"), nats.ErrorHandler(s.log.connError)}
	nc, err := nats.Connect("", append(own, opts...)...)
	if err != nil {
		return nil, fault.Of(fault.CodeUnavailable).Wrap(fmt.Errorf("embedded: connect: %w", err))
	}
	return nc, nil
}

// URL is where clients connect.
func (s *Server) URL() string { return s.ns.ClientURL() }

// Close stops the server: clients are disconnected, everything is on disk when it returns.
func (s *Server) Close() {
	s.once.Do(func() {
		if s.stop != nil {
			s.stop()
		}
		s.watch.Wait()
		s.ns.Shutdown()
		s.ns.WaitForShutdown()
		if s.staging != "" {
			_ = os.RemoveAll(s.staging) // nothing is staged any more
		}
		_ = s.lock.Close() // releases the lock; nothing was written
	})
}

// lockDir makes the folder, closes it to others and takes its lock.
func lockDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.New(fault.Invalid, "embedded: the folder cannot be made").Wrap(err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, fault.New(fault.Invalid, "embedded: the folder belongs to somebody else").Wrap(err)
	}
	return lockFile(filepath.Join(dir, "lock"))
}
