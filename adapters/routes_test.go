package adapters_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/adapters/adaptertest"
	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/internal/fault"
)

func says(word string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, _ := auth.From(r.Context())
		w.Header().Set("Said", word+" "+string(s.Role))
	})
}

// One path, a handler for each role; nobody without a role gets anywhere.
func TestDispatchByRole(t *testing.T) {
	w := adaptertest.NewWorld(t)
	w.Deps.Routes.System("POST /fhir", auth.Clinic, says("c"))
	w.Deps.Routes.System("POST /fhir", auth.Pharmacy, says("p"))
	w.Deps.Routes.System("GET /fhir/Task/{id}", auth.Clinic, says("task"))
	w.Deps.Routes.Public("GET /inbox", says("inbox"))
	nobody := adaptertest.Member{}
	for _, c := range []struct {
		who          adaptertest.Member
		method, path string
		status       int
		want         string // Said, or Allow for 405
	}{
		{w.Clinic, "POST", "/fhir", 200, "c clinic"},
		{w.Pharmacy, "POST", "/fhir", 200, "p pharmacy"},
		{nobody, "POST", "/fhir", 401, ""},
		{w.Clinic, "GET", "/fhir/Task/1", 200, "task clinic"},
		{w.Clinic, "HEAD", "/fhir/Task/1", 200, "task clinic"},
		{w.Pharmacy, "GET", "/fhir/Task/1", 403, ""},
		{nobody, "GET", "/inbox", 200, "inbox "},
		{w.Clinic, "GET", "/fhir", 405, "POST"},
		{w.Clinic, "DELETE", "/fhir/Task/1", 405, "GET, HEAD"},
		{w.Pharmacy, "DELETE", "/fhir/Task/1", 501, ""}, // which the pharmacy may not use in any way
		{nobody, "DELETE", "/fhir/Task/1", 401, ""},
		{w.Clinic, "GET", "/fhir/metadata", 501, ""},
		{w.Clinic, "GET", "/fhir/Patient/1/$everything", 501, ""},
		{w.Clinic, "GET", "/fhir/nothing", 404, ""},
		{nobody, "GET", "/fhir/nothing", 401, ""},
		{nobody, "GET", "/elsewhere", 404, ""},
	} {
		resp := w.Do(c.who, c.method, c.path, "")
		got := resp.Header.Get("Said")
		if c.status == 405 {
			got = resp.Header.Get("Allow")
		}
		if resp.StatusCode != c.status || got != c.want {
			t.Errorf("%s %s: %d %q, want %d %q", c.method, c.path, resp.StatusCode, got, c.status, c.want)
		}
		if c.status >= 400 && strings.HasPrefix(c.path, "/fhir") && len(adaptertest.Codes(t, resp)) != 1 {
			t.Errorf("%s %s: no OperationOutcome", c.method, c.path)
		}
	}
	if got, want := w.Deps.Routes.List(), []string{"GET /fhir/Task/{id}", "GET /inbox", "POST /fhir"}; !slices.Equal(got, want) {
		t.Errorf("List %q", got)
	}
}

func TestMountedTwice(t *testing.T) {
	for name, mount := range map[string]func(*adapters.Routes){
		"system": func(r *adapters.Routes) { r.System("POST /fhir", auth.Clinic, says("x")) },
		"public": func(r *adapters.Routes) { r.Public("GET /inbox", says("x")) },
	} {
		w := adaptertest.NewWorld(t)
		mount(w.Deps.Routes)
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: the second mount went unnoticed", name)
				}
			}()
			mount(w.Deps.Routes)
		}()
	}
}

