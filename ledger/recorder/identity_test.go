package recorder_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/streams"
)

// citing is a dispense with this authorizingPrescription.
func citing(id, status, cite, contained string) []byte {
	return fmt.Appendf(nil, `{"resourceType":"MedicationDispense",%s"identifier":[{"system":"urn:md","value":"%s"}],"status":"%s","medicationCodeableConcept":{"text":"x"},"authorizingPrescription":[%s]}`, contained, id, status, cite)
}

// TestSemanticRepeats: what says again what was decided changes nothing and is told how it stands now,
// whatever message carries it.
func TestSemanticRepeats(t *testing.T) {
	h := open(t)
	body := order("A-1", oldBridgeNPI, "Amoxicillin")
	first := h.send(h.clinic, "m1", body).Resources[0]
	noted := with(body, `"status":"active"`, `"note":[{"text":"by phone"}],"authoredOn":"2026-11-21","status":"active"`)
	for name, again := range map[string][]byte{"same": body, "other note and time": noted} {
		a := h.send(h.clinic, "m-"+name, again)
		if a.Status != 200 || a.Replayed || a.Resources[0].Rx != first.Rx || a.Resources[0].Version != first.Version {
			t.Errorf("prescription, %s: %+v", name, a)
		}
	}
	if a := h.send(h.clinic, "m-other", order("A-1", oldBridgeNPI, "Aspirin")); a.Code != string(fault.CodeIDReused) {
		t.Errorf("prescription, other drug: %+v", a)
	}
	if got := h.received(h.oldBridge, 300*time.Millisecond); len(got) != 1 {
		t.Errorf("the pharmacy received %d, want 1", len(got))
	}

	claimed := h.send(h.oldBridge, "d1", dispense("D-1", "preparation", first.Rx)).Resources[0]
	later := with(dispense("D-1", "preparation", first.Rx), `"status"`, `"whenPrepared":"2026-11-21T10:00:00Z","status"`)
	if a := h.send(h.oldBridge, "d2", later); a.Status != 200 || a.Resources[0].Claim != claimed.Claim || a.Resources[0].ID != claimed.ID || !a.Resources[0].Holding {
		t.Errorf("dispense, only a time differs: %+v", a)
	}
	if got := h.received(h.clinic, 300*time.Millisecond); len(got) != 1 {
		t.Errorf("the clinic received %d, want 1", len(got))
	}
	other := h.send(h.clinic, "m2", order("A-2", oldBridgeNPI, "Omeprazole")).Resources[0]
	if a := h.send(h.oldBridge, "d3", dispense("D-1", "preparation", other.Rx)); a.Code != string(fault.CodeDispenseUsed) {
		t.Errorf("one dispense for two prescriptions: %+v", a)
	}
	// the first yes again, after the pharmacy has given the fill back: it says that it is over
	h.send(h.oldBridge, "d4", dispense("D-1", "cancelled", first.Rx))
	if a := h.send(h.oldBridge, "d1", dispense("D-1", "preparation", first.Rx)); !a.Replayed || a.Status != 201 || a.Resources[0].Holding || a.Resources[0].State != "ready" {
		t.Errorf("an old yes: %+v", a)
	}
	h.verify()
}

