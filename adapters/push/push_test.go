package push

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/dosewire/dosewire/adapters/push/webpush"
	"github.com/dosewire/dosewire/adapters/push/webpush/webpushtest"
	"github.com/dosewire/dosewire/internal/directory"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/streams"
)

// table is directory.Store's devices in memory.
type table struct {
	mu       sync.Mutex // guards what follows
	rows     map[ledger.ID]directory.Device
	receipts []string
	down     error
}

func (t *table) Device(_ context.Context, id ledger.ID) (directory.Device, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if d, ok := t.rows[id]; ok {
		return d, t.down
	}
	return directory.Device{}, errors.Join(t.down, ledger.ErrNotFound)
}

func (t *table) DropDevice(_ context.Context, id ledger.ID, reason string, _ time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := t.rows[id]
	d.Dead = reason
	t.rows[id] = d
	return t.down
}

func (t *table) Receipt(_ context.Context, device ledger.ID, wake string, _ time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.receipts = append(t.receipts, device.String()+" "+wake)
	return t.down
}

type ring map[ledger.ID]ledger.PatientKey

func (r ring) Key(_ context.Context, id ledger.ID) (ledger.PatientKey, error) {
	if k, ok := r[id]; ok {
		return k, nil
	}
	return ledger.PatientKey{}, ledger.ErrErased
}

func (ring) Index(org ledger.ID, parts ...string) ledger.Key {
	h := hmac.New(sha256.New, []byte("index key"))
	h.Write([]byte(strings.Join(parts, "\x00")))
	return ledger.Key{Org: org, Hash: ledger.Hash(h.Sum(nil))}
}

// service is a push service whose answers a test scripts.
type service struct {
	*httptest.Server
	mu     sync.Mutex // guards what follows
	answer func(w http.ResponseWriter, r *http.Request)
	bodies [][]byte
}