func TestPanic(t *testing.T) {
	w := adaptertest.NewWorld(t)
	w.Deps.Routes.Public("GET /early", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(adaptertest.Canary) }))
	w.Deps.Routes.Public("GET /late", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte("{"))
		panic(adaptertest.Canary)
	}))
	resp := w.Do(adaptertest.Member{}, "GET", "/early", "")
	if codes := adaptertest.Codes(t, resp); resp.StatusCode != 500 || len(codes) != 1 || codes[0] != "RX_INTERNAL" {
		t.Errorf("status %d, codes %v", resp.StatusCode, codes)
	}
	log := w.Log()
	if strings.Contains(log, adaptertest.Canary) || !strings.Contains(log, "TestPanic") {
		t.Errorf("the log should say where, and not what:\n%s", log)
	}
	// what was begun must not look whole: the connection is cut
	func() {
		defer func() {
			if p := recover(); p != http.ErrAbortHandler {
				t.Errorf("recovered %v, want http.ErrAbortHandler", p)
			}
		}()
		w.Do(adaptertest.Member{}, "GET", "/late", "")
	}()
}

func TestRequestID(t *testing.T) {
	w := adaptertest.NewWorld(t)
	for given, back := range map[string]bool{"abc-1.2_3": true, "": false, "a b": false, "a\tb": false, strings.Repeat("a", 65): false, "Zyxwína": false} {
		resp := w.Do(w.Clinic, "GET", "/fhir/metadata", "", "X-Request-Id: "+given)
		got := resp.Header.Get("X-Request-Id")
		if (got == given) != back || got == "" {
			t.Errorf("%q: answered with %q", given, got)
		}
	}
	if strings.Contains(w.Log(), "abc-1.2_3") {
		t.Error("a client's word is in the log")
	}
}

func TestRefuse(t *testing.T) {
	w := adaptertest.NewWorld(t)
	var err error
	w.Deps.Routes.Public("GET /x", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { adapters.Refuse(w, err) }))
	for _, c := range []struct {
		err    error
		status int
		code   string
		retry  bool
		level  string // of the log line
	}{
		{fault.Of(fault.CodeNotFound), 404, "RX_NOT_FOUND", false, "DEBUG"},
		{fault.Of(fault.CodeBusy), 503, "RX_BUSY", true, "DEBUG"},
		{fault.New(fault.Unavailable, "db"), 503, "RX_UNAVAILABLE", true, "DEBUG"},
		{fault.New(fault.Tampered, "row"), 500, "RX_INTERNAL", false, "ERROR"},
		{errors.New("secret text"), 500, "RX_INTERNAL", false, "ERROR"},
	} {
		err = c.err
		before := len(w.Log())
		resp := w.Do(adaptertest.Member{}, "GET", "/x", "")
		if codes := adaptertest.Codes(t, resp); resp.StatusCode != c.status || len(codes) != 1 || codes[0] != c.code {
			t.Errorf("%v: %d %v", c.err, resp.StatusCode, codes)
		}
		if got := resp.Header.Get("Retry-After") != ""; got != c.retry {
			t.Errorf("%v: Retry-After %v", c.err, got)
		}
		if line := w.Log()[before:]; !strings.Contains(line, "level="+c.level) || strings.Contains(line, "secret text") {
			t.Errorf("%v: logged %s", c.err, line)
		}
	}
}

func TestDefine(t *testing.T) {
	type options struct{ Size int }
	var got options
	spec := adapters.Define("x", func(o options, _ adapters.Deps) (adapters.Runner, error) {
		got = o
		return nil, nil
	})
	for raw, ok := range map[string]bool{"": true, `{}`: true, `{"Size":3}`: true, `{"Sise":3}`: false, `{"Size":"3"}`: false, `{} {}`: false, `[]`: false, `{`: false} {
		got = options{}
		_, err := spec.New(json.RawMessage(raw), adapters.Deps{})
		if (err == nil) != ok || err != nil && fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q: err = %v, want ok %v", raw, err, ok)
		}
		if raw == `{"Size":3}` && got.Size != 3 {
			t.Errorf("%q: %+v", raw, got)
		}
	}
	cause := fault.New(fault.Unavailable, "no port")
	failing := adapters.Define("x", func(struct{}, adapters.Deps) (adapters.Runner, error) { return nil, cause })
	if _, err := failing.New(nil, adapters.Deps{}); !errors.Is(err, cause) {
		t.Errorf("err = %v", err)
	}
}
