package embedded_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/streams"
	"github.com/dosewire/dosewire/streams/embedded"
)

func config(dir string) embedded.Config {
	return embedded.Config{Dir: dir, Key: bytes.Repeat([]byte{7}, embedded.KeySize), Auth: everybody{}}
}

type everybody struct{}

func (everybody) Check(user, _ string) (streams.Permissions, error) {
	return streams.PermissionsFor(user), nil
}

func start(t *testing.T, c embedded.Config) *embedded.Server {
	t.Helper()
	s, err := embedded.Start(t.Context(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// open is the hub's connection, with the streams made.
func open(t *testing.T, s *embedded.Server) (*nats.Conn, jetstream.JetStream, *streams.Publisher) {
	t.Helper()
	return openWith(t, s, streams.Settings{Epoch: 1})
}

func openWith(t *testing.T, s *embedded.Server, settings streams.Settings) (*nats.Conn, jetstream.JetStream, *streams.Publisher) {
	t.Helper()
	nc, err := s.Conn()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if err := streams.Ensure(t.Context(), js, settings); err != nil {
		t.Fatal(err)
	}
	p, err := streams.NewPublisher(nc)
	if err != nil {
		t.Fatal(err)
	}
	return nc, js, p
}

// folder is that of a stream.
func folder(c embedded.Config, stream string) string {
	return filepath.Join(c.Dir, "jetstream", "$G", "streams", stream)
}

func message(id, body string) streams.Message {
	return streams.Message{ID: "org." + id, Subject: streams.IntakeSubject("org", streams.TypeBundle), Body: []byte(body)}
}

func ids(t *testing.T, js jetstream.JetStream) map[string]int {
	t.Helper()
	stream, err := js.Stream(t.Context(), streams.Intake)
	if err != nil {
		t.Fatal(err)
	}
	last := stream.CachedInfo().State.LastSeq
	r, err := streams.OpenReader(t.Context(), js, streams.Intake, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	found := map[string]int{}
	for at := uint64(0); at < last; {
		batch, err := r.Batch(t.Context(), 1000, 8<<20, 10*time.Second)
		if err != nil || len(batch) == 0 {
			t.Fatalf("read up to %d of %d: %v", at, last, err)
		}
		for _, m := range batch {
			found[m.ID]++
			if at = m.Seq; !m.Ends() {
				at-- // the rest of the parcel is to come
			}
		}
	}
	return found
}

func TestRestartKeepsMessages(t *testing.T) {
	dir := t.TempDir()
	for round := range 3 {
		s := start(t, config(dir))
		nc, js, p := open(t, s)
		var wg sync.WaitGroup
		for i := range 100 { // enough for atomic batches
			wg.Go(func() {
				if err := p.Publish(t.Context(), message(fmt.Sprintf("%d.%d", round, i), "{}")); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got, want := len(ids(t, js)), 100*(round+1); got != want {
			t.Errorf("round %d: %d messages, want %d", round, got, want)
		}
		nc.Close()
		s.Close()
		s.Close() // allowed
	}
}

func TestStoreShowsNothing(t *testing.T) {
	const canary = "Canary-Mustermann-1953"
	dir := t.TempDir()
	s := start(t, config(dir))
	nc, _, p := open(t, s)
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			m := message(fmt.Sprintf("%s.%d", canary, i), `{"name":"`+canary+`"}`)
			m.Header = nats.Header{"X-Canary": {canary}}
			if err := p.Publish(t.Context(), m); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	nc.Close()
	s.Close()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		files++
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte("Mustermann")) {
			t.Errorf("%s shows the canary", path)
		}
		return err
	})
	if err != nil || files < 5 {
		t.Errorf("looked into %d files: %v", files, err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder is open to others: %v, %v", info, err)
	}
	// And with another key nothing comes back.
	wrong := config(dir)
	wrong.Key = bytes.Repeat([]byte{8}, embedded.KeySize)
	if s, err := embedded.Start(t.Context(), wrong, slog.New(slog.DiscardHandler)); err == nil {
		defer s.Close()
		nc, err := s.Conn()
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := js.Stream(t.Context(), streams.Intake); !errors.Is(err, jetstream.ErrStreamNotFound) {
			t.Errorf("with a wrong key: %v", err)
		}
	}
}

func TestOneProcessAtATime(t *testing.T) {
	dir := t.TempDir()
	s := start(t, config(dir))
	if _, err := embedded.Start(t.Context(), config(dir), slog.New(slog.DiscardHandler)); !errors.Is(err, embedded.ErrLocked) {
		t.Errorf("got %v, want ErrLocked", err)
	}
	s.Close()
	start(t, config(dir))
}

func TestStartRefuses(t *testing.T) {
	short := config(t.TempDir())
	short.Key = []byte("short")
	taken := config(t.TempDir())
	taken.Address = strings.TrimPrefix(start(t, config(t.TempDir())).URL(), "nats://")
	nowhere := config(t.TempDir())
	nowhere.Address = "somewhere"
	for name, tt := range map[string]struct {
		config embedded.Config
		want   fault.Kind
	}{"short key": {short, fault.Invalid}, "no folder": {config(""), fault.Invalid}, "no port": {nowhere, fault.Invalid}, "port in use": {taken, fault.Unavailable}} {
		s, err := embedded.Start(t.Context(), tt.config, slog.New(slog.DiscardHandler))
		if err == nil {
			s.Close()
		}
		if err == nil || fault.KindOf(err) != tt.want {
			t.Errorf("%s: got %v, want kind %v", name, err, tt.want)
		}
	}
}

func TestStopLeavesNoGoroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	s := start(t, config(t.TempDir()))
	nc, _, p := open(t, s)
	if err := p.Publish(t.Context(), message("1", "{}")); err != nil {
		t.Fatal(err)
	}
	nc.Close()
	s.Close()
	for range 200 {
		if runtime.NumGoroutine() <= before+2 { // the runtime's own come and go
			return
		}
		time.Sleep(20 * time.Millisecond) // goroutines of the libraries end a moment after Close
	}
	stacks := make([]byte, 1<<20)
	t.Errorf("%d goroutines before, %d after:\n%s", before, runtime.NumGoroutine(), stacks[:runtime.Stack(stacks, true)])
}

// A disk that cannot be written to turns health red, and stays so.
func TestUnhealthy(t *testing.T) {
	c := config(t.TempDir())
	s := start(t, c)
	_, _, p := open(t, s)
	if err := s.Healthy(); err != nil {
		t.Fatal(err)
	}
	// Permissions do not stop root, so a file stands where the next block of messages would be made.
	blocks := filepath.Join(folder(c, streams.Intake), "msgs")
	if err := errors.Join(os.Rename(blocks, blocks+".away"), os.WriteFile(blocks, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for i := range 20 {
		if p.Publish(ctx, message(fmt.Sprint(i), strings.Repeat("x", 1<<20))) != nil {
			break
		}
	}
	select {
	case err := <-s.Failed():
		if !errors.Is(err, embedded.ErrUnhealthy) || s.Healthy() == nil {
			t.Errorf("got %v, health %v", err, s.Healthy())
		}
	case <-time.After(20 * time.Second):
		t.Error("the failure was not noticed")
	}
}

// A stream in the making is no reason to end, however slow the disk; one that stays half made is.
func TestInTheMaking(t *testing.T) {
	t.Parallel()
	c := config(t.TempDir())
	s := start(t, c)
	open(t, s)
	began := time.Now()
	if err := os.Mkdir(folder(c, "SLOW"), 0o700); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(s.Healthy(), embedded.ErrUnhealthy) {
		t.Error("healthy with a stream in the making: this test shows nothing")
	}
	select {
	case err := <-s.Failed():
		if took := time.Since(began); took < 20*time.Second {
			t.Errorf("it ended after %v: %v", took, err)
		}
	case <-time.After(time.Minute):
		t.Error("a stream that stays half made was not noticed")
	}
}

// A kill while a block is begun leaves a block without a byte and without its key. What was acknowledged in the
// blocks before it is there all the same.
func TestHalfMadeBlock(t *testing.T) {
	for _, index := range []bool{false, true} { // the server's own index: written now and then, and at an orderly stop
		t.Run(fmt.Sprintf("index %v", index), func(t *testing.T) {
			c := config(t.TempDir())
			s := start(t, c)
			_, _, p := open(t, s)
			const sent = 12 // MiB, in blocks of 8
			for i := range sent {
				if err := p.Publish(t.Context(), message(fmt.Sprint(i), strings.Repeat("x", 1<<20))); err != nil {
					t.Fatal(err)
				}
			}
			s.Close()
			blocks := filepath.Join(folder(c, streams.Intake), "msgs")
			if !index {
				if err := os.Remove(filepath.Join(blocks, "index.db")); err != nil {
					t.Fatal(err)
				}
			}
			whole, err := filepath.Glob(filepath.Join(blocks, "*.blk"))
			if err != nil || len(whole) < 2 {
				t.Fatalf("%d blocks: this test shows nothing: %v", len(whole), err)
			}
			half := filepath.Join(blocks, fmt.Sprint(len(whole)+9))
			if err := errors.Join(os.WriteFile(half+".blk", nil, 0o600), os.WriteFile(half+".key.tmp", make([]byte, 64), 0o600)); err != nil {
				t.Fatal(err)
			}
			_, js, _ := open(t, start(t, c))
			if found := ids(t, js); len(found) != sent {
				t.Errorf("%d of %d acknowledged messages are there", len(found), sent)
			}
		})
	}
}

// A kill in a purge of all that a stream holds, when the key of the new block was moved away and the block was not,
// has purged nothing.
func TestKilledInPurge(t *testing.T) {
	c := config(t.TempDir())
	s := start(t, c)
	_, js, p := open(t, s)
	if err := p.Publish(t.Context(), message("1", "x")); err != nil {
		t.Fatal(err)
	}
	msgs, saved := filepath.Join(folder(c, streams.Intake), "msgs"), filepath.Join(t.TempDir(), "msgs")
	if err := os.CopyFS(saved, os.DirFS(msgs)); err != nil {
		t.Fatal(err)
	}
	if err := streams.PurgeBefore(t.Context(), js, streams.Intake, 2); err != nil {
		t.Fatal(err)
	}
	s.Close()
	keys, err := filepath.Glob(filepath.Join(msgs, "*.key"))
	if err != nil || len(keys) != 1 {
		t.Fatalf("keys %v: %v", keys, err)
	}
	moved := filepath.Join(folder(c, streams.Intake), "__new_msgs__")
	if err := errors.Join(os.Mkdir(moved, 0o700), os.Remove(filepath.Join(msgs, "index.db")),
		os.Rename(keys[0], filepath.Join(moved, filepath.Base(keys[0]))), os.CopyFS(msgs, os.DirFS(saved))); err != nil {
		t.Fatal(err)
	}
	_, js, _ = open(t, start(t, c))
	if found := ids(t, js); len(found) != 1 {
		t.Errorf("%d of 1 acknowledged messages are there", len(found))
	}
}

// A purge of what is purged already begins no block.
func TestPurgeOfNothing(t *testing.T) {
	c := config(t.TempDir())
	_, js, p := open(t, start(t, c))
	if err := p.Publish(t.Context(), message("1", "x")); err != nil {
		t.Fatal(err)
	}
	var before []string
	for round := range 3 {
		if err := streams.PurgeBefore(t.Context(), js, streams.Intake, 2); err != nil {
			t.Fatal(err)
		}
		blocks, err := filepath.Glob(filepath.Join(folder(c, streams.Intake), "msgs", "*.blk"))
		if err != nil || len(blocks) != 1 || round > 0 && !slices.Equal(blocks, before) {
			t.Errorf("round %d: %v after %v: %v", round, blocks, before, err)
		}
		before = blocks
	}
}

// A kill while a stream is made that does not begin at 1, as RX_INTAKE after it was lost.
func TestKilledWhileMakingAnew(t *testing.T) {
	c := config(t.TempDir())
	s, anew := start(t, c), streams.Settings{Epoch: 1, FirstSeq: 100}
	openWith(t, s, anew)
	s.Close()
	if err := errors.Join(os.Remove(filepath.Join(folder(c, streams.Intake), "meta.inf")), os.Remove(filepath.Join(folder(c, streams.Intake), "meta.sum"))); err != nil {
		t.Fatal(err)
	}
	openWith(t, start(t, c), anew)
}

// A kill while the settings of a stream are changed, after they were written and before their checksum was.
func TestKilledWhileChangingSettings(t *testing.T) {
	c := config(t.TempDir())
	s := start(t, c)
	_, js, p := open(t, s)
	if err := p.Publish(t.Context(), message("1", "x")); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(folder(c, streams.Intake), "meta.sum")
	old, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := streams.Ensure(t.Context(), js, streams.Settings{Epoch: 1, IntakeBytes: 1 << 29}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	sum, err := os.ReadFile(name)
	if err != nil || bytes.Equal(sum, old) {
		t.Fatalf("the checksum did not change: this test shows nothing: %v", err)
	}
	if err := os.WriteFile(name, old, 0o600); err != nil {
		t.Fatal(err)
	}
	_, js, _ = open(t, start(t, c))
	if found := ids(t, js); len(found) != 1 {
		t.Errorf("%d of 1 acknowledged messages are there", len(found))
	}
}

// A kill in the first moments of a start leaves the file by which the server tries whether it can write.
func TestKilledWhileStarting(t *testing.T) {
	c := config(t.TempDir())
	start(t, c).Close()
	if err := os.WriteFile(filepath.Join(c.Dir, "jetstream", "_test_4711"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, c)
}

// A block with messages and without a key is for a person to look at: nothing is started, nothing removed.
func TestKeyless(t *testing.T) {
	c := config(t.TempDir())
	s := start(t, c)
	_, _, p := open(t, s)
	if err := p.Publish(t.Context(), message("1", "x")); err != nil {
		t.Fatal(err)
	}
	s.Close()
	blocks := filepath.Join(folder(c, streams.Intake), "msgs")
	keys, err := filepath.Glob(filepath.Join(blocks, "*.key"))
	if err != nil || len(keys) == 0 {
		t.Fatalf("%d keys: %v", len(keys), err)
	}
	for _, k := range keys {
		if err := os.Rename(k, k+".away"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := embedded.Start(t.Context(), c, slog.New(slog.DiscardHandler)); !errors.Is(err, embedded.ErrKeyless) || !strings.Contains(err.Error(), streams.Intake) {
		t.Errorf("got %v", err)
	}
	for _, k := range keys {
		if err := os.Rename(k+".away", k); err != nil {
			t.Fatal(err)
		}
	}
	_, js, _ := open(t, start(t, c))
	if found := ids(t, js); len(found) != 1 {
		t.Errorf("%d of 1 acknowledged messages are there", len(found))
	}
}

// Atomic batches are staged in memory, nothing of them stays there, and tidying up does no harm.
func TestStaging(t *testing.T) {
	if _, err := os.Stat("/dev/shm"); err != nil {
		t.Log("no /dev/shm here: staging is on disk")
		return
	}
	c := config(t.TempDir())
	s := start(t, c)
	_, js, _ := open(t, s)
	link := filepath.Join(folder(c, streams.Delivery), "batches")
	linked := func() string {
		for range 1000 {
			if to, err := os.Readlink(link); err == nil {
				if _, err := os.Stat(to); err == nil {
					return to
				}
			}
			time.Sleep(5 * time.Millisecond) // another goroutine links
		}
		t.Fatal("the staging folder was not linked")
		return ""
	}
	p, err := streams.NewDeliveryPublisher(t.Context(), js, func(context.Context) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	publish := func(round string) {
		messages := make([]streams.Message, 100)
		for i := range messages {
			id := fmt.Sprint("d.", round, ".", i)
			messages[i] = streams.Message{ID: id, Subject: streams.DeliverySubject("org", streams.TypeBundle, id), Body: []byte("{}")}
		}
		if _, err := p.Publish(t.Context(), messages); err != nil {
			t.Error(err)
		}
	}
	to := linked()
	publish("before")
	if err := os.RemoveAll(filepath.Dir(to)); err != nil {
		t.Fatal(err)
	}
	publish("without")
	linked()
	publish("after")
	stream, err := js.Stream(t.Context(), streams.Delivery)
	if err != nil {
		t.Fatal(err)
	}
	if got := stream.CachedInfo().State.Msgs; got != 300 {
		t.Errorf("%d messages, want 300", got)
	}
	s.Close()
	if _, err := os.Stat(filepath.Dir(to)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder in memory was left behind: %v", err)
	}
}

const childDir = "DOSEWIRE_TEST_STORE"

// TestMain is also the process that TestKill kills: it publishes and prints what was acknowledged.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		publishForEver(dir)
	}
	os.Exit(m.Run())
}

func publishForEver(dir string) {
	ctx := context.Background()
	s, err := embedded.Start(ctx, config(dir), slog.New(slog.DiscardHandler))
	if err != nil {
		panic(err)
	}
	nc, err := s.Conn()
	if err != nil {
		panic(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		panic(err)
	}
	if err := streams.Ensure(ctx, js, streams.Settings{Epoch: 1}); err != nil {
		panic(err)
	}
	p, err := streams.NewPublisher(nc)
	if err != nil {
		panic(err)
	}
	var wg sync.WaitGroup
	for c := range 64 {
		wg.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%d.%d.%d", os.Getpid(), c, i)
				if p.Publish(ctx, message(id, strings.Repeat("x", 2000))) == nil {
					fmt.Println("org." + id) // one write: never torn
				}
			}
		})
	}
	wg.Wait()
}

func TestKill(t *testing.T) {
	dir := t.TempDir()
	acknowledged := map[string]bool{}
	// The first kills come while the streams are being made, the others when so many are acknowledged.
	for round, after := range []int{15, 25, 30, 35, 40, 45, 50, 60, 700, 600, 500} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childDir+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		if round < 8 {
			time.Sleep(time.Duration(after) * time.Millisecond) // how long it may work before it is killed
		} else {
			for n := 0; n < after && lines.Scan(); n++ {
				acknowledged[lines.Text()] = true
			}
		}
		if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() {
			acknowledged[lines.Text()] = true
		}
		_ = cmd.Wait() // it was killed: that is its error
	}
	_, js, _ := open(t, start(t, config(dir)))
	found := ids(t, js)
	lost := 0
	for id := range acknowledged {
		if found[id] == 0 {
			lost++
		}
	}
	if lost > 0 || len(acknowledged) < 1800 {
		t.Errorf("%d of %d acknowledged messages were lost", lost, len(acknowledged))
	}
	t.Logf("%d acknowledged, %d stored", len(acknowledged), len(found))
}
