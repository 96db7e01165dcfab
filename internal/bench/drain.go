package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dosewire/dosewire/internal/directory"
	"github.com/dosewire/dosewire/internal/hub"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/filekey"
	"github.com/dosewire/dosewire/ledger/postgres"
	"github.com/dosewire/dosewire/ledger/recorder"
	"github.com/dosewire/dosewire/ledger/sqlite"
	"github.com/dosewire/dosewire/streams"
	"github.com/dosewire/dosewire/streams/embedded"
)

// records is one records database.
type records interface {
	recorder.Store
	ledger.Reader
	directory.Store
	recorder.Devices
}

// parts are a hub without HTTP, in this process.
type parts struct {
	store  records
	keys   *ledger.Keyring
	server *embedded.Server
	nc     *nats.Conn
	dirs   *directory.Directory
	close  []func()
}

func (p *parts) stop() {
	for i := len(p.close) - 1; i >= 0; i-- {
		p.close[i]()
	}
}

func openParts(ctx context.Context, store, dir string, db databases) (*parts, error) {
	p := &parts{dirs: directory.New(nil, nil)}
	var keys ledger.KeyStore
	if store == "postgres" {
		names := map[string]string{}
		for _, name := range []string{"drain_records", "drain_keys"} {
			dsn, err := db.server.Create(ctx, name)
			if err != nil {
				return nil, err
			}
			names[name] = dsn
		}
		if err := errors.Join(postgres.Migrate(ctx, names["drain_records"]), postgres.MigrateKeys(ctx, names["drain_keys"])); err != nil {
			return nil, err
		}
		s, err := postgres.Open(ctx, postgres.Config{DSN: names["drain_records"]})
		if err != nil {
			return nil, err
		}
		k, err := postgres.OpenKeys(ctx, postgres.Config{DSN: names["drain_keys"]})
		if err != nil {
			return nil, err
		}
		p.store, keys = s, k
		p.close = append(p.close, func() { s.Close() }, func() { k.Close() })
	} else {
		files := []string{filepath.Join(dir, "drain.db"), filepath.Join(dir, "drain-keys.db")}
		if err := errors.Join(sqlite.Migrate(ctx, files[0]), sqlite.MigrateKeys(ctx, files[1])); err != nil {
			return nil, err
		}
		s, err := sqlite.Open(ctx, files[0])
		if err != nil {
			return nil, err
		}
		k, err := sqlite.OpenKeys(ctx, files[1])
		if err != nil {
			return nil, err
		}
		p.store, keys = s, k
		p.close = append(p.close, func() { s.Close() }, func() { k.Close() })
	}
	wrapper, err := filekey.Open(filepath.Join(dir, "drain-key", "kek"))
	if err != nil {
		return nil, err
	}
	if p.keys, err = ledger.OpenKeyring(ctx, keys, wrapper); err != nil {
		return nil, err
	}
	if p.server, err = embedded.Start(ctx, embedded.Config{Dir: filepath.Join(dir, "drain-nats"), Key: bytes.Repeat([]byte{1}, 32)}, slog.New(slog.DiscardHandler)); err != nil {
		return nil, err
	}
	p.close = append(p.close, p.server.Close)
	if p.nc, err = p.server.Conn(); err != nil {
		return nil, err
	}
	p.close = append(p.close, p.nc.Close)
	return p, nil
}

// lead runs a recorder until the returned function is called.
func (p *parts) lead(ctx context.Context) (stop func() error, err error) {
	r, err := recorder.Open(ctx, recorder.Config{KeepBytes: hub.EmbeddedIntakeKept}, recorder.Deps{Store: p.store, Reader: p.store, Keys: p.keys, NATS: p.nc, Directory: p.dirs, Devices: p.store})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	return func() error { cancel(); return <-done }, nil
}

// drains is how often backlogs are drained, and their rows copied: what else the machine does meets all.
const drains = 2

