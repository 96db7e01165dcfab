package adaptertest

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/internal/fault"
)

// Case says how the suite talks to an adapter.
type Case struct {
	Options json.RawMessage          // to open it with; nil = none
	Prepare func(*testing.T, *World) // fills in what the World has not; nil = nothing
	Who     func(*World) Member      // who sends; nil = the adapter takes no messages from outside
	Path    string                   // where messages are posted
	Good    string                   // a message that is taken, with the Canary in it
}

// grace is what an adapter has to stop.
const grace = 5 * time.Second

// Run is the suite.
func Run(t *testing.T, spec adapters.Spec, c Case) {
	t.Run("unknown option", func(t *testing.T) { unknownOption(t, spec, c) })
	t.Run("stops", func(t *testing.T) { stops(t, spec, c) })
	if c.Who != nil {
		t.Run("bad input is not published", func(t *testing.T) { badInput(t, spec, c) })
		t.Run("canary", func(t *testing.T) { canary(t, spec, c) })
	}
}

func (c Case) world(t *testing.T) *World {
	t.Helper()
	w := NewWorld(t)
	if c.Prepare != nil {
		c.Prepare(t, w)
	}
	return w
}

func (c Case) open(t *testing.T, spec adapters.Spec) (*World, adapters.Runner) {
	t.Helper()
	w := c.world(t)
	r, err := spec.New(c.Options, w.Deps)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return w, r
}

func unknownOption(t *testing.T, spec adapters.Spec, c Case) {
	_, err := spec.New(json.RawMessage(`{"noSuchOption":1}`), c.world(t).Deps)
	if err == nil || fault.KindOf(err) != fault.Invalid {
		t.Errorf("err = %v, want kind invalid", err)
	}
	if spec.Name == "" {
		t.Error("the adapter has no name")
	}
}

// stops: what runs ends within the grace, without an error, and leaves no goroutine.
func stops(t *testing.T, spec adapters.Spec, c Case) {
	before := runtime.NumGoroutine()
	_, runner := c.open(t, spec)
	if runner != nil {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- runner.Run(ctx) }()
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run = %v after it was told to stop", err)
			}
		case <-time.After(grace):
			t.Fatalf("Run did not end within %v", grace)
		}
	}
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond) // goroutines end a moment after what waits for them
	}
	stacks := make([]byte, 64<<10)
	t.Errorf("%d goroutines before, %d after:\n%s", before, runtime.NumGoroutine(), stacks[:runtime.Stack(stacks, true)])
}

// badInput: every spoiled form of a good message is refused with an OperationOutcome.
func badInput(t *testing.T, spec adapters.Spec, c Case) {
	w, _ := c.open(t, spec)
	for name, body := range map[string]string{
		"truncated":        c.Good[:len(c.Good)/2],
		"trailing data":    c.Good + "{}",
		"not UTF-8":        strings.Replace(c.Good, Canary, Canary+"\xff", 1),
		"duplicate key":    strings.Replace(c.Good, "{", `{"language":"en","language":"en",`, 1),
		"unknown element":  strings.Replace(c.Good, "{", `{"noSuchElement":1,`, 1),
		"strange resource": strings.Replace(c.Good, `"resourceType":"`, `"resourceType":"Un`, 1),
		"too large":        strings.Repeat(" ", 2<<20) + c.Good,
		"array":            "[" + c.Good + "]",
		"null":             "null",
	} {
		resp := w.Do(c.Who(w), http.MethodPost, c.Path, body)
		if resp.StatusCode < 400 || resp.StatusCode > 499 {
			t.Errorf("%s: status %d, want 4xx", name, resp.StatusCode)
		}
		if codes := Codes(t, resp); len(codes) == 0 {
			t.Errorf("%s: no OperationOutcome with a code", name)
		}
		if n := len(w.Submit.Published()); n > 0 {
			t.Fatalf("%s: %d messages were published", name, n)
		}
	}
}

// canary: a patient's name goes in as a body, a key, a path and a parameter, and comes out in no log and
// no header. In a body it comes out only where the message itself is given back.
func canary(t *testing.T, spec adapters.Spec, c Case) {
	w, _ := c.open(t, spec)
	bad := strings.Replace(c.Good, `"status":"`, `"status":"`+Canary, 1)
	for _, r := range []struct {
		method, path, body string
		headers            []string
	}{
		{http.MethodPost, c.Path, c.Good, []string{"Idempotency-Key: " + Canary}},
		{http.MethodPost, c.Path, bad, nil},
		{http.MethodPost, c.Path, c.Good[:len(c.Good)-3], nil},
		{http.MethodPost, c.Path + "?name=" + Canary, c.Good, nil},
		{http.MethodGet, "/fhir/" + Canary, "", nil},
		{http.MethodGet, "/fhir/Patient?name=" + Canary, "", nil},
		{http.MethodGet, "/fhir/MedicationRequest/" + Canary, "", []string{"If-None-Match: " + Canary}},
		{Canary, c.Path, "", nil},
	} {
		resp := w.Do(c.Who(w), r.method, r.path, r.body, r.headers...)
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if r.body == c.Good && r.path == c.Path && resp.StatusCode/100 != 2 {
			t.Errorf("the good message: status %d\n%s", resp.StatusCode, body)
		}
		if strings.Contains(string(body), Canary) {
			t.Errorf("%s: the canary came back:\n%s", r.method, body)
		}
		for name, values := range resp.Header {
			if strings.Contains(strings.Join(values, " "), Canary) {
				t.Errorf("%s: the canary is in header %s", r.method, name)
			}
		}
	}
	// ids that a client chose are given back to it, and logged as hashes
	w.Do(c.Who(w), http.MethodPost, c.Path, c.Good, adapters.HeaderRequestID+": "+Canary)
	if log := w.Log(); strings.Contains(log, Canary) {
		t.Errorf("the canary is in the log:\n%s", log)
	}
	if log := w.Log(); !strings.Contains(log, "status=") {
		t.Error("no request was logged: the canary had nowhere to be")
	}
}

// Codes are the codes of an OperationOutcome answer, in order; none when the body is no outcome. The
// body is read to its end.
func Codes(t testing.TB, resp *http.Response) (all []string) {
	t.Helper()
	var outcome struct {
		ResourceType string
		Issue        []struct {
			Details struct{ Coding []struct{ Code string } }
		}
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if json.Unmarshal(body, &outcome) != nil || outcome.ResourceType != "OperationOutcome" {
		return nil
	}
	for _, i := range outcome.Issue {
		for _, c := range i.Details.Coding {
			all = append(all, c.Code)
		}
	}
	return all
}
