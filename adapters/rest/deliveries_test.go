package rest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dosewire/dosewire/adapters/adaptertest"
	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

// page is a Bundle of deliveries as a client reads it.
type page struct {
	ResourceType, Type string
	Link               []struct{ Relation, URL string }
	Entry              []struct {
		FullURL   string
		Resource  json.RawMessage
		Extension []struct {
			URL       string
			Extension []struct{ URL, ValueString string }
		}
	}
}

func pull(t *testing.T, w *adaptertest.World, m adaptertest.Member, query string) (p page) {
	t.Helper()
	resp := get(w, m, "/fhir/$deliveries"+query)
	body := text(t, resp)
	if resp.StatusCode != 200 {
		t.Fatalf("%s: %d %s", query, resp.StatusCode, body)
	}
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatalf("%s: %v\n%s", query, err, body)
	}
	if issues := fhir.Validate(decode(t, body)); len(issues) > 0 {
		t.Errorf("%s: the page is no valid R4: %+v", query, issues)
	}
	return p
}

func decode(t *testing.T, body string) *fhir.Document {
	t.Helper()
	d, err := fhir.Decode([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (p page) link(relation string) string {
	for _, l := range p.Link {
		if l.Relation == relation {
			return strings.TrimPrefix(l.URL, adaptertest.BaseURL+"/fhir/$deliveries")
		}
	}
	return ""
}

func (p page) header(i int, name string) string {
	for _, x := range p.Entry[i].Extension[0].Extension {
		if x.URL == name {
			return x.ValueString
		}
	}
	return ""
}

func TestDeliveries(t *testing.T) {
	w := world(t)
	spaced := strings.Replace(adaptertest.Request("rx-1"), `"status":"active"`, `"status" :  "active"`, 1)
	id := prescription(t, w, spaced)
	bundle := w.Records.Add(ledger.Record{Org: w.Clinic.Org, Type: "Bundle"}, []byte(adaptertest.Bundle("message", "m-1", adaptertest.Request("mine"), adaptertest.Request("foreign"))))
	outcome := fhir.Outcome([]fhir.Issue{fhir.IssueOf(fault.Of(fault.CodeCancelled))})
	w.Records.Deliver(
		ledger.Effect{Org: w.Pharmacy.Org, Type: "MedicationRequest", Record: id, Prescription: id, State: "ready", Seq: 7, Index: 3},
		ledger.Effect{Org: w.Other.Org, Type: "MedicationRequest", Record: id},
		ledger.Effect{Org: w.Pharmacy.Org, Type: "Bundle", Record: bundle, Items: []int{1}, Claim: 4, Index: 5},
		ledger.Effect{Org: w.Pharmacy.Org, Type: "OperationOutcome", Body: outcome, Index: ledger.NoIndex},
	)
	p := pull(t, w, w.Pharmacy, "")
	if len(p.Entry) != 3 || p.Type != "collection" {
		t.Fatalf("%d entries, type %q", len(p.Entry), p.Type)
	}
	if string(p.Entry[0].Resource) != spaced {
		t.Errorf("not byte for byte: %s", p.Entry[0].Resource)
	}
	if second := string(p.Entry[1].Resource); !strings.Contains(second, `"value":"mine"`) || strings.Contains(second, "foreign") {
		t.Errorf("another's item is in the delivery: %s", second)
	}
	if string(p.Entry[2].Resource) != string(outcome) {
		t.Errorf("outcome %s", p.Entry[2].Resource)
	}
	for i, want := range []string{"1 7 3 " + id.String() + "  ready", "3  5  4 ", "4     "} {
		got := fmt.Sprint(p.header(i, "number"), " ", p.header(i, "cause"), " ", p.header(i, "index"), " ", p.header(i, "prescription"), " ", p.header(i, "claim"), " ", p.header(i, "state"))
		if got != want {
			t.Errorf("entry %d: %q, want %q", i, got, want)
		}
	}
	accesses := w.Records.Accesses()
	if len(accesses) != 1 || accesses[0].Action != "deliver" || len(accesses[0].Records) != 2 || accesses[0].Org != w.Pharmacy.Org {
		t.Errorf("accesses %+v, want one for both records", accesses)
	}
	again := pull(t, w, w.Pharmacy, "?after=0")
	for i := range p.Entry {
		if p.Entry[i].FullURL != again.Entry[i].FullURL || !strings.HasPrefix(p.Entry[i].FullURL, "urn:uuid:") {
			t.Errorf("fullUrl %q, then %q", p.Entry[i].FullURL, again.Entry[i].FullURL)
		}
	}
}

// Following next walks through everything once, and says what was taken over.
func TestCursor(t *testing.T) {
	w := world(t)
	outcome := fhir.Outcome(nil)
	for range 7 {
		w.Records.Deliver(ledger.Effect{Org: w.Clinic.Org, Body: outcome}, ledger.Effect{Org: w.Other.Org, Body: outcome})
	}
	var numbers []string
	query := "?_count=3"
	for range 5 {
		p := pull(t, w, w.Clinic, query)
		for i := range p.Entry {
			numbers = append(numbers, p.header(i, "number"))
		}
		query = p.link("next")
	}
	if got := strings.Join(numbers, " "); got != "1 3 5 7 9 11 13" {
		t.Errorf("numbers %s", got)
	}
	if got := w.Records.AcknowledgedBy(w.Clinic.Org); got != 13 {
		t.Errorf("acknowledged %d, want 13", got)
	}
	if got := w.Records.AcknowledgedBy(w.Other.Org); got != 0 {
		t.Errorf("another organisation's place was moved to %d", got)
	}
	if p := pull(t, w, w.Clinic, ""); len(p.Entry) != 0 {
		t.Errorf("without after the answer begins behind what was taken over; got %d entries", len(p.Entry))
	}
	if p := pull(t, w, w.Clinic, "?after=0"); len(p.Entry) != 7 {
		t.Errorf("from the beginning: %d entries, want 7", len(p.Entry))
	}
	if got := w.Records.AcknowledgedBy(w.Clinic.Org); got != 13 {
		t.Errorf("reading again moved the place to %d", got)
	}
}

func TestBadPulls(t *testing.T) {
	w := world(t)
	w.Records.Deliver(ledger.Effect{Org: w.Clinic.Org, Body: fhir.Outcome(nil)})
	for query, want := range map[string]int{
		"?after=x": 422, "?after=-1": 422, "?after=2": 422, "?_count=0": 422, "?_count=many": 422, "?wait=20": 422, "?wait=-1s": 422,
		"?after=0&after=1": 422, "?nosuch=1": 501, "?after=%zz": 400, "?%zz": 400, "?_format=xml": 415, "?_format=json&_format=xml": 415, "?_format=json&_format=json": 422, "?_format=json": 200, "?after=1&_count=100000": 200,
	} {
		if resp := get(w, w.Clinic, "/fhir/$deliveries"+query); resp.StatusCode != want {
			t.Errorf("%s: status %d, want %d", query, resp.StatusCode, want)
		}
	}
	if got := w.Records.AcknowledgedBy(w.Clinic.Org); got != 1 {
		t.Errorf("acknowledged %d", got)
	}
}

// What was erased keeps its number, and what the patient took elsewhere is not shown again.
func TestWithheld(t *testing.T) {
	w := world(t)
	erased, moved := prescription(t, w, adaptertest.Request("rx-1")), prescription(t, w, adaptertest.Request("rx-2"))
	w.Records.Erase(erased)
	p := w.Records.Prescriptions[moved]
	p.Pharmacy = w.Other.Org
	w.Records.Prescriptions[moved] = p
	for _, id := range []ledger.ID{erased, moved} {
		w.Records.Deliver(ledger.Effect{Org: w.Pharmacy.Org, Type: "MedicationRequest", Record: id, Prescription: id})
	}
	got := pull(t, w, w.Pharmacy, "")
	for i, code := range []string{"RX_ERASED", "RX_NOT_FOUND"} {
		if !strings.Contains(string(got.Entry[i].Resource), code) {
			t.Errorf("entry %d: %s, want %s", i, got.Entry[i].Resource, code)
		}
	}
	if n := len(w.Records.Accesses()); n != 0 {
		t.Errorf("%d accesses, but nothing was opened", n)
	}
}

// A page of large deliveries is cut, and no delivery is too large for a page.
func TestLargePage(t *testing.T) {
	w := world(t)
	for i := range 12 {
		large := strings.Replace(adaptertest.Request(fmt.Sprint(i)), "{", `{"implicitRules":"urn:`+strings.Repeat("x", 900<<10)+`",`, 1)
		id := prescription(t, w, large)
		w.Records.Deliver(ledger.Effect{Org: w.Pharmacy.Org, Type: "MedicationRequest", Record: id, Prescription: id})
	}
	seen, pages, query := 0, 0, ""
	for range 12 {
		resp := get(w, w.Pharmacy, "/fhir/$deliveries"+query)
		body := text(t, resp)
		if len(body) > 5<<20 {
			t.Errorf("a page of %d bytes", len(body))
		}
		var p page
		if err := json.Unmarshal([]byte(body), &p); err != nil {
			t.Fatal(err)
		}
		if len(p.Entry) == 0 {
			break
		}
		seen, pages, query = seen+len(p.Entry), pages+1, p.link("next")
	}
	if seen != 12 || pages < 3 {
		t.Errorf("%d deliveries on %d pages", seen, pages)
	}
}

func TestWait(t *testing.T) {
	w := world(t)
	began := time.Now()
	if p := pull(t, w, w.Clinic, "?wait=10ms"); len(p.Entry) != 0 {
		t.Errorf("%d entries", len(p.Entry))
	}
	if took := time.Since(began); took < 10*time.Millisecond || took > 5*time.Second {
		t.Errorf("an empty wait of 10 ms took %v", took)
	}
	time.AfterFunc(50*time.Millisecond, func() { w.Records.Deliver(ledger.Effect{Org: w.Clinic.Org, Body: fhir.Outcome(nil)}) })
	began = time.Now()
	if p := pull(t, w, w.Clinic, "?wait=20s"); len(p.Entry) != 1 {
		t.Errorf("%d entries, want the one that came while waiting", len(p.Entry))
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it was there after %v", took)
	}
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(20*time.Millisecond, cancel)
	began = time.Now()
	resp := w.DoContext(ctx, w.Clinic, "GET", "/fhir/$deliveries?after=1&wait=20s", "")
	if took := time.Since(began); resp.StatusCode != 200 || strings.Contains(text(t, resp), `"entry"`) || took > 10*time.Second {
		t.Errorf("a wait that is ended: status %d after %v", resp.StatusCode, took)
	}
}