// drain measures backlogs: n messages that wait in RX_INTAKE are recorded, by a recorder with all the memory that it
// wants and by one with as much as `dosewire serve` grants by default. The reference is COPY of the same rows into the
// same tables of another database, 1000 records a transaction.
func drain(ctx context.Context, r *report, store, dir string, db databases, n int) error {
	p, err := openParts(ctx, store, dir, db)
	if err != nil {
		return err
	}
	defer p.stop()
	stop, err := p.lead(ctx)
	if err != nil {
		return err
	}
	publisher, err := streams.NewPublisher(p.nc)
	if err != nil {
		return err
	}
	clinic, err := p.organizations(ctx, publisher)
	if err != nil {
		return err
	}
	if err := stop(); err != nil {
		return err
	}
	var target *copier
	if store == "postgres" {
		if target, err = startCopies(ctx, db); err != nil {
			return fmt.Errorf("COPY: %w", err)
		}
		defer target.close()
	}
	limits := []int{0, hub.DefaultMemoryLimit} // MiB
	took := make([]time.Duration, len(limits))
	var copied time.Duration
	for turn := range drains * len(limits) {
		if err := backlog(ctx, publisher, clinic, turn*n, n); err != nil {
			return err
		}
		if err := p.rest(ctx); err != nil {
			return err
		}
		undo := hub.LimitMemory(limits[turn%len(limits)])
		d, err := p.drained(ctx, n)
		undo()
		if err != nil {
			return err
		}
		took[turn%len(limits)] += d
		if target == nil {
			continue
		}
		settle()
		if d, err = target.rows(); err != nil {
			return fmt.Errorf("COPY: %w", err)
		}
		copied += d
	}
	reference := 0.0
	if target != nil {
		reference = float64(drains*len(limits)*n) / copied.Seconds()
	}
	for i, limit := range limits {
		what := "backlog drained"
		if limit > 0 {
			what += fmt.Sprintf(", memory limit %d MiB", limit)
		}
		r.add(store, what, float64(drains*n)/took[i].Seconds(), "/s", reference)
	}
	return nil
}

// kept is how long the embedded server keeps in memory what was written last, and a little.
const kept = 11 * time.Second

// rest leaves what every backlog finds: it has waited, the deliveries of the one before were fetched, and the disk
// has nothing left to do.
func (p *parts) rest(ctx context.Context) error {
	js, err := jetstream.New(p.nc)
	if err != nil {
		return err
	}
	deliveries, err := js.Stream(ctx, streams.Delivery)
	if err != nil {
		return err
	}
	if err := deliveries.Purge(ctx); err != nil {
		return err
	}
	time.Sleep(kept)
	settle()
	runtime.GC()
	return nil
}

// drained is how long it takes until n messages that wait are recorded.
func (p *parts) drained(ctx context.Context, n int) (took time.Duration, err error) {
	before, err := p.store.Head(ctx)
	if err != nil {
		return 0, err
	}
	stop, err := p.lead(ctx) // waiting for the lease is not draining
	if err != nil {
		return 0, err
	}
	began := time.Now()
	for head := before; head.Size < before.Size+uint64(n); {
		if head, err = p.store.Head(ctx); err != nil {
			return 0, err
		}
		if time.Since(began) > 5*time.Minute {
			return 0, errors.New("the backlog is not drained after five minutes")
		}
		time.Sleep(5 * time.Millisecond) // looking must not cost what is measured
	}
	took = time.Since(began)
	return took, stop()
}

// organizations records a pharmacy and a clinic and returns the clinic.
func (p *parts) organizations(ctx context.Context, publisher *streams.Publisher) (uuid.UUID, error) {
	caller, err := streams.NewCaller(p.nc, publisher, nil)
	if err != nil {
		return uuid.Nil, err
	}
	defer caller.Close()
	var last uuid.UUID
	for _, o := range [][]string{{"pharmacy", "1558203947"}, {"clinic", "1902847563"}} {
		last = uuid.Must(uuid.NewV7())
		body, err := json.Marshal(recorder.OrganizationFact{Organization: ledger.Organization{ID: last, Kind: o[0], Name: "Bench",
			Identifiers: []ledger.Identifier{{System: "http://hl7.org/fhir/sid/us-npi", Value: o[1]}}}})
		if err != nil {
			return last, err
		}
		a, err := caller.Call(ctx, streams.Message{ID: "hub." + uuid.NewString(), Subject: streams.FactSubject(recorder.FactOrganization), Body: body}, 10*time.Second)
		if err != nil || a.Status != 201 {
			return last, fmt.Errorf("organisation: status %d: %w", a.Status, err)
		}
	}
	return last, nil
}

// backlog publishes n prescriptions from number first on.
func backlog(ctx context.Context, publisher *streams.Publisher, clinic uuid.UUID, first, n int) error {
	var wg sync.WaitGroup
	errs := make([]error, 64)
	for w := range errs {
		wg.Go(func() {
			for i := first + w; i < first+n && errs[w] == nil; i += len(errs) {
				errs[w] = publisher.Publish(ctx, streams.Message{ID: clinic.String() + ".b" + strconv.Itoa(i),
					Subject: streams.IntakeSubject(clinic.String(), streams.TypeMedicationRequest), Body: order("b", i)})
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
