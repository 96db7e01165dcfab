package inbox

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"rsc.io/qr"

	"github.com/dosewire/dosewire/fhir/rx"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/collect"
	"github.com/dosewire/dosewire/streams"
)

// coded gives a prescription that waits its latest code.
func (w *world) coded(id ledger.ID, number uint16, alive bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, p := range w.prescriptions {
		if p.ID != id {
			continue
		}
		state := map[string]any{"phase": "ready", "clinic": "", "fillsAllowed": 2, "codes": number}
		if alive {
			state["code"] = collect.Locator(id, number)
		}
		b, err := json.Marshal(state)
		if err != nil {
			w.t.Fatal(err)
		}
		w.prescriptions[i].State = b
	}
}

func TestCollectCodeIsAFact(t *testing.T) {
	h := newHousehold(t)
	c := h.client(h.serve()).signIn(h.world, h.ada)
	path := "/inbox/p/" + h.choose.String() + "/code"
	_, page := c.get("/inbox/p/" + h.choose.String())
	wantText(t, page, "Collect anywhere with a code", `method="post" action="`+path+`"`, "Show a code")
	_, page = c.get(path)
	wantText(t, page, "Collect with a code", "Salbutamol", "Show a code")

	post := func(want string, facts int) {
		t.Helper()
		h.sent = nil
		if res, _ := c.post(path, nil); res.StatusCode != 303 || res.Header.Get("Location") != want || len(h.sent) != facts {
			t.Errorf("%d to %q, %d facts", res.StatusCode, res.Header.Get("Location"), len(h.sent))
		}
	}
	post(path, 1)
	var fact collect.Fact
	if err := json.Unmarshal(h.sent[0].Body, &fact); err != nil || h.sent[0].Subject != "rx.fact.collect" || !strings.HasPrefix(h.sent[0].ID, "hub.") {
		t.Fatalf("%+v, %v", h.sent[0], err)
	}
	if want := (collect.Fact{Patient: h.ada.String(), Prescription: h.choose.String(), Locator: collect.Locator(h.choose, 1)}); fact != want {
		t.Errorf("%+v, want %+v", fact, want)
	}
	h.coded(h.choose, 7, false) // it died
	post(path, 1)
	if !strings.Contains(string(h.sent[0].Body), collect.Locator(h.choose, 8)) {
		t.Errorf("after seven codes: %s", h.sent[0].Body)
	}
	h.answer = streams.Answer{Status: 409, Code: "RX_COLLECT_CODE"}
	post(path+"?said=late", 1)
	h.answer, h.answerErr = streams.Answer{}, fault.Of(fault.CodePending)
	post(path+"?said=pending", 1)
	for name, s := range map[string]rx.State{
		"directed":     {Phase: rx.Ready, FillsAllowed: 1, Directed: true},
		"not routed":   {Phase: rx.Ready, FillsAllowed: 1, RecordOnly: true},
		"being filled": {Phase: rx.Held, FillsAllowed: 1, Holder: h.hill.String()},
	} {
		h.move(h.choose, s, string(s.Phase))
		post(path+"?said=late", 0)
		if _, page := c.get(path); strings.Contains(page, "<form class=\"choose\"") || strings.Contains(page, "<svg class=\"qr\"") {
			t.Errorf("%s: offered", name)
		}
	}
}

func TestCollectCodeIsShown(t *testing.T) {
	h := newHousehold(t)
	h.coded(h.choose, 3, true)
	s := h.serve()
	c := h.client(s).signIn(h.world, h.ada)
	path := "/inbox/p/" + h.choose.String() + "/code"
	_, page := c.get("/inbox/p/" + h.choose.String())
	wantText(t, page, `href="`+path+`"`, "Show your code")
	before := len(h.reads)
	_, page = c.get(path)
	if len(h.reads) != before+1 {
		t.Errorf("%d access rows, want 1", len(h.reads)-before)
	}
	shown := regexp.MustCompile(`code-text" translate="no">([^<]*)<`).FindStringSubmatch(page)
	if shown == nil {
		t.Fatalf("no code in %s", page)
	}
	want := collect.Of(h, h.choose, collect.Locator(h.choose, 3))
	if got, ok := collect.Parse(shown[1]); !ok || got != want {
		t.Errorf("%s is read as %v, want %v", shown[1], got, want)
	}
	if strings.Contains(h.logs.String(), want.Secret) || strings.Contains(page, "?code=") {
		t.Error("the secret is in the log or in a URL")
	}
	if res, _ := h.client(s).signIn(h.world, h.stranger).get(path); res.StatusCode != 404 {
		t.Errorf("a stranger: %d", res.StatusCode)
	}
	h.coded(h.choose, 3, false) // used up
	if _, page := c.get(path); strings.Contains(page, "qr\"") {
		t.Error("a dead code is shown")
	}
}

// The picture is the QR code of the text, module for module, within its quiet border.
func TestPictureOfACode(t *testing.T) {
	text := collect.Of(newWorld(t), ledger.ID{1}, collect.Locator(ledger.ID{1}, 1)).String()
	got, err := draw(text)
	if err != nil {
		t.Fatal(err)
	}
	want, err := qr.Encode(text, qr.M)
	if err != nil {
		t.Fatal(err)
	}
	black := map[[2]int]bool{}
	for _, bar := range strings.Split(strings.TrimSuffix(got.Path, "z"), "z") {
		var x, y, n, back int
		if _, err := fmt.Sscanf(bar, "M%d %dh%dv1h-%d", &x, &y, &n, &back); err != nil || n != back {
			t.Fatalf("%q: %v", bar, err)
		}
		for i := range n {
			black[[2]int{x + i, y}] = true
		}
	}
	if got.Size != want.Size+8 {
		t.Errorf("size %d for %d", got.Size, want.Size)
	}
	for y := range got.Size {
		for x := range got.Size {
			if black[[2]int{x, y}] != want.Black(x-4, y-4) {
				t.Fatalf("module %d,%d differs", x, y)
			}
		}
	}
}
