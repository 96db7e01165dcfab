package hub

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/telemetry"
)

// server runs serve on a free port until stop is called, which returns what serve returned.
func server(t *testing.T, grace time.Duration, h http.Handler) (url string, stop func() error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serve(ctx, l, nil, h, grace, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(cancel)
	return "http://" + l.Addr().String(), func() error { cancel(); return <-done }
}

func TestDrainAnswersWhatWasTaken(t *testing.T) {
	taken, finish := make(chan struct{}), make(chan struct{})
	url, stop := server(t, 10*time.Second, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(taken)
		<-finish
		fmt.Fprint(w, "done")
	}))
	answer := make(chan string, 1)
	go func() {
		resp, err := http.Post(url, "text/plain", strings.NewReader("x"))
		if err != nil {
			answer <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		answer <- string(body)
	}()
	<-taken
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	for range 200 { // until the listener is closed
		c, err := net.DialTimeout("tcp", strings.TrimPrefix(url, "http://"), time.Second)
		if err != nil {
			break
		}
		c.Close()
	}
	close(finish)
	if got := <-answer; got != "done" {
		t.Errorf("the request in flight got %q", got)
	}
	if err := <-stopped; err != nil {
		t.Errorf("serve: %v", err)
	}
}

func TestDrainEndsEventStreams(t *testing.T) {
	url, stop := server(t, 10*time.Second, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "data: 1\n\n")
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	r, _ := http.NewRequest(http.MethodGet, url, nil)
	r.Header.Set("Accept", "text/event-stream")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if line, _ := bufio.NewReader(resp.Body).ReadString('\n'); line != "data: 1\n" {
		t.Fatalf("first line %q", line)
	}
	began := time.Now()
	if err := stop(); err != nil {
		t.Errorf("serve: %v", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("stopping took %v: the stream was waited for", took)
	}
}

func TestRequestBeyondGraceIsCutOff(t *testing.T) {
	taken, ended := make(chan struct{}), make(chan struct{})
	url, stop := server(t, 50*time.Millisecond, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(taken)
		<-r.Context().Done()
		close(ended)
	}))
	go func() {
		if resp, err := http.Get(url); err == nil {
			resp.Body.Close()
		}
	}()
	<-taken
	if err := stop(); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("err = %v, want Unavailable", err)
	}
	<-ended
}

func TestMetricsAreNotForProxies(t *testing.T) {
	url, stop := server(t, time.Second, direct(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "metrics") })))
	defer stop()
	for _, header := range []string{"X-Forwarded-For", "Forwarded", ""} {
		r, _ := http.NewRequest(http.MethodGet, url, nil)
		if header != "" {
			r.Header.Set(header, "203.0.113.7")
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if want := map[bool]int{true: 200, false: 404}[header == ""]; resp.StatusCode != want {
			t.Errorf("%q: status %d, want %d", header, resp.StatusCode, want)
		}
	}
}

func TestServerRemarksHideTheirText(t *testing.T) {
	var out bytes.Buffer
	w := remarks{telemetry.NewLogger(&out, telemetry.LogOptions{Level: slog.LevelDebug})}
	for _, text := range []string{"http: panic serving 1.2.3.4: Zyxwina Canary", "http: TLS handshake error: Zyxwina Canary", "Zyxwina Canary"} {
		fmt.Fprint(w, text)
	}
	if strings.Contains(out.String(), "Canary") || strings.Count(out.String(), "\n") != 3 {
		t.Errorf("log:\n%s", out.String())
	}
}

func TestListenAdmin(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.sock")
	l, err := listenAdmin(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket mode %v, err %v; want 0600", info.Mode(), err)
	}
	srv := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: time.Second}
	go srv.Serve(l)
	defer srv.Close()
	if _, err := listenAdmin(t.Context(), path); !errors.Is(err, ErrRunning) {
		t.Errorf("beside a running hub: err = %v, want ErrRunning", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestLeftOverSocketIsReplaced(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.sock")
	crashed, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	crashed.SetUnlinkOnClose(false) // as kill -9 leaves it
	crashed.Close()
	l, err := listenAdmin(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}