// TestRepeatsOverNATS: who does not wait for a reply is told the same in a delivery, with the present state.
func TestRepeatsOverNATS(t *testing.T) {
	h := open(t)
	body := order("A-1", oldBridgeNPI, "Amoxicillin")
	h.publish(h.clinic, "m1", body)
	h.received(h.clinic, 300*time.Millisecond)
	rx := h.send(h.clinic, "m1", body).Resources[0].Rx
	h.send(h.oldBridge, "d1", dispense("D-1", "preparation", rx))
	h.received(h.clinic, 300*time.Millisecond)
	h.publish(h.clinic, "m1", body)                                          // the same message
	h.publish(h.clinic, "m2", body)                                          // another message that says the same
	h.publish(h.clinic, "m1", order("A-7", oldBridgeNPI, "Omeprazole"))      // the same id for another message
	h.publish(h.oldBridge, "d2", citing("D-1", "preparation", cite(rx), "")) // semantic repeat of the claim
	got := h.received(h.clinic, 500*time.Millisecond)
	if len(got) != 3 {
		t.Fatalf("%d outcomes, want 3", len(got))
	}
	for i, code := range []string{"RX_RECORDED", "RX_RECORDED", "RX_ID_REUSED"} {
		if subjectType(got[i]) != "OperationOutcome" || !bytes.Contains(got[i].Data(), []byte(code)) {
			t.Errorf("outcome %d: %s, want %s", i, got[i].Data(), code)
		}
		if state := got[i].Headers().Get(streams.HeaderState); i < 2 && state != "held" {
			t.Errorf("outcome %d: state %q, want held", i, state)
		}
	}
	h.verify()
}

func cite(rx string) string { return `{"reference":"MedicationRequest/` + rx + `"}` }

// TestCitations: a dispense cites what was sent to its pharmacy: by the hub's id, by identifier, by the
// clinic's own id if only one has it; nothing else, and never by guessing.
func TestCitations(t *testing.T) {
	h := open(t)
	rx := h.send(h.clinic, "m1", order("A-1", oldBridgeNPI, "Amoxicillin")).Resources[0].Rx
	h.send(h.clinic, "m2", order("A-2", harbourNPI, "Omeprazole"))
	identifier := `{"identifier":{"system":"urn:rx","value":"A-1"}}`
	inside := `"contained":[{"resourceType":"MedicationRequest","id":"c","identifier":[{"system":"urn:rx","value":"A-1"}],"status":"active","intent":"order","medicationCodeableConcept":{"text":"x"},"subject":{"display":"x"}}],`
	for name, md := range map[string][]byte{
		"hub id":          citing("D-1", "preparation", cite(rx), ""),
		"identifier":      citing("D-1", "preparation", identifier, ""),
		"clinic's own id": citing("D-1", "preparation", cite("r-A-1"), ""),
		"contained":       citing("D-1", "preparation", `{"reference":"#c"}`, inside),
		"two names":       citing("D-1", "preparation", cite(rx)+","+identifier, ""),
	} {
		if a := h.send(h.oldBridge, "c-"+name, md); a.Status/100 != 2 || a.Resources[0].Rx != rx || !a.Resources[0].Holding {
			t.Errorf("%s: %+v", name, a)
		}
	}
	for name, c := range map[string]string{
		"another pharmacy's":   `{"identifier":{"system":"urn:rx","value":"A-2"}}`,
		"unknown":              cite("r-A-9"),
		"two prescriptions":    cite(rx) + `,{"identifier":{"system":"urn:rx","value":"A-2"}}`,
		"the medication alone": `{"display":"Amoxicillin"}`,
	} {
		if a := h.send(h.oldBridge, "x-"+name, citing("D-x", "preparation", c, "")); a.Status != 422 || a.Code != string(fault.CodeUnresolved) {
			t.Errorf("%s: %+v", name, a)
		}
	}
	// two clinics' prescriptions with one own id: it is no name any more
	second := order("A-1", oldBridgeNPI, "Aspirin")
	h.send(h.clinic2, "m1", with(second, `"value":"A-1"`, `"value":"B-1"`))
	if a := h.send(h.oldBridge, "ambiguous", citing("D-2", "preparation", cite("r-A-1"), "")); a.Code != string(fault.CodeUnresolved) {
		t.Errorf("ambiguous: %+v", a)
	}
	if a := h.send(h.oldBridge, "still exact", citing("D-1", "in-progress", identifier, "")); a.Status != 200 || a.Resources[0].Rx != rx {
		t.Errorf("by identifier: %+v", a)
	}
	h.verify()
}
