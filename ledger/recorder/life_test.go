package recorder_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/recorder"
	"github.com/dosewire/dosewire/streams"
)

// with puts more members into an order.
func with(order []byte, from, to string) []byte {
	out := bytes.Replace(order, []byte(from), []byte(to), 1)
	if bytes.Equal(out, order) {
		panic("nothing replaced")
	}
	return out
}

// codes are the stable ids in OperationOutcomes that an organisation received.
func (h *hub) codes(org ledger.Organization, quiet time.Duration) (all []string) {
	h.t.Helper()
	for _, m := range h.received(org, quiet) {
		if subjectType(m) != "OperationOutcome" {
			all = append(all, subjectType(m))
			continue
		}
		_, rest, _ := strings.Cut(string(m.Data()), `"code":"RX_`)
		code, _, _ := strings.Cut(rest, `"`)
		all = append(all, "RX_"+code)
	}
	return all
}

// TestTimePasses: validity ends without a message from anybody, and all who are concerned are told.
func TestTimePasses(t *testing.T) {
	for name, option := range map[string]func(*hub){"sqlite": func(*hub) {}, "postgres": (*hub).onPostgres} {
		t.Run(name, func(t *testing.T) {
			h := open(t, option)
			end := time.Now().Add(1500 * time.Millisecond).UTC().Format(time.RFC3339Nano)
			body := with(order("A-1", oldBridgeNPI, "Amoxicillin"), `"dispenseRequest":{`, `"dispenseRequest":{"validityPeriod":{"end":"`+end+`"},`)
			a := h.send(h.clinic, "m1", body)
			if a.Status != 201 || a.Resources[0].State != "ready" {
				t.Fatalf("issue: %+v", a)
			}
			h.codes(h.oldBridge, 300*time.Millisecond) // the prescription
			for _, org := range []ledger.Organization{h.clinic, h.oldBridge} {
				if got := h.codes(org, 4*time.Second); len(got) != 1 || got[0] != "RX_EXPIRED" {
					t.Errorf("%s: %v", org.Kind, got)
				}
			}
			if a := h.send(h.oldBridge, "d1", dispense("D-1", "preparation", a.Resources[0].Rx)); a.Code != string(fault.CodeExpired) {
				t.Errorf("claim: %+v", a)
			}
			due, err := h.store.Due(t.Context(), time.Now().Add(time.Hour).UnixMilli(), 10)
			if err != nil || len(due) != 0 {
				t.Errorf("still due: %d, %v", len(due), err)
			}
			h.verify()
		})
	}
}

const tablet = `"system":"http://unitsofmeasure.org","code":"{tbl}"`

// TestBalance: a quantity below the fill's leaves the fill open, at any pharmacy.
func TestBalance(t *testing.T) {
	h := open(t)
	body := with(order("A-1", oldBridgeNPI, "Amoxicillin"), `"dispenseRequest":{`, `"dispenseRequest":{"quantity":{"value":20,`+tablet+`},`)
	rx := h.send(h.clinic, "m1", body).Resources[0].Rx
	given := func(id string, n int) []byte {
		return with(dispense(id, "completed", rx), `"medicationCodeableConcept"`, fmt.Sprintf(`"quantity":{"value":%d,%s},"medicationCodeableConcept"`, n, tablet))
	}
	for _, step := range []struct {
		id    string
		n     int
		state string
		code  string
	}{{"D-1", 12, "ready-to-collect", ""}, {"D-2", 8, "completed", ""}, {"D-3", 1, "completed", "RX_FLAGGED"}} {
		a := h.send(h.oldBridge, "m-"+step.id, given(step.id, step.n))
		if a.Status/100 != 2 || a.Resources[0].State != step.state || a.Resources[0].Code != step.code {
			t.Errorf("%s: %+v", step.id, a)
		}
	}
	h.verify()
}

