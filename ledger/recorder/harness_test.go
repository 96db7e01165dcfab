package recorder_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dosewire/dosewire/internal/directory"
	"github.com/dosewire/dosewire/internal/testenv"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/filekey"
	"github.com/dosewire/dosewire/ledger/postgres"
	"github.com/dosewire/dosewire/ledger/recorder"
	"github.com/dosewire/dosewire/ledger/sqlite"
	"github.com/dosewire/dosewire/streams"
	"github.com/dosewire/dosewire/streams/embedded"
)

// hub is a recorder on real parts: an embedded NATS server, SQLite files, a key file. Its folder
// outlives every start, so that tests can stop it at any point and start it again.
type hub struct {
	t      testing.TB
	dir    string
	config recorder.Config
	wrap   func(recorder.Store) recorder.Store // between the recorder and its store; nil = none
	reads  func(ledger.Reader) ledger.Reader   // between the recorder and what it reads by; nil = none
	keysBy func(keyStore) keyStore             // between the key ring and its store; nil = none
	harmed bool                                // the test has changed what is stored: it need not agree in the end

	server    *embedded.Server
	nc        *nats.Conn
	js        jetstream.JetStream
	store     records
	keysStore keyStore
	dsn       [2]string // PostgreSQL databases for records and keys; "" = SQLite files in dir
	keys      *ledger.Keyring
	dirs      *directory.Directory
	publisher *streams.Publisher
	caller    *streams.Caller
	callers   streams.Callers
	streams   streams.Settings
	recorder  *recorder.Recorder
	stop      context.CancelFunc
	done      chan error

	clinic, clinic2, oldBridge, harbour ledger.Organization
}

func open(t testing.TB, options ...func(*hub)) *hub {
	t.Helper()
	h := &hub{t: t, dir: t.TempDir()}
	for _, o := range options {
		o(h)
	}
	h.start()
	t.Cleanup(h.close)
	h.clinic = h.add("clinic", "Riverside Family Practice", "1902847563")
	h.clinic2 = h.add("clinic", "Northgate Heart Clinic", "1447206385")
	h.oldBridge = h.add("pharmacy", "Old Bridge Pharmacy", "1558203947")
	h.harbour = h.add("pharmacy", "Harbour Street Pharmacy", "1336490128")
	return h
}

func (h *hub) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// start opens every part on the folder and runs the recorder.
func (h *hub) start() {
	h.t.Helper()
	ctx := context.Background()
	if h.config.Log == nil {
		h.config.Log = slog.New(slog.NewTextHandler(h.t.Output(), nil))
	}
	var err error
	wrapper, err := filekey.Open(filepath.Join(h.dir, "keys", "kek"))
	h.must(err)
	h.openStores(ctx)
	if h.keysBy != nil {
		h.keysStore = h.keysBy(h.keysStore)
	}
	h.keys, err = ledger.OpenKeyring(ctx, h.keysStore, wrapper)
	h.must(err)
	orgs, clients, err := h.store.Directory(ctx)
	h.must(err)
	h.dirs = directory.New(orgs, clients)
	h.server, err = embedded.Start(ctx, embedded.Config{Dir: filepath.Join(h.dir, "nats"), Key: bytes.Repeat([]byte{7}, 32), Auth: deny{}}, h.config.Log)
	h.must(err)
	h.nc, err = h.server.Conn()
	h.must(err)
	h.js, err = jetstream.New(h.nc)
	h.must(err)
	h.publisher, err = streams.NewPublisher(h.nc)
	h.must(err)
	h.caller, err = streams.NewCaller(h.nc, h.publisher, &h.callers)
	h.must(err)
	h.lead()
	for _, org := range orgs {
		h.must(streams.EnsureConsumer(ctx, h.js, org.ID.String()))
	}
}

// records is everything that a records database offers.
type records interface {
	recorder.Store
	ledger.Reader
	ledger.StateReader
	directory.Store
	Close() error
}

type keyStore interface {
	ledger.KeyStore
	Close() error
}

func (h *hub) openStores(ctx context.Context) {
	h.t.Helper()
	if h.dsn[0] != "" {
		h.must(postgres.Migrate(ctx, h.dsn[0]))
		h.must(postgres.MigrateKeys(ctx, h.dsn[1]))
		store, err := postgres.Open(ctx, postgres.Config{DSN: h.dsn[0]})
		h.must(err)
		keys, err := postgres.OpenKeys(ctx, postgres.Config{DSN: h.dsn[1]})
		h.must(err)
		h.store, h.keysStore = store, keys
		return
	}
	records, keys := filepath.Join(h.dir, "records.db"), filepath.Join(h.dir, "keys.db")
	h.must(sqlite.Migrate(ctx, records))
	h.must(sqlite.MigrateKeys(ctx, keys))
	store, err := sqlite.Open(ctx, records)
	h.must(err)
	k, err := sqlite.OpenKeys(ctx, keys)
	h.must(err)
	h.store, h.keysStore = store, k
}

