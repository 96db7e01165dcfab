package inbox

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/fhir/safety"
	"github.com/dosewire/dosewire/internal/directory"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/receipt"
)

// Options of the adapter.
type Options struct {
	// TimeZone is the IANA name in which times are written, such as America/Chicago. "" means UTC.
	// With JavaScript the phone's own zone is used.
	TimeZone string `json:"timeZone"`
}

// Spec is this adapter for adapters/all.
func Spec() adapters.Spec { return adapters.Define("inbox", open) }

// records is what the inbox reads; adapters.Records.
type records interface {
	ReadAll(ctx context.Context, who adapters.Reader, records []ledger.ID) ([]adapters.Plain, error)
	Prove(ctx context.Context, who adapters.Reader, record ledger.ID, whole func(adapters.Plain) bool) (receipt.Receipt, error)
	Prescription(ctx context.Context, id ledger.ID) (ledger.Prescription, error)
	PatientPrescriptions(ctx context.Context, patient ledger.ID) ([]ledger.Prescription, error)
	PrescriptionDispenses(ctx context.Context, id ledger.ID) ([]ledger.Dispense, error)
	Versions(ctx context.Context, of ledger.ID) ([]ledger.Record, error)
	Linked(ctx context.Context, patients []ledger.ID) (map[ledger.ID][]ledger.ID, error)
}

// organizations names clinics and pharmacies; *directory.Directory.
type organizations interface {
	Organization(id ledger.ID) (ledger.Organization, bool)
	Organizations() []ledger.Organization
}

// keyring finds keys and indexes; *ledger.Keyring.
type keyring interface {
	Index(org ledger.ID, parts ...string) ledger.Key
	ForPatient(ctx context.Context, patient ledger.ID) (ledger.PatientKey, error)
	Key(ctx context.Context, id ledger.ID) (ledger.PatientKey, error)
}

// app is the opened adapter. Safe for concurrent use.
type app struct {
	log       *slog.Logger
	now       func() time.Time
	zone      *time.Location
	secure    bool // served over https
	records   records
	orgs      organizations
	keys      keyring
	classes   *safety.Map
	devices   directory.Store
	submit    adapters.Submitter
	subscribe subscribe
	policy    func() ([]byte, error) // whose signatures to believe; nil = nothing is published
	streams   *streamCount
	pages     *pages
}

func open(o Options, d adapters.Deps) (adapters.Runner, error) {
	zone, err := time.LoadLocation(o.TimeZone)
	if err != nil {
		return nil, fault.New(fault.Invalid, "inbox: timeZone is not known").Wrap(err)
	}
	p, err := parsePages(zone)
	if err != nil {
		return nil, err
	}
	a := &app{log: d.Log, now: d.Now, zone: zone, secure: strings.HasPrefix(d.BaseURL, "https://"),
		classes: d.Map, records: d.Records, orgs: d.Directory, keys: d.Keys, devices: d.Devices, submit: d.Submit, policy: d.Policy,
		subscribe: subscribeNATS(d.NATS), streams: newStreamCount(), pages: p}
	for _, r := range a.routes() {
		d.Routes.Public(r.pattern, r.handler)
	}
	return a, nil
}

// Run ends the live streams when ctx is done, and returns when they have ended. Everything else is
// served by the hub's HTTP server.
func (a *app) Run(ctx context.Context) error {
	<-ctx.Done()
	a.streams.close()
	return nil
}

type route struct {
	pattern string
	handler http.Handler
}

// routes is the whole surface of the inbox.
func (a *app) routes() []route {
	r := []route{
		{"GET /{$}", http.RedirectHandler("/inbox/", http.StatusFound)},
		{"GET /inbox", http.RedirectHandler("/inbox/", http.StatusPermanentRedirect)},
		{"GET /inbox/{$}", a.signedIn(a.list)},
		{"GET /inbox/p/{id}", a.signedIn(a.detail)},
		{"GET /inbox/p/{id}/check", a.signedIn(a.check)},
		{"GET /inbox/p/{id}/receipt", a.signedIn(a.receipt)},
		{"GET /inbox/p/{id}/original", a.signedIn(a.original)},
		{"GET /inbox/policy", http.HandlerFunc(a.trust)},
		{"GET /inbox/p/{id}/code", a.signedIn(a.code)},
		{"POST /inbox/p/{id}/code", a.signedIn(a.makeCode)},
		{"POST /inbox/p/{id}/pharmacy", a.signedIn(a.choosePharmacy)},
		{"GET /inbox/s/{token}", http.HandlerFunc(a.landing)},
		{"POST /inbox/s", http.HandlerFunc(a.redeem)},
		{"POST /inbox/join", a.signedIn(a.join)},
		{"GET /inbox/from/{ref}", a.signedIn(a.part)},
		{"POST /inbox/from/{ref}", a.signedIn(a.unlink)},
		{"POST /inbox/signout", http.HandlerFunc(a.signOut)},
		{"GET /inbox/live", a.signedIn(a.live)},
		{"POST /inbox/devices", a.signedIn(a.addDevice)},
		{"POST /inbox/devices/off", a.signedIn(a.dropDevices)},
		{"GET /inbox/static/{file}", http.HandlerFunc(a.pages.static)},
		{"GET /inbox/sw.js", http.HandlerFunc(a.pages.static)},
		{"GET /inbox/app.webmanifest", http.HandlerFunc(a.pages.static)},
		{"GET /inbox/", http.HandlerFunc(a.notFound)},
	}
	for i := range r {
		r[i].handler = guarded(r[i].handler)
	}
	return r
}

// subscribe calls changed for each message on a subject until stop is called.
type subscribe func(subject string, changed func()) (stop func(), err error)

func subscribeNATS(nc *nats.Conn) subscribe {
	return func(subject string, changed func()) (func(), error) {
		sub, err := nc.Subscribe(subject, func(*nats.Msg) { changed() })
		if err != nil {
			return nil, fault.Of(fault.CodeUnavailable).Wrap(err)
		}
		return func() {
			// An ended connection has ended the subscription with it.
			if err := sub.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) && !errors.Is(err, nats.ErrBadSubscription) {
				return
			}
		}, nil
	}
}
