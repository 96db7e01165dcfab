package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/dosewire/dosewire/internal/testenv"
)

// databases are where a hub and the bare handler write.
type databases struct {
	dsn, keys string // PostgreSQL URLs; "" = SQLite
	bare      string
	server    *testenv.Server
}

func (d databases) close() {
	if d.server != nil {
		d.server.Stop()
	}
}

// openDatabases starts a PostgreSQL of its own, or names SQLite files.
func openDatabases(ctx context.Context, store, dir string) (databases, error) {
	if store == "sqlite" {
		return databases{bare: filepath.Join(dir, "bare.db")}, nil
	}
	s, err := testenv.Start(ctx, filepath.Join(dir, "pg"))
	if err != nil {
		return databases{}, err
	}
	d := databases{server: s}
	for name, dsn := range map[string]*string{"records": &d.dsn, "keys": &d.keys, "bare": &d.bare} {
		if *dsn, err = s.Create(ctx, name); err != nil {
			s.Stop()
			return databases{}, err
		}
	}
	if err := age(ctx, d.bare); err != nil {
		s.Stop()
		return databases{}, fmt.Errorf("write-ahead log: %w", err)
	}
	return d, nil
}

// process is a child that serves until stopped.
type process struct {
	target
	cmd  *exec.Cmd
	in   io.Closer
	once sync.Once
	org  string
	peak int64

	pharmacy target // where the pharmacy posts; none for the bare handler
}

// stop asks the child to end and waits for it.
func (p *process) stop() {
	p.once.Do(func() {
		p.peak = resident(p.cmd.Process.Pid)
		_ = p.in.Close()
		_ = p.cmd.Process.Signal(os.Interrupt)
		done := make(chan struct{})
		go func() { _ = p.cmd.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(30 * time.Second):
			_ = p.cmd.Process.Kill()
			<-done
		}
	})
}

func (p *process) resident() float64 { return float64(resident(p.cmd.Process.Pid)) / 1e6 }

// resident is the highest resident memory of a process so far, bytes (VmHWM).
func resident(pid int) int64 {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kb * 1024
		}
	}
	return 0
}

// processor is how long a process has computed so far. Zero when it is gone.
func processor(pid int) time.Duration {
	_, t := stat(pid)
	return t
}

// processorBelow is the same of all children of a process together: of a database server, say.
func processorBelow(pid int) (sum time.Duration) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	for _, e := range entries {
		if child, err := strconv.Atoi(e.Name()); err == nil {
			if parent, t := stat(child); parent == pid {
				sum += t
			}
		}
	}
	return sum
}

// stat reads /proc/PID/stat: the parent, and the time in user and system mode (proc(5); a tick is 10 ms).
func stat(pid int) (parent int, computed time.Duration) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, 0
	}
	f := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:])) // from field 3
	if len(f) < 13 {
		return 0, 0
	}
	parent, _ = strconv.Atoi(f[1])
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return parent, time.Duration(user+system) * 10 * time.Millisecond
}

func startBare(ctx context.Context, store, dsn string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "bare", store, dsn)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("bare handler: %w", err)
	}
	return &process{target: target{url: strings.TrimSpace(url)}, cmd: cmd, in: in}, nil
}

// program builds the hub's binary once.
func program(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "dosewire")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", path, "./cmd/dosewire")
	build.Stderr = os.Stderr
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	return path, build.Run()
}

// startHub runs `dosewire serve`, of the binary bin, on its own data folder with one clinic and the pharmacy
// that the prescriptions name.
func startHub(ctx context.Context, bin, data string, db databases) (*process, error) {
	env := append(os.Environ(), "DOSEWIRE_DATA="+data, "DOSEWIRE_HTTP_ADDRESS=127.0.0.1:0", "DOSEWIRE_NATS_ADDRESS=127.0.0.1:0",
		"DOSEWIRE_LOG_LEVEL=warn", "DOSEWIRE_STORE_DSN="+db.dsn, "DOSEWIRE_STORE_KEYS_DSN="+db.keys, "DOSEWIRE_STORE_MIGRATE=true")
	if db.dsn == "" {
		env = env[:len(env)-3]
	}
	cmd := exec.CommandContext(ctx, bin, "serve", "--json")
	cmd.Env, cmd.Stderr = env, os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, in: in}
	var about struct{ URL string }
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &about)
	}
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("hub did not start: %w", err)
	}
	p.url = about.URL + "/fhir/MedicationRequest"
	for _, o := range [][]string{{"pharmacy", "Bench Pharmacy", "1558203947"}, {"clinic", "Bench Clinic", "1902847563"}} {
		add := exec.CommandContext(ctx, bin, "org", "add", o[0], o[1], "--identifier", "http://hl7.org/fhir/sid/us-npi|"+o[2], "--json")
		add.Env, add.Stderr = env, os.Stderr
		text, err := add.Output()
		var c struct{ Token, Org string }
		if err == nil {
			err = json.Unmarshal(bytes.TrimSpace(text), &c)
		}
		if err != nil || c.Token == "" {
			p.stop()
			return nil, errors.Join(fmt.Errorf("org add %s failed", o[0]), err)
		}
		if p.token, p.org = c.Token, c.Org; o[0] == "pharmacy" {
			p.pharmacy = target{url: about.URL + "/fhir/MedicationDispense", token: c.Token}
		}
	}
	return p, nil
}

// large posts prescriptions of nearly 1 MiB, a few at a time.
func large(ctx context.Context, t target) error {
	body := order("large", 0)
	note := bytes.Repeat([]byte("Long note. "), (1<<20-4096)/11)
	body = bytes.Replace(body, []byte("Finish the whole course, also when the symptoms are gone."), note, 1)
	c := client(16)
	defer c.CloseIdleConnections()
	var wg sync.WaitGroup
	errs := make([]error, 16)
	for w := range errs {
		wg.Go(func() {
			for i := range 4 {
				id := fmt.Sprintf("large-%d-%d", w, i)
				mine := bytes.Replace(body, []byte(`"large-0"`), []byte(`"`+id+`"`), 1)
				err := post(ctx, c, t, id, mine)
				for again := 0; errors.Is(err, errBusy) && again < 20; again++ {
					time.Sleep(time.Second) // as Retry-After says
					err = post(ctx, c, t, id, mine)
				}
				if err != nil {
					errs[w] = fmt.Errorf("1 MiB message: %w", err)
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
