package push

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/adapters/push/webpush"
	"github.com/dosewire/dosewire/internal/directory"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/streams"
)

const (
	transport = "webpush"
	// timeToLive is how long a push service keeps a wake for a phone that is off, and how long the
	// stream's wake is worth sending: later the news is old.
	timeToLive = 72 * time.Hour
)

// devices is what the adapter needs of directory.Store.
type devices interface {
	Device(ctx context.Context, id ledger.ID) (directory.Device, error)
	DropDevice(ctx context.Context, id ledger.ID, reason string, now time.Time) error
	Receipt(ctx context.Context, device ledger.ID, wake string, now time.Time) error
}

// keyring finds the key that seals a device's endpoint; *ledger.Keyring.
type keyring interface {
	Key(ctx context.Context, id ledger.ID) (ledger.PatientKey, error)
}

// pusher sends one wake at a time for each worker. Safe for concurrent use.
type pusher struct {
	log     *slog.Logger
	now     func() time.Time
	devices devices
	keys    keyring
	ids     wakeIDs
	sender  *webpush.Sender
	base    string
	pauses  *pauses
	flights *flights
	metrics metrics
}

// wake handles one message of the PUSH stream. nil means done with it; fault.Unavailable means later.
func (p *pusher) wake(ctx context.Context, m streams.Message) error {
	id, err := deviceOf(m.Subject)
	if err != nil {
		return err
	}
	if !m.Time.IsZero() && p.now().Sub(m.Time) > timeToLive {
		p.metrics.attempt(ctx, "", "expired", 0)
		return nil
	}
	if !p.flights.begin(id) {
		return later(0, errInFlight)
	}
	defer p.flights.end(id)
	d, err := p.devices.Device(ctx, id)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return nil // turned off since
	case err != nil:
		return fmt.Errorf("push: device: %w", err)
	case d.Dead != "":
		return nil
	}
	to, quiet, err := p.open(ctx, d)
	if reason, ended := endedBy(err); ended {
		return p.drop(ctx, d, "", reason)
	}
	if err != nil {
		return fmt.Errorf("push: endpoint: %w", err)
	}
	if wait := quiet.Left(p.now()); wait > 0 && m.Header.Get(streams.HeaderUrgent) == "" {
		p.metrics.attempt(ctx, "", "quiet", 0)
		return later(wait, errQuiet)
	}
	return p.send(ctx, d, to)
}

// deviceOf reads push.webpush.<device>.
func deviceOf(subject string) (ledger.ID, error) {
	text, ok := strings.CutPrefix(subject, streams.PushSubject(transport, ""))
	id, err := uuid.Parse(text)
	if !ok || err != nil {
		return ledger.ID{}, fault.New(fault.Invalid, "push: not the subject of a device")
	}
	return id, nil
}

// open unseals the browser's PushSubscription, and the patient's quiet hours beside it.
func (p *pusher) open(ctx context.Context, d directory.Device) (webpush.Subscription, directory.Quiet, error) {
	var more struct {
		Quiet directory.Quiet `json:"quiet"`
	}
	key, err := p.keys.Key(ctx, d.KeyID)
	if err != nil {
		return webpush.Subscription{}, more.Quiet, err
	}
	plain, err := ledger.Open(key, sealed(d), nil)
	if err != nil {
		return webpush.Subscription{}, more.Quiet, err
	}
	if err := json.Unmarshal(plain, &more); err != nil {
		return webpush.Subscription{}, more.Quiet, webpush.ErrSubscription
	}
	to, err := webpush.ParseSubscription(plain)
	return to, more.Quiet, err
}

// sealed is the record form in which a device's endpoint is sealed: ledger.Seal under the patient's
// key, bound to the device's id. adapters/inbox makes the same one.
func sealed(d directory.Device) ledger.Record {
	return ledger.Record{ID: d.ID, Of: d.ID, KeyID: d.KeyID, Type: "device", Version: 1, Sealed: d.Endpoint}
}

// endedBy says why a device cannot be read, for good.
func endedBy(err error) (reason string, ended bool) {
	switch {
	case errors.Is(err, ledger.ErrErased):
		return "erased", true
	case errors.Is(err, ledger.ErrSealed), errors.Is(err, webpush.ErrSubscription):
		return "unreadable", true
	}
	return "", false
}

func (p *pusher) send(ctx context.Context, d directory.Device, to webpush.Subscription) error {
	service, err := p.sender.Service(to.Endpoint)
	if err != nil {
		return p.drop(ctx, d, "", "endpoint")
	}
	if wait := p.pauses.left(service, p.now()); wait > 0 {
		return later(wait, errPaused)
	}
	began := p.now()
	o, err := p.sender.Send(ctx, to, webpush.Message{
		Payload: payload(p.base, p.ids.make(d.ID, began)), TTL: timeToLive, Urgency: webpush.High, Topic: topic,
	})
	p.metrics.attempt(ctx, service, o.Verdict.String(), p.now().Sub(began))
	switch o.Verdict {
	case webpush.Sent:
		p.pauses.accepted(service)
		return nil
	case webpush.Dead:
		return p.drop(ctx, d, service, "gone")
	case webpush.Config:
		wait := p.pauses.refused(service, d.ID, p.now())
		p.log.LogAttrs(ctx, slog.LevelError, "push: service refuses our credentials or request; nothing dropped",
			slog.String("host", service), slog.Int("status", o.Status), slog.Duration("wait", wait))
		return later(wait, err)
	default:
		return later(o.After, err)
	}
}

// drop ends a device. When the store cannot say so the wake stays and the same word comes again.
func (p *pusher) drop(ctx context.Context, d directory.Device, service, reason string) error {
	if err := p.devices.DropDevice(ctx, d.ID, reason, p.now()); err != nil {
		return fmt.Errorf("push: drop device: %w", err)
	}
	p.metrics.dropped(ctx, service, reason)
	return nil
}

var errQuiet = errors.New("push: the patient's quiet hours")

var errPaused = errors.New("push: service is paused")

// later asks the consumer to deliver the wake again, after at least d.
func later(d time.Duration, cause error) error {
	return fault.Of(fault.CodeUnavailable).Wrap(cause).After(d)
}
