package recorder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/fhir/safety"
	"github.com/dosewire/dosewire/internal/directory"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/streams"
)

// Config sizes a recorder. The zero value of each field is its default.
type Config struct {
	Origin   string // C2SP log origin; "dosewire.example/log" for evaluation
	MaxBatch int    // messages in one commit; 1000
	MaxBytes int    // bytes of bodies in one commit; 8 MiB
	// KeepBytes is how much of RX_INTAKE stays at most after it was recorded and announced; 256 MiB. Of what had
	// waited for more than 10 s 32 MiB may stay beside it for a minute.
	KeepBytes int64
	Log       *slog.Logger                      // discards when nil
	Tracer    trace.Tracer                      // no spans when nil
	Meter     metric.Meter                      // no metrics when nil
	Validate  func(*fhir.Document) []fhir.Issue // fhir.Validate
	Policy    Policy
	Map       *safety.Map                          // classes of medicines, for safety checks; nil = none
	Fault     func(point string, seq uint64) error // faults on purpose, for tests; nil = none
	// Direct: what Deps.Callers bring for organisations is recorded without passing RX_INTAKE. They wait for
	// the commit, and have nothing without it.
	Direct bool
	// Damaged is told of stored data that is not what was written, as it is met: the record of an entry,
	// or a prescription's state when its id is not zero. nil = nobody is.
	Damaged func(ctx context.Context, index uint64, prescription ledger.ID, err error)
}

// Deps is what a recorder works on. All fields are required but Examined and Callers.
type Deps struct {
	Examined  *fhir.Examinations // of messages that were examined in this process, so that it is not done twice
	Callers   *streams.Callers   // of this process
	Store     Store
	Reader    ledger.Reader // of the same database, not of a replica that lags
	Keys      *ledger.Keyring
	NATS      *nats.Conn
	Directory *directory.Directory
	Devices   Devices
	Streams   streams.Settings // Epoch and FirstSeq are filled in from the head
}

// Store is ledger.Store with erasure, the call that names a new log, and the one that ends a lease early.
type Store interface {
	ledger.Store
	ledger.Eraser
	SetOrigin(ctx context.Context, origin string) error
	// Release ends the lease of term, so that the next recorder need not wait it out. It does nothing
	// when another term has begun.
	Release(ctx context.Context, term uint64) error
}

// Devices finds whom to wake.
type Devices interface {
	DevicesOf(ctx context.Context, patients []ledger.ID) ([]directory.Device, error)
}

// Errors that end a recorder.
var (
	// ErrClock: a message is stamped more than 5 s ahead of the database's clock. Mend the clocks.
	ErrClock = fault.New(fault.Tampered, "recorder: stream time is ahead of the database's clock")
	// ErrRolledBack: RX_INTAKE ends before the ledger's cursor. Restore it, or remove the stream so
	// that a new epoch begins.
	ErrRolledBack = fault.New(fault.Tampered, "recorder: RX_INTAKE ends before the ledger's position")
	// ErrRestored: RX_INTAKE begins behind the ledger's cursor, so what lies between was recorded in a
	// later state of this database. Find that state; or remove the stream, so that a new epoch says
	// that there is a gap.
	ErrRestored = fault.New(fault.Tampered, "recorder: RX_INTAKE begins behind the ledger's position: the database is an old copy")
)

// Recorder is one candidate for the one writer. Open it, Run it once.
type Recorder struct {
	config Config
	deps   Deps
	js     jetstream.JetStream
	log    *slog.Logger

	// owned by the goroutine in Run (and Open before it)
	head      ledger.Head
	intended  ledger.Head // what the commit in hand makes of head
	accessed  time.Time   // last look for accesses without an entry
	looked    time.Time   // last look for RX_INTAKE and the hub's own key
	announcer *announcer
	metrics   metrics
	anchors   anchorage // of its own lock
	erased    bool      // somebody was erased, ever
	tries     tries     // of collect codes, by organisation
	usual     usual
	said      said
	kept      allowance // of quarantine

	acquainted acquaintances

	late   atomic.Uint64 // how often patients were not found before their messages' turn
	direct int           // messages that came directly; of the goroutine that works ahead

	joined  atomic.Bool  // somebody was linked with somebody, since before it led
	renewed atomic.Int64 // local unix ms of the last proof of the lease
	ahead   atomic.Int64 // database clock minus local clock, ms
	lost    atomic.Bool  // RX_INTAKE is gone and not yet made anew
	halted  atomic.Pointer[error]
	erasing atomic.Bool // an erasure has work left outside
}

