package soak

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/sqlite"
)

// credential is what `dosewire org add --json` prints.
type credential struct{ URL, NATS, Org, User, Token string }

// program is the real binary on one data folder and fixed ports.
type program struct {
	t   *testing.T
	bin string
	env []string
	cmd *exec.Cmd
	url string
}

func build(t *testing.T) *program {
	t.Helper()
	dir := t.TempDir()
	p := &program{t: t, bin: filepath.Join(dir, "dosewire")}
	cmd := exec.Command("go", "build", "-o", p.bin, "github.com/dosewire/dosewire/cmd/dosewire")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	p.env = append(os.Environ(), "DOSEWIRE_DATA="+filepath.Join(dir, "data"), "DOSEWIRE_HTTP_ADDRESS="+free(t), "DOSEWIRE_NATS_ADDRESS="+free(t), "DOSEWIRE_LOG_LEVEL=error")
	t.Cleanup(func() {
		if p.cmd != nil {
			p.kill()
		}
	})
	return p
}

func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start serves and returns when the hub is ready.
func (p *program) start() {
	p.t.Helper()
	cmd := exec.Command(p.bin, "serve", "--json")
	cmd.Env, cmd.Stderr = p.env, os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.cmd = cmd
	line, err := bufio.NewReader(out).ReadBytes('\n')
	var about struct{ URL string }
	if err != nil || json.Unmarshal(line, &about) != nil {
		p.t.Fatalf("hub did not start: %v %s", err, line)
	}
	p.url = about.URL
}

// kill is kill -9.
func (p *program) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait() // says that it was killed
	p.cmd = nil
}

// run runs a command of the program and decodes what it prints.
func (p *program) run(into any, args ...string) {
	p.t.Helper()
	cmd := exec.Command(p.bin, append(args, "--json")...)
	cmd.Env = p.env
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		p.t.Fatalf("%v: %v\n%s%s", args, err, out, errs.String())
	}
	if into != nil {
		if err := json.Unmarshal(bytes.TrimSpace(out), into); err != nil {
			p.t.Fatalf("%v: %v: %s", args, err, out)
		}
	}
}

func order(id string) []byte {
	return fmt.Appendf(nil, `{"resourceType":"MedicationRequest","id":"r-%[1]s",
 "contained":[{"resourceType":"Patient","id":"p","identifier":[{"system":"urn:mrn","value":"M-%[2]d"}],"name":[{"family":"Soak"}],"birthDate":"1980-02-29"},
  {"resourceType":"Practitioner","id":"d","name":[{"family":"Okafor"}]}],
 "identifier":[{"system":"urn:rx","value":"%[1]s"}],"status":"active","intent":"order",
 "medicationCodeableConcept":{"text":"Amoxicillin"},"subject":{"reference":"#p"},"requester":{"reference":"#d"},"dosageInstruction":[{"text":"once daily"}],
 "dispenseRequest":{"performer":{"identifier":{"system":"http://hl7.org/fhir/sid/us-npi","value":"1558203947"}}}}`, id, len(id)%7)
}

// load posts until stopped; a request without an answer is sent again, as a client would.
type load struct {
	clinic credential
	url    string
	client *http.Client
	mu     sync.Mutex
	acked  map[string]bool
}

func (l *load) post(ctx context.Context, id string) {
	for ctx.Err() == nil {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url+"/fhir/MedicationRequest", bytes.NewReader(order(id)))
		if err != nil {
			return
		}
		r.Header.Set("Content-Type", "application/fhir+json")
		r.Header.Set("Authorization", "Bearer "+l.clinic.Token)
		r.Header.Set("Idempotency-Key", id)
		resp, err := l.client.Do(r)
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if err == nil && resp.StatusCode/100 == 2 {
				l.mu.Lock()
				l.acked[id] = true
				l.mu.Unlock()
				return
			}
		}
		time.Sleep(20 * time.Millisecond) // a client waits before it tries again
	}
}

