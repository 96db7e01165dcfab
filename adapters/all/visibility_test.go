package all_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/adapters/adaptertest"
	"github.com/dosewire/dosewire/adapters/clinic"
	"github.com/dosewire/dosewire/adapters/pharmacy"
	"github.com/dosewire/dosewire/fhir/rx"
	"github.com/dosewire/dosewire/ledger"
)

// scene is one prescription that many organisations would like to know of: issued by the clinic, sent to
// the first pharmacy, moved by the patient to a second one, and held by a third that was shown a code.
type scene struct {
	*adaptertest.World
	who                            map[string]adaptertest.Member
	prescription, dispense, bundle ledger.ID
}

func newScene(t *testing.T) scene {
	t.Helper()
	w := adaptertest.NewWorld(t)
	w.Open(t, clinic.Spec(), pharmacy.Spec())
	s := scene{World: w, who: map[string]adaptertest.Member{
		"issuer": w.Clinic, "routed": w.Pharmacy, "former": w.Other,
		"holder":           w.Join("pharmacy", "Holder", false),
		"released":         w.Join("pharmacy", "Gave it back", false),
		"stranger clinic":  w.Join("clinic", "Elsewhere", false),
		"stranger":         w.Join("pharmacy", "Nowhere", false),
		"sandbox clinic":   w.Join("clinic", "Trial", true),
		"sandbox pharmacy": w.Join("pharmacy", "Trial", true),
	}}
	holder, routed, former, released := s.who["holder"].Org, s.who["routed"].Org, s.who["former"].Org, s.who["released"].Org
	s.bundle = w.Records.Add(ledger.Record{Org: w.Clinic.Org, Type: "Bundle"}, []byte(adaptertest.Bundle("collection", "m", adaptertest.Request("rx-1"))))
	s.prescription = uuid.Must(uuid.NewV7())
	s.dispense = w.Records.Add(ledger.Record{Org: holder, Type: "MedicationDispense"}, []byte(adaptertest.Dispense("d-1", "rx-1")))
	w.Records.Dispenses[s.dispense] = ledger.Dispense{Key: ledger.Key{Org: holder}, Resource: s.dispense, Prescription: s.prescription, Version: 1, Status: "preparation"}
	gone := uuid.Must(uuid.NewV7())
	w.Records.Dispenses[gone] = ledger.Dispense{Key: ledger.Key{Org: released}, Resource: gone, Prescription: s.prescription, Version: 1, Status: "cancelled"}
	for _, org := range []ledger.ID{former, released, routed, holder} {
		w.Records.Delivered[[2]ledger.ID{org, s.prescription}] = true
	}
	text := s.bundle.String() + "#0"
	kept := rx.Kept{State: rx.State{Phase: rx.Held, Clinic: w.Clinic.Org.String(), Record: text, Pharmacy: routed.String(), Holder: holder.String(), Claim: 2, FillsAllowed: 1},
		Trail: rx.Trail{
			{Version: 1, Kind: rx.Issue, By: w.Clinic.Org.String(), With: former.String(), Record: text, Status: "ready"},
			{Version: 2, Kind: rx.Nominate, With: routed.String(), Record: uuid.NewString(), Status: "ready"},
			{Version: 3, Kind: rx.Claim, By: holder.String(), With: holder.String(), Record: s.dispense.String(), Status: "held"},
		}}
	state, err := json.Marshal(kept)
	if err != nil {
		t.Fatal(err)
	}
	w.Records.Prescriptions[s.prescription] = ledger.Prescription{ID: s.prescription, Clinic: w.Clinic.Org, Record: s.bundle, Status: "held", Pharmacy: routed, Holder: holder,
		Claim: 2, FillsAllowed: 1, Version: 3, State: state}
	return s
}

// ask is a request as it can be told apart: the caller's request id is echoed, so it is the same each time.
func (s scene) ask(t *testing.T, who adaptertest.Member, method, path string, headers ...string) (status int, answer string) {
	t.Helper()
	resp := s.Do(who, method, path, "", append(headers, "X-Request-Id: r")...)
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(resp.Header)) {
		fmt.Fprintf(&b, "%s: %q\n", name, resp.Header[name])
	}
	return resp.StatusCode, b.String() + string(body)
}

