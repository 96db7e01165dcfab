package push_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/adapters/push"
	"github.com/dosewire/dosewire/adapters/push/webpush/webpushtest"
	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/internal/directory"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/filekey"
	"github.com/dosewire/dosewire/ledger/sqlite"
	"github.com/dosewire/dosewire/streams"
	"github.com/dosewire/dosewire/streams/embedded"
)

// hub is the adapter as a hub runs it: real stream, real database, real keys.
type hub struct {
	t       *testing.T
	js      jetstream.JetStream
	publish *streams.Publisher
	store   *sqlite.Store
	keys    *ledger.Keyring
	routes  http.Handler
	logs    *bytes.Buffer
	ended   chan error
	stop    context.CancelFunc
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func startHub(t *testing.T) *hub {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "private"), 0o700); err != nil {
		t.Fatal(err)
	}
	server := must[*embedded.Server](t)(embedded.Start(t.Context(),
		embedded.Config{Dir: filepath.Join(dir, "nats"), Key: bytes.Repeat([]byte{7}, embedded.KeySize)}, slog.New(slog.DiscardHandler)))
	t.Cleanup(func() { server.Close() })
	nc, err := server.Conn()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	h := &hub{t: t, logs: &bytes.Buffer{}, ended: make(chan error, 1)}
	h.js = must[jetstream.JetStream](t)(jetstream.New(nc))
	if err := streams.Ensure(t.Context(), h.js, streams.Settings{Epoch: 1}); err != nil {
		t.Fatal(err)
	}
	h.publish = must[*streams.Publisher](t)(streams.NewPublisher(nc))
	if err := errors.Join(sqlite.Migrate(t.Context(), filepath.Join(dir, "records.db")), sqlite.MigrateKeys(t.Context(), filepath.Join(dir, "keys.db"))); err != nil {
		t.Fatal(err)
	}
	h.store = must[*sqlite.Store](t)(sqlite.Open(t.Context(), filepath.Join(dir, "records.db")))
	t.Cleanup(func() { h.store.Close() })
	keyStore := must[*sqlite.Keys](t)(sqlite.OpenKeys(t.Context(), filepath.Join(dir, "keys.db")))
	t.Cleanup(func() { keyStore.Close() })
	h.keys = must[*ledger.Keyring](t)(ledger.OpenKeyring(t.Context(), keyStore, must[*filekey.Wrapper](t)(filekey.Open(filepath.Join(dir, "private", "kek")))))

	log := slog.New(slog.NewJSONHandler(h.logs, nil))
	dirs := directory.New(nil, nil)
	routes := adapters.NewRoutes(auth.NewVerifier(dirs), log)
	options, _ := json.Marshal(push.Options{KeyFile: filepath.Join(dir, "vapid.pem"), AllowLoopback: true})
	runner, err := push.Spec().New(options, adapters.Deps{Log: log, Now: time.Now, BaseURL: "http://127.0.0.1:8080", Routes: routes,
		Directory: dirs, Devices: h.store, Keys: h.keys, NATS: nc, Healthy: func() error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	h.routes = routes.Handler()
	ctx, stop := context.WithCancel(t.Context())
	h.stop = stop
	go func() { h.ended <- runner.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-h.ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return h
}

// patient is somebody with a key.
func (h *hub) patient() ledger.PatientKey {
	h.t.Helper()
	org := uuid.Must(uuid.NewV7())
	keys, err := h.keys.Patients(h.t.Context(), []ledger.PatientRef{{Org: org, Index: []ledger.Key{h.keys.Index(org, "patient", "s", "v")}}})
	if err != nil {
		h.t.Fatal(err)
	}
	return keys[0]
}

// device stores a browser as the inbox does.
func (h *hub) device(key ledger.PatientKey, subscription []byte) ledger.ID {
	h.t.Helper()
	d := directory.Device{ID: uuid.Must(uuid.NewV7()), Patient: key.Patient, KeyID: key.KeyID, Transport: "webpush", CreatedAt: time.Now()}
	r := ledger.Record{ID: d.ID, Of: d.ID, KeyID: d.KeyID, Type: "device", Version: 1}
	if _, err := ledger.Seal(key, &r, subscription); err != nil {
		h.t.Fatal(err)
	}
	d.Endpoint = r.Sealed
	if err := h.store.PutDevice(h.t.Context(), d); err != nil {
		h.t.Fatal(err)
	}
	return d.ID
}

func (h *hub) wake(device ledger.ID) {
	h.t.Helper()
	m := streams.Message{ID: "w." + uuid.NewString(), Subject: streams.PushSubject("webpush", device.String())}
	if err := h.publish.Publish(h.t.Context(), m); err != nil {
		h.t.Fatal(err)
	}
}

// until waits for something that another goroutine brings about.
func (h *hub) until(what string, ok func() bool) {
	h.t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			h.t.Fatalf("never: %s; log: %s", what, h.logs)
		case <-tick.C:
		}
	}
}