// Killed again and again under load: no acknowledged message is lost, each has one entry, every
// delivery arrives at least once under an id that always means the same bytes, and the chain verifies.
func TestKilledUnderLoad(t *testing.T) {
	kills := 20
	if testing.Short() {
		kills = 3
	}
	if n, err := strconv.Atoi(os.Getenv("SOAK_KILLS")); err == nil {
		kills = n
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d, %d kills", seed, kills)
	random := rand.New(rand.NewPCG(seed, 0))

	p := build(t)
	p.start()
	var clinic, pharmacy credential
	p.run(&pharmacy, "org", "add", "pharmacy", "Old Bridge", "--identifier", "http://hl7.org/fhir/sid/us-npi|1558203947")
	p.run(&clinic, "org", "add", "clinic", "Riverside")

	l := &load{clinic: clinic, url: p.url, client: &http.Client{Timeout: 15 * time.Second}, acked: map[string]bool{}}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				l.post(ctx, fmt.Sprintf("w%d-%d", w, n))
			}
		})
	}
	for range kills {
		time.Sleep(time.Duration(300+random.IntN(600)) * time.Millisecond) // the load's turn
		p.kill()
		p.start()
	}
	time.Sleep(500 * time.Millisecond) // and once more without a kill
	stop()
	wg.Wait()

	got := pull(t, pharmacy, len(l.acked))
	for id := range l.acked {
		if !got[string(order(id))] {
			t.Errorf("acknowledged and not delivered: %s", id)
		}
	}
	var verdict struct{ Entries uint64 }
	p.run(&verdict, "verify")
	p.kill()
	p.run(&verdict, "verify") // the closed store
	records := countRecords(t, p)
	if len(l.acked) == 0 || records < len(l.acked) {
		t.Errorf("%d records for %d acknowledged messages", records, len(l.acked))
	}
	t.Logf("%d acknowledged, %d delivered, %d records, %d entries", len(l.acked), len(got), records, verdict.Entries)
}

// pull reads the pharmacy's durable until all is there, and checks that an id always means the same.
func pull(t *testing.T, pharmacy credential, want int) map[string]bool {
	t.Helper()
	nc, err := nats.Connect(pharmacy.NATS, nats.UserInfo(pharmacy.User, pharmacy.Token), nats.CustomInboxPrefix("_INBOX_"+pharmacy.Org))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	c, err := js.Consumer(ctx, "RX_DELIVERY", "org-"+pharmacy.Org)
	if err != nil {
		t.Fatal(err)
	}
	bodies, ids := map[string]bool{}, map[string]string{}
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); {
		batch, err := c.Fetch(200, jetstream.FetchMaxWait(2*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for m := range batch.Messages() {
			id := m.Headers().Get("Nats-Msg-Id")
			if was, seen := ids[id]; seen && was != string(m.Data()) {
				t.Errorf("delivery %s has two bodies", id)
			}
			ids[id], bodies[string(m.Data())] = string(m.Data()), true
			if err := m.DoubleAck(ctx); err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n == 0 && len(bodies) >= want {
			break
		}
	}
	return bodies
}

// countRecords reads the closed store: one record for each prescription, never two.
func countRecords(t *testing.T, p *program) int {
	t.Helper()
	data := ""
	for _, e := range p.env {
		if v, ok := bytes.CutPrefix([]byte(e), []byte("DOSEWIRE_DATA=")); ok {
			data = string(v)
		}
	}
	s, err := sqlite.Open(context.Background(), filepath.Join(data, "records.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	n := 0
	of := map[ledger.ID]bool{}
	for row, err := range s.Rows(context.Background(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if row.Record == nil || row.Record.Type != "MedicationRequest" {
			continue
		}
		if of[row.Record.Of] {
			t.Errorf("two entries for one prescription: %s", row.Record.Of)
		}
		of[row.Record.Of] = true
		n++
	}
	return n
}
