package embedded

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Times of the health watch. The server calls a stream that is being made, or removed, unhealthy: its folder is
// there and the stream is not. Making one syncs a dozen files, which a busy disk stretches to seconds each.
const (
	watchEvery  = time.Second
	watchFails  = 3  // in a row
	watchMaking = 30 // in a row, of nothing but streams in the making
)

// Healthy is nil while JetStream can store and every stream and consumer is well. It asks the server
// at each call: cheap, and never stale.
func (s *Server) Healthy() error {
	status := s.ns.Healthz(&server.HealthzOptions{})
	if status == nil || status.StatusCode == 200 {
		return nil
	}
	return ErrUnhealthy.Wrap(errors.New(status.Error))
}

// Failed gives one error when the server has been unhealthy for three seconds, or a stream was half made for
// thirty: exit, and let the supervisor start the process again.
func (s *Server) Failed() <-chan error { return s.failed }

func (s *Server) watchHealth(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	fails, ill := 0, 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := s.Healthy()
		if fatal := s.log.fatal(); fatal != nil {
			err, ill = ErrUnhealthy.Wrap(fatal), watchFails
		}
		if err == nil {
			fails, ill = 0, 0
			continue
		}
		if fails++; !s.making() {
			ill++
		}
		if ill >= watchFails || fails >= watchMaking {
			s.failed <- err // holds one, and this is the only one
			return
		}
	}
}

// making tells whether nothing is wrong but folders of streams that the server does not have: it had all of
// them when it started.
func (s *Server) making() bool {
	all, err := s.ns.Jsz(&server.JSzOptions{Accounts: true, Streams: true})
	if err != nil {
		return false
	}
	status := s.ns.Healthz(&server.HealthzOptions{Details: true})
	return status != nil && !slices.ContainsFunc(status.Errors, func(e server.HealthzError) bool {
		return e.Type != server.HealthzErrorStream || has(all, e.Account, e.Stream)
	})
}

func has(all *server.JSInfo, account, stream string) bool {
	return slices.ContainsFunc(all.AccountDetails, func(a *server.AccountDetail) bool {
		return a.Name == account && slices.ContainsFunc(a.Streams, func(s server.StreamDetail) bool { return s.Name == stream })
	})
}
