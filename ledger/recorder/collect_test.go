package recorder_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/collect"
	"github.com/dosewire/dosewire/ledger/recorder"
	"github.com/dosewire/dosewire/streams"
)

// nobody is an NPI that no pharmacy has.
const nobody = "1000000004"

// waiting issues a prescription that waits for a pharmacy.
func (h *hub) waiting(id string) (rx, patient ledger.ID) {
	h.t.Helper()
	a := h.send(h.clinic, "issue-"+id, order(id, nobody, "Amoxicillin"))
	if a.Status != 201 {
		h.t.Fatalf("issue: %+v", a)
	}
	rx = uuid.MustParse(a.Resources[0].Rx)
	row, err := h.store.Prescription(h.t.Context(), rx)
	h.must(err)
	return rx, row.Patient
}

// code has the patient make a collect code.
func (h *hub) code(rx, patient ledger.ID, number uint16) (collect.Code, streams.Answer) {
	h.t.Helper()
	locator := collect.Locator(rx, number)
	body, err := json.Marshal(collect.Fact{Patient: patient.String(), Prescription: rx.String(), Locator: locator})
	h.must(err)
	a := h.call(streams.Message{ID: "hub." + uuid.NewString(), Subject: streams.FactSubject(recorder.FactCollect), Body: body})
	return collect.Of(h.keys, rx, locator), a
}

// uncited is a dispense that says nothing of whose or which prescription it is.
func uncited(id, status string) []byte {
	return fmt.Appendf(nil, `{"resourceType":"MedicationDispense","identifier":[{"system":"urn:md","value":"%s"}],"status":"%s","medicationCodeableConcept":{"text":"x"}}`, id, status)
}

// show sends a dispense with what is given as its collect code.
func (h *hub) show(org ledger.Organization, id string, body []byte, proof string) streams.Answer {
	h.t.Helper()
	m := message(org, id, body)
	m.Header = map[string][]string{streams.HeaderCollect: {proof}}
	return h.call(m)
}

// TestCollectCode: whoever shows the patient's code gets the prescription and its fill, and a code is
// good once.
func TestCollectCode(t *testing.T) {
	for name, option := range map[string]func(*hub){"sqlite": func(*hub) {}, "postgres": (*hub).onPostgres} {
		t.Run(name, func(t *testing.T) {
			h := open(t, option)
			rx, patient := h.waiting("A-1")
			first, a := h.code(rx, patient, 1)
			if a.Status/100 != 2 {
				t.Fatalf("a code: %+v", a)
			}
			if _, a := h.code(rx, patient, 1); a.Status != 200 {
				t.Errorf("the same code again: %+v", a)
			}
			second, _ := h.code(rx, patient, 2)
			if _, a := h.code(rx, patient, 1); a.Status != 409 || a.Code != string(fault.CodeCollectCode) {
				t.Errorf("the first code came back to life: %+v", a)
			}
			if _, a := h.code(rx, uuid.Must(uuid.NewV7()), 3); a.Status != 404 {
				t.Errorf("another patient's: %+v", a)
			}

			body := uncited("D-1", "preparation")
			if a := h.show(h.harbour, "old", body, first.Prove(body)); a.Status != 409 || a.Code != string(fault.CodeCollectCode) {
				t.Errorf("the old code: %+v", a)
			}
			if a := h.send(h.harbour, "none", dispense("D-1", "preparation", rx.String())); a.Code != string(fault.CodeUnresolved) {
				t.Errorf("without a code: %+v", a)
			}
			a = h.show(h.harbour, "right", body, second.Prove(body))
			if a.Status != 201 || a.Resources[0].Rx != rx.String() || a.Resources[0].State != "held" || !a.Resources[0].Holding || a.Resources[0].Claim != 1 {
				t.Fatalf("the present code: %+v", a)
			}
			got := h.received(h.harbour, 300*1e6)
			if len(got) != 1 || !bytes.Contains(got[0].Data(), []byte("Amoxicillin")) || got[0].Headers().Get(streams.HeaderID) != rx.String() {
				t.Errorf("the pharmacy received %d", len(got))
			}
			// the claim has used the code up
			other := uncited("D-2", "preparation")
			if a := h.show(h.oldBridge, "late", other, second.Prove(other)); a.Status != 409 || a.Code != string(fault.CodeCollectCode) || a.Resources[0].Rx != "" {
				t.Errorf("after the claim: %+v", a)
			}
			// the holder goes on, with the code or without
			done := uncited("D-1", "completed")
			if a := h.show(h.harbour, "done", done, second.Prove(done)); a.Status != 200 || a.Resources[0].State != "completed" {
				t.Errorf("hand-over: %+v", a)
			}
			h.verify()
		})
	}
}

