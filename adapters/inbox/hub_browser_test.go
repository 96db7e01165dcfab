//go:build browser

package inbox

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// program is the real dosewire with a data folder of its own.
type program struct {
	t    *testing.T
	file string
	env  []string
	dir  string
}

func buildProgram(t *testing.T) *program {
	t.Helper()
	dir, err := os.MkdirTemp("", "inbox") // t.TempDir's paths are too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &program{t: t, dir: dir, file: filepath.Join(dir, "dosewire")}
	p.env = append(os.Environ(), "DOSEWIRE_DATA="+filepath.Join(dir, "data"), "DOSEWIRE_HTTP_ADDRESS=127.0.0.1:0", "DOSEWIRE_NATS_ADDRESS=127.0.0.1:0")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", p.file, "../../cmd/dosewire")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return p
}

// serve runs the hub until the test ends, and returns when it is ready.
func (p *program) serve() {
	p.t.Helper()
	cmd := exec.Command(p.file, "serve")
	cmd.Env = p.env
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			p.t.Errorf("serve: %v\n%s", err, &log)
		}
	})
	for began := time.Now(); time.Since(began) < 30*time.Second; time.Sleep(50 * time.Millisecond) { // between two looks at another process
		if _, err := p.try("status"); err == nil {
			return
		}
	}
	p.t.Fatal("the hub is not ready after 30 s")
}

func (p *program) try(args ...string) ([]byte, error) {
	cmd := exec.CommandContext(p.t.Context(), p.file, args...)
	cmd.Env = p.env
	return cmd.CombinedOutput()
}

func (p *program) run(args ...string) []byte {
	p.t.Helper()
	out, err := p.try(args...)
	if err != nil {
		p.t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return out
}

// A patient of a real hub checks a record that its clinic sent: the receipt is made from what its notary
// published, under the policy that it made.
func TestCheckAtARealHub(t *testing.T) {
	p := buildProgram(t)
	p.serve()
	clinic, pharmacy := filepath.Join(p.dir, "clinic.json"), filepath.Join(p.dir, "pharmacy.json")
	p.run("org", "add", "clinic", "Riverside Family Practice", "--save", clinic)
	p.run("org", "add", "pharmacy", "Old Bridge Pharmacy", "--identifier", "http://hl7.org/fhir/sid/us-npi|1558203947", "--save", pharmacy)
	p.run("send", "../../testdata/demo/05-ibuprofen.json", "--as", clinic)
	var link struct{ URL string }
	out := p.run("patient", "invite", "--as", clinic, "--identifier", "https://riverside.example/fhir/mrn|RF-20418", "--json")
	if err := json.Unmarshal(out, &link); err != nil || link.URL == "" {
		t.Fatalf("invite: %v %s", err, out)
	}

	b := startChromium(t)
	b.screen(390, 844, 1, "light")
	b.open(link.URL)
	b.click("form button", "/inbox/")
	var card string
	b.eval("document.querySelector('a[href*=\"/inbox/p/\"]').href", &card)
	b.open(strings.TrimSuffix(card, "/") + "/check")
	b.until("!document.getElementById('check-now').hidden")
	verdict := "document.querySelector('#check .banner')?.textContent"
	for began := time.Now(); time.Since(began) < 10*time.Second; { // the next checkpoint may still be on its way
		b.eval("document.getElementById('check-now').click()", nil)
		b.until("!document.getElementById('check-now').disabled")
		var said string
		if b.eval(verdict, &said); said != "This cannot be checked just now" {
			break
		}
		time.Sleep(100 * time.Millisecond) // before the next try
	}
	b.until(verdict + " === 'This record is genuine and unchanged'")
	b.until("document.getElementById('check-reason').textContent.includes('in a signed log')")
	if len(b.foreign) > 0 || len(b.faults) > 0 {
		t.Errorf("requests to others %v, complaints %v", b.foreign, b.faults)
	}
}
