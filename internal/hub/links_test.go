package hub

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dosewire/dosewire/internal/hub/admin"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/recorder"
	"github.com/dosewire/dosewire/streams"
)

// family is two clinics that know the same patient under their own numbers, a third, and a pharmacy.
type family struct {
	t        *testing.T
	hub      *Hub
	log      *diaryLog
	clinics  []admin.Credential
	pharmacy admin.Credential
	rx       []string // one of each clinic
}

func newFamily(t *testing.T) *family {
	t.Helper()
	f := &family{t: t, log: &diaryLog{}}
	h, err := New(t.Context(), lab(t), Options{Adapters: surfaces(), Log: f.log, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	start(t, h, f.log)
	f.hub = h
	who := members(t, h, "clinic", "clinic", "clinic", "pharmacy")
	f.clinics, f.pharmacy = who[:3], who[3]
	for i, c := range f.clinics {
		order := strings.Replace(prescription(fmt.Sprint("A-", i), drug(i), ""), `"M-1"`, `"`+mrn(i)+`"`, 1)
		resp, body := ask(t, c, "POST", "/fhir/MedicationRequest", order)
		wantAnswer(t, resp, body, 201, "RX_RECORDED")
		f.rx = append(f.rx, resp.Header.Get("Rx-Id"))
	}
	return f
}

func mrn(clinic int) string  { return fmt.Sprint("N-", clinic) }
func drug(clinic int) string { return []string{"Amlodipine", "Bisoprolol", "Candesartan"}[clinic] }

func (f *family) token(clinic int) string {
	f.t.Helper()
	return token(f.t, f.hub, f.clinics[clinic], mrn(clinic))
}

func (f *family) arrive(clinic int) browser {
	f.t.Helper()
	b := newBrowser(f.t)
	b.signIn(f.hub, f.token(clinic))
	return b
}

func (f *family) look(b browser, path string) (int, string) {
	f.t.Helper()
	return b.page(b.Get(f.hub.URL() + path))
}

func (f *family) press(b browser, path string, form url.Values) (int, string) {
	f.t.Helper()
	return b.page(b.PostForm(f.hub.URL()+path, form))
}

func (f *family) join(b browser, token string) (int, string) {
	f.t.Helper()
	return f.press(b, "/inbox/join", url.Values{"token": {token}})
}

// sees demands exactly these clinics' prescriptions on the list, and a page for them alone.
func (f *family) sees(b browser, who string, clinics ...int) {
	f.t.Helper()
	_, page := f.look(b, "/inbox/")
	for i := range f.clinics {
		want := false
		for _, c := range clinics {
			want = want || c == i
		}
		if strings.Contains(page, drug(i)) != want {
			f.t.Errorf("%s: the list shows %s: %v, want %v", who, drug(i), !want, want)
		}
		for _, path := range []string{"", "/code", "/check", "/original"} {
			if status, _ := f.look(b, "/inbox/p/"+f.rx[i]+path); (status == 200) != want || !want && status != 404 {
				f.t.Errorf("%s: page %q of %s: %d, want shown: %v", who, path, drug(i), status, want)
			}
		}
	}
}

// remove presses the button that takes a clinic out of the inbox, after the page that asks.
func (f *family) remove(b browser, name string) {
	f.t.Helper()
	_, page := f.look(b, "/inbox/")
	way := regexp.MustCompile(`href="(/inbox/from/[0-9a-f]+)">Remove<span class="unseen"> ` + name).FindStringSubmatch(page)
	if way == nil {
		f.t.Fatalf("no way to remove %s:\n%s", name, page)
	}
	if status, page := f.look(b, way[1]); status != 200 || !strings.Contains(page, "Remove "+name+" from this inbox?") {
		f.t.Errorf("the page that asks: %d %s", status, page)
	}
	if status, page := f.press(b, way[1], nil); status != 200 || !strings.Contains(page, "no longer in this inbox") {
		f.t.Errorf("removed: %d %s", status, page)
	}
	if status, _ := f.press(b, way[1], nil); status != 404 {
		f.t.Errorf("removed again: %d", status)
	}
}

// TestLinking is the way of a person with records at three clinics: added, used and removed in the inbox, repaired
// by an operator, erased; and no clinic learns of it.
func TestLinking(t *testing.T) {
	f := newFamily(t)
	ada := f.arrive(0)
	f.sees(ada, "alone", 0)

	// the link of the second clinic asks; saying no uses nothing up
	second := f.token(1)
	_, page := f.look(ada, "/inbox/s/"+second)
	for _, want := range []string{"Add your prescriptions from clinic1?", "with clinic0", "Yes, add them", "Open it by itself"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q on the page that asks:\n%s", want, page)
		}
	}
	f.sees(ada, "not asked yet", 0)
	if _, page := f.look(newBrowser(t), "/inbox/s/"+second); !strings.Contains(page, "Open your prescription inbox") || strings.Contains(page, "clinic1") {
		t.Errorf("to a stranger the link says:\n%s", page)
	}
	other := browser{t, newBrowser(t).Client}
	other.signIn(f.hub, f.token(1)) // the second clinic's own inbox stays what it is
	f.sees(other, "the second clinic's", 1)

	// another site cannot press the button
	req, _ := http.NewRequestWithContext(t.Context(), "POST", f.hub.URL()+"/inbox/join", strings.NewReader("token="+second))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", "https://elsewhere.example")
	if status, _ := ada.page(ada.Do(req)); status != 403 {
		t.Errorf("from another site: %d", status)
	}
	if status, _ := f.join(newBrowser(t), second); status != 401 {
		t.Errorf("not signed in: %d", status)
	}
	f.sees(ada, "still", 0)

	// yes: both inboxes show both, and a stream that is open hears of it
	heard := f.listen(other)
	status, page := f.join(ada, second)
	if status != 200 || !strings.Contains(page, "They are in this inbox now") || !strings.Contains(page, "Okafor, clinic1") {
		t.Errorf("joined: %d %s", status, page)
	}
	<-heard
	f.sees(ada, "joined", 0, 1)
	f.sees(other, "joined, the other session", 0, 1)
	for _, b := range []browser{ada, other, newBrowser(t)} {
		b.PostForm(f.hub.URL()+"/inbox/s", url.Values{"token": {second}})
		if _, page := f.look(b, "/inbox/s/"+second); strings.Contains(page, "Add your") {
			t.Errorf("a used link asks again:\n%s", page)
		}
	}
	if status, page := f.join(ada, second); status != 200 || !strings.Contains(page, "already") {
		t.Errorf("yes again: %d %s", status, page)
	}
	own := f.token(0) // one's own link opens as ever, and adds nothing
	if _, page := f.look(other, "/inbox/s/"+own); strings.Contains(page, "Add your") {
		t.Errorf("one's own link asks:\n%s", page)
	}

	f.choosesForAll(ada)
	f.accesses()

	// a third makes one person of three; the middle one leaves, the others stay together
	f.join(other, f.token(2))
	f.sees(ada, "three", 0, 1, 2)
	gone := f.listen(other)
	f.remove(ada, "clinic1")
	<-gone
	f.sees(ada, "without the middle one", 0, 2)
	f.sees(other, "the middle one", 1)
	if status, _ := f.join(ada, second); status != 410 {
		t.Errorf("the used link again, after it was removed: %d", status)
	}
	f.sees(ada, "still without", 0, 2)

	// repair by an operator, with a reason
	op := admin.NewClient(f.hub.AdminSocket())
	third := admin.Patient{Org: f.clinics[2].Org, System: "urn:mrn", Value: mrn(2)}
	if _, err := op.Unlink(t.Context(), admin.UnlinkRequest{Patient: third}); err == nil {
		t.Error("repaired without a reason")
	}
	if u, err := op.Unlink(t.Context(), admin.UnlinkRequest{Patient: third, DryRun: true}); err != nil || u.Others != 1 || u.Entry != nil {
		t.Errorf("dry run: %+v, %v", u, err)
	}
	f.sees(ada, "after a dry run", 0, 2)
	if u, err := op.Unlink(t.Context(), admin.UnlinkRequest{Patient: third, Reason: "two people", By: "kim"}); err != nil || u.Others != 1 || u.Entry == nil {
		t.Errorf("repair: %+v, %v", u, err)
	}
	f.sees(ada, "repaired", 0)
	f.reasoned("kim", "two people")

	// an erased patient is gone from the other's pages
	f.join(ada, f.token(1))
	f.sees(ada, "joined again", 0, 1)
	if e, err := op.Erase(t.Context(), admin.EraseRequest{Patient: admin.Patient{Org: f.clinics[1].Org, System: "urn:mrn", Value: mrn(1)}, Reason: "art. 17",
		Force: recorder.ForceBeforeRetention}); err != nil || !e.Finished {
		t.Fatalf("erase: %+v, %v", e, err)
	}
	f.sees(ada, "after the erasure", 0)
	f.rebuilt()
	f.toldNobody()
}

// listen opens the live stream of a browser; the channel is closed at the first change.
func (f *family) listen(b browser) <-chan struct{} {
	f.t.Helper()
	resp, err := b.Get(f.hub.URL() + "/inbox/live")
	if err != nil || resp.StatusCode != 200 {
		f.t.Fatalf("live: %v", err)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Scan()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer resp.Body.Close()
		timer := time.AfterFunc(15*time.Second, func() { f.t.Error("the open page hears nothing"); resp.Body.Close() })
		defer timer.Stop()
		for lines.Scan() {
			if lines.Text() == "event: change" {
				return
			}
		}
	}()
	return done
}

// choosesForAll: a pharmacy that is chosen for one is chosen for all, and a collect code works for each.
func (f *family) choosesForAll(b browser) {
	t := f.t
	t.Helper()
	for i := range 2 {
		if status, page := f.press(b, "/inbox/p/"+f.rx[i]+"/code", nil); status != 200 || !strings.Contains(page, "code-text") {
			t.Errorf("code of %s: %d %s", drug(i), status, page)
		}
	}
	status, page := f.press(b, "/inbox/p/"+f.rx[1]+"/pharmacy", url.Values{"pharmacy": {f.pharmacy.Org}})
	if status != 200 || !strings.Contains(page, "has your prescription now") {
		t.Fatalf("choice: %d %s", status, page)
	}
	eventually(t, "the pharmacy has both", func() bool {
		_, body := ask(t, f.pharmacy, "GET", "/fhir/$deliveries?after=0", "")
		return strings.Contains(body, f.rx[0]) && strings.Contains(body, f.rx[1]) && !strings.Contains(body, f.rx[2])
	})
}

// accesses: what is read of a linked patient is read by that patient: no row is about two.
func (f *family) accesses() {
	t := f.t
	t.Helper()
	owner := map[ledger.ID]ledger.ID{}
	for _, id := range f.rx {
		var rx ledger.ID
		if err := rx.UnmarshalText([]byte(id)); err != nil {
			t.Fatal(err)
		}
		p, err := f.hub.databases.records.Prescription(t.Context(), rx)
		if err != nil {
			t.Fatal(err)
		}
		owner[rx] = p.Patient
	}
	eventually(t, "every access is chained", func() bool {
		left, err := f.hub.databases.records.PendingAccess(t.Context(), 10)
		return err == nil && len(left) == 0
	})
	read := map[ledger.ID]int{}
	for row, err := range f.hub.databases.records.Rows(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if row.Access == nil || row.Access.Patient == (ledger.ID{}) {
			continue
		}
		for _, id := range row.Access.Records {
			if p, ours := owner[id]; ours && p != row.Access.Patient {
				t.Errorf("an access of %v by another patient, %v", id, row.Access.Patient)
			}
			read[id]++
		}
	}
	if len(read) < 2 {
		t.Errorf("%d records were read on record", len(read))
	}
}

// reasoned: who repaired, and why, is in a record under the hub's key.
func (f *family) reasoned(by, reason string) {
	t := f.t
	t.Helper()
	for row, err := range f.hub.databases.records.Rows(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if row.Record == nil || row.Record.Type != "fact" {
			continue
		}
		key, err := f.hub.keys.Key(t.Context(), row.Record.KeyID)
		if err != nil {
			continue
		}
		body, err := ledger.Open(key, *row.Record, &row.Entry.Commitment)
		if err != nil {
			t.Fatal(err)
		}
		var s recorder.LinkStatement
		if json.Unmarshal(body, &s) == nil && s.Unlink != nil && s.Unlink.By == by && s.Unlink.Reason == reason && len(s.Links) > 0 {
			return
		}
	}
	t.Error("the repair is on no record")
}

func (f *family) rebuilt() {
	f.t.Helper()
	if _, err := recorder.NewRebuilt(f.hub.databases.records, f.hub.keys).Check(f.t.Context(), f.hub.databases.records.(ledger.StateReader), nil); err != nil {
		f.t.Errorf("rebuilt: %v", err)
	}
}

// toldNobody: whatever an organisation can ask for says nothing of others' patients, nor of links.
func (f *family) toldNobody() {
	t := f.t
	t.Helper()
	for i, c := range f.clinics {
		_, deliveries := ask(t, c, "GET", "/fhir/$deliveries?after=0&_count=200", "")
		_, tasks := ask(t, c, "GET", "/fhir/Task", "")
		for _, body := range []string{deliveries, tasks} {
			for j := range f.clinics {
				if j != i && (strings.Contains(body, f.rx[j]) || strings.Contains(body, mrn(j)) || strings.Contains(body, drug(j))) {
					t.Errorf("clinic %d is told of clinic %d: %s", i, j, body)
				}
			}
			if strings.Contains(strings.ToLower(body), "linked") {
				t.Errorf("clinic %d is told of a link: %s", i, body)
			}
		}
	}
	for i := range f.clinics {
		if strings.Contains(f.log.String(), mrn(i)) {
			t.Error("a patient's number is in the log")
		}
	}
	if s, err := f.hub.js.Stream(t.Context(), streams.Delivery); err != nil || s == nil {
		t.Error(err)
	}
}

// TestTwoAcceptAtOnce: of two people who hold one link, one adds it; of two windows of one, both are right.
func TestTwoAcceptAtOnce(t *testing.T) {
	f := newFamily(t)
	for range 3 {
		link := f.token(1)
		ada, ben := f.arrive(0), f.arrive(2)
		callers := []browser{ada, ada, ben, ben}
		status := make([]int, len(callers))
		var wg sync.WaitGroup
		for i, b := range callers {
			wg.Go(func() { status[i], _ = f.join(b, link) })
		}
		wg.Wait()
		winner, loser, mine := ada, ben, 0
		if status[0] != 200 {
			winner, loser, mine = ben, ada, 2
		}
		f.sees(winner, "the winner", mine, 1)
		f.sees(loser, "the loser", 2-mine)
		for i, b := range callers {
			if want := map[bool]int{true: 200, false: 410}[b.Client == winner.Client]; status[i] != want {
				t.Errorf("caller %d: %d, want %d", i, status[i], want)
			}
		}
		f.remove(winner, "clinic1")
	}
	f.rebuilt()
}