func newService(t *testing.T) *service {
	s := &service{answer: status(201)}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.bodies = append(s.bodies, body)
		s.answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func status(code int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// bench is a pusher with everything around it.
type bench struct {
	*pusher
	t       *testing.T
	table   *table
	ring    ring
	service *service
	logs    *bytes.Buffer
	clock   time.Time
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, table: &table{rows: map[ledger.ID]directory.Device{}}, ring: ring{},
		service: newService(t), logs: &bytes.Buffer{}, clock: time.Now().Truncate(time.Millisecond)}
	key, err := loadKey(filepath.Join(t.TempDir(), "vapid.pem"))
	if err != nil {
		t.Fatal(err)
	}
	const base = "https://rx.example"
	sender, err := webpush.New(webpush.Options{Key: key, AllowLoopback: true, Pad: padFor(base)})
	if err != nil {
		t.Fatal(err)
	}
	m, err := newMetrics()
	if err != nil {
		t.Fatal(err)
	}
	b.pusher = &pusher{log: slog.New(slog.NewJSONHandler(b.logs, nil)), now: func() time.Time { return b.clock },
		devices: b.table, keys: b.ring, ids: wakeIDs{b.ring}, sender: sender, base: base, pauses: newPauses(), flights: newFlights(), metrics: m}
	return b
}

// device registers a browser that listens at path of the service.
func (b *bench) device(path string) (ledger.ID, *webpushtest.Browser) {
	b.t.Helper()
	browser, err := webpushtest.NewBrowser()
	if err != nil {
		b.t.Fatal(err)
	}
	return b.sealed(browser.Subscription(b.service.URL + path)), browser
}

func (b *bench) sealed(subscription []byte) ledger.ID {
	b.t.Helper()
	d := directory.Device{ID: uuid.Must(uuid.NewV7()), Patient: uuid.Must(uuid.NewV7()), KeyID: uuid.Must(uuid.NewV7()), Transport: transport}
	key := ledger.PatientKey{Patient: d.Patient, KeyID: d.KeyID, Key: bytes.Repeat([]byte{7}, 32)}
	b.ring[d.KeyID] = key
	r := sealed(d)
	if _, err := ledger.Seal(key, &r, subscription); err != nil {
		b.t.Fatal(err)
	}
	d.Endpoint = r.Sealed
	b.table.rows[d.ID] = d
	return d.ID
}

func (b *bench) wakeDevice(id ledger.ID) error {
	return b.wake(b.t.Context(), streams.Message{Subject: streams.PushSubject(transport, id.String()), Time: b.clock})
}

func wantLater(t *testing.T, err error, atLeast time.Duration) {
	t.Helper()
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || e.Kind() != fault.Unavailable || e.RetryAfter() < atLeast {
		t.Errorf("got %v, want Unavailable after at least %v", err, atLeast)
	}
}

func TestAWakeSaysNothing(t *testing.T) {
	b := newBench(t)
	first, browser := b.device("/a")
	second, other := b.device("/b")
	for _, id := range []ledger.ID{first, second} {
		if err := b.wakeDevice(id); err != nil {
			t.Fatal(err)
		}
	}
	if len(b.service.bodies) != 2 || len(b.service.bodies[0]) != len(b.service.bodies[1]) {
		t.Fatalf("%d pushes of unequal length", len(b.service.bodies))
	}
	plain, err := browser.Open(b.service.bodies[0])
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(plain, &got); err != nil {
		t.Fatal(err)
	}
	id, _ := got["id"].(string)
	delete(got, "id")
	rest, _ := json.Marshal(got)
	const want = `{"notification":{"lang":"en","navigate":"https://rx.example/inbox/","tag":"inbox","title":"You have a new message"},"web_push":8030}`
	if string(rest) != want {
		t.Errorf("got  %s\nwant %s", rest, want)
	}
	if w, err := b.ids.parse(id); err != nil || w.Device != first || !w.Sent.Equal(b.clock) {
		t.Errorf("id: got %+v, %v", w, err)
	}
	if _, err := other.Open(b.service.bodies[0]); err == nil {
		t.Error("another browser read it")
	}
}

// TestQuietHours: a wake waits until they end, unless a medicine must not be collected any more.
func TestQuietHours(t *testing.T) {
	b := newBench(t)
	b.clock = time.Date(2026, 3, 2, 23, 30, 0, 0, time.UTC)
	browser, err := webpushtest.NewBrowser()
	if err != nil {
		t.Fatal(err)
	}
	plain := bytes.TrimSuffix(browser.Subscription(b.service.URL+"/a"), []byte("}"))
	id := b.sealed(append(plain, `,"quiet":{"from":"22:00","until":"07:00","zone":"UTC"}}`...))
	wantLater(t, b.wakeDevice(id), 7*time.Hour+30*time.Minute)
	if n := len(b.service.bodies); n != 0 {
		t.Fatalf("%d pushes at night", n)
	}
	urgent := streams.Message{Subject: streams.PushSubject(transport, id.String()), Time: b.clock, Header: nats.Header{streams.HeaderUrgent: {"1"}}}
	if err := b.wake(t.Context(), urgent); err != nil || len(b.service.bodies) != 1 {
		t.Errorf("urgent: %v, %d pushes", err, len(b.service.bodies))
	}
	b.clock = b.clock.Add(7*time.Hour + 30*time.Minute)
	if err := b.wakeDevice(id); err != nil || len(b.service.bodies) != 2 {
		t.Errorf("in the morning: %v, %d pushes", err, len(b.service.bodies))
	}
}

func TestOutcomes(t *testing.T) {
	for _, c := range []struct {
		name  string
		code  int
		after string
		dead  string
		wait  time.Duration // -1 = done
	}{
		{"taken", 201, "", "", -1},
		{"gone", 410, "", "gone", -1},
		{"unknown", 404, "", "gone", -1},
		{"too many", 429, "30", "", 30 * time.Second},
		{"down", 503, "", "", 0},
		{"credentials", 403, "", "", longestPause},
		{"our request", 413, "", "", longestPause},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			id, _ := b.device("/x")
			b.service.answer = func(w http.ResponseWriter, _ *http.Request) {
				if c.after != "" {
					w.Header().Set("Retry-After", c.after)
				}
				w.WriteHeader(c.code)
			}
			err := b.wakeDevice(id)
			if c.wait < 0 && err != nil {
				t.Fatal(err)
			}
			if c.wait >= 0 {
				wantLater(t, err, c.wait)
			}
			if got := b.table.rows[id].Dead; got != c.dead {
				t.Errorf("device: got %q, want %q", got, c.dead)
			}
			if alarm := strings.Contains(b.logs.String(), "refuses"); alarm != (c.wait == longestPause) {
				t.Errorf("alarm: got %v", alarm)
			}
		})
	}
}

func TestWhatCannotBePushedEnds(t *testing.T) {
	b := newBench(t)
	erased, _ := b.device("/a")
	delete(b.ring, b.table.rows[erased].KeyID)
	swapped, _ := b.device("/b")
	stranger, _ := b.device("/c")
	d := b.table.rows[swapped]
	d.Endpoint, d.KeyID = b.table.rows[stranger].Endpoint, b.table.rows[stranger].KeyID
	b.table.rows[swapped] = d
	browser, err := webpushtest.NewBrowser()
	if err != nil {
		t.Fatal(err)
	}
	internal := b.sealed(browser.Subscription("http://169.254.169.254/latest"))
	broken := b.sealed([]byte(`{"endpoint":"https://fcm.googleapis.com/x"}`))
	for id, want := range map[ledger.ID]string{erased: "erased", swapped: "unreadable", internal: "endpoint", broken: "unreadable"} {
		if err := b.wakeDevice(id); err != nil {
			t.Errorf("%s: %v", want, err)
		}
		if got := b.table.rows[id].Dead; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if len(b.service.bodies) != 0 {
		t.Error("something was sent")
	}
}

func TestNothingIsSentToNobody(t *testing.T) {
	b := newBench(t)
	dead, _ := b.device("/a")
	if err := b.table.DropDevice(t.Context(), dead, "off", b.clock); err != nil {
		t.Fatal(err)
	}
	old, _ := b.device("/b")
	late := streams.Message{Subject: streams.PushSubject(transport, old.String()), Time: b.clock.Add(-timeToLive - time.Second)}
	if err := errors.Join(b.wakeDevice(dead), b.wakeDevice(uuid.New()), b.wake(t.Context(), late)); err != nil {
		t.Fatal(err)
	}
	if err := b.wake(t.Context(), streams.Message{Subject: "push.webpush.x"}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("bad subject: got %v", err)
	}
	if len(b.service.bodies) != 0 {
		t.Error("something was sent")
	}
}

func TestADatabaseThatIsDownKeepsTheWake(t *testing.T) {
	b := newBench(t)
	id, _ := b.device("/a")
	b.table.down = fault.Of(fault.CodeUnavailable)
	if err := b.wakeDevice(id); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("got %v", err)
	}
}

