package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"go.opentelemetry.io/otel/metric"
	"golang.org/x/sync/errgroup"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/telemetry"
	"github.com/dosewire/dosewire/ledger/notary"
	"github.com/dosewire/dosewire/ledger/trust"
)

// notaryGrace is how long the last tick may take.
const notaryGrace = 5 * time.Second

// newNotary makes the notary of this configuration over a ledger.
func newNotary(ctx context.Context, c Config, source notary.Source, log *slog.Logger, meter metric.Meter) (*notary.Notary, error) {
	key, err := NotaryKey(ctx, c)
	if err != nil {
		return nil, err
	}
	state, err := notary.OpenDir(c.Notary.Folder, 0o700)
	if err != nil {
		return nil, err
	}
	policy, err := c.Notary.policy(key.VKey)
	if err != nil {
		return nil, err
	}
	tiles, err := openStorage(ctx, c.Notary)
	if err != nil {
		return nil, err
	}
	return notary.Open(notary.Config{Origin: c.Ledger.Origin, Source: source, State: state, Tiles: tiles, Signer: key,
		Verifier: key.Verifier, Policy: policy, Interval: c.Notary.Interval, Log: log, Meter: meter})
}

// NotaryKey opens the checkpoint key; one in a file is made on first use. Its name is the ledger's
// origin.
func NotaryKey(ctx context.Context, c Config) (*notary.Key, error) {
	c = c.WithDefaults()
	return openSigner(ctx, c.Notary, c.Ledger.Origin)
}

// policy reads the policy. One that nobody has written yet is made: this log alone, without witnesses.
func (n Notary) policy(vkey string) (*trust.Policy, error) {
	if n.Policy == n.ownPolicy() {
		text := "# Whose checkpoints are believed. Add witnesses here, and give it to those who verify.\n" +
			"# See docs/notary.md.\nlog " + vkey + "\nquorum none\n"
		if err := makeOnce(n.Policy, text); err != nil {
			return nil, fault.New(fault.Unavailable, "hub: the policy cannot be made").Wrap(err)
		}
	}
	p, err := readPolicy(n.Policy)
	if err != nil {
		return nil, err
	}
	own, err := trust.LogVerifier(vkey)
	if err == nil && !p.Knows(own) {
		err = fault.New(fault.Invalid, "config: the policy does not name this log: add the line log "+vkey)
	}
	return p, err
}

// makeOnce makes a file that all may read unless it is there. It appears whole or not at all.
func makeOnce(path, text string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); !errors.Is(err, fs.ErrExist) { // another process was faster
		return err
	}
	return nil
}

func readPolicy(path string) (*trust.Policy, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.New(fault.Invalid, "config: the policy cannot be read").Wrap(err)
	}
	return trust.ParsePolicy(text)
}

// openNotary compares the database with what was signed, before anything is appended to it: a hub on
// a database that was set back does not start.
func (h *Hub) openNotary(ctx context.Context) error {
	tiles, err := Published(ctx, h.config)
	if err != nil {
		return err
	}
	h.tiles = tiles
	if h.config.Notary.Apart {
		return nil
	}
	n, err := newNotary(ctx, h.config, h.databases.records, h.log, h.telemetry.Meter("dosewire/notary"))
	if err != nil {
		return err
	}
	if err := n.Check(ctx); err != nil && !errors.Is(err, notary.ErrMoved) {
		return err
	}
	h.notary = n
	return nil
}

// runNotary ticks until ctx ends, which is after the recorder's end, and then once more: what was
// recorded is signed.
func (h *Hub) runNotary(ctx context.Context) error {
	if h.notary == nil {
		<-ctx.Done()
		return nil
	}
	err := h.notary.Run(ctx)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), notaryGrace)
	defer cancel()
	if e := h.notary.Tick(last); e != nil {
		h.log.WarnContext(last, "notary: the last tick failed", slog.String("reason", notary.AlarmName(e)))
	}
	return err
}

// NotaryOptions of Notarize beside the configuration.
type NotaryOptions struct {
	Once    bool      // one tick, and no more
	Listen  string    // address of /livez, /readyz and /metrics; "" = none; loopback only
	Log     io.Writer // nil means os.Stderr
	Version string
	Status  func(notary.Status) // called after a tick that changed something
}

// Notarize is a notary in a process of its own: it reads the ledger's database, read-only, and needs
// no other key than its own. It returns when ctx ends, or after one tick with Once. The error of
// that tick is of kind Tampered when the ledger is not what was signed.
func Notarize(ctx context.Context, c Config, o NotaryOptions) (err error) {
	c = c.WithDefaults()
	source, closeSource, err := openChain(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeSource()) }()
	signals, err := telemetry.Start(ctx, telemetry.Options{Service: "dosewire-notary", Version: o.Version})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, signals.Close(context.WithoutCancel(ctx))) }()
	log := logger(c, o.Log)
	n, err := newNotary(ctx, c, source, log, signals.Meter("dosewire/notary"))
	if err != nil {
		return err
	}
	if o.Once {
		err := n.Tick(ctx)
		o.Status(n.Status())
		return err
	}
	g, work := errgroup.WithContext(ctx)
	if o.Listen != "" {
		if err := serveSignals(work, g, o.Listen, n, signals.Handler(), log); err != nil {
			return err
		}
	}
	g.Go(func() error { return watchNotary(work, n, c.Notary.Interval, o.Status) })
	return g.Wait()
}

// watchNotary is Run that tells what has changed.
func watchNotary(ctx context.Context, n *notary.Notary, every time.Duration, tell func(notary.Status)) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	var told notary.Status
	for {
		_ = n.Tick(ctx) // kept in the status, logged and counted
		if s := n.Status(); ctx.Err() == nil && (s.Published != told.Published || s.Alarm != told.Alarm) {
			tell(s)
			told = s
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// serveSignals answers probes and Prometheus on a loopback address.
func serveSignals(ctx context.Context, g *errgroup.Group, address string, n *notary.Notary, metrics http.Handler, log *slog.Logger) error {
	if !loopback(address) {
		return fault.New(fault.Invalid, "the address of the notary's signals must be loopback")
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return fault.New(fault.Unavailable, "the address of the notary's signals is not free").Wrap(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", live)
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := n.Healthy(); err != nil {
			http.Error(w, n.Status().Alarm, http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.Handle("GET /metrics", metrics)
	g.Go(func() error { return serve(ctx, l, nil, mux, time.Second, log) })
	return nil
}
