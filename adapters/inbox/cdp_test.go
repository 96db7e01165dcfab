//go:build browser

package inbox

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// chromium is one page of a headless Chromium, driven by the Chrome DevTools Protocol. One test uses
// it at a time.
type chromium struct {
	t    *testing.T
	ctx  context.Context
	conn *websocket.Conn
	next int
	// foreign are requests that left the machine, or would have.
	foreign []string
	// faults are uncaught errors and violations of the content security policy.
	faults []string
}

const browserTime = 90 * time.Second

// startChromium fails the test when there is no chromium: a browser test that was skipped proves
// nothing.
func startChromium(t *testing.T) *chromium {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("chromium is not installed: apt-get install chromium")
	}
	ctx, cancel := context.WithTimeout(t.Context(), browserTime)
	dir := t.TempDir()
	cmd := exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
		"--remote-debugging-port=0", "--user-data-dir="+dir, "--lang=en-GB",
		"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "about:blank")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // the whole group: children write into dir until they end
		cancel()
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
	})
	conn, _, err := websocket.Dial(ctx, debuggerURL(ctx, t, dir), nil)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(64 << 20)
	b := &chromium{t: t, ctx: ctx, conn: conn}
	for _, domain := range []string{"Page", "Runtime", "Network", "Log"} {
		b.call(domain+".enable", nil)
	}
	return b
}

// debuggerURL waits for Chromium to write its port, then asks for the first page.
func debuggerURL(ctx context.Context, t *testing.T, dir string) string {
	t.Helper()
	for ctx.Err() == nil {
		text, err := os.ReadFile(filepath.Join(dir, "DevToolsActivePort"))
		port, _, ok := strings.Cut(string(text), "\n")
		if err == nil && ok {
			if url, err := firstPage(port); err == nil {
				return url
			}
		}
		time.Sleep(20 * time.Millisecond) // another process writes the file
	}
	t.Fatal("chromium did not start")
	return ""
}

func firstPage(port string) (string, error) {
	res, err := http.Get("http://127.0.0.1:" + port + "/json/list")
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var pages []struct {
		Type string
		URL  string `json:"webSocketDebuggerUrl"`
	}
	if err := json.NewDecoder(res.Body).Decode(&pages); err != nil {
		return "", err
	}
	for _, p := range pages {
		if p.Type == "page" {
			return p.URL, nil
		}
	}
	return "", errors.New("no page")
}

type answer struct {
	ID     int
	Method string
	Params json.RawMessage
	Result json.RawMessage
	Error  *struct{ Message string }
}

// call is try that must succeed.
func (b *chromium) call(method string, params any) json.RawMessage {
	b.t.Helper()
	raw, err := b.try(method, params)
	if err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	return raw
}

// try sends one command and reads events until its answer comes. The error is Chromium's.
func (b *chromium) try(method string, params any) (json.RawMessage, error) {
	b.t.Helper()
	b.next++
	if params == nil {
		params = struct{}{}
	}
	text, err := json.Marshal(map[string]any{"id": b.next, "method": method, "params": params})
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.conn.Write(b.ctx, websocket.MessageText, text); err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	for {
		_, text, err := b.conn.Read(b.ctx)
		if err != nil {
			b.t.Fatalf("%s: %v", method, err)
		}
		var a answer
		if err := json.Unmarshal(text, &a); err != nil {
			b.t.Fatal(err)
		}
		if a.Method != "" {
			b.note(a)
			continue
		}
		if a.ID == b.next {
			if a.Error != nil {
				return nil, errors.New(a.Error.Message)
			}
			return a.Result, nil
		}
	}
}

// note keeps what must not happen.
func (b *chromium) note(a answer) {
	var p struct {
		Request          struct{ URL string }
		ExceptionDetails struct {
			Text      string
			Exception struct{ Description string }
		}
		Entry struct{ Source, Level, Text, URL string }
	}
	if json.Unmarshal(a.Params, &p) != nil {
		return
	}
	switch a.Method {
	case "Network.requestWillBeSent":
		if !strings.HasPrefix(p.Request.URL, "http://127.0.0.1:") {
			b.foreign = append(b.foreign, p.Request.URL)
		}
	case "Runtime.exceptionThrown":
		b.faults = append(b.faults, p.ExceptionDetails.Text+" "+p.ExceptionDetails.Exception.Description)
	case "Log.entryAdded":
		if p.Entry.Source == "security" || p.Entry.Source == "violation" || strings.Contains(p.Entry.Text, "Content Security Policy") {
			b.faults = append(b.faults, p.Entry.Text)
		}
	}
}

// eval runs an expression in the page; promises are waited for. The value is decoded into into.
func (b *chromium) eval(expression string, into any) {
	b.t.Helper()
	if err := b.evaluate(expression, into); err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
}

func (b *chromium) evaluate(expression string, into any) error {
	b.t.Helper()
	raw, err := b.try("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true, "userGesture": true})
	if err != nil {
		return err
	}
	var r struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return err
	}
	if r.ExceptionDetails != nil {
		return errors.New(r.ExceptionDetails.Text + " " + r.ExceptionDetails.Exception.Description)
	}
	if into == nil || len(r.Result.Value) == 0 {
		return nil
	}
	return json.Unmarshal(r.Result.Value, into)
}

// until waits for an expression to be true. A page that is being replaced answers with an error.
func (b *chromium) until(expression string) {
	b.t.Helper()
	var err error
	for b.ctx.Err() == nil {
		var ok bool
		if err = b.evaluate("Boolean("+expression+")", &ok); ok {
			return
		}
		time.Sleep(20 * time.Millisecond) // the page works in another process
	}
	b.t.Fatalf("never became true: %s: %v", expression, err)
}

func (b *chromium) open(url string) {
	b.t.Helper()
	b.call("Page.navigate", map[string]any{"url": url})
	b.until(fmt.Sprintf("document.readyState === 'complete' && location.href.startsWith(%q)", strings.SplitN(url, "?", 2)[0]))
}

// click presses what a selector finds and waits for the page that follows.
func (b *chromium) click(selector, path string) {
	b.t.Helper()
	b.eval(fmt.Sprintf("document.querySelector(%q).click()", selector), nil)
	b.until(fmt.Sprintf("document.readyState === 'complete' && location.pathname === %q", path))
}

// screen sets the size of the window, CSS pixels, and the colour scheme.
func (b *chromium) screen(width, height int, scale float64, scheme string) {
	b.t.Helper()
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 600})
	b.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}})
}

// picture writes a PNG of the window, or of the whole page.
func (b *chromium) picture(path string, whole bool) {
	b.t.Helper()
	var r struct{ Data string }
	if err := json.Unmarshal(b.call("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": whole}), &r); err != nil {
		b.t.Fatal(err)
	}
	png, err := base64.StdEncoding.DecodeString(r.Data)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}
