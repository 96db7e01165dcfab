package recorder_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/recorder"
	"github.com/dosewire/dosewire/streams"
)

// owned is a dispense that cites nothing and names its patient as the pharmacy does.
func owned(id, status, mrn string) []byte {
	return fmt.Appendf(nil, `{"resourceType":"MedicationDispense","identifier":[{"system":"urn:md","value":"%s"}],"status":"%s",
 "medicationCodeableConcept":{"text":"x"},"subject":{"identifier":{"system":"urn:till","value":"%s"}}}`, id, status, mrn)
}

// till is the patient whom a pharmacy knows by this number.
func (h *hub) till(org ledger.Organization, mrn string) ledger.PatientKey {
	h.t.Helper()
	found, ok, err := h.keys.Find(h.t.Context(), []ledger.PatientRef{{Org: org.ID, Index: []ledger.Key{h.keys.Index(org.ID, "patient", "urn:till", mrn)}}})
	h.must(err)
	if !ok[0] {
		h.t.Fatalf("the patient %s is unknown", mrn)
	}
	return found[0]
}

// TestFollowUpWithoutCitation: a dispense is known by its identifier, so what comes after the claim need not
// name the prescription again; it is on record with the prescription's patient.
func TestFollowUpWithoutCitation(t *testing.T) {
	h := open(t)
	rx := h.send(h.clinic, "m1", order("A-1", oldBridgeNPI, "Amoxicillin")).Resources[0].Rx
	claimed := h.send(h.oldBridge, "d1", dispense("D-1", "preparation", rx)).Resources[0]
	for i, tt := range []struct{ status, state string }{{"in-progress", "ready-to-collect"}, {"completed", "completed"}} {
		a := h.send(h.oldBridge, fmt.Sprint("next", i), owned("D-1", tt.status, "T-1"))
		if a.Status != 200 || a.Resources[0].Rx != rx || a.Resources[0].ID != claimed.ID || a.Resources[0].State != tt.state || a.Resources[0].Claim != 1 {
			t.Fatalf("%s: %+v", tt.status, a)
		}
		record, err := h.store.Record(t.Context(), uuid.MustParse(a.Record))
		h.must(err)
		key, err := h.keys.Key(t.Context(), record.KeyID)
		h.must(err)
		if who, _ := h.patient(h.clinic, "M-1"); key.Patient != who.Patient {
			t.Errorf("%s is on record with another patient", tt.status)
		}
	}
	row, err := h.store.Prescription(t.Context(), uuid.MustParse(rx))
	h.must(err)
	if row.FillsDone != 1 {
		t.Errorf("%d fills are done", row.FillsDone)
	}
	// both in one message, the second by its identifier alone
	second := h.send(h.clinic, "m2", order("A-2", oldBridgeNPI, "Omeprazole")).Resources[0].Rx
	a := h.send(h.oldBridge, "both", bundleOf("transaction", dispense("D-2", "preparation", second), owned("D-2", "completed", "T-1")))
	if a.Status/100 != 2 || len(a.Resources) != 2 || a.Resources[1].State != "completed" || a.Resources[1].Rx != second {
		t.Errorf("both at once: %+v", a)
	}
	// another dispense that cites nothing is the pharmacy's own patient's: not in one record with a clinic's
	third := h.send(h.clinic, "m3", order("A-3", oldBridgeNPI, "Aspirin")).Resources[0].Rx
	for name, body := range map[string][]byte{
		"own second": bundleOf("transaction", dispense("D-3", "preparation", third), owned("D-4", "completed", "T-1")),
		"own first":  bundleOf("transaction", owned("D-4", "completed", "T-1"), dispense("D-3", "preparation", third)),
	} {
		if a := h.send(h.oldBridge, name, body); a.Code != string(fault.CodeOnePatient) {
			t.Errorf("%s: %+v", name, a)
		}
	}
	if a := h.send(h.oldBridge, "own", owned("D-4", "completed", "T-1")); a.Status != 201 || a.Resources[0].Rx != "" {
		t.Errorf("own history: %+v", a)
	}
	h.verify()
}

