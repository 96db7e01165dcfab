package push

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/adapters/push/webpush"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/streams"
)

// Options of the adapter.
type Options struct {
	// KeyFile holds the VAPID key (PKCS #8, PEM, mode 0600). It is made on first use. Losing it ends
	// every subscription.
	KeyFile string `json:"keyFile"`
	// Subject is a mailto: or https: URL under which push services reach the operator (RFC 8292
	// §2.1). "" means the hub's base URL when that is https; Apple refuses pushes without one.
	Subject string `json:"subject"`
	// AllowHosts are the hosts of push services. Empty means those of the browsers in use
	// (webpush.DefaultHosts); UnifiedPush servers are added here.
	AllowHosts []string `json:"allowHosts"`
	// AllowLoopback also pushes to this machine in clear. Demonstrations and tests only.
	AllowLoopback bool `json:"allowLoopback"`
	// Workers is how many pushes are under way at once. 0 means 8.
	Workers int `json:"workers"`
}

// Validate reports all mistakes at once.
func (o Options) Validate() error {
	var errs []error
	if o.KeyFile == "" {
		errs = append(errs, fault.New(fault.Invalid, "push: keyFile is not set"))
	}
	if o.Workers < 0 || o.Workers > 256 {
		errs = append(errs, fault.New(fault.Invalid, "push: workers is not 0 to 256"))
	}
	if o.Subject != "" && !strings.HasPrefix(o.Subject, "mailto:") && !strings.HasPrefix(o.Subject, "https://") {
		errs = append(errs, fault.New(fault.Invalid, "push: subject is neither a mailto: nor an https: URL"))
	}
	return errors.Join(errs...)
}

// Spec is this adapter for adapters/all.
func Spec() adapters.Spec { return adapters.Define("push", open) }

// durable is the adapter's consumer on the PUSH stream; several hubs share it.
const durable = "push-webpush"

// runner is the opened adapter.
type runner struct {
	js      jetstream.JetStream
	workers int
	pusher  *pusher
}

func open(o Options, d adapters.Deps) (adapters.Runner, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	key, err := loadKey(o.KeyFile)
	if err != nil {
		return nil, err
	}
	if o.Subject == "" && strings.HasPrefix(d.BaseURL, "https://") {
		o.Subject = d.BaseURL
	}
	if len(o.AllowHosts) == 0 {
		o.AllowHosts = nil
	}
	sender, err := webpush.New(webpush.Options{Key: key, Subject: o.Subject, AllowHosts: o.AllowHosts,
		AllowLoopback: o.AllowLoopback, Pad: padFor(d.BaseURL), Now: d.Now})
	if err != nil {
		return nil, fault.New(fault.Invalid, "push: options").Wrap(err)
	}
	m, err := newMetrics()
	if err != nil {
		return nil, fmt.Errorf("push: metrics: %w", err)
	}
	js, err := jetstream.New(d.NATS)
	if err != nil {
		return nil, fmt.Errorf("push: jetstream: %w", err)
	}
	ids := wakeIDs{d.Keys}
	p := &pusher{log: d.Log, now: d.Now, devices: d.Devices, keys: d.Keys, ids: ids, sender: sender,
		base: d.BaseURL, pauses: newPauses(), flights: newFlights(), metrics: m}
	mount(d.Routes, &receipts{log: d.Log, now: d.Now, devices: d.Devices, ids: ids, metrics: m}, sender.PublicKey())
	return &runner{js: js, workers: cmp.Or(o.Workers, 8), pusher: p}, nil
}

// Run sends wakes until ctx ends, then finishes those under way.
func (r *runner) Run(ctx context.Context) error {
	return streams.Consume(ctx, r.js, streams.Push, durable, r.workers, r.pusher.wake)
}
