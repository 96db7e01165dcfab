package adaptertest

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/internal/directory"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/streams"
)

// BaseURL is the World's public URL.
const BaseURL = "https://hub.example"

// Member is an organisation with one client.
type Member struct {
	Org, Client ledger.ID
	Token       string
}

// World is a hub in memory around one or more adapters. Its fields may be set before a request and read
// after it.
type World struct {
	Clinic, Pharmacy, Other Member // Other is a second pharmacy
	Records                 *Records
	Submit                  *Submit
	Deps                    adapters.Deps

	logs   *buffer
	joined byte
}

// NewWorld makes one with three organisations. Its log takes everything from level debug on and, unlike
// the hub's, redacts nothing: what an adapter logs can be looked at.
func NewWorld(t testing.TB) *World {
	t.Helper()
	w := &World{Clinic: member(1), Pharmacy: member(2), Other: member(3), logs: &buffer{}}
	dir := directory.New(
		[]ledger.Organization{{ID: w.Clinic.Org, Kind: "clinic"}, {ID: w.Pharmacy.Org, Kind: "pharmacy"}, {ID: w.Other.Org, Kind: "pharmacy"}},
		[]ledger.Client{w.Clinic.row(1), w.Pharmacy.row(2), w.Other.row(3)})
	verifier := auth.NewVerifier(dir)
	log := slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w.Records, w.Submit = newRecords(), &Submit{}
	w.Deps = adapters.Deps{Log: log, Now: time.Now, BaseURL: BaseURL, Routes: adapters.NewRoutes(verifier, log), Auth: verifier,
		Directory: dir, Submit: w.Submit, Records: w.Records, Healthy: func() error { return nil }}
	return w
}

func secret(n byte) (s [32]byte) {
	s[0] = n
	return s
}

func member(n byte) Member {
	m := Member{Org: uuid.Must(uuid.NewV7()), Client: uuid.Must(uuid.NewV7())}
	m.Token = auth.Token(m.Client, secret(n))
	return m
}

// Join adds an organisation with one client.
func (w *World) Join(kind, name string, sandbox bool, identifiers ...ledger.Identifier) Member {
	w.joined++
	n := 3 + w.joined
	m := member(n)
	w.Deps.Directory.Apply([]ledger.Organization{{ID: m.Org, Kind: kind, Name: name, Sandbox: sandbox, Identifiers: identifiers}}, []ledger.Client{m.row(n)})
	return m
}

func (m Member) row(n byte) ledger.Client {
	return ledger.Client{ID: m.Client, Org: m.Org, Secret: hash(secret(n))}
}

// Open opens adapters; what they must run beside their routes is not run.
func (w *World) Open(t testing.TB, specs ...adapters.Spec) {
	t.Helper()
	for _, s := range specs {
		if _, err := s.New(nil, w.Deps); err != nil {
			t.Fatalf("open %s: %v", s.Name, err)
		}
	}
}

// Log is what was logged so far.
func (w *World) Log() string { return w.logs.String() }

// Do sends one request to the World's routes as a member; the zero Member sends no credentials. Headers
// are given as "Name: value". A body without a Content-Type is application/fhir+json.
func (w *World) Do(m Member, method, path, body string, headers ...string) *http.Response {
	return w.DoContext(context.Background(), m, method, path, body, headers...)
}

// DoContext is Do under a context.
func (w *World) DoContext(ctx context.Context, m Member, method, path, body string, headers ...string) *http.Response {
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	r := httptest.NewRequestWithContext(ctx, method, path, content)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header[http.CanonicalHeaderKey(name)] = []string{value}
	}
	return w.Send(m, r)
}

// Send sends a request as a member.
func (w *World) Send(m Member, r *http.Request) *http.Response {
	if _, given := r.Header["Content-Type"]; !given && r.Body != nil && r.Body != http.NoBody {
		r.Header.Set("Content-Type", "application/fhir+json")
	}
	if m.Token != "" {
		r.Header.Set("Authorization", "Bearer "+m.Token)
	}
	if r.Body != nil && r.ContentLength == 0 {
		r.ContentLength = -1 // as a server sees a body of unknown length
	}
	rec := httptest.NewRecorder()
	w.Deps.Routes.Handler().ServeHTTP(rec, r)
	return rec.Result()
}

// Submit is a recorder that answers what it was told to. The zero Submit records everything.
type Submit struct {
	// Answer decides on a message; nil answers 201 with nothing more.
	Answer func(streams.Message) (streams.Answer, error)

	mu       sync.Mutex // guards messages
	messages []streams.Message
}

// Call keeps m and answers.
func (s *Submit) Call(ctx context.Context, m streams.Message, _ time.Duration) (streams.Answer, error) {
	s.mu.Lock()
	s.messages = append(s.messages, m)
	s.mu.Unlock()
	if s.Answer == nil {
		return streams.Answer{Status: http.StatusCreated}, ctx.Err()
	}
	return s.Answer(m)
}

// Published returns the messages so far.
func (s *Submit) Published() []streams.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]streams.Message(nil), s.messages...)
}

// buffer is a log that handlers on several goroutines write.
type buffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
