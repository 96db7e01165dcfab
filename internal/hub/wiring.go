package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/internal/directory"
	"github.com/dosewire/dosewire/internal/telemetry"
	"github.com/dosewire/dosewire/ledger/recorder"
	"github.com/dosewire/dosewire/streams"
)

func (h *Hub) openDatabases(ctx context.Context) (err error) {
	if h.databases, err = openStores(ctx, h.config); err != nil {
		return err
	}
	if h.databases.rewrite {
		h.log.WarnContext(ctx, "the login of store.dsn may change what is recorded: tampering is evident, not prevented; use a login in dosewire_hub")
	}
	if h.keys, err = h.openKeyring(ctx); err != nil {
		return err
	}
	if err := h.reconcileKeys(ctx); err != nil {
		return err
	}
	orgs, clients, err := h.databases.records.Directory(ctx)
	if err != nil {
		return fmt.Errorf("directory: %w", err)
	}
	h.directory = directory.New(orgs, clients)
	h.verifier = auth.NewVerifier(h.directory)
	return nil
}

func (h *Hub) closeDatabases() error { return h.databases.close() }

func (h *Hub) openBroker(ctx context.Context) (err error) {
	if h.broker, err = startBroker(ctx, h); err != nil {
		return err
	}
	h.nc, err = h.broker.connect(nats.Name("hub"), nats.MaxReconnects(-1))
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if h.js, err = jetstream.New(h.nc); err != nil {
		return fmt.Errorf("jetstream: %w", err)
	}
	return h.forgetErased()
}

// watchBroker returns when ctx ends, or with an error that only a restart mends.
func (h *Hub) watchBroker(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-h.broker.failed:
		return err
	}
}

func (h *Hub) closeBroker() error {
	if h.nc != nil {
		h.nc.Close()
	}
	if h.broker.close != nil {
		h.broker.close()
	}
	return nil
}

// openRecorder waits for the lease and makes sure that everybody can receive.
func (h *Hub) openRecorder(ctx context.Context) (err error) {
	h.recorder, err = recorder.Open(ctx, recorder.Config{
		Origin: h.config.Ledger.Origin, Log: h.log, KeepBytes: h.config.intakeKept(), Validate: h.judge, Damaged: h.damaged,
		Policy: h.config.Prescriptions.policy(), Map: h.classes, Direct: h.broker.near,
		Tracer: h.telemetry.Tracer("dosewire/recorder"), Meter: h.telemetry.Meter("dosewire/recorder"),
	}, recorder.Deps{
		Store: h.databases.records, Reader: h.databases.records, Keys: h.keys, NATS: h.nc,
		Directory: h.directory, Devices: h.databases.records, Examined: &h.examined, Callers: &h.callers, Streams: h.config.streamSettings(),
	})
	if err != nil {
		return err
	}
	for _, o := range h.directory.Organizations() {
		if err := streams.EnsureConsumer(ctx, h.js, o.ID.String()); err != nil {
			return fmt.Errorf("consumer: %w", err)
		}
	}
	return nil
}

func (h *Hub) runRecorder(ctx context.Context) error { return h.recorder.Run(ctx) }

func (h *Hub) openCaller(context.Context) error {
	publisher, err := streams.NewPublisher(h.nc)
	if err != nil {
		return err
	}
	h.caller, err = streams.NewCaller(h.nc, publisher, &h.callers)
	return err
}

func (h *Hub) closeCaller() error { return h.caller.Close() }

// namedRunner is an opened adapter.
type namedRunner struct {
	name string
	adapters.Runner
}

func (h *Hub) openAdapters(context.Context) error {
	h.routes = adapters.NewRoutes(h.verifier, h.log)
	for _, spec := range h.adapters {
		r, err := spec.New(h.optionsOf(spec.Name), h.deps(spec.Name))
		if err != nil {
			return fmt.Errorf("%s: %w", spec.Name, err)
		}
		if r != nil {
			h.runners = append(h.runners, namedRunner{spec.Name, r})
		}
	}
	return nil
}

func (h *Hub) deps(name string) adapters.Deps {
	return adapters.Deps{
		Log: h.log.With(telemetry.Adapter(name)), Now: time.Now, BaseURL: h.URL(), Routes: h.routes, Auth: h.verifier,
		Directory: h.directory, Submit: h.caller, Records: NewRecords(h.databases.records, h.keys, time.Now, h.tiles).WatchedBy(h.scrubber).Limited(h.reads),
		Devices: h.databases.records, Keys: h.keys, Validate: h.judge, Examined: &h.examined, NATS: h.nc, Policy: h.config.Notary.trustPolicy, Map: h.classes, Healthy: h.recorder.Healthy,
	}
}

// runAdapters runs all until ctx ends. One that fails, or ends by itself, ends them all.
func (h *Hub) runAdapters(ctx context.Context) error {
	if len(h.runners) == 0 {
		<-ctx.Done()
		return nil
	}
	g, work := errgroup.WithContext(ctx)
	for _, r := range h.runners {
		g.Go(func() error {
			err := r.Run(work)
			if work.Err() == nil {
				err = errors.Join(err, ifNil(err, errEnded))
			}
			if err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			return nil
		})
	}
	return g.Wait()
}

// knownAdapters refuses options for adapters that the program does not have.
func knownAdapters(c Config, specs []adapters.Spec) error {
	var errs []error
	for name := range c.Adapters {
		if !slices.ContainsFunc(specs, func(s adapters.Spec) bool { return s.Name == name }) {
			errs = append(errs, mistake("adapters.%s is not an adapter of this program", name))
		}
	}
	return errors.Join(errs...)
}

// optionsOf is the configuration of one adapter. The push adapter's key lives in the data folder
// unless the configuration says otherwise.
func (h *Hub) optionsOf(name string) json.RawMessage {
	options := h.config.Adapters[name]
	if name != "push" {
		return options
	}
	set := map[string]any{}
	if options != nil && json.Unmarshal(options, &set) != nil {
		return options // the adapter says what is wrong
	}
	if _, ok := set["keyFile"]; !ok {
		set["keyFile"] = filepath.Join(h.config.Data, "keys", "vapid.key")
	}
	merged, err := json.Marshal(set)
	if err != nil {
		return options
	}
	return merged
}
