package rest_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/adapters/adaptertest"
	"github.com/dosewire/dosewire/fhir/rx"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

// prescription puts one into the world: issued by the clinic alone in its message, routed to the pharmacy.
func prescription(t *testing.T, w *adaptertest.World, body string) ledger.ID {
	t.Helper()
	id := w.Records.Add(ledger.Record{Org: w.Clinic.Org, Type: "MedicationRequest"}, []byte(body))
	put(t, w, ledger.Prescription{ID: id, Record: id, Clinic: w.Clinic.Org, Pharmacy: w.Pharmacy.Org, Status: "ready", Version: 1}, id.String())
	w.Records.Delivered[[2]ledger.ID{w.Pharmacy.Org, id}] = true
	return id
}

func put(t *testing.T, w *adaptertest.World, p ledger.Prescription, reference string) {
	t.Helper()
	state, err := json.Marshal(rx.State{Record: reference})
	if err != nil {
		t.Fatal(err)
	}
	p.State = state
	w.Records.Prescriptions[p.ID] = p
}

func get(w *adaptertest.World, m adaptertest.Member, path string, headers ...string) *http.Response {
	return w.Do(m, http.MethodGet, path, "", headers...)
}

func TestReadRequest(t *testing.T) {
	w := world(t)
	id := prescription(t, w, adaptertest.Request("rx-1"))
	path := "/fhir/MedicationRequest/" + id.String()
	resp := get(w, w.Clinic, path, "Rx-Person: staff-17")
	body := text(t, resp)
	if resp.StatusCode != 200 || resp.Header.Get("ETag") != `W/"1"` || resp.Header.Get("Rx-State") != "ready" {
		t.Fatalf("status %d, %v", resp.StatusCode, resp.Header)
	}
	var got struct {
		ID   string
		Meta struct {
			VersionID string
			Tag       []struct{ Code string }
		}
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if got.ID != id.String() || got.Meta.VersionID != "1" || len(got.Meta.Tag) != 1 || got.Meta.Tag[0].Code != "ready" {
		t.Errorf("spliced: %+v", got)
	}
	accesses := w.Records.Accesses()
	if len(accesses) != 1 {
		t.Fatalf("%d accesses, want 1", len(accesses))
	}
	if a := accesses[0]; a.Org != w.Clinic.Org || a.Client != w.Clinic.Client || a.Person != "staff-17" || a.Purpose != "TREAT" || a.Action != "read" || a.Records[0] != id {
		t.Errorf("access %+v", a)
	}
	if got := text(t, get(w, w.Clinic, path+"/$original")); got != adaptertest.Request("rx-1") {
		t.Errorf("the original is not what was received:\n%s", got)
	}
}

// Who already has the version gets nothing, so nothing is disclosed.
func TestNotModified(t *testing.T) {
	w := world(t)
	path := "/fhir/MedicationRequest/" + prescription(t, w, adaptertest.Request("rx-1")).String()
	for tag, want := range map[string]int{`W/"1"`: 304, `"9", W/"1"`: 304, "*": 304, `W/"11"`: 200, `W/"2"`: 200} {
		before := len(w.Records.Accesses())
		resp := get(w, w.Clinic, path, "If-None-Match: "+tag)
		if resp.StatusCode != want {
			t.Errorf("%s: status %d, want %d", tag, resp.StatusCode, want)
		}
		if disclosed := len(w.Records.Accesses()) > before; disclosed != (want == 200) {
			t.Errorf("%s: disclosed %v", tag, disclosed)
		}
	}
}

func TestVisibility(t *testing.T) {
	type change func(*adaptertest.World, *ledger.Prescription)
	for _, c := range []struct {
		name     string
		change   change
		pharmacy int // status for the pharmacy that was sent it
		other    int // and for one that never was
	}{
		{"routed", nil, 200, 404},
		{"held by another", func(w *adaptertest.World, p *ledger.Prescription) { p.Holder = w.Other.Org }, 200, 200},
		{"moved away", func(w *adaptertest.World, p *ledger.Prescription) { p.Pharmacy = w.Other.Org }, 404, 200},
		{"back in the pool", func(w *adaptertest.World, p *ledger.Prescription) { p.Pharmacy = ledger.ID{} }, 200, 404},
		{"moved away after a hand-over", func(w *adaptertest.World, p *ledger.Prescription) {
			p.Pharmacy = w.Other.Org
			w.Records.Dispenses[ledger.ID{1}] = ledger.Dispense{Key: ledger.Key{Org: w.Pharmacy.Org}, Prescription: p.ID, Status: "completed"}
		}, 200, 200},
		{"moved away after a release", func(w *adaptertest.World, p *ledger.Prescription) {
			p.Pharmacy = w.Other.Org
			w.Records.Dispenses[ledger.ID{1}] = ledger.Dispense{Key: ledger.Key{Org: w.Pharmacy.Org}, Prescription: p.ID, Status: "cancelled"}
		}, 404, 200},
	} {
		w := world(t)
		id := prescription(t, w, adaptertest.Request("rx-1"))
		if c.change != nil {
			p := w.Records.Prescriptions[id]
			c.change(w, &p)
			w.Records.Prescriptions[id] = p
		}
		for who, want := range map[adaptertest.Member]int{w.Clinic: 200, w.Pharmacy: c.pharmacy, w.Other: c.other} {
			before := len(w.Records.Accesses())
			for _, path := range []string{"", "/_history/1", "/$original"} {
				if resp := get(w, who, "/fhir/MedicationRequest/"+id.String()+path); resp.StatusCode != want {
					t.Errorf("%s: status %d, want %d", c.name, resp.StatusCode, want)
				}
			}
			if disclosed := len(w.Records.Accesses()) > before; disclosed != (want == 200) {
				t.Errorf("%s: disclosed %v", c.name, disclosed)
			}
		}
	}
}

// What does not exist and what is another's look the same.
func TestNotFound(t *testing.T) {
	w := world(t)
	id := prescription(t, w, adaptertest.Request("rx-1"))
	want := text(t, get(w, w.Other, "/fhir/MedicationRequest/"+id.String()))
	for _, path := range []string{uuid.NewString(), "1", strings.ToUpper(id.String()), id.String() + "/_history/2", id.String() + "/_history/01", id.String() + "/_history/0"} {
		resp := get(w, w.Other, "/fhir/MedicationRequest/"+path)
		if got := text(t, resp); resp.StatusCode != 404 || got != want {
			t.Errorf("%s: %d %s\nwant %s", path, resp.StatusCode, got, want)
		}
	}
	if resp := get(w, w.Clinic, "/fhir/MedicationRequest/"+id.String()+"/_history/2"); resp.StatusCode != 404 {
		t.Errorf("a version that is not: %d", resp.StatusCode)
	}
	if resp := get(w, w.Clinic, "/fhir/MedicationRequest/"+id.String()+"?_elements=status"); resp.StatusCode != 501 {
		t.Errorf("a parameter that is not served: %d", resp.StatusCode)
	}
}

// A read says what its clinic said last; a Location given long ago still leads to what was said then.
func TestVersions(t *testing.T) {
	w := world(t)
	issue, hold := adaptertest.Request("rx-1"), strings.Replace(adaptertest.Request("rx-1"), `"active"`, `"on-hold"`, 1)
	id := prescription(t, w, issue)
	w.Records.Add(ledger.Record{Org: w.Clinic.Org, Type: "MedicationRequest", Of: id, Version: 3}, []byte(hold))
	put(t, w, ledger.Prescription{ID: id, Record: id, Clinic: w.Clinic.Org, Status: "on-hold", Version: 4}, id.String())
	for path, want := range map[string]struct{ status, version, tag string }{
		"":            {"on-hold", "4", "on-hold"},
		"/_history/4": {"on-hold", "4", "on-hold"},
		"/_history/3": {"on-hold", "3", ""},
		"/_history/2": {"active", "2", ""},
		"/_history/1": {"active", "1", ""},
	} {
		var got struct {
			Status string
			Meta   struct {
				VersionID string
				Tag       []struct{ Code string }
			}
		}
		if err := json.Unmarshal([]byte(text(t, get(w, w.Clinic, "/fhir/MedicationRequest/"+id.String()+path))), &got); err != nil {
			t.Fatal(err)
		}
		tag := ""
		if len(got.Meta.Tag) > 0 {
			tag = got.Meta.Tag[0].Code
		}
		if got.Status != want.status || got.Meta.VersionID != want.version || tag != want.tag {
			t.Errorf("%s: %+v, want %+v", path, got, want)
		}
	}
}

// One of several prescriptions of a Bundle is read alone, and its receiver sees no other.
func TestReadFromABundle(t *testing.T) {
	w := world(t)
	bundle := adaptertest.Bundle("message", "m-1", adaptertest.Request("first"), adaptertest.Request("second"))
	record := w.Records.Add(ledger.Record{Org: w.Clinic.Org, Type: "Bundle"}, []byte(bundle))
	id := uuid.Must(uuid.NewV7())
	put(t, w, ledger.Prescription{ID: id, Record: record, Clinic: w.Clinic.Org, Pharmacy: w.Pharmacy.Org, Status: "held", Version: 2}, record.String()+"#2")
	for _, path := range []string{"", "/_history/1", "/$original"} {
		body := text(t, get(w, w.Pharmacy, "/fhir/MedicationRequest/"+id.String()+path))
		if !strings.Contains(body, `"value":"second"`) || strings.Contains(body, `"value":"first"`) {
			t.Errorf("%s: %s", path, body)
		}
	}
	if got := text(t, get(w, w.Clinic, "/fhir/Bundle/"+record.String())); got != bundle {
		t.Errorf("the clinic's own Bundle: %s", got)
	}
	if resp := get(w, w.Pharmacy, "/fhir/Bundle/"+record.String()); resp.StatusCode != 404 {
		t.Errorf("another's Bundle: %d", resp.StatusCode)
	}
}

func TestReadDispense(t *testing.T) {
	w := world(t)
	rxID := prescription(t, w, adaptertest.Request("rx-1"))
	first := adaptertest.Dispense("d-1", "rx-1")
	id := w.Records.Add(ledger.Record{Org: w.Pharmacy.Org, Type: "MedicationDispense"}, []byte(strings.Replace(first, "completed", "preparation", 1)))
	w.Records.Add(ledger.Record{Org: w.Pharmacy.Org, Type: "MedicationDispense", Of: id, Version: 2}, []byte(adaptertest.Bundle("message", "m", first)))
	w.Records.Dispenses[id] = ledger.Dispense{Key: ledger.Key{Org: w.Pharmacy.Org}, Resource: id, Prescription: rxID, Version: 2, Status: "completed"}
	path := "/fhir/MedicationDispense/" + id.String()
	for who, want := range map[adaptertest.Member]int{w.Pharmacy: 200, w.Clinic: 200, w.Other: 404} {
		resp := get(w, who, path)
		if resp.StatusCode != want {
			t.Errorf("status %d, want %d", resp.StatusCode, want)
		}
		if body := text(t, resp); want == 200 && (!strings.HasPrefix(body, `{"resourceType":"MedicationDispense"`) && !strings.Contains(body, `"status":"completed"`)) {
			t.Errorf("body %s", body)
		}
	}
	if body := text(t, get(w, w.Pharmacy, path+"/_history/1")); !strings.Contains(body, `"status":"preparation"`) {
		t.Errorf("version 1: %s", body)
	}
}

func TestErasedAndDown(t *testing.T) {
	w := world(t)
	id := prescription(t, w, adaptertest.Request("rx-1"))
	path := "/fhir/MedicationRequest/" + id.String()
	w.Records.Erase(id)
	resp := get(w, w.Clinic, path)
	if codes := adaptertest.Codes(t, resp); resp.StatusCode != 410 || codes[0] != "RX_ERASED" || resp.Header.Get("ETag") != "" {
		t.Errorf("erased: %d %v %v", resp.StatusCode, codes, resp.Header)
	}
	w.Records.Down = fault.New(fault.Unavailable, "database")
	resp = get(w, w.Clinic, path)
	if codes := adaptertest.Codes(t, resp); resp.StatusCode != 503 || codes[0] != "RX_UNAVAILABLE" {
		t.Errorf("down: %d %v", resp.StatusCode, codes)
	}
}