func (h *hub) waiting() uint64 {
	s, err := h.js.Stream(h.t.Context(), streams.Push)
	if err != nil {
		h.t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

// One patient, one phone: the wake is delivered and can be read by that browser alone, the stream is
// empty, the receipt is taken, and fifty more wakes in a burst are one push, or two.
func TestAWakeReachesThePhone(t *testing.T) {
	h := startHub(t)
	bodies := make(chan []byte, 64)
	gate := make(chan struct{})
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		bodies <- b
		<-gate
		w.WriteHeader(http.StatusCreated)
	}))
	defer service.Close()
	browser := must[*webpushtest.Browser](t)(webpushtest.NewBrowser())
	device := h.device(h.patient(), browser.Subscription(service.URL+"/canary"))
	h.wake(device)
	first := <-bodies // in flight
	for range 50 {
		h.wake(device)
	}
	close(gate)
	h.until("the stream is empty", func() bool { return h.waiting() == 0 })
	// One for the wake that was under way, one for all that came meanwhile; and one more where the
	// consumer held a wake already when a newer one took its place.
	if n := len(bodies) + 1; n < 2 || n > 3 {
		t.Errorf("%d pushes for 51 wakes, want 2, at most 3", n)
	}
	var got struct{ ID string }
	if err := json.Unmarshal(must[[]byte](t)(browser.Open(first)), &got); err != nil {
		t.Fatal(err)
	}
	for body, want := range map[string]int{`{"id":"` + got.ID + `"}`: 204, `{"id":"` + strings.Repeat("A", len(got.ID)) + `"}`: 400} {
		rec := httptest.NewRecorder()
		h.routes.ServeHTTP(rec, httptest.NewRequest("POST", "/push/ack", strings.NewReader(body)))
		if rec.Code != want {
			t.Errorf("receipt: got %d, want %d", rec.Code, want)
		}
	}
	rec := httptest.NewRecorder()
	h.routes.ServeHTTP(rec, httptest.NewRequest("GET", "/push/key", nil))
	if rec.Code != 200 || len(rec.Body.String()) != 87 {
		t.Errorf("key: %d, %d characters", rec.Code, rec.Body.Len())
	}
	if strings.Contains(h.logs.String(), "canary") {
		t.Error("the log names the endpoint")
	}
}

// 410 ends the device for good; 429 brings the wake back no sooner than asked.
func TestThePushServicesWordIsKept(t *testing.T) {
	h := startHub(t)
	times := make(chan time.Time, 8)
	gone := make(chan struct{}, 8)
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/gone" {
			gone <- struct{}{}
			w.WriteHeader(http.StatusGone)
			return
		}
		times <- time.Now()
		if len(times) == 1 {
			w.Header().Set("Retry-After", "2")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		w.WriteHeader(http.StatusCreated)
	}))
	defer service.Close()
	browser := must[*webpushtest.Browser](t)(webpushtest.NewBrowser())
	patient := h.patient()
	dead := h.device(patient, browser.Subscription(service.URL+"/gone"))
	busy := h.device(patient, browser.Subscription(service.URL+"/busy"))
	h.wake(dead)
	h.until("the device is dead", func() bool {
		d, err := h.store.Device(t.Context(), dead)
		return errors.Is(err, ledger.ErrNotFound) || err == nil && d.Dead == "gone"
	})
	h.wake(dead)
	h.wake(busy)
	h.until("the stream is empty", func() bool { return h.waiting() == 0 })
	if len(gone) != 1 {
		t.Errorf("%d pushes to a dead device", len(gone))
	}
	if len(times) != 2 {
		t.Fatalf("%d pushes to the busy one, want 2", len(times))
	}
	if waited := -(<-times).Sub(<-times); waited < 2*time.Second {
		t.Errorf("came back after %v, want at least 2 s", waited)
	}
	left := must[[]directory.Device](t)(h.store.Devices(t.Context(), patient.Patient))
	if len(left) != 1 || left[0].ID != busy {
		t.Errorf("live devices: %d", len(left))
	}
}