// TestHistoryThenCitation: what was a pharmacy's own history takes its fill when it cites a prescription, and
// each of the two patients can be erased without the other.
func TestHistoryThenCitation(t *testing.T) {
	h := open(t)
	rx := h.send(h.clinic, "m1", order("A-1", oldBridgeNPI, "Amoxicillin")).Resources[0].Rx
	own := h.send(h.oldBridge, "d1", owned("D-1", "completed", "T-1")).Resources[0]
	a := h.send(h.oldBridge, "d2", dispense("D-1", "completed", rx))
	if a.Status != 201 || a.Resources[0].State != "completed" || a.Resources[0].ID == own.ID {
		t.Fatalf("it cites now: %+v", a)
	}
	if a := h.send(h.oldBridge, "d3", owned("D-1", "completed", "T-1")); a.Status != 200 || a.Resources[0].Rx != rx {
		t.Errorf("and then no more: %+v", a)
	}
	h.verify()
	if a := h.fact(recorder.FactErase, h.eraseFact(h.till(h.oldBridge, "T-1"))); a.Status != 200 {
		t.Fatalf("erase: %+v", a)
	}
	h.finished()
	h.verify()
	row, err := h.store.Prescription(t.Context(), uuid.MustParse(rx))
	h.must(err)
	if row.FillsDone != 1 {
		t.Error("the fill went with another patient")
	}
}

// TestUsedDispenseIsOnRecordWithThePatient: the refusal of a dispense that serves another prescription is the
// patient's record like any other, and goes with the patient.
func TestUsedDispenseIsOnRecordWithThePatient(t *testing.T) {
	h := open(t)
	first := h.send(h.clinic, "m1", order("A-1", oldBridgeNPI, "Amoxicillin")).Resources[0].Rx
	second := h.send(h.clinic, "m2", of("M-2", order("A-2", oldBridgeNPI, "Omeprazole"))).Resources[0].Rx
	h.send(h.oldBridge, "d1", dispense("D-1", "preparation", first))
	a := h.send(h.oldBridge, "d2", dispense("D-1", "preparation", second))
	if a.Code != string(fault.CodeDispenseUsed) {
		t.Fatalf("used: %+v", a)
	}
	record, err := h.store.Record(t.Context(), uuid.MustParse(a.Record))
	h.must(err)
	key, err := h.keys.Key(t.Context(), record.KeyID)
	h.must(err)
	if who, _ := h.patient(h.clinic, "M-2"); key.Patient != who.Patient {
		t.Error("the refusal is on record with somebody else")
	}
	h.verify()
}

// TestRepeatAfterTime: what is said again while time has changed something, here the warning before a lease
// ends, is still said again: the dispense stays as it was decided, and nobody is told twice.
func TestRepeatAfterTime(t *testing.T) {
	w := newWorld(t, 1, 1)
	c := &course{identifier: "R-1", patient: "M-1", allowed: 1}
	send := func(id string, org ledger.Organization, body []byte) streams.Answer {
		m := w.message("fact", message(org, id, body), org.ID)
		w.feed(m)
		var a streams.Answer
		w.must(json.Unmarshal(m.answer, &a))
		return a
	}
	rx := send("m1", w.clinic, order(c.identifier, w.npi(1), "Amoxicillin")).Resources[0].Rx
	ready := send("d1", w.orgs[0], dispense("D-1", "in-progress", rx)).Resources[0]
	if late := send("d2", w.orgs[0], dispense("D-1", "preparation", rx)).Resources[0]; late.Version != ready.Version {
		t.Errorf("overtaken on its way: version %d after %d", late.Version, ready.Version)
	}
	w.now = w.now.Add(13*24*time.Hour + time.Hour)
	for i, status := range []string{"preparation", "in-progress"} {
		a := send(fmt.Sprint("again", i), w.orgs[0], dispense("D-1", status, rx))
		if res := a.Resources[0]; a.Status != 200 || res.Version != ready.Version || res.State != "ready-to-collect" {
			t.Errorf("%s again: %+v", status, a)
		}
		for _, e := range w.effectsOf(w.seq) {
			if e.Org == w.clinic.ID || e.Kind == ledger.EffectWake {
				t.Errorf("%s again: told once more: %+v", status, e)
			}
		}
	}
	w.verify()
}