// TestAmend: other content under the same identity, with the version that is amended.
func TestAmend(t *testing.T) {
	h := open(t)
	body := order("A-1", oldBridgeNPI, "Amoxicillin")
	first := h.send(h.clinic, "m1", body).Resources[0]
	amend := func(id, drug string, version int) streams.Answer {
		m := message(h.clinic, id, order("A-1", oldBridgeNPI, drug))
		m.Header = map[string][]string{streams.HeaderMatch: {fmt.Sprint(version)}, streams.HeaderID: {first.Rx}}
		return h.call(m)
	}
	if a := amend("m2", "Ampicillin", 7); a.Status != 412 || a.Code != string(fault.CodeVersion) {
		t.Errorf("wrong version: %+v", a)
	}
	a := amend("m3", "Ampicillin", first.Version)
	if a.Status != 200 || a.Resources[0].State != "ready" || a.Resources[0].Version <= first.Version {
		t.Errorf("amended: %+v", a)
	}
	got := h.received(h.oldBridge, 300*time.Millisecond)
	if len(got) != 2 || !bytes.Contains(got[1].Data(), []byte("Ampicillin")) {
		t.Errorf("the pharmacy received %d", len(got))
	}
	h.send(h.oldBridge, "d1", dispense("D-1", "preparation", first.Rx))
	if a := amend("m4", "Aspirin", a.Resources[0].Version+1); a.Status != 409 || a.Code != string(fault.CodeFrozen) {
		t.Errorf("claimed: %+v", a)
	}
	h.verify()
}

// TestRenewal: a pharmacy's proposal reaches the clinic of the prescription that it names, and no other's.
func TestRenewal(t *testing.T) {
	h := open(t)
	rx := h.send(h.clinic, "m1", order("A-1", oldBridgeNPI, "Amoxicillin")).Resources[0].Rx
	proposal := fmt.Appendf(nil, `{"resourceType":"MedicationRequest","identifier":[{"system":"urn:ask","value":"1"}],"status":"active","intent":"proposal",
 "priorPrescription":{"reference":"MedicationRequest/%s"},"medicationCodeableConcept":{"text":"Amoxicillin"},"subject":{"display":"as before"}}`, rx)
	if a := h.send(h.oldBridge, "r1", proposal); a.Status != 201 {
		t.Fatalf("renewal: %+v", a)
	}
	if got := h.received(h.clinic, 300*time.Millisecond); len(got) != 1 || !bytes.Equal(got[0].Data(), proposal) {
		t.Errorf("the clinic received %d", len(got))
	}
	if a := h.send(h.harbour, "r2", proposal); a.Code != string(fault.CodeUnresolved) {
		t.Errorf("a stranger: %+v", a)
	}
	if a := h.send(h.oldBridge, "r3", with(proposal, "proposal", "order")); a.Code != string(fault.CodeSender) {
		t.Errorf("an order by a pharmacy: %+v", a)
	}
	h.verify()
}

// TestControlled: what the configuration calls controlled is recorded and reaches no pharmacy, unless the
// organisation's policy allows it.
func TestControlled(t *testing.T) {
	policy := recorder.Policy{Controlled: []string{"urn:drug|C2"}}
	h := open(t, func(h *hub) { h.config.Policy = policy })
	controlled := func(identifier string) []byte {
		return with(order(identifier, oldBridgeNPI, "Morphine"), `"medicationCodeableConcept":{`, `"medicationCodeableConcept":{"coding":[{"system":"urn:drug","code":"C2"}],`)
	}
	a := h.send(h.clinic, "m1", controlled("A-1"))
	if a.Status != 201 || a.Resources[0].Code != string(fault.CodeNotRouted) {
		t.Errorf("recorded only: %+v", a)
	}
	if got := h.received(h.oldBridge, 300*time.Millisecond); len(got) != 0 {
		t.Errorf("the pharmacy received %d", len(got))
	}
	if a := h.send(h.oldBridge, "d1", dispense("D-1", "completed", a.Resources[0].Rx)); a.Code != string(fault.CodeUnresolved) {
		t.Errorf("hand-over: %+v", a)
	}
	h.close()
	h.config.Policy.ControlledAllow = []ledger.ID{h.clinic.ID}
	h.start()
	if a := h.send(h.clinic, "m2", controlled("A-2")); a.Resources[0].Code != "" {
		t.Errorf("allowed: %+v", a)
	}
	if got := h.received(h.oldBridge, 300*time.Millisecond); len(got) != 1 {
		t.Errorf("the pharmacy received %d, want 1", len(got))
	}
	h.verify()
}

