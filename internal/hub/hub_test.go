package hub

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/hub/admin"
	"github.com/dosewire/dosewire/streams"
)

// lab is the configuration of a hub on free ports in its own folder.
func lab(t *testing.T) Config {
	t.Helper()
	dir, err := os.MkdirTemp("", "hub") // t.TempDir's paths are too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return Config{Data: dir, HTTP: HTTP{Address: "127.0.0.1:0"}, NATS: NATS{Address: "127.0.0.1:0", MaxStore: 1024}, MemoryLimit: -1}
}

// diaryLog collects a hub's log.
type diaryLog struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *diaryLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *diaryLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// run starts a hub and returns it when it is ready; stop stops it and returns what Run returned.
func run(t *testing.T, c Config, specs ...adapters.Spec) (h *Hub, stop func() error) {
	t.Helper()
	log := &diaryLog{}
	h, err := New(t.Context(), c, Options{Adapters: specs, Log: log, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return h, start(t, h, log)
}

// start runs a hub and returns when it is ready.
func start(t *testing.T, h *Hub, log *diaryLog) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	select {
	case <-h.Ready():
	case err := <-done:
		t.Fatalf("the hub ended: %v\n%s", err, log)
	case <-time.After(30 * time.Second):
		cancel()
		t.Fatalf("the hub is not ready after 30 s\n%s", log)
	}
	stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() {
		if err := stop(); t.Failed() {
			t.Logf("the hub ended: %v\n%s", err, log)
		}
	})
	return stop
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestLifeOfAHub(t *testing.T) {
	c := lab(t)
	h, stop := run(t, c)
	op := admin.NewClient(h.AdminSocket())

	for path, want := range map[string]string{"/livez": "ok", "/readyz": `"ready":true`, "/metrics": "go_goroutines"} {
		if status, body := get(t, h.URL()+path); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %.200s, want 200 and %s", path, status, body, want)
		}
	}
	if _, err := New(t.Context(), c, Options{}); !errors.Is(err, ErrRunning) {
		t.Errorf("a second hub on the same folder: %v, want ErrRunning", err)
	}

	cred, err := op.AddOrganization(t.Context(), admin.NewOrganization{Kind: "pharmacy", Name: "Old Bridge", Identifiers: []string{"urn:npi|1"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := op.AddOrganization(t.Context(), admin.NewOrganization{Kind: "pharmacy", Name: "Impostor", Identifiers: []string{"urn:npi|1"}}); fault.CodeOf(err) != fault.CodeIdentifierUse {
		t.Errorf("an identifier of another: %v, want %s", err, fault.CodeIdentifierUse)
	}
	listens(t, cred)

	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if op.Running(t.Context()) {
		t.Error("the admin socket still answers")
	}
	verdict, err := VerifyStore(t.Context(), c, admin.Verification{}, nil)
	if err != nil || verdict.Bad != nil || verdict.Entries < 2 {
		t.Errorf("verify the closed store: %+v, %v", verdict, err)
	}

	// A restart knows the organisation, and so does a hub whose broker lost everything.
	for _, lose := range []bool{false, true} {
		if lose {
			if err := os.RemoveAll(c.streamsDir()); err != nil {
				t.Fatal(err)
			}
		}
		h, stop := run(t, c)
		orgs, err := admin.NewClient(h.AdminSocket()).Organizations(t.Context())
		if err != nil || len(orgs) != 1 || orgs[0].Name != "Old Bridge" || orgs[0].Identifiers[0] != "urn:npi|1" {
			t.Errorf("after a restart (streams lost: %v): %+v, %v", lose, orgs, err)
		}
		cred.NATS = h.NATSURL()
		listens(t, cred)
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

// listens checks that a credential reaches its own consumer and nothing of the hub's.
func listens(t *testing.T, c admin.Credential) {
	t.Helper()
	nc, err := nats.Connect(c.NATS, nats.UserInfo(c.User, c.Token), nats.CustomInboxPrefix("_INBOX_"+c.Org),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // refusals are what we look for
	if err != nil {
		t.Fatalf("connect with the credential: %v", err)
	}
	defer nc.Close()
	consumer := streams.Delivery + "." + streams.ConsumerName(c.Org)
	info, err := nc.Request("$JS.API.CONSUMER.INFO."+consumer, nil, 5*time.Second)
	var answer struct{ Name string }
	if err != nil || json.Unmarshal(info.Data, &answer) != nil || answer.Name != streams.ConsumerName(c.Org) {
		t.Errorf("consumer info: %v", err)
	}
	if _, err := nc.Request("$JS.API.STREAM.PURGE."+streams.Intake, nil, 200*time.Millisecond); err == nil {
		t.Error("an organisation may purge the intake")
	}
	if _, err := nats.Connect(c.NATS, nats.UserInfo(c.User, c.Token+"x")); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("a wrong token: %v, want ErrAuthorization", err)
	}
}

func TestReadinessNamesTheComponent(t *testing.T) {
	h, _ := run(t, lab(t))
	h.broker.healthy = func() error { return fault.Of(fault.CodeUnavailable) }
	status, body := get(t, h.URL()+"/readyz")
	if status != 503 || !strings.Contains(body, `"broker":"unavailable"`) || !strings.Contains(body, `"store":"ok"`) {
		t.Errorf("/readyz: %d %s", status, body)
	}
	if status, _ := get(t, h.URL()+"/livez"); status != 200 {
		t.Errorf("/livez: %d while a component is unwell, want 200", status)
	}
}

// stub is an adapter that runs until told to stop, or fails.
type stub struct{ fail chan error }

func (s stub) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.fail:
		return err
	}
}

func TestFailingAdapterEndsTheHub(t *testing.T) {
	s, broken := stub{make(chan error, 1)}, errors.New("broken")
	spec := adapters.Spec{Name: "stub", New: func(json.RawMessage, adapters.Deps) (adapters.Runner, error) { return s, nil }}
	h, err := New(t.Context(), lab(t), Options{Adapters: []adapters.Spec{spec}, Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- h.Run(t.Context()) }()
	s.fail <- broken // it is taken when the adapter runs
	if err := <-done; !errors.Is(err, broken) || !strings.Contains(err.Error(), "adapters: stub") {
		t.Errorf("Run: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"a cluster":       {func(c *Config) { *c = cluster(*c) }, "not served by this version"},
		"unknown adapter": {func(c *Config) { c.Adapters = map[string]json.RawMessage{"fax": nil} }, "adapters.fax"},
		"a taken address": {func(c *Config) { c.HTTP.Address = taken(t) }, "http.address is not free"},
	} {
		c := lab(t)
		row.change(&c)
		if _, err := New(t.Context(), c, Options{Log: io.Discard}); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want %q", name, err, row.want)
		}
		if _, err := os.Stat(c.AdminSocket()); err == nil {
			t.Errorf("%s: the admin socket is left over", name)
		}
	}
}

func cluster(c Config) Config {
	c.Mode, c.BaseURL = Cluster, "https://rx.example"
	c.NATS.URLs, c.NATS.Credentials = []string{"tls://nats:4222"}, "hub.creds"
	c.Store = Store{DSN: "postgres://a/records", KeysDSN: "postgres://b/keys"}
	return c
}

// taken is an address that somebody listens on.
func taken(t *testing.T) string {
	url, _ := server(t, time.Second, http.NotFoundHandler())
	return strings.TrimPrefix(url, "http://")
}

func TestParseIdentifier(t *testing.T) {
	for text, ok := range map[string]bool{"urn:npi|1": true, "http://a|b|c": true, "|1": false, "urn|": false, "urn": false, "": false} {
		id, err := parseIdentifier(text)
		if (err == nil) != ok || ok && id.System+"|"+id.Value != text {
			t.Errorf("%q: %+v, %v", text, id, err)
		}
	}
}