// TestWrongCollectCode: an unknown code, an old one and a wrong one are the same answer; five wrong ones kill
// the code, and twenty make an organisation wait.
func TestWrongCollectCode(t *testing.T) {
	h := open(t)
	rx, patient := h.waiting("A-1")
	old, _ := h.code(rx, patient, 1)
	right, _ := h.code(rx, patient, 2)
	nowhere := collect.Of(h.keys, uuid.Must(uuid.NewV7()), collect.Locator(uuid.Must(uuid.NewV7()), 1))
	wrong := collect.Code{Locator: right.Locator, Secret: old.Secret}
	n := 0
	try := func(org ledger.Organization, c collect.Code) streams.Answer {
		n++
		body := uncited(fmt.Sprint("D-", n), "preparation")
		return h.show(org, fmt.Sprint("try-", n), body, c.Prove(body))
	}
	plain := func(a streams.Answer) string {
		a.Index, a.Leaf, a.Record = nil, "", ""
		b, err := json.Marshal(a)
		h.must(err)
		return string(b)
	}
	want := try(h.harbour, nowhere)
	if want.Status != 409 || want.Code != string(fault.CodeCollectCode) || want.Index == nil || want.Resources[0].Rx != "" || want.Resources[0].State != "" {
		t.Fatalf("unknown: %+v", want)
	}
	for name, c := range map[string]collect.Code{"old": old, "wrong": wrong} {
		if a := try(h.harbour, c); plain(a) != plain(want) || a.Index == nil {
			t.Errorf("%s: %s, want %s", name, plain(a), plain(want))
		}
	}
	body := uncited("D-raw", "preparation")
	if a := h.show(h.harbour, "raw", body, right.String()); plain(a) != plain(want) {
		t.Errorf("the secret itself: %s", plain(a))
	}
	if a := h.show(h.harbour, "other body", body, right.Prove([]byte("{}"))); plain(a) != plain(want) {
		t.Errorf("a proof for another body: %s", plain(a))
	}
	// two were counted: the wrong secret and the other body. Three more kill the code.
	for range 3 {
		try(h.oldBridge, wrong)
	}
	if a := try(h.oldBridge, right); plain(a) != plain(want) {
		t.Errorf("a dead code opens: %s", plain(a))
	}
	row, err := h.store.Prescription(t.Context(), rx)
	h.must(err)
	if bytes.Contains(row.State, []byte(right.Secret)) || bytes.Contains(row.State, []byte(`"code":`)) {
		t.Errorf("state: %s", row.State)
	}
	third, a := h.code(rx, patient, 3)
	if a.Status/100 != 2 {
		t.Fatalf("a new code: %+v", a)
	}
	for range 20 {
		try(h.harbour, nowhere)
	}
	if a := try(h.harbour, third); a.Status != 429 || a.Code != string(fault.CodeAttempts) || a.Index != nil {
		t.Errorf("too many: %+v", a)
	}
	if a := try(h.oldBridge, third); a.Status != 201 || a.Resources[0].State != "held" {
		t.Errorf("another pharmacy: %+v", a)
	}
	h.verify()
}

// TestCollectCodeIsACondition: who got the code wrong and tries again with the same words is not told the
// first answer.
func TestCollectCodeIsACondition(t *testing.T) {
	h := open(t)
	rx, patient := h.waiting("A-1")
	right, _ := h.code(rx, patient, 1)
	body := uncited("D-1", "preparation")
	wrong := collect.Code{Locator: right.Locator, Secret: strings.Repeat("a", len(right.Secret))}
	try := func(id string, c collect.Code) streams.Answer {
		m := message(h.harbour, id, body)
		if id == "" {
			m.ID = ""
		}
		m.Header = map[string][]string{streams.HeaderCollect: {c.Prove(body)}}
		return h.call(m)
	}
	if a := try("", wrong); a.Status != 409 || a.Replayed {
		t.Fatalf("wrong: %+v", a)
	}
	if a := try("", wrong); a.Status != 409 || !a.Replayed {
		t.Errorf("wrong again: %+v", a)
	}
	a := try("", right)
	if a.Status != 201 || a.Replayed {
		t.Fatalf("right: %+v", a)
	}
	if again := try("", right); !again.Replayed || again.Resources[0].Claim != a.Resources[0].Claim || !again.Resources[0].Holding {
		t.Errorf("right again: %+v", again)
	}
	try("key", wrong)
	if a := try("key", right); a.Code != string(fault.CodeIDReused) {
		t.Errorf("one key for two codes: %+v", a)
	}
	if a := try("dispense repeated", right); a.Status != 200 {
		t.Errorf("semantic repeat: %+v", a)
	}
}