// server is one PostgreSQL for all tests here.
var server testenv.Shared

func TestMain(m *testing.M) { os.Exit(server.Run(m)) }

// onPostgres puts the hub on PostgreSQL.
func (h *hub) onPostgres() { h.dsn = [2]string{server.Database(h.t), server.Database(h.t)} }

type deny struct{}

func (deny) Check(string, string) (streams.Permissions, error) {
	return streams.Permissions{}, io.EOF
}

// lead opens and runs a recorder on the parts that are there.
func (h *hub) lead() {
	h.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var store recorder.Store = h.store
	if h.wrap != nil {
		store = h.wrap(store)
	}
	opening, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	reader := ledger.Reader(h.store)
	if h.reads != nil {
		reader = h.reads(reader)
	}
	r, err := recorder.Open(opening, h.config, recorder.Deps{Store: store, Reader: reader, Keys: h.keys, NATS: h.nc,
		Directory: h.dirs, Devices: h.store, Callers: &h.callers, Streams: h.streams})
	h.must(err)
	h.recorder, h.stop, h.done = r, stop, make(chan error, 1)
	go func() { h.done <- r.Run(ctx) }()
}

// close stops everything and demands that the records and the state agree; the folder stays.
func (h *hub) close() {
	if h.stop == nil {
		return
	}
	defer h.shut()
	h.stop()
	select {
	case <-h.done:
	case <-time.After(20 * time.Second):
		h.t.Error("recorder did not stop in 20 s")
	}
	if !h.harmed && !h.t.Failed() {
		h.verify()
	}
}

// reopen follows a crash that was read from done: everything is closed and opened again.
func (h *hub) reopen() {
	h.t.Helper()
	h.done <- nil
	h.close()
	h.start()
}

// shut closes the parts without asking the recorder.
func (h *hub) shut() {
	h.stop()
	h.stop = nil
	_ = h.caller.Close()
	h.nc.Close()
	h.server.Close()
	_ = h.store.Close()
	_ = h.keysStore.Close()
}

// add makes an organisation by its fact.
func (h *hub) add(kind, name, npi string) ledger.Organization {
	h.t.Helper()
	return h.addWith(kind, name, npi, func(*ledger.Organization) {})
}

// addWith is add of an organisation that change may alter.
func (h *hub) addWith(kind, name, npi string, change func(*ledger.Organization)) ledger.Organization {
	h.t.Helper()
	org := ledger.Organization{ID: uuid.Must(uuid.NewV7()), Kind: kind, Name: name,
		Identifiers: []ledger.Identifier{{System: "http://hl7.org/fhir/sid/us-npi", Value: npi}}}
	change(&org)
	body, err := json.Marshal(recorder.OrganizationFact{Organization: org, Clients: []ledger.Client{{ID: uuid.Must(uuid.NewV7()), Org: org.ID}}})
	h.must(err)
	a := h.call(streams.Message{ID: "hub." + rand.Text(), Subject: streams.FactSubject(recorder.FactOrganization), Body: body})
	if a.Status != 201 {
		h.t.Fatalf("add %s: %+v", name, a)
	}
	h.must(streams.EnsureConsumer(context.Background(), h.js, org.ID.String()))
	return org
}

func (h *hub) call(m streams.Message) streams.Answer {
	h.t.Helper()
	a, err := h.caller.Call(context.Background(), m, 15*time.Second)
	h.must(err)
	return a
}

// send calls as an organisation, under an id of its own.
func (h *hub) send(org ledger.Organization, id string, body []byte) streams.Answer {
	h.t.Helper()
	return h.call(message(org, id, body))
}

func message(org ledger.Organization, id string, body []byte) streams.Message {
	var r struct{ ResourceType string }
	if json.Unmarshal(body, &r) != nil || r.ResourceType == "" {
		r.ResourceType = streams.TypeMedicationRequest
	}
	return streams.Message{ID: org.ID.String() + "." + id, Subject: streams.IntakeSubject(org.ID.String(), r.ResourceType), Body: body}
}

