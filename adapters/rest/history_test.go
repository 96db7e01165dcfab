package rest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/adapters/adaptertest"
	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/fhir/rx"
	"github.com/dosewire/dosewire/ledger"
)

// historyBody is as much of a history Bundle as tests look at.
type historyBody struct {
	Type  string
	Total *int
	Link  []struct{ Relation, URL string }
	Entry []struct {
		FullURL  string
		Resource json.RawMessage
		Request  struct{ Method, URL string }
		Response struct{ Status, Etag, LastModified string }
	}
}

func history(t *testing.T, w *adaptertest.World, who adaptertest.Member, path string) (h historyBody) {
	t.Helper()
	resp := get(w, who, path)
	body := text(t, resp)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %s", path, resp.StatusCode, body)
	}
	if len(body) <= fhir.MaxBytes {
		valid(t, path, body)
	}
	if err := json.Unmarshal([]byte(body), &h); err != nil {
		t.Fatal(err)
	}
	return h
}

// lived is a prescription with five versions: issued to the pharmacy, moved to the other by the patient,
// put on hold by a message in a Bundle, resumed, claimed.
func lived(t *testing.T, w *adaptertest.World) ledger.ID {
	t.Helper()
	issue := adaptertest.Request("rx-1")
	hold := strings.Replace(issue, `"active"`, `"on-hold"`, 1)
	id := prescription(t, w, issue)
	chosen := w.Records.Add(ledger.Record{Type: "fact"}, []byte(`{}`))
	held := w.Records.Add(ledger.Record{Org: w.Clinic.Org, Type: "Bundle"}, []byte(adaptertest.Bundle("collection", "m", adaptertest.Request("rx-2"), hold)))
	resumed := w.Records.Add(ledger.Record{Org: w.Clinic.Org, Type: "MedicationRequest", Of: id, Version: 4}, []byte(issue+"\n"))
	claimed := w.Records.Add(ledger.Record{Org: w.Other.Org, Type: "MedicationDispense"}, []byte(adaptertest.Dispense("d", "rx-1")))
	c, p, o := w.Clinic.Org.String(), w.Pharmacy.Org.String(), w.Other.Org.String()
	w.Records.Delivered[[2]ledger.ID{w.Other.Org, id}] = true
	keep(t, w, id, rx.Kept{State: rx.State{Phase: rx.Held, Clinic: c, Record: id.String(), Pharmacy: o, Holder: o, Claim: 1, FillsAllowed: 1}, Trail: rx.Trail{
		{Version: 1, Kind: rx.Issue, By: c, With: p, Record: id.String(), Status: "ready"},
		{Version: 2, Kind: rx.Nominate, With: o, Record: chosen.String(), Status: "ready"},
		{Version: 3, Kind: rx.Hold, By: c, With: o, Record: held.String() + "#1", Status: "on-hold"},
		{Version: 4, Kind: rx.Issue, By: c, With: o, Record: resumed.String(), Status: "ready"},
		{Version: 5, Kind: rx.Claim, By: o, With: o, Record: claimed.String(), Status: "held"},
	}})
	return id
}

func TestHistory(t *testing.T) {
	w := world(t)
	id := lived(t, w)
	base := "/fhir/MedicationRequest/" + id.String()
	h := history(t, w, w.Clinic, base+"/_history")
	if h.Type != "history" || h.Total == nil || *h.Total != 5 || len(h.Entry) != 5 || len(h.Link) != 1 {
		t.Fatalf("%+v", h)
	}
	accesses := w.Records.Accesses()
	if len(accesses) != 1 || len(accesses[0].Records) != 3 { // three texts make five versions
		t.Errorf("accesses %+v", accesses)
	}
	for i, want := range []struct{ status, tag, method string }{
		{"active", "held", "PUT"}, {"active", "ready", "PUT"}, {"on-hold", "on-hold", "PUT"}, {"active", "ready", "PUT"}, {"active", "ready", "POST"},
	} {
		e, version := h.Entry[i], 5-i
		var got struct {
			Status string
			Meta   struct {
				LastUpdated string
				Tag         []struct{ Code string }
			}
		}
		if err := json.Unmarshal(e.Resource, &got); err != nil {
			t.Fatal(err)
		}
		if got.Status != want.status || got.Meta.Tag[0].Code != want.tag || e.Request.Method != want.method || e.Response.Etag != fmt.Sprintf(`W/"%d"`, version) ||
			e.Response.LastModified != got.Meta.LastUpdated || e.FullURL != adaptertest.BaseURL+base {
			t.Errorf("version %d: %+v, %+v", version, got, e)
		}
		// the same as its vread, byte for byte
		if one := text(t, get(w, w.Clinic, fmt.Sprintf("%s/_history/%d", base, version))); strings.TrimSpace(one) != string(e.Resource) {
			t.Errorf("version %d:\n%s\nread alone:\n%s", version, e.Resource, one)
		}
		// and but for id and meta the clinic's own
		if !strings.Contains(string(e.Resource), `"dispenseRequest":{"quantity":{"value":20}}`) {
			t.Errorf("version %d was written anew: %s", version, e.Resource)
		}
	}
	if newest := text(t, get(w, w.Clinic, base)); strings.TrimSpace(newest) != string(h.Entry[0].Resource) {
		t.Errorf("the newest version is not what a read gives")
	}
}

