package soak

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/dosewire/dosewire/internal/directory"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/filekey"
	"github.com/dosewire/dosewire/ledger/postgres"
	"github.com/dosewire/dosewire/ledger/recorder"
)

// recorderEnv makes the test binary a recorder: JSON of recorderConfig.
const recorderEnv = "DOSEWIRE_SOAK_RECORDER"

// recorderConfig is where one recorder finds everything.
type recorderConfig struct {
	Records, Keys, NATS, KEK string
}

// exitTampered says that the recorder halted: no restart helps.
const exitTampered = 5

// sight is one line of a recorder's standard output: it leads, or it has announced.
type sight struct {
	Term uint64 `json:"term"`
	Last uint64 `json:"last,omitempty"` // last effect of what it has announced
}

// beRecorder runs one recorder until a signal, and tells what it does on standard output.
func beRecorder() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	err := runRecorder(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, err)
	if fault.KindOf(err) == fault.Tampered {
		return exitTampered
	}
	return 1
}

func runRecorder(ctx context.Context) error {
	var c recorderConfig
	if err := json.Unmarshal([]byte(os.Getenv(recorderEnv)), &c); err != nil {
		return err
	}
	store, err := postgres.Open(ctx, postgres.Config{DSN: c.Records})
	if err != nil {
		return err
	}
	defer store.Close()
	keyStore, err := postgres.OpenKeys(ctx, postgres.Config{DSN: c.Keys})
	if err != nil {
		return err
	}
	defer keyStore.Close()
	wrapper, err := filekey.Open(c.KEK)
	if err != nil {
		return err
	}
	keys, err := ledger.OpenKeyring(ctx, keyStore, wrapper)
	if err != nil {
		return err
	}
	nc, err := nats.Connect(c.NATS, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond), nats.CustomInboxPrefix("_INBOX.hub"))
	if err != nil {
		return err
	}
	defer nc.Close()

	watched := &told{Store: store, out: json.NewEncoder(os.Stdout)}
	r, err := recorder.Open(ctx, recorder.Config{Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
		Fault: watched.at}, recorder.Deps{Store: watched, Reader: store, Keys: keys, NATS: nc, Directory: directory.New(nil, nil), Devices: store})
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	return r.Run(ctx)
}

// told tells who leads and what is announced.
type told struct {
	*postgres.Store
	mu   sync.Mutex
	out  *json.Encoder
	term atomic.Uint64
}

func (s *told) Acquire(ctx context.Context, term uint64) (ledger.Head, time.Time, error) {
	h, now, err := s.Store.Acquire(ctx, term)
	if err == nil && h.Term != s.term.Load() {
		s.term.Store(h.Term)
		s.say(sight{Term: h.Term})
	}
	return h, now, err
}

func (s *told) at(point string, number uint64) error {
	if point == "after announce" {
		s.say(sight{Term: s.term.Load(), Last: number})
	}
	return nil
}

func (s *told) say(v sight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.out.Encode(v) // the parent has gone: it does not matter
}

// rival is one recorder process behind wires of its own, which can be cut.
type rival struct {
	t      *testing.T
	config recorderConfig
	wires  []*wire
	tell   func(sight)

	mu     sync.Mutex
	cmd    *exec.Cmd
	ended  chan struct{}
	starts int
	halted string // why it halted, if it did
}

func newRival(t *testing.T, records, keys, natsAddress, dir string, tell func(sight)) *rival {
	t.Helper()
	r := &rival{t: t, tell: tell}
	address := func(target string) string {
		w := newWire(t, target)
		r.wires = append(r.wires, w)
		return w.listener.Addr().String()
	}
	r.config = recorderConfig{Records: through(t, records, address), Keys: through(t, keys, address),
		NATS: "nats://" + address(natsAddress), KEK: filepath.Join(dir, "kek", "file")}
	return r
}

// run keeps one process alive until end.
func (r *rival) run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := r.start(); err != nil {
			r.t.Errorf("start: %v", err)
			return
		}
		<-r.ended
		r.mu.Lock()
		halted := r.halted
		r.mu.Unlock()
		if halted != "" {
			return
		}
		time.Sleep(50 * time.Millisecond) // as a service manager would
	}
}

func (r *rival) start() error {
	config, err := json.Marshal(r.config)
	if err != nil {
		return err
	}
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), recorderEnv+"="+string(config))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var errs tail
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := cmd.Start(); err != nil {
		return err
	}
	r.cmd, r.ended, r.starts = cmd, make(chan struct{}), r.starts+1
	ended := r.ended
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var v sight
			if json.Unmarshal(lines.Bytes(), &v) == nil {
				r.tell(v)
			}
		}
		_ = cmd.Wait()
		r.mu.Lock()
		if cmd.ProcessState.ExitCode() == exitTampered {
			r.halted = errs.String()
		}
		r.mu.Unlock()
		close(ended)
	}()
	return nil
}

func (r *rival) signal(s os.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cmd != nil {
		_ = r.cmd.Process.Signal(s) // it may have ended
	}
}

// cut breaks every connection of one wire.
func (r *rival) cut(i int) { r.wires[i%len(r.wires)].cut() }

// through points a URL at a wire to the same place.
func through(t *testing.T, dsn string, address func(string) string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = address(u.Host)
	return u.String()
}

// wire is a TCP proxy whose connections can be cut.
type wire struct {
	listener net.Listener
	target   string
	mu       sync.Mutex
	open     map[net.Conn]bool
}

func newWire(t *testing.T, target string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: l, target: target, open: map[net.Conn]bool{}}
	t.Cleanup(func() { l.Close(); w.cut() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			go w.carry(near)
		}
	}()
	return w
}

func (w *wire) carry(near net.Conn) {
	far, err := net.Dial("tcp", w.target)
	if err != nil {
		near.Close()
		return
	}
	w.mu.Lock()
	w.open[near], w.open[far] = true, true
	w.mu.Unlock()
	var both sync.WaitGroup
	pass := func(to, from net.Conn) {
		_, _ = io.Copy(to, from) // ends when either is cut
		to.Close()
		from.Close()
	}
	both.Go(func() { pass(near, far) })
	both.Go(func() { pass(far, near) })
	both.Wait()
	w.mu.Lock()
	delete(w.open, near)
	delete(w.open, far)
	w.mu.Unlock()
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.open {
		c.Close()
	}
}

// tail keeps the end of what is written.
type tail struct {
	mu sync.Mutex
	b  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	t.b = t.b[max(len(t.b)-4096, 0):]
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b)
}