// TestSilentPharmacy: the fact is decided by the offer's age, whoever says it.
func TestSilentPharmacy(t *testing.T) {
	h := open(t)
	rx := h.send(h.clinic, "m1", order("A-1", oldBridgeNPI, "Amoxicillin")).Resources[0].Rx
	fact := fmt.Appendf(nil, `{"prescription":"%s","pharmacy":"%s"}`, rx, h.oldBridge.ID)
	a := h.call(streams.Message{ID: "hub.silent.1", Subject: streams.FactSubject(recorder.FactSilent), Body: fact})
	if a.Status != 200 {
		t.Errorf("too early to say: %+v", a)
	}
	if got := h.codes(h.clinic, 300*time.Millisecond); len(got) != 0 {
		t.Errorf("the clinic was told %v", got)
	}
	waiting, err := h.store.Unfetched(t.Context(), h.oldBridge.ID, 0, 10)
	if err != nil || len(waiting) != 1 || waiting[0].ID.String() != rx {
		t.Errorf("not fetched: %d, %v", len(waiting), err)
	}
	h.received(h.oldBridge, 300*time.Millisecond)
	time.Sleep(1500 * time.Millisecond) // the announcer stores what is acknowledged once a second
	if waiting, err = h.store.Unfetched(t.Context(), h.oldBridge.ID, 0, 10); err != nil || len(waiting) != 0 {
		t.Errorf("fetched: %d, %v", len(waiting), err)
	}
}

// hours is a reader for whom the first deliveries to each pharmacy were made hours ago.
type hours struct {
	ledger.Reader
	young uint64 // the number of the first that was not
}

func (r *hours) Unfetched(ctx context.Context, pharmacy ledger.ID, after uint64, limit int) ([]ledger.Unfetched, error) {
	all, err := r.Reader.Unfetched(ctx, pharmacy, after, limit)
	for i := range all {
		if all[i].Number >= r.young {
			continue
		}
		all[i].Time -= 24 * time.Hour.Milliseconds()
		var s map[string]any
		if err := json.Unmarshal(all[i].State, &s); err != nil {
			return nil, err
		}
		s["offeredAt"] = all[i].Time
		if all[i].State, err = json.Marshal(s); err != nil {
			return nil, err
		}
	}
	return all, err
}

// TestSilenceIsSaid: the clock says which pharmacies have not fetched what was offered long ago, at each of them.
func TestSilenceIsSaid(t *testing.T) {
	h := open(t)
	old := map[string]bool{}
	for id, npi := range map[string]string{"A-1": oldBridgeNPI, "A-2": harbourNPI, "A-3": oldBridgeNPI} {
		old[h.send(h.clinic, id, order(id, npi, "Amoxicillin")).Resources[0].Rx] = true
	}
	head, err := h.store.Head(t.Context())
	h.must(err)
	h.close()
	h.reads = func(r ledger.Reader) ledger.Reader { return &hours{Reader: r, young: head.Deliveries + 1} }
	h.start()                            // the clock looks a second later
	said, err := h.nc.SubscribeSync(">") // facts may go together in one message
	h.must(err)
	young := h.send(h.clinic, "A-4", order("A-4", oldBridgeNPI, "Amoxicillin")).Resources[0].Rx
	for deadline := time.Now().Add(10 * time.Second); len(old) > 0; {
		m, err := said.NextMsg(time.Until(deadline))
		if err != nil {
			t.Fatalf("not said of %d: %v", len(old), err)
		}
		maps.DeleteFunc(old, func(rx string, _ bool) bool { return bytes.Contains(m.Data, []byte(`{"prescription":"`+rx)) })
		if bytes.Contains(m.Data, []byte(`{"prescription":"`+young)) {
			t.Error("said of what was offered just now")
		}
	}
}