// A pharmacy sees the versions since it was sent the prescription, and a vread agrees.
func TestHistoryOfAPharmacy(t *testing.T) {
	w := world(t)
	id := lived(t, w)
	base := "/fhir/MedicationRequest/" + id.String()
	h := history(t, w, w.Other, base+"/_history")
	if len(h.Entry) != 4 || *h.Total != 4 {
		t.Fatalf("%d versions", len(h.Entry))
	}
	for version, want := range map[int]int{1: 404, 2: 200, 3: 200, 4: 200, 5: 200, 6: 404} {
		if resp := get(w, w.Other, fmt.Sprintf("%s/_history/%d", base, version)); resp.StatusCode != want {
			t.Errorf("version %d: %d, want %d", version, resp.StatusCode, want)
		}
	}
	if resp := get(w, w.Pharmacy, base+"/_history"); resp.StatusCode != 404 {
		t.Errorf("the pharmacy that the patient left: %d", resp.StatusCode)
	}
	// had it handed something over, it would see its own part and how it stands
	w.Records.Dispenses[ledger.ID{1}] = ledger.Dispense{Key: ledger.Key{Org: w.Pharmacy.Org}, Prescription: id, Status: "completed"}
	if h := history(t, w, w.Pharmacy, base+"/_history"); len(h.Entry) != 2 || h.Entry[0].Response.Etag != `W/"5"` || h.Entry[1].Response.Etag != `W/"1"` {
		t.Errorf("the pharmacy that dispensed before: %+v", h)
	}
}

func TestHistoryInPages(t *testing.T) {
	w := world(t)
	id := lived(t, w)
	path, seen := "/fhir/MedicationRequest/"+id.String()+"/_history?_count=2", ""
	for path != "" {
		h := history(t, w, w.Clinic, path)
		path = ""
		for _, e := range h.Entry {
			seen += e.Response.Etag
		}
		for _, l := range h.Link {
			if l.Relation == "next" {
				path = strings.TrimPrefix(l.URL, adaptertest.BaseURL)
			}
		}
	}
	if seen != `W/"5"W/"4"W/"3"W/"2"W/"1"` {
		t.Errorf("pages: %s", seen)
	}
	for query, want := range map[string]int{"?_count=0": 422, "?_before=0": 422, "?_before=x": 422, "?_since=2026": 501, "?_at=2026": 501} {
		if resp := get(w, w.Clinic, "/fhir/MedicationRequest/"+id.String()+"/_history"+query); resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", query, resp.StatusCode, want)
		}
	}
	// a large text ends a page early
	big := strings.Replace(adaptertest.Request("rx-9"), `"status"`, `"note":[{"text":"`+strings.Repeat("x", 900<<10)+`"}],"status"`, 1)
	large := prescription(t, w, big)
	var trail rx.Trail
	for v := range 9 {
		trail = trail.Add(rx.Step{Version: v + 1, Kind: rx.Issue, By: w.Clinic.Org.String(), Record: large.String(), Status: "ready"})
	}
	keep(t, w, large, rx.Kept{State: rx.State{Phase: rx.Ready, Record: large.String(), Clinic: w.Clinic.Org.String()}, Trail: trail})
	if h := history(t, w, w.Clinic, "/fhir/MedicationRequest/"+large.String()+"/_history"); len(h.Entry) == 0 || len(h.Entry) > 4 || len(h.Link) != 2 || h.Total != nil {
		t.Errorf("%d versions of 900 kB on a page", len(h.Entry))
	}
}

// What was stored before trails were kept has the versions that its records tell of.
func TestHistoryWithoutATrail(t *testing.T) {
	w := world(t)
	id := prescription(t, w, adaptertest.Request("rx-1"))
	w.Records.Add(ledger.Record{Org: w.Clinic.Org, Type: "MedicationRequest", Of: id, Version: 2}, []byte(strings.Replace(adaptertest.Request("rx-1"), `"active"`, `"on-hold"`, 1)))
	w.Records.Add(ledger.Record{Type: "fact", Of: id, Version: 3}, []byte(`{}`))
	put(t, w, ledger.Prescription{ID: id, Record: id, Clinic: w.Clinic.Org, Status: "on-hold", Version: 3}, id.String())
	h := history(t, w, w.Clinic, "/fhir/MedicationRequest/"+id.String()+"/_history")
	if len(h.Entry) != 3 || !strings.Contains(string(h.Entry[0].Resource), `"on-hold"`) || strings.Contains(string(h.Entry[2].Resource), `"on-hold"`) {
		t.Errorf("%+v", h)
	}
	if _, err := fhir.Decode(h.Entry[0].Resource); err != nil {
		t.Error(err)
	}
	if resp := get(w, w.Clinic, "/fhir/MedicationRequest/"+uuid.NewString()+"/_history"); resp.StatusCode != 404 {
		t.Errorf("nobody's: %d", resp.StatusCode)
	}
}
