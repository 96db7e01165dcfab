package hub

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dosewire/dosewire/internal/directory"
	"github.com/dosewire/dosewire/internal/hub/admin"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/streams"
)

// browser is a patient's, without JavaScript. Its cookies outlive a hub.
type browser struct {
	t *testing.T
	*http.Client
}

func newBrowser(t *testing.T) browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return browser{t, &http.Client{Jar: jar}}
}

// page is what a request comes to, redirects followed.
func (b browser) page(resp *http.Response, err error) (status int, body string) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// token is the secret of a fresh invitation.
func token(t *testing.T, h *Hub, org admin.Credential, mrn string) string {
	t.Helper()
	i, err := admin.NewClient(h.AdminSocket()).Invite(t.Context(), admin.Patient{Org: org.Org, System: "urn:mrn", Value: mrn})
	if err != nil {
		t.Fatal(err)
	}
	return i.URL[strings.LastIndex(i.URL, "/")+1:]
}

func (b browser) signIn(h *Hub, token string) {
	b.t.Helper()
	if status, page := b.page(b.PostForm(h.URL()+"/inbox/s", url.Values{"token": {token}})); status != 200 || !strings.Contains(page, "Your prescriptions") {
		b.t.Fatalf("sign in: %d %s", status, page)
	}
}

// later stops a hub, moves its ledger's time on, and starts another on the same data.
func later(t *testing.T, c Config, stop func() error, by time.Duration) (*Hub, func() error) {
	t.Helper()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	d, err := openStores(ctx, c.WithDefaults())
	if err != nil {
		t.Fatal(err)
	}
	store := d.records.(interface {
		Acquire(ctx context.Context, term uint64) (ledger.Head, time.Time, error)
		Commit(ctx context.Context, b *ledger.Batch) error
		Release(ctx context.Context, term uint64) error
	})
	head, _, err := store.Acquire(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	text := "dosewire test\nlater: " + by.String() + "\n"
	entry, to := ledger.Link(head, ledger.KindStatement, time.UnixMilli(head.Time).Add(by), sha256.Sum256([]byte(text)), ledger.Hash{})
	b := &ledger.Batch{From: head, To: to, Entries: []ledger.Entry{entry}, Statements: []ledger.Statement{{Index: entry.Index, Text: text}}}
	if err := store.Commit(ctx, b); err != nil {
		t.Fatal(err)
	}
	if err := store.Release(ctx, head.Term); err != nil {
		t.Fatal(err)
	}
	if err := d.close(); err != nil {
		t.Fatal(err)
	}
	return run(t, c, surfaces()...)
}

// told lists which prescriptions a clinic was told about, by code, of all that it was ever sent.
func told(t *testing.T, h *Hub, who admin.Credential, code string) (about []string) {
	t.Helper()
	who.URL = h.URL()
	resp, body := ask(t, who, "GET", "/fhir/$deliveries?after=0&_count=200", "")
	if resp.StatusCode != 200 {
		t.Fatalf("$deliveries: %d %s", resp.StatusCode, body)
	}
	var b struct {
		Entry []json.RawMessage
	}
	if err := json.Unmarshal([]byte(body), &b); err != nil {
		t.Fatal(err)
	}
	for _, e := range b.Entry {
		if strings.Contains(string(e), code) {
			about = append(about, string(e))
		}
	}
	return about
}

// eventually looks until it is so, for as long as the clock's next look may take.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for began := time.Now(); time.Since(began) < 20*time.Second; time.Sleep(50 * time.Millisecond) { // other goroutines work
		if so() {
			return
		}
	}
	t.Fatalf("not so after 20 s: %s", what)
}

const npi = "http://hl7.org/fhir/sid/us-npi"

// routed is an order for a pharmacy.
func routed(id, pharmacy, more string) string {
	return strings.TrimSuffix(prescription(id, "Amoxicillin 500 mg", more), "}") +
		fmt.Sprintf(`,"dispenseRequest":{"performer":{"identifier":{"system":"%s","value":"%s"}}}}`, npi, pharmacy)
}

// silence is a clinic, two pharmacies, and a patient with an open inbox and a phone.
type silence struct {
	t                     *testing.T
	config                Config
	hub                   *Hub
	stop                  func() error
	clinic, dumb, helpful admin.Credential
	patient               browser
	phone                 ledger.ID
}