// TestReplaceByTheHubsID: priorPrescription may hold what Location said. What cannot be replaced any more is
// said, and another clinic's prescription is nobody's to replace.
func TestReplaceByTheHubsID(t *testing.T) {
	h := open(t)
	second := h.add("clinic", "Second Clinic", "")
	replacing := func(id, older string) []byte {
		return with(order(id, oldBridgeNPI, "Amoxicillin"), `"requester":{`, `"priorPrescription":{"reference":"MedicationRequest/`+older+`"},"requester":{`)
	}
	first := h.send(h.clinic, "m1", order("A-1", oldBridgeNPI, "Amoxicillin")).Resources[0].Rx
	claims := func(id, rx string) streams.Answer { return h.send(h.oldBridge, id, dispense(id, "preparation", rx)) }

	if a := h.send(second, "s1", replacing("S-1", first)); a.Status != 201 || !strings.Contains(string(a.Issues), string(fault.CodeOptionalRef)) {
		t.Errorf("another clinic's: %+v %s", a, a.Issues)
	}
	a := h.send(h.clinic, "m2", replacing("A-2", first))
	if a.Status != 201 || strings.Contains(string(a.Issues), string(fault.CodeOptionalRef)) {
		t.Fatalf("replace: %+v %s", a, a.Issues)
	}
	if got := claims("D-1", first); got.Code != string(fault.CodeReplaced) {
		t.Errorf("claim of the old one: %+v", got)
	}
	if a := h.send(h.clinic, "m3", replacing("A-3", first)); a.Status != 201 || !strings.Contains(string(a.Issues), string(fault.CodeReplaced)) {
		t.Errorf("replaced twice: %+v %s", a, a.Issues)
	}
	newer := a.Resources[0].Rx
	h.send(h.oldBridge, "D-2", dispense("D-2", "completed", newer))
	if a := h.send(h.clinic, "m4", replacing("A-4", newer)); a.Status != 201 || !strings.Contains(string(a.Issues), string(fault.CodeCompleted)) {
		t.Errorf("replaced after it was handed over: %+v %s", a, a.Issues)
	}
	h.verify()
}

// TestAmendedToControlled: an order that becomes recorded only is not claimed by whoever was sent it before.
func TestAmendedToControlled(t *testing.T) {
	h := open(t, func(h *hub) { h.config.Policy = recorder.Policy{Controlled: []string{"urn:drug|C2"}} })
	body := order("A-1", oldBridgeNPI, "Morphine")
	rx := h.send(h.clinic, "m1", body).Resources[0].Rx
	h.received(h.oldBridge, 300*time.Millisecond)
	controlled := with(body, `"medicationCodeableConcept":{`, `"medicationCodeableConcept":{"coding":[{"system":"urn:drug","code":"C2"}],`)
	m := message(h.clinic, "m2", controlled)
	m.Header = map[string][]string{streams.HeaderMatch: {"1"}}
	if a := h.call(m); a.Status != 200 || a.Resources[0].Code != string(fault.CodeNotRouted) {
		t.Errorf("amended: %+v", a)
	}
	if got := h.codes(h.oldBridge, 300*time.Millisecond); len(got) != 1 || got[0] != string(fault.CodeControlled) {
		t.Errorf("the pharmacy received %v", got)
	}
	if a := h.send(h.oldBridge, "d1", dispense("D-1", "preparation", rx)); a.Code != string(fault.CodeControlled) {
		t.Errorf("claim: %+v", a)
	}
	h.verify()
}

// TestAmountsThatAreNone: a hand-over of nothing is refused and uses up no fill; one beyond all counting is
// more than the fill.
func TestAmountsThatAreNone(t *testing.T) {
	h := open(t)
	rx := h.send(h.clinic, "m1", with(order("A-1", oldBridgeNPI, "Amoxicillin"), `"dispenseRequest":{`, `"dispenseRequest":{"quantity":{"value":20,`+tablet+`},`)).Resources[0].Rx
	given := func(status, n string) streams.Answer {
		body := with(dispense("D-"+n, status, rx), `"medicationCodeableConcept"`, `"quantity":{"value":`+n+`,`+tablet+`},"medicationCodeableConcept"`)
		return h.send(h.oldBridge, status+n, body)
	}
	for _, n := range []string{"0", "-5", "0.0"} {
		if a := given("completed", n); a.Status != 422 || a.Code != string(fault.CodeValue) {
			t.Errorf("%s: %+v", n, a)
		}
	}
	if a := given("completed", "1e30"); a.Status != 201 || a.Resources[0].State != "completed" || !strings.Contains(string(a.Issues), "over-amount") {
		t.Errorf("1e30: %+v %s", a, a.Issues)
	}
	h.verify()
}
