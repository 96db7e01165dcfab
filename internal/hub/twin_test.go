package hub

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/adapters/clinic"
	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/internal/directory"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/receipt"
	"github.com/dosewire/dosewire/ledger/recorder"
	"github.com/dosewire/dosewire/streams"
	"github.com/dosewire/dosewire/streams/embedded"
)

var (
	rounds = flag.Int("rounds", 60, "rounds of parallel conditional creates")
	atOnce = flag.Int("at-once", 16, "creates in each round")
)

// twin is the part of a hub that takes prescriptions and records them, without a broker of its own: two of
// them share one database and one broker, as the hubs of a cluster do.
type twin struct {
	databases databases
	keys      *ledger.Keyring
	directory *directory.Directory
	nc        *nats.Conn
	caller    *streams.Caller
	http      *httptest.Server
	streams   streams.Settings

	stop context.CancelFunc
	done chan error // gives what the recorder ended with
}

// newTwin opens everything; its recorder leads, or stands by while another does.
func newTwin(t *testing.T, c Config, broker *embedded.Server) *twin {
	t.Helper()
	w := &twin{streams: c.streamSettings()}
	var err error
	ok := func() {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	w.databases, err = openStores(t.Context(), c)
	ok()
	w.keys, err = ledger.OpenKeyring(t.Context(), w.databases.keys, w.databases.wrapper)
	ok()
	orgs, clients, err := w.databases.records.Directory(t.Context())
	ok()
	w.directory = directory.New(orgs, clients)
	w.nc, err = broker.Conn()
	ok()
	publisher, err := streams.NewPublisher(w.nc)
	ok()
	w.caller, err = streams.NewCaller(w.nc, publisher, nil)
	ok()
	w.record()

	verifier, log := auth.NewVerifier(w.directory), slog.New(slog.DiscardHandler)
	routes := adapters.NewRoutes(verifier, log)
	_, err = clinic.Spec().New(nil, adapters.Deps{Log: log, Now: time.Now, BaseURL: "http://hub.example", Routes: routes, Auth: verifier,
		Directory: w.directory, Submit: w.caller, Records: NewRecords(w.databases.records, w.keys, time.Now, receipt.TilesAt(t.TempDir())),
		Examined: &fhir.Examinations{}, Devices: w.databases.records, Keys: w.keys, NATS: w.nc, Healthy: func() error { return nil }})
	ok()
	w.http = httptest.NewServer(routes.Handler())
	t.Cleanup(func() {
		w.http.Close()
		w.rest()
		_ = w.caller.Close()
		w.nc.Close()
		_ = w.databases.close()
	})
	return w
}

// record runs a recorder until rest is called.
func (w *twin) record() {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	w.stop, w.done = stop, done
	go func() {
		defer close(done)
		r, err := recorder.Open(ctx, recorder.Config{}, recorder.Deps{Store: w.databases.records, Reader: w.databases.records, Keys: w.keys,
			NATS: w.nc, Directory: w.directory, Devices: w.databases.records, Streams: w.streams})
		if err != nil {
			done <- err
			return
		}
		done <- r.Run(ctx)
	}()
}

func (w *twin) rest() {
	w.stop()
	select {
	case <-w.done:
	case <-time.After(20 * time.Second):
	}
}

// member makes a clinic by its fact, and returns its token.
func (w *twin) member(t *testing.T) (id ledger.ID, token string) {
	t.Helper()
	org := ledger.Organization{ID: uuid.Must(uuid.NewV7()), Kind: "clinic", Name: "Riverside"}
	var secret [32]byte
	rand.Read(secret[:])
	client := ledger.Client{ID: uuid.Must(uuid.NewV7()), Org: org.ID, Secret: sha256.Sum256(secret[:])}
	body, err := json.Marshal(recorder.OrganizationFact{Organization: org, Clients: []ledger.Client{client}})
	if err != nil {
		t.Fatal(err)
	}
	a, err := w.caller.Call(t.Context(), streams.Message{ID: "hub." + rand.Text(), Subject: streams.FactSubject(recorder.FactOrganization), Body: body}, 20*time.Second)
	if err != nil || a.Status != 201 {
		select {
		case err := <-w.done:
			t.Fatalf("recorder: %v", err)
		default:
		}
		t.Fatalf("organisation: %+v %v", a, err)
	}
	return org.ID, auth.Token(client.ID, secret)
}

// twins are two hubs over one PostgreSQL and one broker, and a clinic that both know. The first leads.
func twins(t *testing.T) ([2]*twin, ledger.ID, string) {
	t.Helper()
	c := lab(t)
	c.Store = Store{DSN: postgresServer.Database(t), KeysDSN: postgresServer.Database(t), Migrate: true}
	c = c.WithDefaults()
	broker, err := embedded.Start(t.Context(), embedded.Config{Address: "127.0.0.1:0", Dir: c.streamsDir(), Key: bytes.Repeat([]byte{7}, 32),
		MaxStore: int64(c.NATS.MaxStore) << 20, Auth: gatekeeper{auth.NewVerifier(directory.New(nil, nil))}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	first := newTwin(t, c, broker)
	org, token := first.member(t)
	return [2]*twin{first, newTwin(t, c, broker)}, org, token
}

// outcome is what one create was answered.
type outcome struct {
	status   int
	location string // without the version
	replayed bool
	body     string
}

func create(ctx context.Context, client *http.Client, url, token, body string, headers ...string) (o outcome, err error) {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, time.Second) { // as a client does: 503 is asked again
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/fhir/MedicationRequest", strings.NewReader(body))
		if err != nil {
			return o, err
		}
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/fhir+json")
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			r.Header.Set(name, value)
		}
		resp, err := client.Do(r)
		if err != nil {
			return o, err
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			return o, err
		}
		if resp.StatusCode == http.StatusServiceUnavailable {
			time.Sleep(wait)
			continue
		}
		o = outcome{status: resp.StatusCode, replayed: resp.Header.Get("Idempotent-Replayed") != "", body: string(text)}
		o.location, _, _ = strings.Cut(resp.Header.Get("Location"), "/_history/")
		return o, nil
	}
}

// TestParallelCreatesOnTwoHubs: creates of one prescription at once, through two hubs in turn, under
// If-None-Exist and under one Idempotency-Key: exactly one prescription each time, also while the recorder
// that leads goes away. -rounds 1000 -at-once 64 is the long run.
func TestParallelCreatesOnTwoHubs(t *testing.T) {
	if testing.Short() {
		t.Skip("short: needs PostgreSQL")
	}
	hubs, org, token := twins(t)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: *atOnce}, Timeout: time.Minute}
	duplicates, answers, made := 0, 0, map[string]bool{}
	began := time.Now()
	for round := range *rounds {
		id := fmt.Sprintf("R-%d", round)
		body := prescription(id, "Ibuprofen 400 mg", "")
		got := make([]outcome, *atOnce)
		var all sync.WaitGroup
		for i := range got {
			headers := []string{"If-None-Exist: identifier=urn:rx|" + id, fmt.Sprintf("Idempotency-Key: %s-%d", id, i)}
			if round%4 == 3 { // the same message, many times
				headers = []string{"Idempotency-Key: " + id}
			}
			all.Go(func() {
				var err error
				if got[i], err = create(t.Context(), client, hubs[i%2].http.URL, token, body, headers...); err != nil {
					t.Error(err)
				}
			})
		}
		if round == *rounds/2 {
			hubs[0].rest() // the second hub's recorder takes over in the middle of this round
			hubs[0].record()
		}
		all.Wait()
		created, places := 0, map[string]bool{}
		for _, o := range got {
			if o.status/100 != 2 {
				t.Fatalf("round %d: %d %s", round, o.status, o.body)
			}
			if o.status == http.StatusCreated {
				created++
			}
			places[o.location] = true
			answers++
		}
		// the creating answer can be lost when its hub's recorder goes; it is then fetched as a repeat
		if created > 1 || created == 0 && round != *rounds/2 || len(places) != 1 {
			duplicates++
			t.Errorf("round %d: %d created, at %d places", round, created, len(places))
		}
		for place := range places {
			made[place] = true
		}
	}
	took := time.Since(began)
	for _, h := range hubs {
		h.rest()
	}
	if len(made) != *rounds {
		t.Errorf("%d prescriptions for %d rounds", len(made), *rounds)
	}
	verifyTwins(t, hubs[1], org, *rounds)
	t.Logf("%d rounds × %d creates on two hubs: %d answers, %d duplicates, %.0f answers/s", *rounds, *atOnce, answers, duplicates, float64(answers)/took.Seconds())
}

// verifyTwins counts what the database has, which no answer can hide, and walks the chain.
func verifyTwins(t *testing.T, w *twin, org ledger.ID, want int) {
	t.Helper()
	_, _, err := ledger.Verify(t.Context(), w.databases.records, ledger.Head{Leaf: ledger.Origin(Config{}.WithDefaults().Ledger.Origin)}, nil)
	if err != nil {
		t.Errorf("verify: %v", err)
	}
	patient, found, err := w.keys.Find(t.Context(), []ledger.PatientRef{{Org: org, Index: []ledger.Key{w.keys.Index(org, "patient", "urn:mrn", "M-1")}}})
	if err != nil || !found[0] {
		t.Fatalf("patient: %v", err)
	}
	rows, err := w.databases.records.PatientPrescriptions(t.Context(), patient[0].Patient)
	if err != nil || len(rows) != want {
		t.Errorf("%d prescriptions in the database, want %d (%v)", len(rows), want, err)
	}
}