func newSilence(t *testing.T) *silence {
	t.Helper()
	s := &silence{t: t, config: lab(t), patient: newBrowser(t), phone: uuid.Must(uuid.NewV7())}
	s.hub, s.stop = run(t, s.config, surfaces()...)
	add := func(kind, name, id string) admin.Credential {
		c, err := admin.NewClient(s.hub.AdminSocket()).AddOrganization(t.Context(), admin.NewOrganization{Kind: kind, Name: name, Identifiers: []string{npi + "|" + id}})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	s.clinic, s.dumb, s.helpful = add("clinic", "Riverside Clinic", "1"), add("pharmacy", "Old Bridge Pharmacy", "2"), add("pharmacy", "Harbour Pharmacy", "3")
	return s
}

// issue sends an order and returns its id.
func (s *silence) issue(order string) string {
	s.t.Helper()
	resp, body := ask(s.t, s.clinic, "POST", "/fhir/MedicationRequest", order)
	wantAnswer(s.t, resp, body, 201, "RX_RECORDED")
	return resp.Header.Get("Rx-Id")
}

// arrive signs the patient in and registers a phone.
func (s *silence) arrive() {
	s.t.Helper()
	s.patient.signIn(s.hub, token(s.t, s.hub, s.clinic, "M-1"))
	who, err := s.hub.locate(s.t.Context(), admin.Patient{Org: s.clinic.Org, System: "urn:mrn", Value: "M-1"})
	if err != nil {
		s.t.Fatal(err)
	}
	d := directory.Device{ID: s.phone, Patient: who.Patient, Transport: "webpush", KeyID: who.KeyID, Endpoint: []byte("e"), CreatedAt: time.Now()}
	if err := s.hub.databases.records.PutDevice(s.t.Context(), d); err != nil {
		s.t.Fatal(err)
	}
}

func (s *silence) pass(by time.Duration) {
	s.t.Helper()
	s.hub, s.stop = later(s.t, s.config, s.stop, by)
	s.clinic.URL, s.dumb.URL, s.helpful.URL = s.hub.URL(), s.hub.URL(), s.hub.URL()
	s.clinic.NATS, s.dumb.NATS, s.helpful.NATS = s.hub.NATSURL(), s.hub.NATSURL(), s.hub.NATSURL()
}

// wakes counts those that wait for the phone.
func (s *silence) wakes() int {
	s.t.Helper()
	stream, err := s.hub.js.Stream(s.t.Context(), streams.Push)
	if err != nil {
		s.t.Fatal(err)
	}
	info, err := stream.Info(s.t.Context(), jetstream.WithSubjectFilter(streams.PushSubject("webpush", s.phone.String())))
	if err != nil {
		s.t.Fatal(err)
	}
	return len(info.State.Subjects)
}

func (s *silence) look(path string) string {
	s.t.Helper()
	status, page := s.patient.page(s.patient.Get(s.hub.URL() + path))
	if status != 200 {
		s.t.Fatalf("%s: %d %s", path, status, page)
	}
	return page
}

// TestASilentPharmacy: a pharmacy never fetches. The clinic and the patient are told once, after 15 minutes when it
// is urgent and after two hours otherwise, and the patient sends it to another.
func TestASilentPharmacy(t *testing.T) {
	s := newSilence(t)
	urgent := s.issue(routed("A-1", "2", `"priority":"urgent",`))
	usual := s.issue(routed("A-2", "2", ""))
	s.arrive()
	if page := s.look("/inbox/p/" + urgent); strings.Contains(page, "in time") {
		t.Error("the page says it too early")
	}

	s.pass(16 * time.Minute)
	eventually(t, "the clinic is told of the urgent one", func() bool { return len(told(t, s.hub, s.clinic, "RX_UNDELIVERED")) == 1 })
	if about := told(t, s.hub, s.clinic, "RX_UNDELIVERED")[0]; !strings.Contains(about, urgent) || strings.Contains(about, usual) {
		t.Errorf("told of another: %s", about)
	}
	eventually(t, "the patient's phone is woken", func() bool { return s.wakes() == 1 })
	page := s.look("/inbox/p/" + urgent)
	for _, want := range []string{"Old Bridge Pharmacy has not picked it up in time", `<details class="change" open>`, "Send it there", "Harbour Pharmacy"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q on the page:\n%s", want, page)
		}
	}
	if page := s.look("/inbox/p/" + usual); strings.Contains(page, "in time") {
		t.Error("the page says it of one that is not urgent")
	}

	// the patient chooses another pharmacy on that page
	value := regexp.MustCompile(`value="([0-9a-f-]{36})"[^>]*><span>Harbour Pharmacy`).FindStringSubmatch(page)
	if value == nil {
		t.Fatalf("no choice on the page:\n%s", page)
	}
	status, page := s.patient.page(s.patient.PostForm(s.hub.URL()+"/inbox/p/"+urgent+"/pharmacy", url.Values{"pharmacy": {value[1]}}))
	if status != 200 || !strings.Contains(page, "The pharmacy has your prescription now") || strings.Contains(page, "in time") {
		t.Errorf("after the choice: %d %s", status, page)
	}
	resp, body := ask(t, s.helpful, "GET", "/fhir/$deliveries?wait=5s", "")
	wantAnswer(t, resp, body, 200, urgent)
	resp, body = ask(t, s.dumb, "GET", "/fhir/MedicationRequest/"+urgent, "")
	wantAnswer(t, resp, body, 404, "RX_NOT_FOUND")
	resp, body = ask(t, s.helpful, "POST", "/fhir/MedicationDispense", strings.Replace(fmt.Sprintf(bareDispense, "D-1", "preparation"), `"status"`,
		`"authorizingPrescription":[{"reference":"MedicationRequest/`+urgent+`"}],"status"`, 1))
	wantAnswer(t, resp, body, 201, "RX_RECORDED")

	// the usual one is said after two hours; nothing is said twice
	s.pass(2 * time.Hour)
	eventually(t, "the clinic is told of the other", func() bool { return len(told(t, s.hub, s.clinic, "RX_UNDELIVERED")) == 2 })
	s.pass(time.Hour)
	s.twoLooks()
	if about := told(t, s.hub, s.clinic, "RX_UNDELIVERED"); len(about) != 2 {
		t.Errorf("told %d times, want 2", len(about))
	}
}

