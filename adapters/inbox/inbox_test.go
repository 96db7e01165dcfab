package inbox

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/fhir/rx"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/streams"
)

// client is a browser without JavaScript.
type client struct {
	t *testing.T
	*http.Client
	base string
}

func (w *world) client(s *httptest.Server) client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return client{w.t, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, s.URL}
}

// signIn redeems a fresh invitation.
func (c client) signIn(w *world, patient ledger.ID) client {
	c.t.Helper()
	res, _ := c.post("/inbox/s", url.Values{"token": {w.invite(patient)}})
	if res.StatusCode != 303 || res.Header.Get("Location") != "/inbox/" {
		c.t.Fatalf("sign in: got %d", res.StatusCode)
	}
	return c
}

func (c client) do(method, path, kind, body string, header ...string) (*http.Response, string) {
	c.t.Helper()
	req, err := http.NewRequest(method, c.base+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := c.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return res, string(b)
}

func (c client) get(path string) (*http.Response, string) { return c.do("GET", path, "", "") }

func (c client) post(path string, form url.Values) (*http.Response, string) {
	return c.do("POST", path, "application/x-www-form-urlencoded", form.Encode())
}

// wantText checks that a page holds these in order.
func wantText(t *testing.T, page string, want ...string) {
	t.Helper()
	rest := strings.ReplaceAll(page, "\u00a0", " ")
	for _, s := range want {
		i := strings.Index(rest, s)
		if i < 0 {
			t.Errorf("no %q after what came before, in:\n%s", s, page)
			return
		}
		rest = rest[i+len(s):]
	}
}

// household is one patient with prescriptions in several states, and a stranger.
type household struct {
	*world
	ada, stranger          ledger.ID
	clinic, river, hill    ledger.ID
	collect, choose, other ledger.ID
}

func newHousehold(t *testing.T) *household {
	w := newWorld(t)
	h := &household{world: w, ada: uuid.Must(uuid.NewV7()), stranger: uuid.Must(uuid.NewV7()),
		clinic: w.organization("clinic", "Harbour Family Practice"),
		river:  w.organization("pharmacy", "Riverside Pharmacy"), hill: w.organization("pharmacy", "Hilltop Pharmacy")}
	day := func(d int) time.Time { return w.clock.AddDate(0, 0, -d) }
	w.issue(h.clinic, h.ada, day(300), "r9", order("r9", "Amoxicillin 500 mg capsule", "One capsule three times a day for 7 days", "21", 0),
		rx.State{Phase: rx.Completed, FillsAllowed: 1, FillsDone: 1, Pharmacy: h.hill.String()}, "completed")
	w.issue(h.clinic, h.ada, day(40), "r8", order("r8", "Ibuprofen 600 mg tablet", "One tablet when needed", "20", 0),
		rx.State{Phase: rx.Cancelled, FillsAllowed: 1}, "cancelled")
	h.choose = w.issue(h.clinic, h.ada, day(2), "r2", order("r2", "Salbutamol 100 microgram inhaler", "", "1", 1),
		rx.State{Phase: rx.Ready, FillsAllowed: 2}, "ready")
	h.collect = w.issue(h.clinic, h.ada, day(1), "r1", order("r1", "Lisinopril 10 mg tablet", "One tablet every morning", "30", 2),
		rx.State{Phase: rx.Collect, FillsAllowed: 3, Pharmacy: h.river.String(), Holder: h.river.String(), Claim: 1,
			LeaseEnd: w.clock.AddDate(0, 0, 14).UnixMilli()}, "ready-to-collect")
	md := uuid.Must(uuid.NewV7())
	w.says(h.river, h.collect, w.clock.Add(-5*time.Hour), md, "preparation")
	w.says(h.river, h.collect, w.clock.Add(-2*time.Hour), md, "in-progress")
	w.issue(h.clinic, h.ada, day(0), "r3", order("r3", "Metformin 850 mg tablet", "One tablet with breakfast and one with dinner", "60", 5),
		rx.State{Phase: rx.Held, FillsAllowed: 6, FillsDone: 1, Pharmacy: h.river.String(), Holder: h.river.String(), Claim: 2}, "held")
	h.other = w.issue(h.clinic, h.stranger, day(1), "r4", order("r4", "Sertraline 50 mg tablet", "One a day", "30", 0),
		rx.State{Phase: rx.Ready, FillsAllowed: 1}, "ready")
	return h
}

func TestList(t *testing.T) {
	h := newHousehold(t)
	c := h.client(h.serve()).signIn(h.world, h.ada)
	res, page := c.get("/inbox/")
	if res.StatusCode != 200 {
		t.Fatalf("got %d", res.StatusCode)
	}
	wantText(t, page, "<h1>Your prescriptions</h1>", "Ada Novak, born 3 May 1980", `<h2 id="now">Now</h2>`,
		"Ready to collect", "Lisinopril 10 mg tablet", "One tablet every morning", "Riverside Pharmacy until 5 December",
		"Dr. Miriam Okafor, Harbour Family Practice · 20 November 2026",
		"Choose a pharmacy", "Salbutamol 100 microgram inhaler", "No dosage was sent electronically: see your paper or ask your pharmacist.",
		"With pharmacy", "Metformin 850 mg tablet",
		`<h2 id="earlier">Earlier</h2>`, "Cancelled", "Ibuprofen", "Collected", "Amoxicillin")
	if strings.Contains(page, "Sertraline") {
		t.Error("shows a stranger's prescription")
	}
	if len(h.reads) != 1 || h.reads[0].Patient != h.ada || h.reads[0].Action != "read" || h.reads[0].Client == (ledger.ID{}) {
		t.Errorf("access rows: %+v", h.reads)
	}
	if n := len(h.readRecords[0]); n != 5 {
		t.Errorf("read %d records, want 5", n)
	}
}

func TestDetail(t *testing.T) {
	h := newHousehold(t)
	c := h.client(h.serve()).signIn(h.world, h.ada)
	res, page := c.get("/inbox/p/" + h.collect.String())
	if res.StatusCode != 200 {
		t.Fatalf("got %d", res.StatusCode)
	}
	wantText(t, page, "<h1>Lisinopril 10 mg tablet</h1>", "Ready to collect", "How to take it", "One tablet every morning",
		"Take with food.", "Its way to you",
		`class="done"`, "Issued", "20 November 2026, 09:30 UTC",
		`class="done"`, "Sent to pharmacy", "Riverside Pharmacy",
		`class="done"`, "With pharmacy", "21 November 2026, 04:30 UTC",
		`class="now" aria-current="step"`, "Ready to collect", "21 November 2026, 07:30 UTC",
		`class="next"`, "Collected",
		"Quantity", "30 tablets", "Fills left", "3 of 3", "Collect by", "20 February 2027", "Pharmacy", "Riverside Pharmacy")
	if strings.Contains(page, "/pharmacy\"") {
		t.Error("offers to change the pharmacy after it was accepted")
	}
	if len(h.reads) != 1 || len(h.readRecords[0]) != 3 {
		t.Errorf("access rows: %v", h.readRecords)
	}
}

func TestStrangersPrescriptionsAreNotFound(t *testing.T) {
	h := newHousehold(t)
	c := h.client(h.serve()).signIn(h.world, h.ada)
	for _, path := range []string{"/inbox/p/" + h.other.String(), "/inbox/p/" + uuid.NewString(), "/inbox/p/x", "/inbox/nothing"} {
		if res, page := c.get(path); res.StatusCode != 404 || strings.Contains(page, "Sertraline") {
			t.Errorf("%s: got %d", path, res.StatusCode)
		}
	}
	res, _ := c.post("/inbox/p/"+h.other.String()+"/pharmacy", url.Values{"pharmacy": {h.hill.String()}})
	if res.StatusCode != 404 || len(h.sent) != 0 {
		t.Errorf("choice: got %d, %d facts", res.StatusCode, len(h.sent))
	}
	if len(h.reads) != 0 {
		t.Error("something was read")
	}
}

func TestChoosingAPharmacyIsAFact(t *testing.T) {
	h := newHousehold(t)
	closed := h.organization("pharmacy", "Closed Pharmacy")
	o := h.orgs[closed]
	o.Disabled = true
	h.orgs[closed] = o
	sandbox := h.organization("pharmacy", "Sandbox Pharmacy")
	o = h.orgs[sandbox]
	o.Sandbox = true
	h.orgs[sandbox] = o
	c := h.client(h.serve()).signIn(h.world, h.ada)

	_, page := c.get("/inbox/p/" + h.choose.String())
	wantText(t, page, "Choose a pharmacy", `action="/inbox/p/`+h.choose.String()+`/pharmacy"`, "Hilltop Pharmacy", "Riverside Pharmacy", "Send it there")
	for _, name := range []string{"Closed", "Sandbox", `value="` + h.clinic.String()} {
		if strings.Contains(page, name) {
			t.Errorf("offers %s", name)
		}
	}
	for _, c2 := range []struct {
		name     string
		to, said string
		answer   streams.Answer
		err      error
		facts    int
	}{
		{"taken", h.hill.String(), "sent", streams.Answer{Status: 200}, nil, 1},
		{"too late at the recorder", h.hill.String(), "late", streams.Answer{Status: 409, Code: "RX_HELD_BY_OTHER"}, nil, 1},
		{"pending", h.hill.String(), "pending", streams.Answer{}, fault.Of(fault.CodePending), 1},
		{"closed pharmacy", closed.String(), "late", streams.Answer{}, nil, 0},
		{"a clinic", h.clinic.String(), "late", streams.Answer{}, nil, 0},
	} {
		h.sent, h.answer, h.answerErr = nil, c2.answer, c2.err
		res, _ := c.post("/inbox/p/"+h.choose.String()+"/pharmacy", url.Values{"pharmacy": {c2.to}})
		if want := "/inbox/p/" + h.choose.String() + "?said=" + c2.said; res.StatusCode != 303 || res.Header.Get("Location") != want || len(h.sent) != c2.facts {
			t.Errorf("%s: got %d to %q with %d facts", c2.name, res.StatusCode, res.Header.Get("Location"), len(h.sent))
		}
	}
	for name, bad := range map[string]struct {
		form   url.Values
		status int
	}{
		"nothing": {url.Values{}, 400}, "empty": {url.Values{"pharmacy": {""}}, 400}, "garbage": {url.Values{"pharmacy": {"a pharmacy"}}, 400},
		"huge": {url.Values{"pharmacy": {strings.Repeat("x", 9<<10)}}, 413},
	} {
		if res, _ := c.post("/inbox/p/"+h.choose.String()+"/pharmacy", bad.form); res.StatusCode != bad.status {
			t.Errorf("%s: got %d, want %d", name, res.StatusCode, bad.status)
		}
	}
	if res, _ := c.get("/"); res.StatusCode != 302 || res.Header.Get("Location") != "/inbox/" {
		t.Errorf("/: %d to %q", res.StatusCode, res.Header.Get("Location"))
	}
	h.sent, h.answer, h.answerErr = nil, streams.Answer{Status: 200}, nil
	c.post("/inbox/p/"+h.choose.String()+"/pharmacy", url.Values{"pharmacy": {h.hill.String()}})
	m := h.sent[0]
	var got map[string]string
	if err := json.Unmarshal(m.Body, &got); err != nil {
		t.Fatal(err)
	}
	if m.Subject != "rx.fact.nomination" || !strings.HasPrefix(m.ID, "hub.") || len(got) != 3 ||
		got["patient"] != h.ada.String() || got["pharmacy"] != h.hill.String() || got["prescription"] != h.choose.String() {
		t.Errorf("fact: %s %s %s", m.ID, m.Subject, m.Body)
	}
	_, page = c.get("/inbox/p/" + h.choose.String() + "?said=sent")
	wantText(t, page, "Done. The pharmacy has your prescription now.")

	h.answerErr = fault.Of(fault.CodeUnavailable)
	if res, _ := c.post("/inbox/p/"+h.choose.String()+"/pharmacy", url.Values{"pharmacy": {h.hill.String()}}); res.StatusCode != 503 {
		t.Errorf("hub down: got %d", res.StatusCode)
	}
	if res, _ := c.post("/inbox/p/"+h.collect.String()+"/pharmacy", url.Values{"pharmacy": {h.hill.String()}}); !strings.HasSuffix(res.Header.Get("Location"), "late") {
		t.Errorf("accepted already: got %q", res.Header.Get("Location"))
	}
}

func TestOneOfSeveralInABundle(t *testing.T) {
	h := newHousehold(t)
	bundle := `{"resourceType":"Bundle","type":"collection","entry":[{"resource":` + order("b1", "First drug", "x", "1", 0) + `},{"resource":` + order("b2", "Second drug", "y", "1", 0) + `}]}`
	id := h.issue(h.clinic, h.ada, h.clock, "b2", bundle, rx.State{Phase: rx.Ready, FillsAllowed: 1, Pharmacy: h.river.String()}, "ready")
	c := h.client(h.serve()).signIn(h.world, h.ada)
	_, page := c.get("/inbox/p/" + id.String())
	wantText(t, page, "<h1>Second drug</h1>")
	if strings.Contains(page, "First drug") {
		t.Error("shows the other item")
	}
}

func TestABodyThatCannotBeReadIsSaid(t *testing.T) {
	h := newHousehold(t)
	id := h.issue(h.clinic, h.ada, h.clock, "broken", `{`, rx.State{Phase: rx.Ready, FillsAllowed: 1}, "ready")
	c := h.client(h.serve()).signIn(h.world, h.ada)
	_, page := c.get("/inbox/p/" + id.String())
	wantText(t, page, "Choose a pharmacy", "The details cannot be shown here.")
	_, page = c.get("/inbox/")
	wantText(t, page, "The details cannot be shown here.")
}

func TestAnEmptyInbox(t *testing.T) {
	h := newHousehold(t)
	_, page := h.client(h.serve()).signIn(h.world, uuid.New()).get("/inbox/")
	wantText(t, page, "Nothing here yet", "Ask your clinic")
	if len(h.reads) != 0 {
		t.Error("an access row for nothing")
	}
}

func TestADatabaseThatIsDownIsNotAnEmptyInbox(t *testing.T) {
	h := newHousehold(t)
	c := h.client(h.serve()).signIn(h.world, h.ada)
	h.down = fault.Of(fault.CodeUnavailable)
	res, page := c.get("/inbox/")
	if res.StatusCode != 503 || res.Header.Get("Retry-After") == "" || !strings.Contains(page, "Nothing was lost") {
		t.Errorf("got %d", res.StatusCode)
	}
}

func TestTextsOfMessagesAreEscaped(t *testing.T) {
	h := newHousehold(t)
	h.issue(h.clinic, h.ada, h.clock, "x1", order("x1", "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "1", 0), rx.State{Phase: rx.Ready, FillsAllowed: 1}, "ready")
	_, page := h.client(h.serve()).signIn(h.world, h.ada).get("/inbox/")
	if strings.Contains(page, "<script>alert") || strings.Contains(page, "<img src=x") {
		t.Error("markup of a message reaches the page")
	}
	wantText(t, page, "&lt;script&gt;")
}

func TestLogsHoldNoPatientData(t *testing.T) {
	h := newHousehold(t)
	c := h.client(h.serve()).signIn(h.world, h.ada)
	delete(h.records, h.collect)
	c.get("/inbox/p/" + h.collect.String())
	h.down = fault.Of(fault.CodeUnavailable)
	c.get("/inbox/")
	for _, canary := range []string{"Novak", "Lisinopril", "Okafor", "token-"} {
		if bytes.Contains(h.logs.Bytes(), []byte(canary)) {
			t.Errorf("the log holds %q", canary)
		}
	}
	if h.logs.Len() == 0 {
		t.Error("nothing was logged")
	}
}

func TestStaticFilesAreKeptByTheirTag(t *testing.T) {
	h := newHousehold(t)
	c := h.client(h.serve())
	for _, name := range []string{"static/inbox.css", "static/inbox.js", "static/verify.js", "static/check.js", "static/icon.svg", "static/icon-180.png", "static/offline.html", "sw.js", "app.webmanifest"} {
		res, _ := c.get("/inbox/" + name)
		tag := res.Header.Get("ETag")
		if res.StatusCode != 200 || tag == "" {
			t.Errorf("%s: got %d, tag %q", name, res.StatusCode, tag)
		}
		if res, _ := c.do("GET", "/inbox/"+name, "", "", "If-None-Match", tag); res.StatusCode != 304 {
			t.Errorf("%s: got %d for the same tag", name, res.StatusCode)
		}
	}
	for _, name := range []string{"list.html", "layout.html", "x.css"} {
		if res, _ := c.get("/inbox/static/" + name); res.StatusCode != 404 {
			t.Errorf("%s: got %d", name, res.StatusCode)
		}
	}
}
