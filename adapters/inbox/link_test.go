package inbox

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/fhir/rx"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

// elsewhere makes Ada a patient of a second clinic too, with one prescription.
func (h *household) elsewhere(born string) (patient, prescription ledger.ID) {
	patient = uuid.Must(uuid.NewV7())
	heart := h.organization("clinic", "Northgate Heart Clinic")
	body := strings.Replace(order("n1", "Bisoprolol 2.5 mg tablet", "One tablet every morning", "30", 2), "1980-05-03", born, 1)
	return patient, h.issue(heart, patient, h.clock.Add(-30*time.Minute), "n1", body, rx.State{Phase: rx.Ready, FillsAllowed: 3, Pharmacy: h.hill.String()}, "ready")
}

func TestJoinAndPart(t *testing.T) {
	h := newHousehold(t)
	there, bisoprolol := h.elsewhere("1980-05-03")
	c := h.client(h.serve()).signIn(h.world, h.ada)
	link := h.invite(there)
	_, page := c.get("/inbox/s/" + link)
	wantText(t, page, "Add your prescriptions from Northgate Heart Clinic?", "with Harbour Family Practice", "No organisation is told", "told that there is another: not which one",
		`action="/inbox/join"`, link, `action="/inbox/s"`, link)
	if strings.Contains(page, "Bisoprolol") || strings.Contains(page, "Novak") || len(h.sent) > 0 {
		t.Error("the question tells, or does, too much")
	}
	if res, _ := c.get("/inbox/p/" + bisoprolol.String()); res.StatusCode != 404 {
		t.Errorf("before: %d", res.StatusCode)
	}

	// the recorder is slow: the link is this inbox's, and yes again finishes it
	h.answerErr = fault.Of(fault.CodePending)
	if res, _ := c.post("/inbox/join", url.Values{"token": {link}}); res.Header.Get("Location") != "/inbox/?said=passed" {
		t.Errorf("pending: %d %v", res.StatusCode, res.Header)
	}
	other := h.client(h.serve()).signIn(h.world, h.stranger)
	if res, _ := other.post("/inbox/join", url.Values{"token": {link}}); res.StatusCode != 410 {
		t.Errorf("a stranger with the link: %d", res.StatusCode)
	}
	h.answerErr = nil
	_, page = c.get("/inbox/s/" + link)
	wantText(t, page, "Add your prescriptions from Northgate Heart Clinic?")
	if res, _ := c.post("/inbox/join", url.Values{"token": {link}}); res.Header.Get("Location") != "/inbox/?said=joined" {
		t.Fatalf("join: %d %v", res.StatusCode, res.Header)
	}
	if len(h.sent) != 2 || h.sent[0].ID != h.sent[1].ID || string(h.sent[0].Body) != string(h.sent[1].Body) {
		t.Errorf("the same yes is not the same fact: %v", h.sent)
	}

	before := len(h.reads)
	_, page = c.get("/inbox/?said=joined")
	wantText(t, page, "They are in this inbox now", "Ada Novak, born 3 May 1980", "Bisoprolol", "Dr. Miriam Okafor, Northgate Heart Clinic",
		"In this inbox", "Harbour Family Practice", "opened with its link", "Northgate Heart Clinic", "Remove")
	if strings.Contains(page, "Not everything here may be yours") {
		t.Error("warns of two people where there is one")
	}
	rows := h.reads[before:]
	if len(rows) != 2 || rows[0].Patient == rows[1].Patient || rows[0].Client == rows[1].Client {
		t.Errorf("accesses: %+v, want one of each patient, not to be compared", rows)
	}
	_, page = c.get("/inbox/p/" + bisoprolol.String())
	wantText(t, page, "Bisoprolol", "Dr. Miriam Okafor, Northgate Heart Clinic")
	// whose own words name another organisation, the page says who sent it
	h.records[bisoprolol] = naming(h.records[bisoprolol], "Cardiology")
	for _, path := range []string{"/inbox/", "/inbox/p/" + bisoprolol.String()} {
		if _, page = c.get(path); !strings.Contains(page, "Cardiology") || !strings.Contains(page, "From Northgate Heart Clinic") && !strings.Contains(page, "<dt>Sent by</dt><dd>Northgate Heart Clinic</dd>") {
			t.Errorf("%s does not say who sent it:\n%s", path, page)
		}
	}

	ref := h.app.ref(there)
	for _, path := range []string{"/inbox/from/" + h.app.ref(h.ada), "/inbox/from/" + h.app.ref(h.stranger), "/inbox/from/x"} {
		if res, _ := c.get(path); res.StatusCode != 404 {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
	_, page = c.get("/inbox/from/" + ref)
	wantText(t, page, "Remove Northgate Heart Clinic from this inbox?", "Nothing is cancelled", `action="/inbox/from/`+ref+`"`, "Keep it")
	if len(h.sent) != 2 {
		t.Error("asking removes")
	}
	if res, _ := c.post("/inbox/from/"+ref, nil); res.Header.Get("Location") != "/inbox/?said=parted" || res.Header.Get("Clear-Site-Data") != `"cache"` {
		t.Errorf("removed: %d %v", res.StatusCode, res.Header)
	}
	if _, page = c.get("/inbox/"); strings.Contains(page, "Bisoprolol") || strings.Contains(page, "Northgate") {
		t.Error("it is still there")
	}
	if res, _ := c.get("/inbox/p/" + bisoprolol.String()); res.StatusCode != 404 {
		t.Errorf("after: %d", res.StatusCode)
	}
	if strings.Contains(h.logs.String(), link) {
		t.Error("the link is in the log")
	}
}

// Joined by mistake: the dates of birth differ, and the page says so.
func TestTwoPeopleInOneInbox(t *testing.T) {
	h := newHousehold(t)
	there, _ := h.elsewhere("2011-12-24")
	h.links = [][]ledger.ID{{h.ada, there}}
	c := h.client(h.serve()).signIn(h.world, h.ada)
	_, page := c.get("/inbox/")
	wantText(t, page, "Not everything here may be yours", `href="#sources"`, `id="sources"`)
}

// A browser that was switched on in both inboxes is woken once.
func TestJoinedDevicesAreOne(t *testing.T) {
	h := newHousehold(t)
	there, _ := h.elsewhere("1980-05-03")
	server := h.serve()
	mine, theirs := h.client(server).signIn(h.world, h.ada), h.client(server).signIn(h.world, there)
	for _, c := range []client{mine, theirs} {
		if res, body := c.do("POST", "/inbox/devices", jsonType, pushSubscription("https://push.example/same")); res.StatusCode != 204 {
			t.Fatalf("switch on: %d %s", res.StatusCode, body)
		}
	}
	if res, _ := mine.post("/inbox/join", url.Values{"token": {h.invite(there)}}); res.StatusCode != 303 {
		t.Fatalf("join: %d", res.StatusCode)
	}
	live, err := h.DevicesOf(t.Context(), []ledger.ID{h.ada, there})
	if err != nil || len(live) != 1 || live[0].Patient != h.ada {
		t.Errorf("devices of one browser: %v, %v, want that of the open inbox", live, err)
	}
	// switched on again in a joined inbox, it is still one
	if res, _ := mine.do("POST", "/inbox/devices", jsonType, pushSubscription("https://push.example/same")); res.StatusCode != 204 {
		t.Errorf("again: %d", res.StatusCode)
	}
	if live, _ = h.DevicesOf(t.Context(), []ledger.ID{h.ada, there}); len(live) != 1 {
		t.Errorf("%d devices of one browser", len(live))
	}
	// and one press turns all off
	if res, _ := mine.post("/inbox/devices/off", nil); res.StatusCode != 303 {
		t.Errorf("off: %d", res.StatusCode)
	}
	if live, _ = h.DevicesOf(t.Context(), []ledger.ID{h.ada, there}); len(live) != 0 {
		t.Errorf("%d devices are still on", len(live))
	}
}

// naming lets a prescription's requester work for an organisation of that name.
func naming(p adapters.Plain, name string) adapters.Plain {
	p.Body = []byte(strings.Replace(strings.Replace(string(p.Body), `"requester":{"reference":"#d"}`, `"requester":{"reference":"#r"}`, 1), `"contained":[`,
		`"contained":[{"resourceType":"Organization","id":"o","name":"`+name+`"},{"resourceType":"PractitionerRole","id":"r","practitioner":{"reference":"#d"},"organization":{"reference":"#o"}},`, 1))
	return p
}