// twoLooks waits until the clock has looked: a prescription that is due is said in the same looks.
func (s *silence) twoLooks() {
	s.t.Helper()
	time.Sleep(3 * time.Second) // it looks a second after the start
}

// TestAPharmacyThatFetches: by REST, by NATS, and by NATS with one before it still in hand, nothing is said.
func TestAPharmacyThatFetches(t *testing.T) {
	s := newSilence(t)
	all := []string{s.issue(routed("A-1", "2", `"priority":"urgent",`)), s.issue(routed("A-2", "3", `"priority":"urgent",`)),
		s.issue(routed("A-3", "3", `"priority":"urgent",`)), s.issue(routed("A-4", "2", ""))}
	s.arrive()

	// REST: the next link says that the page was taken over
	resp, body := ask(t, s.dumb, "GET", "/fhir/$deliveries?wait=5s", "")
	wantAnswer(t, resp, body, 200, all[0])
	next := regexp.MustCompile(`"relation":"next","url":"[^"]*(/fhir/[^"]*)"`).FindStringSubmatch(body)
	if next == nil {
		t.Fatalf("no next link: %s", body)
	}
	resp, body = ask(t, s.dumb, "GET", strings.ReplaceAll(next[1], `\u0026`, "&"), "")
	wantAnswer(t, resp, body, 200, "Bundle")

	// NATS: the second is acknowledged, the first is still in hand
	nc, err := nats.Connect(s.helpful.NATS, nats.UserInfo(s.helpful.User, s.helpful.Token), nats.CustomInboxPrefix("_INBOX_"+s.helpful.Org))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := js.Consumer(t.Context(), streams.Delivery, streams.ConsumerName(s.helpful.Org))
	if err != nil {
		t.Fatal(err)
	}
	var fetched []jetstream.Msg
	for range 2 {
		m, err := consumer.Next(jetstream.FetchMaxWait(10 * time.Second))
		if err != nil {
			t.Fatal(err)
		}
		fetched = append(fetched, m)
	}
	if err := fetched[1].DoubleAck(t.Context()); err != nil {
		t.Fatal(err)
	}
	inHand := fetched[0].Headers().Get(streams.HeaderID)
	s.pass(3 * time.Hour)
	eventually(t, "the clinic is told of the one in hand", func() bool { return len(told(t, s.hub, s.clinic, "RX_UNDELIVERED")) > 0 })
	s.twoLooks()
	if about := told(t, s.hub, s.clinic, "RX_UNDELIVERED"); len(about) != 1 || !strings.Contains(about[0], inHand) {
		t.Errorf("told of what was fetched: %v, want of %s alone", about, inHand)
	}
	for _, id := range all {
		if page := s.look("/inbox/p/" + id); strings.Contains(page, "in time") != (id == inHand) {
			t.Errorf("the page of %s (in hand %s) is wrong", id, inHand)
		}
	}
}
