package main

import (
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
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/dosewire/dosewire/fhir"
)

// exits runs a program that ends with this code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code program [args...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// validated runs the command on standard input.
func validated(ctx context.Context, in io.Reader, out io.Writer, args ...string) (stderr string, err error) {
	var log bytes.Buffer
	c := newRoot()
	c.SetIn(in)
	c.SetOut(out)
	c.SetErr(&log)
	c.SetArgs(append([]string{"validate", "-"}, args...))
	err = c.ExecuteContext(ctx)
	return log.String(), err
}

const validPatient = `{"resourceType":"Patient","gender":"female"}`

// TestValidateKeepsTheOrder has many more lines than a batch, and every seventh is broken.
func TestValidateKeepsTheOrder(t *testing.T) {
	const lines = 40_000
	var in, out strings.Builder
	for n := 1; n <= lines; n++ {
		if n%7 == 0 {
			in.WriteString("{\n")
		} else {
			in.WriteString(validPatient + "\r\n")
		}
	}
	if in.Len() < 4*batchBytes {
		t.Fatal("too little input")
	}
	stderr, err := validated(t.Context(), strings.NewReader(in.String()), &out, "--ndjson", "--json")
	if code := exitCode(t.Context(), err); code != exitRefused {
		t.Errorf("exit code %d: %v", code, err)
	}
	if want := fmt.Sprintf("%d resources, %d refused, 0 warnings, ", lines, lines/7); !strings.HasPrefix(stderr, want) {
		t.Errorf("summary %q, want %q", stderr, want)
	}
	answers := json.NewDecoder(strings.NewReader(out.String()))
	for n := 1; n <= lines; n++ {
		var got judgement
		if err := answers.Decode(&got); err != nil {
			t.Fatalf("after %d answers: %v", n-1, err)
		}
		if got.Line != n || got.Valid != (n%7 != 0) {
			t.Fatalf("answer %d is of line %d, valid %t", n, got.Line, got.Valid)
		}
	}
}

// TestValidateBoundsALine: a line without an end costs no memory, is refused, and the next is judged.
func TestValidateBoundsALine(t *testing.T) {
	fits := validPatient + strings.Repeat(" ", fhir.MaxBytes-len(validPatient))
	for _, c := range []struct {
		name, text string
		want       string
	}{
		{"as long as allowed", fits + "\n" + validPatient, "2 resources, 0 refused"},
		{"with an LF at the end", fits + "\n", "1 resource, 0 refused"},
		{"one byte longer", fits + " \n" + validPatient, "2 resources, 1 refused"},
		{"blanks alone", strings.Repeat(" ", 2*fhir.MaxBytes) + validPatient + "\n", "1 resource, 1 refused"},
		{"no line", "", "0 resources, 0 refused"},
		{"blank lines", "\n \r\n\n", "0 resources, 0 refused"},
	} {
		var out strings.Builder
		stderr, err := validated(t.Context(), strings.NewReader(c.text), &out, "--ndjson")
		if !strings.HasPrefix(stderr, c.want) {
			t.Errorf("%s: %q, want %q (%v)\n%s", c.name, stderr, c.want, err, out.String())
		}
		if refused := !strings.Contains(c.want, " 0 refused"); refused && !strings.HasPrefix(out.String(), "-:1: error RX_TOO_LARGE: ") {
			t.Errorf("%s: %q", c.name, out.String())
		}
	}
	var out strings.Builder
	long := io.MultiReader(io.LimitReader(endless{}, 64<<20), strings.NewReader("\n"+validPatient))
	if stderr, _ := validated(t.Context(), long, &out, "--ndjson"); !strings.HasPrefix(stderr, "2 resources, 1 refused") {
		t.Errorf("64 MiB in a line: %q", stderr)
	}
}

// endless is a line that does not end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// TestValidateAnswersAtOnce: who writes a line into a pipe need not end it to hear.
func TestValidateAnswersAtOnce(t *testing.T) {
	in, w := io.Pipe()
	r, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		_, err := validated(t.Context(), in, out, "--ndjson", "--json")
		ended <- err
	}()
	answers := json.NewDecoder(r)
	for n := 1; n <= 3; n++ {
		fmt.Fprintln(w, validPatient)
		var got judgement
		if err := answers.Decode(&got); err != nil || got.Line != n || got.Type != "Patient" {
			t.Fatalf("answer %d: %+v, %v", n, got, err)
		}
	}
	w.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestValidateEnds where it is interrupted, where nobody listens, and where reading fails half-way.