// TestCollectCodeAndCitation: the code cites; a citation beside it may not be of another prescription that the
// pharmacy has.
func TestCollectCodeAndCitation(t *testing.T) {
	h := open(t)
	rx, patient := h.waiting("A-1")
	right, _ := h.code(rx, patient, 1)
	mine := h.send(h.clinic, "m2", order("A-2", harbourNPI, "Omeprazole")).Resources[0].Rx
	body := dispense("D-1", "preparation", mine)
	if a := h.show(h.harbour, "c1", body, right.Prove(body)); a.Code != string(fault.CodeUnresolved) {
		t.Errorf("cites another: %+v", a)
	}
	body = dispense("D-1", "completed", rx.String())
	if a := h.show(h.harbour, "c2", body, right.Prove(body)); a.Status != 201 || a.Resources[0].State != "completed" {
		t.Errorf("cites the same, hands over at once: %+v", a)
	}
	two := fmt.Appendf(nil, `{"resourceType":"Bundle","type":"collection","entry":[{"resource":%s},{"resource":%s}]}`,
		dispense("D-3", "preparation", rx.String()), dispense("D-4", "preparation", rx.String()))
	if a := h.show(h.harbour, "c3", two, right.Prove(two)); a.Code != string(fault.CodeNotServed) {
		t.Errorf("two dispenses: %+v", a)
	}
}

// TestSandbox: sandbox organisations reach only sandbox organisations, by performer, by choice and by code.
func TestSandbox(t *testing.T) {
	h := open(t)
	sandbox := h.addWith("pharmacy", "Sandbox Pharmacy", "1112223334", func(o *ledger.Organization) { o.Sandbox = true })
	toy := h.addWith("clinic", "Sandbox Clinic", "1112223335", func(o *ledger.Organization) { o.Sandbox = true })
	if a := h.send(h.clinic, "m1", order("A-1", "1112223334", "Amoxicillin")); a.Status != 201 || !bytes.Contains(a.Issues, []byte(fault.CodeUnknownPharmacy)) {
		t.Errorf("named by a real clinic: %+v", a)
	}
	if a := h.send(toy, "m1", order("A-1", oldBridgeNPI, "Amoxicillin")); a.Status != 201 || !bytes.Contains(a.Issues, []byte(fault.CodeUnknownPharmacy)) {
		t.Errorf("a sandbox clinic names a real pharmacy: %+v", a)
	}
	if a := h.send(toy, "m2", order("A-2", "1112223334", "Amoxicillin")); bytes.Contains(a.Issues, []byte(fault.CodeUnknownPharmacy)) {
		t.Errorf("sandbox to sandbox: %+v", a)
	}
	rx, patient := h.waiting("A-3")
	fact, err := json.Marshal(recorder.NominationFact{Patient: patient.String(), Pharmacy: sandbox.ID.String(), Prescription: rx.String()})
	h.must(err)
	h.call(streams.Message{ID: "hub.n1", Subject: streams.FactSubject(recorder.FactNomination), Body: fact})
	code, _ := h.code(rx, patient, 1)
	body := uncited("D-1", "completed")
	if a := h.show(sandbox, "c1", body, code.Prove(body)); a.Code != string(fault.CodeCollectCode) || a.Resources[0].Rx != "" {
		t.Errorf("a real code at a sandbox pharmacy: %+v", a)
	}
	if got := h.received(sandbox, 300*1e6); len(got) != 1 {
		t.Errorf("the sandbox pharmacy received %d, want its clinic's one", len(got))
	}
	if a := h.show(h.harbour, "c2", body, code.Prove(body)); a.Status != 201 {
		t.Errorf("the same at a real one: %+v", a)
	}
	h.verify()
}
