package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"

	"github.com/dosewire/dosewire/internal/directory"
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
	r, err := recorder.Open(ctx, recorder.Config{}, recorder.Deps{Store: p.store, Reader: p.store, Keys: p.keys, NATS: p.nc, Directory: p.dirs, Devices: p.store})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	return func() error { cancel(); return <-done }, nil
}

// drain measures a backlog: n messages that wait in RX_INTAKE are recorded. The reference is COPY of
// the same rows into the same tables of another database, 1000 records a transaction.
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
	if err := backlog(ctx, publisher, clinic, n); err != nil {
		return err
	}
	before, err := p.store.Head(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	if stop, err = p.lead(ctx); err != nil {
		return err
	}
	led := time.Since(began) // waiting for the lease is not draining
	for head := before; head.Size < before.Size+uint64(n); {
		if head, err = p.store.Head(ctx); err != nil {
			return err
		}
		if time.Since(began) > 5*time.Minute {
			return errors.New("the backlog is not drained after five minutes")
		}
		time.Sleep(5 * time.Millisecond) // looking must not cost what is measured
	}
	rate := float64(n) / (time.Since(began) - led).Seconds()
	if err := stop(); err != nil {
		return err
	}
	reference := 0.0
	if store == "postgres" {
		if reference, err = copyRows(ctx, db, n); err != nil {
			return fmt.Errorf("COPY: %w", err)
		}
	}
	r.add(store, "backlog drained", rate, "/s", reference)
	return nil
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

func backlog(ctx context.Context, publisher *streams.Publisher, clinic uuid.UUID, n int) error {
	var wg sync.WaitGroup
	errs := make([]error, 64)
	for w := range errs {
		wg.Go(func() {
			for i := w; i < n && errs[w] == nil; i += len(errs) {
				errs[w] = publisher.Publish(ctx, streams.Message{ID: clinic.String() + ".b" + strconv.Itoa(i),
					Subject: streams.IntakeSubject(clinic.String(), streams.TypeMedicationRequest), Body: order("b", i)})
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// copied are the tables that a prescription writes, each with its columns and how its rows belong to
// an entry, so that a chunk holds whole prescriptions.
func copied() []struct{ table, columns, from string } {
	return []struct{ table, columns, from string }{
		{"ledger", "idx, entry", "ledger t"},
		{"record", "idx, seq, epoch, version, id, org, of, key_id, type, sealed", "record t"},
		{"message", "org, hash, body, record, seq, answer", "message t JOIN record r ON r.id = t.record"},
		{"prescription", "id, clinic, patient, record, status, pharmacy, holder, claim, fills_allowed, fills_done, identity, group_id, due_at, version, therapy, state",
			"prescription t JOIN record r ON r.id = t.record"},
		{"delivered", "pharmacy, prescription, identifier, local", "delivered t JOIN prescription p ON p.id = t.prescription JOIN record r ON r.id = p.record"},
		{"effect", "number, kind, type, state, org, patient, record, prescription, claim, seq, idx, time, items, body", "effect t"},
	}
}

// copyRows reads what the drain wrote and copies it into a fresh schema, 1000 entries a transaction.
// Only the copying is timed.
func copyRows(ctx context.Context, db databases, n int) (perSecond float64, err error) {
	target, err := db.server.Create(ctx, "copy_reference")
	if err != nil {
		return 0, err
	}
	if err := postgres.Migrate(ctx, target); err != nil {
		return 0, err
	}
	from, err := pgx.Connect(ctx, db.server.DSN("drain_records"))
	if err != nil {
		return 0, err
	}
	defer from.Close(ctx)
	to, err := pgx.Connect(ctx, target)
	if err != nil {
		return 0, err
	}
	defer to.Close(ctx)
	if _, err := to.Exec(ctx, `UPDATE head SET origin = $1, leaf = $1`, originOf("dosewire.example/log")); err != nil {
		return 0, err
	}
	var took time.Duration
	for first := 0; first < n+3; first += 1000 {
		chunk := make([][][]any, len(copied()))
		for i, t := range copied() {
			if chunk[i], err = readChunk(ctx, from, t.columns, t.from, first); err != nil {
				return 0, fmt.Errorf("%s: %w", t.table, err)
			}
		}
		began := time.Now()
		err := pgx.BeginFunc(ctx, to, func(tx pgx.Tx) error {
			for i, t := range copied() {
				if _, err := tx.CopyFrom(ctx, pgx.Identifier{t.table}, strings.Split(t.columns, ", "), pgx.CopyFromRows(chunk[i])); err != nil {
					return fmt.Errorf("%s: %w", t.table, err)
				}
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
		took += time.Since(began)
	}
	return float64(n) / took.Seconds(), nil
}

func originOf(origin string) []byte {
	h := ledger.Origin(origin)
	return h[:]
}

func readChunk(ctx context.Context, c *pgx.Conn, columns, from string, first int) ([][]any, error) {
	index := "t.idx"
	if strings.Contains(from, "JOIN") {
		index = "r.idx"
	}
	rows, err := c.Query(ctx, "SELECT t."+strings.ReplaceAll(columns, ", ", ", t.")+" FROM "+from+
		" WHERE "+index+" >= $1 AND "+index+" < $2 ORDER BY "+index, first, first+1000)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) ([]any, error) { return r.Values() })
}
