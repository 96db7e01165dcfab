package notary

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"golang.org/x/mod/sumdb/note"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger/trust"
)

// Config of a notary. Origin, Source, State, Tiles, Signer and Verifier are needed.
type Config struct {
	Origin   string        // of the ledger; also the name of the key
	Source   Source        //
	State    Register      // what the notary remembers; nobody else writes there
	Tiles    Storage       // what it publishes
	Signer   note.Signer   // Ed25519; a file's or a KMS's
	Verifier note.Verifier // of Signer
	// Policy names witnesses and the quorum of them. nil means none. If it names logs, this one must
	// be among them.
	Policy *trust.Policy
	// Interval of Run. Defaults to 1 s.
	Interval time.Duration
	// Refresh is after how long a checkpoint that did not grow is cosigned anew, so that its times
	// show that the log lives. Defaults to 10 minutes; witnesses are needed.
	Refresh time.Duration
	// Client reaches the witnesses. Defaults to one with a time-out of 2 s for each request.
	Client *http.Client
	Log    *slog.Logger     // nil means none
	Meter  metric.Meter     // nil means none
	Now    func() time.Time // nil means time.Now
}

// Notary is one process's notary. Make it with Open.
type Notary struct {
	config    Config
	witnesses []*witness
	metrics   metrics

	// Used by the goroutine that ticks.
	tree   *tree  // at state.Size; nil = to be loaded
	state  state  // as stored
	stored []byte // its bytes; nil = nothing stored yet
	out    published
	caught time.Time // when the end of the ledger was last seen by a tick
	said   string    // the alarm that was logged last

	mu       sync.Mutex // guards status
	status   Status
	reported time.Time // when status was made; Checked may be older
}

// Status is the notary at a glance.
type Status struct {
	Size       uint64              // entries in the last signed checkpoint
	Published  uint64              // entries in the last published checkpoint
	Cosigned   []trust.Cosignature // of the last published checkpoint
	Unsigned   time.Duration       // age of the oldest entry that no published checkpoint covers; 0 = none is known
	Checked    time.Time           // when the ledger was last found to continue
	Alarm      string              // AlarmName(Err); "" = none
	Err        error               // of the last tick
	Checkpoint []byte              // as published; nil = none yet
}

// Open checks the configuration. It reads nothing yet: the first tick does.
func Open(c Config) (*Notary, error) {
	if c.Origin == "" || c.Source == nil || c.State == nil || c.Tiles == nil || c.Signer == nil || c.Verifier == nil {
		return nil, fault.New(fault.Internal, "notary: origin, source, state, tiles, signer and verifier are needed")
	}
	if c.Signer.Name() != c.Origin || c.Verifier.Name() != c.Origin || c.Signer.KeyHash() != c.Verifier.KeyHash() {
		return nil, fault.New(fault.Invalid, "notary: the key has another name than the ledger's origin: "+c.Origin)
	}
	if c.Policy == nil {
		c.Policy = trust.Solo(c.Verifier)
	}
	if len(c.Policy.Logs) > 0 && !c.Policy.Knows(c.Verifier) {
		return nil, fault.New(fault.Invalid, "notary: the policy names other logs, but not this one")
	}
	c.Policy = c.Policy.For(c.Verifier)
	c.defaults()
	n := &Notary{config: c}
	var err error
	if n.witnesses, err = witnessesOf(c.Policy); err != nil {
		return nil, err
	}
	n.metrics, err = newMetrics(c.Meter, n.Status)
	return n, err
}

func (c *Config) defaults() {
	if c.Interval <= 0 {
		c.Interval = time.Second
	}
	if c.Refresh <= 0 {
		c.Refresh = 10 * time.Minute
	}
	if c.Client == nil {
		c.Client = &http.Client{Timeout: 2 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Meter == nil {
		c.Meter = noop.Meter{}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
}

// Run ticks until ctx ends. It goes on after every error: what can mend itself does, and the rest is
// in Status, in the log and in the metrics.
func (n *Notary) Run(ctx context.Context) error {
	ticker := time.NewTicker(n.config.Interval)
	defer ticker.Stop()
	for {
		if err := n.Tick(ctx); ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Tick checks what is new, signs it and publishes it. Errors of kind Tampered are the alarms of this
// package; nothing is signed then.
func (n *Notary) Tick(ctx context.Context) error {
	began := n.config.Now()
	err := n.tick(ctx)
	if ctx.Err() == nil {
		n.report(ctx, began, err)
	}
	return err
}

func (n *Notary) tick(ctx context.Context) error {
	if err := n.ensure(ctx); err != nil {
		return err
	}
	if err := n.follow(ctx); err != nil {
		if errors.Is(err, ErrMoved) {
			n.tree = nil // look at what the other has left
		}
		return err
	}
	if n.state.Size == 0 {
		return nil
	}
	err := n.publish(ctx)
	if errors.Is(err, ErrMoved) {
		n.tree = nil
	}
	return err
}

// Check loads what the notary remembers and compares the ledger with it, without signing anything:
// for a hub that wants to know, before it serves, whether its database was set back.
func (n *Notary) Check(ctx context.Context) error {
	err := n.ensure(ctx)
	if err == nil {
		err = n.recall(ctx)
	}
	n.report(ctx, n.config.Now(), err)
	return err
}

// Status is how the last tick ended.
func (n *Notary) Status() Status {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.status
	if s.Unsigned > 0 {
		s.Unsigned += n.config.Now().Sub(n.reported)
	}
	return s
}

// Healthy is nil unless the last tick found tampering.
func (n *Notary) Healthy() error {
	if err := n.Status().Err; err != nil && fault.KindOf(err) == fault.Tampered {
		return err
	}
	return nil
}

// report keeps the status, and logs an alarm when it comes, changes and goes.
func (n *Notary) report(ctx context.Context, began time.Time, err error) {
	s := Status{Size: n.state.Size, Published: n.state.Published, Cosigned: n.out.cosigned, Checkpoint: n.out.note,
		Checked: began, Err: err}
	if err != nil {
		s.Alarm = AlarmName(err)
	}
	n.mu.Lock()
	if err != nil && !errors.Is(err, ErrQuorum) {
		s.Checked = n.status.Checked // it was not found to continue
	}
	s.Unsigned = n.unpublished(began)
	n.status, n.reported = s, began
	n.mu.Unlock()
	n.metrics.ticked(ctx, n.config.Now().Sub(began), s.Alarm)
	if s.Alarm == n.said {
		return
	}
	n.said = s.Alarm
	switch {
	case err == nil:
		n.config.Log.InfoContext(ctx, "notary: all is well again", slog.Uint64("size", s.Size))
	case fault.KindOf(err) == fault.Tampered:
		n.config.Log.With(place(err)...).ErrorContext(ctx, "notary: ALARM", slog.String("reason", s.Alarm), slog.Any("error", err), slog.Uint64("size", s.Size))
	default:
		n.config.Log.WarnContext(ctx, "notary: a tick failed", slog.String("reason", s.Alarm), slog.Any("error", err))
	}
}

// sign makes the log's note.
func (n *Notary) sign(c trust.Checkpoint) (string, error) {
	signed, err := note.Sign(&note.Note{Text: c.Text()}, n.config.Signer)
	if err != nil {
		return "", fault.New(fault.Unavailable, "notary: sign").Wrap(err)
	}
	if _, err := trust.Solo(n.config.Verifier).Open(signed); err != nil {
		return "", fmt.Errorf("notary: the signer's key is not the verifier's: %w", err)
	}
	return string(signed), nil
}
