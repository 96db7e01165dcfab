package hub

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/fhir/safety"
	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/internal/directory"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/telemetry"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/notary"
	"github.com/dosewire/dosewire/ledger/receipt"
	"github.com/dosewire/dosewire/ledger/recorder"
	"github.com/dosewire/dosewire/ledger/scrub"
	"github.com/dosewire/dosewire/streams"
)

// Hub is one process's hub. Make it with New, Run it once.
type Hub struct {
	config    Config
	log       *slog.Logger
	telemetry *telemetry.Telemetry
	adapters  []adapters.Spec
	version   string
	began     time.Time
	judge     judge
	classes   *safety.Map // nil = no code map

	public net.Listener // HTTP
	admin  net.Listener // Unix socket

	// Filled in by the stages, each before the next one starts; read-only from then on.
	databases databases
	keys      *ledger.Keyring
	directory *directory.Directory
	verifier  *auth.Verifier
	broker    broker
	nc        *nats.Conn
	js        jetstream.JetStream
	notary    *notary.Notary // nil = apart
	scrubber  *scrub.Scrubber
	reads     *ReadRate
	tiles     receipt.Tiles // what it publishes
	recorder  *recorder.Recorder
	caller    *streams.Caller
	routes    *adapters.Routes
	examined  fhir.Examinations // from the adapters to the recorder
	callers   streams.Callers   // from the recorder to the adapters
	runners   []namedRunner
	stated    sync.Map // ids of generations of the deployment key that are in the ledger

	ready   chan struct{} // closed when every stage runs
	leaving atomic.Bool   // stopping has begun

	returned atomic.Int64 // erased keys that a backup had brought back
}

// Options of New beside the configuration.
type Options struct {
	Adapters []adapters.Spec // what may be served; adapters/all
	Log      io.Writer       // nil means os.Stderr
	Version  string
}

// ErrRunning: another hub serves this data folder.
var ErrRunning = fault.New(fault.Conflict, "hub: another hub serves this data folder")

// New takes the data folder, the addresses and the admin socket, and reads nothing else yet. Errors
// are of kind Invalid (configuration), Conflict (ErrRunning) or Unavailable (an address is taken).
func New(ctx context.Context, c Config, o Options) (*Hub, error) {
	c = c.WithDefaults()
	if err := errors.Join(c.Validate(), knownAdapters(c, o.Adapters)); err != nil {
		return nil, err
	}
	if err := notYet(c); err != nil {
		return nil, err
	}
	profiles, err := c.FHIR.load()
	if err != nil {
		return nil, err
	}
	classes, err := c.Safety.load()
	if err != nil {
		return nil, err
	}
	LimitMemory(c.MemoryLimit)
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return nil, fault.New(fault.Unavailable, "hub: the data folder cannot be made").Wrap(err)
	}
	h := &Hub{config: c, log: logger(c, o.Log), adapters: o.Adapters, version: o.Version, began: time.Now(), ready: make(chan struct{}),
		judge: judging(profiles, time.Now), classes: classes, reads: NewReadRate(c.Ledger.Reads)}
	h.mapped(ctx)
	if err := h.take(ctx); err != nil {
		return nil, errors.Join(err, h.release())
	}
	return h, nil
}

// take acquires what only one process can have.
func (h *Hub) take(ctx context.Context) (err error) {
	if h.admin, err = listenAdmin(ctx, h.config.AdminSocket()); err != nil {
		return err
	}
	var lc net.ListenConfig
	if h.public, err = lc.Listen(ctx, "tcp", h.config.HTTP.Address); err != nil {
		return fault.New(fault.Unavailable, "hub: http.address is not free").Wrap(err)
	}
	h.telemetry, err = telemetry.Start(ctx, telemetry.Options{Version: h.version})
	return err
}

// release gives back what take took, as far as no server has closed it.
func (h *Hub) release() (err error) {
	for _, l := range []net.Listener{h.admin, h.public} {
		if l == nil {
			continue
		}
		if e := l.Close(); !errors.Is(e, net.ErrClosed) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// Run starts the stages, serves until ctx ends or a stage fails, and stops them from the outside
// inwards. It returns nil only when it was told to stop and nothing went wrong. The error of a
// recorder that halted is of kind Tampered: restarting will not help it.
func (h *Hub) Run(ctx context.Context) error {
	err := runStages(ctx, h.log, h.stages(), func() {
		if h.config.MemoryLimit > 0 {
			if err := shed(); err != nil {
				h.log.DebugContext(ctx, "the pages of the program that only the start needed stay in memory", slog.Any("error", err))
			}
		}
		close(h.ready)
		h.log.InfoContext(ctx, "ready", slog.String("url", h.URL()), slog.String("nats", h.NATSURL()), slog.String("mode", h.config.Mode))
	})
	return errors.Join(err, h.release())
}

// stages is the hub's life, inside first.
func (h *Hub) stages() []stage {
	g := h.config.Grace
	return []stage{
		{name: "telemetry", close: h.closeTelemetry},
		{name: "databases", open: h.openDatabases, run: h.keepKeys, close: h.closeDatabases},
		{name: "notary", grace: notaryGrace, open: h.openNotary, run: h.runNotary},
		{name: "scrub", open: h.openScrub},
		{name: "broker", open: h.openBroker, run: h.watchBroker, close: h.closeBroker},
		{name: "recorder", grace: g.Recorder, open: h.openRecorder, run: h.runRecorder},
		{name: "caller", open: h.openCaller, close: h.closeCaller},
		{name: "watch", grace: scrubGrace, run: h.runScrub},
		{name: "keys", run: h.watchKeys},
		{name: "adapters", grace: g.Adapters, open: h.openAdapters, run: h.runAdapters},
		{name: "admin", grace: g.HTTP, run: h.serveAdmin},
		{name: "http", grace: g.HTTP, run: h.serveHTTP},
		{name: "readiness", grace: g.Ready, run: h.linger},
	}
}

// Ready is closed when the hub serves.
func (h *Hub) Ready() <-chan struct{} { return h.ready }

// URL is how clients reach the hub, without trailing slash.
func (h *Hub) URL() string {
	if h.config.BaseURL != "" {
		return h.config.BaseURL
	}
	scheme := "http"
	if h.config.HTTP.TLS.Certificate != "" {
		scheme = "https"
	}
	return scheme + "://" + h.public.Addr().String()
}

// NATSURL is how organisations reach the broker. It is known once Ready is closed.
func (h *Hub) NATSURL() string { return h.broker.url }

// AdminSocket is where the operator reaches the hub.
func (h *Hub) AdminSocket() string { return h.config.AdminSocket() }

// linger keeps serving for a while after readiness has gone, so that load balancers notice.
func (h *Hub) linger(ctx context.Context) error {
	<-ctx.Done()
	h.leaving.Store(true)
	timer := time.NewTimer(h.config.Grace.Ready)
	defer timer.Stop()
	<-timer.C
	return nil
}

func (h *Hub) closeTelemetry() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return h.telemetry.Close(ctx)
}

func logger(c Config, w io.Writer) *slog.Logger {
	if w == nil {
		w = os.Stderr
	}
	level, _ := logLevel(c.Telemetry.Level) // validated
	return telemetry.NewLogger(w, telemetry.LogOptions{JSON: c.Telemetry.Log == "json", Level: level})
}
