package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/telemetry"
)

// A stage is one part of the hub's life.
type stage struct {
	name string
	// grace is how long run may take after its context has ended; a second is always added.
	grace time.Duration
	// open returns when what the next stage needs is there. nil means at once. Its context ends with
	// the hub's.
	open func(ctx context.Context) error
	// run works until its context ends and then finishes what it began. nil means that there is
	// nothing to do until close.
	run func(ctx context.Context) error
	// close lets go of what open took, after run has returned. nil means nothing.
	close func() error
}

// errEnded says that a stage returned although nobody had stopped it.
var errEnded = fault.New(fault.Internal, "hub: a stage ended by itself")

// errGrace says that a stage did not finish in its grace; what is further in was stopped all the same.
var errGrace = fault.New(fault.Internal, "hub: a stage did not stop within its grace")

// runStages opens and starts the stages in order, calls ready, waits until ctx ends or a stage ends
// by itself, and stops those that were started strictly in reverse, each when the one before has
// finished. The work of each has a context that ctx does not end: a signal stops them one by one,
// never all at once. The error is the first one's and what stopping added.
func runStages(ctx context.Context, log *slog.Logger, stages []stage, ready func()) error {
	ended := make(chan error, len(stages))
	started, err := startAll(ctx, log, stages, ended)
	if err == nil && len(started) == len(stages) {
		ready()
		select {
		case <-ctx.Done():
		case err = <-ended:
		}
	}
	return errors.Join(err, stopAll(ctx, log, started))
}

// startAll returns fewer stages than it was given when one failed or ctx ended meanwhile.
func startAll(ctx context.Context, log *slog.Logger, stages []stage, ended chan<- error) (started []*running, err error) {
	for _, s := range stages {
		r, err := s.start(ctx, ended)
		if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return started, nil // told to stop while starting: nothing went wrong
		}
		if err != nil {
			return started, err
		}
		log.DebugContext(ctx, "stage started", telemetry.Stage(s.name))
		started = append(started, r)
	}
	return started, nil
}

func stopAll(ctx context.Context, log *slog.Logger, started []*running) (err error) {
	for _, r := range slices.Backward(started) {
		began := time.Now()
		err = errors.Join(err, r.stop())
		log.DebugContext(ctx, "stage stopped", telemetry.Stage(r.name), telemetry.Elapsed(time.Since(began)))
	}
	return err
}

// running is a stage at work.
type running struct {
	stage
	cancel context.CancelFunc
	done   chan error // run's error, once
}

func (s stage) start(ctx context.Context, ended chan<- error) (*running, error) {
	if s.open != nil {
		if err := s.open(ctx); err != nil {
			return nil, errors.Join(stageError(s.name, err), s.shut())
		}
	}
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r := &running{stage: s, cancel: cancel, done: make(chan error, 1)}
	if s.run == nil {
		r.done <- nil
		return r, nil
	}
	go func() {
		err := s.run(work)
		if work.Err() == nil {
			// Reported through ended, so that stop does not report it again.
			ended <- stageError(s.name, errors.Join(err, ifNil(err, errEnded)))
			err = nil
		}
		r.done <- err
	}()
	return r, nil
}

func (r *running) stop() error {
	r.cancel()
	timer := time.NewTimer(r.grace + time.Second)
	defer timer.Stop()
	select {
	case err := <-r.done:
		return errors.Join(stageError(r.name, err), r.shut())
	case <-timer.C:
		return errors.Join(stageError(r.name, errGrace), r.shut())
	}
}

func (s stage) shut() error {
	if s.close == nil {
		return nil
	}
	return stageError(s.name, s.close())
}

func stageError(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("hub: %s: %w", name, err)
}

func ifNil(err, instead error) error {
	if err == nil {
		return instead
	}
	return nil
}