// TestVisibility asks every route that reads, as every organisation. What an organisation may not know is
// answered as what does not exist, to the byte; nothing of it is disclosed.
func TestVisibility(t *testing.T) {
	s := newScene(t)
	everybody := slices.Sorted(maps.Keys(s.who))
	prescription := []string{"issuer", "routed", "holder"}
	reads := map[string]struct {
		id   ledger.ID
		sees []string // who gets an answer; all others 404
		want int      // which they get
	}{
		"GET /fhir/MedicationRequest/{id}":                     {s.prescription, prescription, 200},
		"GET /fhir/MedicationRequest/{id}/_history":            {s.prescription, prescription, 200},
		"GET /fhir/MedicationRequest/{id}/_history/{version}":  {s.prescription, []string{"issuer"}, 200}, // version 1 was another's
		"GET /fhir/MedicationRequest/{id}/$original":           {s.prescription, prescription, 200},
		"GET /fhir/MedicationRequest/{id}/$receipt":            {s.prescription, prescription, 503}, // under no checkpoint yet
		"GET /fhir/MedicationDispense/{id}":                    {s.dispense, []string{"issuer", "holder"}, 200},
		"GET /fhir/MedicationDispense/{id}/_history/{version}": {s.dispense, []string{"issuer", "holder"}, 200},
		"GET /fhir/Bundle/{id}":                                {s.bundle, []string{"issuer"}, 200},
		"GET /fhir/Bundle/{id}/_history/{version}":             {s.bundle, []string{"issuer"}, 200},
		"GET /fhir/Task/{id}":                                  {s.prescription, prescription, 200},
	}
	// routes without an id of ours in them, or whose id is decided on by the recorder
	others := []string{"POST /fhir", "POST /fhir/{$}", "POST /fhir/$process-message", "POST /fhir/MedicationRequest", "POST /fhir/MedicationDispense",
		"POST /fhir/{type}/$validate", "POST /fhir/MedicationRequest/$collect", "PUT /fhir/MedicationRequest/{id}",
		"GET /fhir/Task", "GET /fhir/$deliveries"} // the last two below
	for _, route := range s.Deps.Routes.List() {
		if _, ok := reads[route]; !ok && !slices.Contains(others, route) {
			t.Errorf("%s: nobody says who sees what there", route)
		}
	}
	asked := 0
	for route, c := range reads {
		method, pattern, _ := strings.Cut(route, " ")
		at := func(id string) string { return strings.NewReplacer("{id}", id, "{version}", "1").Replace(pattern) }
		for _, name := range everybody {
			who, sees := s.who[name], slices.Contains(c.sees, name)
			for _, variant := range [][]string{nil, {"If-None-Match: *"}, {`If-None-Match: W/"1"`}, {"Accept: application/fhir+json"}} {
				for _, m := range []string{method, http.MethodHead} {
					before := len(s.Records.Accesses())
					status, answer := s.ask(t, who, m, at(c.id.String()), variant...)
					disclosed := len(s.Records.Accesses()) > before
					asked++
					if sees {
						if status != c.want && status != http.StatusNotModified {
							t.Errorf("%s %s: %d, want %d", name, route, status, c.want)
						}
						continue
					}
					unknown, absent := s.ask(t, who, m, at(uuid.Must(uuid.NewV7()).String()), variant...)
					if status != http.StatusNotFound || unknown != http.StatusNotFound || answer != absent || disclosed {
						t.Errorf("%s %s %v: %d, disclosed %v\n%s\nand of an unknown id %d\n%s", name, route, variant, status, disclosed, answer, unknown, absent)
					}
				}
			}
			// a parameter that is not served is refused before anything is looked for
			status, answer := s.ask(t, who, method, at(c.id.String())+"?name=x")
			if unknown, absent := s.ask(t, who, method, at(uuid.NewString())+"?name=x"); status != 501 || unknown != status || answer != absent {
				t.Errorf("%s %s with a parameter: %d and %d", name, route, status, unknown)
			}
		}
	}
	t.Logf("%d routes, %d organisations, %d requests", len(reads), len(everybody), asked)
}

// TestVisibilityInSearches: a search finds what a read would give; of anything else it says what it says of
// what does not exist.
func TestVisibilityInSearches(t *testing.T) {
	s := newScene(t)
	for name, who := range s.who {
		sees := slices.Contains([]string{"issuer", "routed", "holder"}, name)
		for _, query := range []string{"", "?focus=MedicationRequest/ID", "?_id=ID", "?focus=ID&status=accepted", "?owner=" + s.who["holder"].Org.String()} {
			before := len(s.Records.Accesses())
			status, answer := s.ask(t, who, "GET", "/fhir/Task"+strings.ReplaceAll(query, "ID", s.prescription.String()))
			disclosed := len(s.Records.Accesses()) > before
			found := strings.Contains(answer, `"resourceType":"Task"`)
			if status != 200 || found != sees || disclosed != sees {
				t.Errorf("%s %q: %d, found %v, disclosed %v", name, query, status, found, disclosed)
			}
			if other := uuid.Must(uuid.NewV7()).String(); !sees && strings.Contains(query, "ID") {
				_, absent := s.ask(t, who, "GET", "/fhir/Task"+strings.ReplaceAll(query, "ID", other))
				if answer != strings.ReplaceAll(absent, other, s.prescription.String()) { // it says back what was asked
					t.Errorf("%s %q:\n%s\nof an unknown id:\n%s", name, query, answer, absent)
				}
			}
		}
	}
}

// TestVisibilityOfDeliveries: each organisation pulls its own, and who was left by the patient finds an
// outcome in place of the prescription.
func TestVisibilityOfDeliveries(t *testing.T) {
	s := newScene(t)
	for _, to := range []string{"former", "holder"} {
		s.Records.Deliver(ledger.Effect{Kind: ledger.EffectDeliver, Org: s.who[to].Org, Type: "Bundle", Record: s.bundle, Items: []int{0},
			Prescription: s.prescription, Index: ledger.NoIndex})
	}
	for name, who := range s.who {
		before := len(s.Records.Accesses())
		status, answer := s.ask(t, who, "GET", "/fhir/$deliveries")
		reads := name == "holder"
		if got := strings.Contains(answer, adaptertest.Canary); status != 200 || got != reads || len(s.Records.Accesses()) > before != reads {
			t.Errorf("%s: %d, with the patient's name %v", name, status, got)
		}
		if withheld := strings.Contains(answer, "RX_NOT_FOUND"); withheld != (name == "former") {
			t.Errorf("%s: withheld %v", name, withheld)
		}
	}
}