// publish is send without waiting for an answer: the outcome is a delivery.
func (h *hub) publish(org ledger.Organization, id string, body []byte) {
	h.t.Helper()
	h.must(h.publisher.Publish(context.Background(), message(org, id, body)))
}

// received pulls everything that an organisation's durable has within the time that it stays quiet.
func (h *hub) received(org ledger.Organization, quiet time.Duration) []jetstream.Msg {
	h.t.Helper()
	c, err := h.js.Consumer(context.Background(), streams.Delivery, streams.ConsumerName(org.ID.String()))
	h.must(err)
	var all []jetstream.Msg
	for {
		batch, err := c.Fetch(500, jetstream.FetchMaxWait(quiet))
		h.must(err)
		n := 0
		for m := range batch.Messages() {
			h.must(m.DoubleAck(context.Background()))
			all = append(all, m)
			n++
		}
		if n == 0 {
			return all
		}
	}
}

// awaited pulls until an organisation has received n messages, or 20 s long.
func (h *hub) awaited(org ledger.Organization, n int) (all []jetstream.Msg) {
	h.t.Helper()
	for end := time.Now().Add(20 * time.Second); len(all) < n && time.Now().Before(end); {
		all = append(all, h.received(org, 500*time.Millisecond)...)
	}
	return all
}

// ids pulls until an organisation has received n distinct deliveries, or 20 s long.
func (h *hub) ids(org ledger.Organization, n int) map[string]bool {
	h.t.Helper()
	ids := map[string]bool{}
	for end := time.Now().Add(20 * time.Second); len(ids) < n && time.Now().Before(end); {
		for _, m := range h.received(org, 500*time.Millisecond) {
			ids[m.Headers().Get(streams.HeaderMsgID)] = true
		}
	}
	return ids
}

// verify walks the ledger and compares it with the head, and the state tables with what the records say.
func (h *hub) verify() ledger.Head {
	h.t.Helper()
	head, _, err := ledger.Verify(context.Background(), h.store, ledger.Head{Leaf: ledger.Origin("dosewire.example/log")}, nil)
	h.must(err)
	_, err = recorder.NewRebuilt(h.store, h.keys).Check(context.Background(), h.store, nil)
	h.must(err)
	return head
}

// order is a small complete prescription.
func order(identifier, npi, drug string) []byte {
	return fmt.Appendf(nil, `{"resourceType":"MedicationRequest","id":"r-%[1]s",
 "contained":[{"resourceType":"Patient","id":"p","identifier":[{"system":"urn:mrn","value":"M-1"}],"name":[{"family":"Canary","given":["Zsófia"]}],"birthDate":"1980-02-29"},
  {"resourceType":"Practitioner","id":"d","identifier":[{"system":"http://hl7.org/fhir/sid/us-npi","value":"1093817465"}],"name":[{"family":"Okafor"}]}],
 "identifier":[{"system":"urn:rx","value":"%[1]s"}],"status":"active","intent":"order",
 "medicationCodeableConcept":{"text":"%[3]s"},"subject":{"reference":"#p"},"requester":{"reference":"#d"},
 "dosageInstruction":[{"text":"once daily"}],
 "dispenseRequest":{"performer":{"identifier":{"system":"http://hl7.org/fhir/sid/us-npi","value":"%[2]s"}}}}`, identifier, npi, drug)
}

func withStatus(order []byte, status string) []byte {
	return bytes.Replace(order, []byte(`"status":"active"`), []byte(`"status":"`+status+`"`), 1)
}

func dispense(id, status, rx string) []byte {
	return fmt.Appendf(nil, `{"resourceType":"MedicationDispense","identifier":[{"system":"urn:md","value":"%s"}],"status":"%s",
 "medicationCodeableConcept":{"text":"x"},"authorizingPrescription":[{"reference":"MedicationRequest/%s"}]}`, id, status, rx)
}

// faults lets a point fail a number of times.
type faults struct {
	mu    sync.Mutex
	point string
	times int
	err   error
	hit   int
}

// with makes them happen to a hub.
func (f *faults) with(h *hub) { h.config.Fault = f.at }

func (f *faults) at(point string, _ uint64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if point != f.point || f.times == 0 {
		return nil
	}
	f.times--
	f.hit++
	return f.err
}

func (f *faults) arm(point string, times int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.point, f.times, f.err, f.hit = point, times, err, 0
}

func (f *faults) hits() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hit
}

// subjectType is the resource type in a delivery's subject.
func subjectType(m jetstream.Msg) string { return strings.Split(m.Subject(), ".")[3] }