// Open waits for the lease (as a standby, until ctx ends), writes the genesis entry of a new ledger,
// and makes the streams, beginning a new epoch when RX_INTAKE was lost.
func Open(ctx context.Context, c Config, d Deps) (*Recorder, error) {
	c.setDefaults()
	js, err := jetstream.New(d.NATS)
	if err != nil {
		return nil, fmt.Errorf("recorder: jetstream: %w", err)
	}
	r := &Recorder{config: c, deps: d, js: js, log: c.Log}
	if r.metrics, err = newMetrics(c.Meter); err != nil {
		return nil, err
	}
	if err := r.lead(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

func (c *Config) setDefaults() {
	if c.Origin == "" {
		c.Origin = "dosewire.example/log"
	}
	if c.MaxBatch == 0 {
		c.MaxBatch = 1000
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = 8 << 20
	}
	if c.KeepBytes == 0 {
		c.KeepBytes = 256 << 20
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Tracer == nil {
		c.Tracer = noop.NewTracerProvider().Tracer("")
	}
	if c.Meter == nil {
		c.Meter = metricnoop.NewMeterProvider().Meter("")
	}
	if c.Validate == nil {
		c.Validate = fhir.Validate
	}
	if c.Damaged == nil {
		c.Damaged = func(context.Context, uint64, ledger.ID, error) {}
	}
	if c.Fault == nil {
		c.Fault = func(string, uint64) error { return nil }
	}
}

// lead becomes the one writer: a term of its own, a ledger that has begun, streams that fit it.
func (r *Recorder) lead(ctx context.Context) error {
	if err := r.acquire(ctx); err != nil {
		return err
	}
	if err := r.learn(ctx); err != nil {
		return err
	}
	if err := r.genesis(ctx); err != nil {
		return err
	}
	links, err := r.deps.Reader.Links(ctx, nil)
	if err != nil {
		return fmt.Errorf("recorder: links: %w", err)
	}
	r.joined.Store(len(links) > 0)
	if err := r.deps.Keys.Check(ctx); err != nil {
		return fmt.Errorf("recorder: own key: %w", err)
	}
	// Another recorder may have erased patients since, and not have come to an end with it.
	r.deps.Keys.ForgetAll()
	r.acquainted.forget()
	if err := r.shred(ctx); err != nil {
		return err
	}
	if err := r.openStreams(ctx); err != nil {
		return err
	}
	r.lost.Store(false)
	return nil
}

// Healthy is nil while the lease is fresh, RX_INTAKE is there and nothing has halted.
func (r *Recorder) Healthy() error {
	if err := r.halted.Load(); err != nil {
		return *err
	}
	if age := time.Since(time.UnixMilli(r.renewed.Load())); age > ledger.Lease || r.lost.Load() {
		return fault.Of(fault.CodeUnavailable).After(time.Second)
	}
	return nil
}

// Run records until ctx ends; then it finishes the batch in hand, announces what is committed and
// returns nil. A deposed recorder stands by and leads again; one that lost RX_INTAKE makes it anew. Any
// other end is an error that needs an operator.
func (r *Recorder) Run(ctx context.Context) error {
	for {
		err := r.reign(ctx)
		switch {
		case ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)):
			r.release(ctx)
			return nil
		case errors.Is(err, errIntakeLost), errors.Is(err, ledger.ErrHeadMoved), errors.Is(err, ledger.ErrLeased), errors.Is(err, streams.ErrDeposed):
			if !r.lost.Load() {
				r.log.WarnContext(ctx, "recorder was deposed")
			}
			if err := r.lead(ctx); err != nil {
				if ctx.Err() != nil {
					return nil
				}
				return r.halt(err)
			}
		default:
			return r.halt(err)
		}
	}
}

func (r *Recorder) halt(err error) error {
	err = fmt.Errorf("recorder: halted: %w", err)
	r.halted.Store(&err)
	return err
}

// reign is one term: from leading to being stopped, deposed or halted.
func (r *Recorder) reign(ctx context.Context) error {
	// work outlives ctx so that what was begun is finished
	work, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)

	publish, err := streams.NewPublisher(r.deps.NATS)
	if err != nil {
		return fmt.Errorf("recorder: clock: %w", err)
	}
	announcer, err := newAnnouncer(work, r)
	if err != nil {
		return err
	}
	r.announcer = announcer
	announced := make(chan error, 1)
	go func() {
		err := announcer.run(work)
		if err != nil {
			stop(err)
		}
		announced <- err
	}()

	ticking, still := context.WithCancel(ctx)
	var clocks sync.WaitGroup
	clocks.Go(func() { (&clock{r: r, publish: publish}).run(ticking) })
	err = r.record(ctx, work)
	still()
	clocks.Wait()
	announcer.finish()
	if announceErr := <-announced; announceErr != nil {
		return announceErr // it was first: record failed because work was cancelled
	}
	return err
}

