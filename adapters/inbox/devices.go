package inbox

import (
	"context"
	"crypto/ecdh"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/internal/directory"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

const (
	transport = "webpush"
	// maxDevices bounds what one patient can make the hub push to; the oldest gives way.
	maxDevices = 10
	reasonOff  = "off"
)

// subscription is the Push API's PushSubscription.toJSON(), as the browser sends it and as it is
// sealed.
type subscription struct {
	Endpoint string `json:"endpoint"`
	Keys     struct {
		P256dh string `json:"p256dh"`
		Auth   string `json:"auth"`
	} `json:"keys"`
	Quiet directory.Quiet `json:"quiet,omitzero"` // of this device
}

var errSubscription = fault.New(fault.Invalid, "inbox: not a push subscription")

func parseSubscription(r io.Reader) (subscription, error) {
	var s subscription
	if err := json.NewDecoder(r).Decode(&s); err != nil {
		return s, errSubscription
	}
	u, err := url.Parse(s.Endpoint)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || len(s.Endpoint) > 2048 {
		return s, errSubscription
	}
	point, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(s.Keys.P256dh, "="))
	if err != nil {
		return s, errSubscription
	}
	if _, err := ecdh.P256().NewPublicKey(point); err != nil {
		return s, errSubscription
	}
	auth, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(s.Keys.Auth, "="))
	if err != nil || len(auth) != 16 {
		return s, errSubscription
	}
	return s, s.Quiet.Check()
}

// addDevice turns notifications on for the browser that asks. The endpoint is judged when it is
// pushed to (adapters/push), by the operator's list.
func (a *app) addDevice(w http.ResponseWriter, r *http.Request, s session) {
	sub, err := parseSubscription(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if err := a.putDevice(r.Context(), s, sub); err != nil {
		a.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (a *app) putDevice(ctx context.Context, s session, sub subscription) error {
	known, err := a.browsers(ctx, s)
	if err != nil {
		return err
	}
	d := directory.Device{Patient: s.patient, Transport: transport, CreatedAt: a.now()}
	if d.ID, err = uuid.NewV7(); err != nil {
		return fmt.Errorf("inbox: device id: %w", err)
	}
	for _, b := range known {
		if b.endpoint == sub.Endpoint {
			d.ID = b.ID // the same browser, with keys that may be new
		}
	}
	if len(known) >= maxDevices && d.ID != known[0].ID {
		if err := a.devices.DropDevice(ctx, known[0].ID, "replaced", a.now()); err != nil {
			return fmt.Errorf("inbox: drop device: %w", err)
		}
	}
	if err := a.seal(ctx, &d, sub); err != nil {
		return err
	}
	if err := a.devices.PutDevice(ctx, d); err != nil {
		return fmt.Errorf("inbox: put device: %w", err)
	}
	return nil
}

// seal fills d.Endpoint and d.KeyID.
func (a *app) seal(ctx context.Context, d *directory.Device, sub subscription) error {
	key, err := a.keys.ForPatient(ctx, d.Patient)
	if err != nil {
		return fmt.Errorf("inbox: device key: %w", err)
	}
	plain, err := json.Marshal(sub)
	if err != nil {
		return fmt.Errorf("inbox: device: %w", err)
	}
	d.KeyID = key.KeyID
	r := sealed(*d)
	if _, err := ledger.Seal(key, &r, plain); err != nil {
		return fmt.Errorf("inbox: seal device: %w", err)
	}
	d.Endpoint = r.Sealed
	return nil
}

// sealed is the record form in which a device's endpoint is sealed: ledger.Seal under the patient's
// key, bound to the device's id. adapters/push opens the same one.
func sealed(d directory.Device) ledger.Record {
	return ledger.Record{ID: d.ID, Of: d.ID, KeyID: d.KeyID, Type: "device", Version: 1, Sealed: d.Endpoint}
}

// browser is a device with its endpoint open.
type browser struct {
	directory.Device
	endpoint string // "" when it cannot be read
}

// browsers returns a person's live devices, oldest first.
func (a *app) browsers(ctx context.Context, s session) ([]browser, error) {
	devices, err := a.devices.DevicesOf(ctx, s.patients())
	if err != nil {
		return nil, fmt.Errorf("inbox: devices: %w", err)
	}
	out := make([]browser, 0, len(devices))
	for _, d := range devices {
		b := browser{Device: d}
		if b.endpoint, err = a.endpoint(ctx, d); err != nil && fault.KindOf(err) == fault.Unavailable {
			return nil, fmt.Errorf("inbox: device key: %w", err)
		}
		out = append(out, b)
	}
	return out, nil
}

func (a *app) endpoint(ctx context.Context, d directory.Device) (string, error) {
	key, err := a.keys.Key(ctx, d.KeyID)
	if err != nil {
		return "", err
	}
	plain, err := ledger.Open(key, sealed(d), nil)
	if err != nil {
		return "", err
	}
	var sub subscription
	if err := json.Unmarshal(plain, &sub); err != nil {
		return "", errSubscription
	}
	return sub.Endpoint, nil
}

// dropDevices turns notifications off: for the browser whose endpoint is sent as JSON, or for every
// device when the page's form is sent.
func (a *app) dropDevices(w http.ResponseWriter, r *http.Request, s session) {
	form := !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json")
	var one struct {
		Endpoint string `json:"endpoint"`
	}
	if !form {
		if err := json.NewDecoder(r.Body).Decode(&one); err != nil || one.Endpoint == "" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
	}
	known, err := a.browsers(r.Context(), s)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	var errs []error
	for _, b := range known {
		if form || b.endpoint == one.Endpoint {
			errs = append(errs, a.devices.DropDevice(r.Context(), b.ID, reasonOff, a.now()))
		}
	}
	switch err := errors.Join(errs...); {
	case err != nil:
		a.fail(w, r, err)
	case form:
		http.Redirect(w, r, "/inbox/", http.StatusSeeOther)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}