func TestValidateEnds(t *testing.T) {
	for _, c := range []struct {
		name string
		in   io.Reader
		out  io.Writer
		wait time.Duration // until it is interrupted; 0 = never
		code int
	}{
		{name: "interrupted", in: endless{}, out: io.Discard, wait: 20 * time.Millisecond, code: exitInterrupted},
		{name: "nobody listens", in: endlessly("{\n"), out: deaf{}, code: exitInternal},
		{name: "unreadable", in: io.MultiReader(strings.NewReader(validPatient+"\n{"), deaf{}), out: io.Discard, code: exitUsage},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		if c.wait > 0 {
			time.AfterFunc(c.wait, cancel)
		}
		stderr, err := validated(ctx, c.in, c.out, "--ndjson")
		if code := exitCode(ctx, err); code != c.code {
			t.Errorf("%s: exit code %d, want %d: %v", c.name, code, c.code, err)
		}
		if !strings.Contains(stderr, " refused, ") {
			t.Errorf("%s: no summary: %q", c.name, stderr)
		}
		if c.name == "unreadable" && !strings.Contains(stderr, "1 resource, 0 refused") {
			t.Errorf("half a line was judged: %q", stderr)
		}
		cancel()
	}
}

// TestValidateEndsAtOnce where nobody writes: reading and even opening a pipe waits for that.
func TestValidateEndsAtOnce(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	in, w := io.Pipe()
	defer w.Close()
	for _, args := range [][]string{{}, {"--ndjson"}, {pipe}} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		time.AfterFunc(50*time.Millisecond, cancel)
		ended := make(chan error, 1)
		go func() {
			var from io.Reader = in
			if len(args) > 0 && args[0] == pipe {
				from = strings.NewReader(validPatient) // what - is, before the pipe
			}
			_, err := validated(ctx, from, io.Discard, args...)
			ended <- err
		}()
		select {
		case err := <-ended:
			if code := exitCode(ctx, err); code != exitInterrupted {
				t.Errorf("%v: exit code %d: %v", args, code, err)
			}
		case <-time.After(time.Second):
			t.Errorf("%v: it goes on", args)
		}
	}
}

// TestValidateCannotPrint: a full disk is no verdict.
func TestValidateCannotPrint(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	_, err = validated(t.Context(), strings.NewReader("{"), full)
	if code := exitCode(t.Context(), err); code != exitInternal {
		t.Errorf("exit code %d: %v", code, err)
	}
}

// TestValidatePrintsNames as they are, unless a terminal would act on them.
func TestValidatePrintsNames(t *testing.T) {
	dir := t.TempDir()
	for name, want := range map[string]string{
		"J\u00f6rg's \"order\".json": "J\u00f6rg's \"order\".json",
		"a\x1b[31m\n.json":           `a\x1b[31m\n.json`,
		"a\u009b31m.json":            `a\u009b31m.json`,
		"a\xff.json":                 `a\xff.json`,
	} {
		name = filepath.Join(dir, name)
		var out strings.Builder
		stderr, _ := validated(t.Context(), strings.NewReader(validPatient), &out, name)
		if !strings.Contains(stderr, filepath.Join(dir, want)+": no such file") {
			t.Errorf("%q: not there: %q", name, stderr)
		}
		if err := os.WriteFile(name, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		validated(t.Context(), strings.NewReader(validPatient), &out, name)
		if !strings.HasPrefix(out.String(), filepath.Join(dir, want)+":1:2: error RX_SYNTAX") {
			t.Errorf("%q: %q", name, out.String())
		}
	}
}

// endlessly repeats itself.
type endlessly string

func (e endlessly) Read(p []byte) (int, error) {
	n := 0
	for len(p)-n >= len(e) {
		n += copy(p[n:], e)
	}
	return n, nil
}

// deaf neither reads nor writes.
type deaf struct{}

func (deaf) Read([]byte) (int, error)  { return 0, errors.New("broken") }
func (deaf) Write([]byte) (int, error) { return 0, errors.New("broken") }