// record is the loop: read what has arrived, decide it, commit it.
func (r *Recorder) record(ctx, work context.Context) error {
	reader, err := streams.OpenReader(work, r.js, streams.Intake, r.head.Seq+1)
	if err != nil {
		return fmt.Errorf("recorder: read %s: %w", streams.Intake, err)
	}
	if r.config.Direct && r.deps.Callers != nil {
		r.deps.Callers.Serve(reader)
	}
	in := newIntake(r, reader, r.head.Term)
	reading, stop := context.WithCancel(ctx)
	var ahead sync.WaitGroup
	ahead.Go(func() { in.run(reading) })
	defer func() {
		stop()
		reader.Close()
		in.close()
		ahead.Wait()
	}()
	for ctx.Err() == nil {
		if err := context.Cause(work); err != nil {
			return err // the announcer failed while there was nothing to do
		}
		arrivals, err := in.take(ctx, r.config.MaxBatch, r.config.MaxBytes, 200*time.Millisecond)
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("recorder: read %s: %w", streams.Intake, err)
		}
		if err := r.step(work, arrivals); err != nil {
			if cause := context.Cause(work); cause != nil {
				return cause
			}
			return err
		}
		r.announcer.hold(in.more())
	}
	return nil
}

// step brings one batch, or the passing of time, into the ledger.
func (r *Recorder) step(ctx context.Context, arrivals []arrival) error {
	stored := slices.ContainsFunc(arrivals, func(a arrival) bool { return !a.message.Direct })
	for len(arrivals) > 0 {
		n := together(arrivals)
		n = untilRights(arrivals[:n])
		if err := r.handle(ctx, arrivals[:n]); err != nil {
			return err
		}
		if alone(arrivals[0].message) {
			if err := r.shred(ctx); err != nil {
				return err
			}
		}
		if arrivals = arrivals[n:]; len(arrivals) > 0 {
			continue
		}
		if stored {
			return nil
		}
		return r.present(ctx) // what came directly does not say that RX_INTAKE is there
	}
	if err := r.chainAccesses(ctx); err != nil && fault.KindOf(err) != fault.Unavailable {
		return err
	}
	if err := r.renew(ctx); err != nil && fault.KindOf(err) != fault.Unavailable {
		return err
	}
	return r.present(ctx)
}

// errIntakeLost ends a term whose RX_INTAKE is gone: what was in it and not yet recorded is lost, and
// its senders, who have no outcome, send it again.
var errIntakeLost = fault.New(fault.Unavailable, "recorder: RX_INTAKE is gone")

// present looks, now and then while nothing comes, whether there is anything that could come, for a
// reader waits for its stream without end, and whether it could be sealed.
func (r *Recorder) present(ctx context.Context) error {
	if time.Since(r.looked) < time.Second {
		return nil
	}
	r.looked = time.Now()
	asking, cancel := context.WithTimeout(ctx, ledger.Lease/6) // a broker that is away is another's matter
	defer cancel()
	if _, err := r.js.Stream(asking, streams.Intake); errors.Is(err, jetstream.ErrStreamNotFound) {
		r.lost.Store(true)
		r.log.ErrorContext(ctx, "RX_INTAKE is gone: it is made anew; what it held and was not recorded is lost until its senders repeat it", "seq", r.head.Seq)
		return errIntakeLost
	}
	return r.sealable(ctx)
}

// sealable tells keys that are lost from a key database that is away.
func (r *Recorder) sealable(ctx context.Context) error {
	if err := r.deps.Keys.Check(ctx); fault.KindOf(err) == fault.Tampered {
		return err
	}
	return nil
}

// pause waits for d or for ctx.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