func TestOneRefusedDeviceDoesNotStopTheOthers(t *testing.T) {
	b := newBench(t)
	bad, _ := b.device("/bad")
	good, _ := b.device("/good")
	b.service.answer = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/bad" {
			w.WriteHeader(403)
			return
		}
		w.WriteHeader(201)
	}
	for range 5 {
		wantLater(t, b.wakeDevice(bad), longestPause)
		if err := b.wakeDevice(good); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAServiceThatRefusesEverybodyIsPaused(t *testing.T) {
	b := newBench(t)
	one, _ := b.device("/1")
	two, _ := b.device("/2")
	b.service.answer = status(401)
	wantLater(t, b.wakeDevice(one), longestPause)
	wantLater(t, b.wakeDevice(two), firstPause)
	for range 3 {
		wantLater(t, b.wakeDevice(one), time.Second)
	}
	if n := len(b.service.bodies); n != 2 {
		t.Errorf("%d requests, want 2: the pause is not kept", n)
	}
	b.clock = b.clock.Add(firstPause)
	wantLater(t, b.wakeDevice(one), 2*firstPause)
	b.clock = b.clock.Add(2 * firstPause)
	b.service.answer = status(201)
	if err := errors.Join(b.wakeDevice(one), b.wakeDevice(two)); err != nil {
		t.Errorf("after the pause: %v", err)
	}
	if b.table.rows[one].Dead+b.table.rows[two].Dead != "" {
		t.Error("a device was dropped")
	}
}

func TestLogsHoldNoEndpoint(t *testing.T) {
	b := newBench(t)
	id, _ := b.device("/canary-endpoint")
	b.service.answer = status(403)
	err := b.wakeDevice(id)
	b.service.Close()
	b.clock = b.clock.Add(time.Hour)
	err = errors.Join(err, b.wakeDevice(id))
	if text := b.logs.String() + err.Error(); strings.Contains(text, "canary") || strings.Contains(text, b.service.URL) {
		t.Errorf("names the endpoint: %s", text)
	}
}

func TestReceipts(t *testing.T) {
	b := newBench(t)
	r := &receipts{log: b.log, now: b.now, devices: b.table, ids: b.ids, metrics: b.metrics}
	post := func(body string) int {
		w := httptest.NewRecorder()
		r.ServeHTTP(w, httptest.NewRequest("POST", "/push/ack", strings.NewReader(body)))
		return w.Code
	}
	device := uuid.Must(uuid.NewV7())
	id := b.ids.make(device, b.clock)
	if len(id) != 48 || id == b.ids.make(device, b.clock) {
		t.Errorf("id %q is not fresh or not 48 characters", id)
	}
	forged := "A" + id[1:]
	if id[0] == 'A' {
		forged = "B" + id[1:]
	}
	old := b.ids.make(device, b.clock.Add(-maxReceiptAge-time.Second))
	for _, c := range []struct {
		name, body string
		want       int
	}{
		{"ours", `{"id":"` + id + `"}`, 204},
		{"forged", `{"id":"` + forged + `"}`, 400},
		{"old", `{"id":"` + old + `"}`, 400},
		{"empty", `{}`, 400},
		{"not JSON", `x`, 400},
		{"long", `{"id":"` + strings.Repeat("A", 300) + `"}`, 400},
	} {
		if got := post(c.body); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
	if len(b.table.receipts) != 1 || !strings.HasPrefix(b.table.receipts[0], device.String()+" ") {
		t.Errorf("receipts: %v", b.table.receipts)
	}
	b.table.down = fault.Of(fault.CodeUnavailable)
	if got := post(`{"id":"` + id + `"}`); got != 503 {
		t.Errorf("database down: got %d", got)
	}
}

func TestThePayloadFitsAnyBase(t *testing.T) {
	for _, base := range []string{"http://127.0.0.1:8080", "https://" + strings.Repeat("long.", 40) + "example"} {
		if n, pad := len(payload(base, strings.Repeat("A", 48))), padFor(base); n >= pad || pad%256 != 0 {
			t.Errorf("payload of %d in %d", n, pad)
		}
	}
}
