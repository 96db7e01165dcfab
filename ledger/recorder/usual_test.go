package recorder_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/recorder"
)

// asked counts the round trips that load something.
type asked struct {
	recorder.Store
	loads atomic.Int64
}

func (s *asked) Load(ctx context.Context, w ledger.Want) (ledger.Have, error) {
	s.loads.Add(1)
	return s.Store.Load(ctx, w)
}

// Whoever brings one new order after another is soon answered without a question to the database; and whatever
// is not new, or not usual, is decided as if all had been asked.
func TestNothingIsAskedOfTheUsual(t *testing.T) {
	for name, option := range map[string]func(*hub){"sqlite": func(*hub) {}, "postgres": (*hub).onPostgres} {
		t.Run(name, func(t *testing.T) { unasked(t, option) })
	}
}

func unasked(t *testing.T, option func(*hub)) {
	var store *asked
	var f faults
	h := open(t, option, f.with, func(h *hub) {
		h.wrap = func(s recorder.Store) recorder.Store { store = &asked{Store: s}; return store }
	})
	medicine := 0
	freshOf := func(mrn string) (rx string, loads int64) {
		t.Helper()
		medicine++
		before := store.loads.Load()
		rx, _ = h.issued(h.clinic, fmt.Sprintf("m%d", medicine), of(mrn, coded(fmt.Sprintf("A-%d", medicine), oldBridgeNPI, rxNorm, fmt.Sprintf("med%d", medicine))))
		return rx, store.loads.Load() - before
	}
	fresh := func() (string, int64) { return freshOf(fmt.Sprint("P-", medicine%20)) }
	settle := func() {
		t.Helper()
		for range 600 {
			if _, loads := fresh(); loads == 0 {
				return
			}
		}
		t.Fatal("after 600 new orders it still asks")
	}
	first, loads := freshOf("M-1")
	if loads == 0 {
		t.Error("the first order was decided without a question")
	}
	settle()
	if medicine > 30 {
		t.Errorf("it asked for %d orders", medicine)
	}

	again := h.send(h.clinic, "m1", coded("A-1", oldBridgeNPI, rxNorm, "med1"))
	if !again.Replayed || again.Resources[0].Rx != first {
		t.Errorf("a repeat: %+v", again)
	}
	settle()
	if a := h.send(h.clinic, "other", coded("A-1", oldBridgeNPI, rxNorm, "med1")); a.Status != 200 || a.Resources[0].Rx != first {
		t.Errorf("the same order under another id: %+v", a)
	}
	settle()
	if a := h.send(h.clinic, "m1", withStatus(coded("A-1", oldBridgeNPI, rxNorm, "med1"), "draft")); a.Code != string(fault.CodeIDReused) {
		t.Errorf("an id used again for what would be refused: %+v", a)
	}
	settle()
	if a := h.send(h.clinic, "bad", withStatus(coded("B-1", oldBridgeNPI, rxNorm, "med1"), "draft")); a.Status != 422 {
		t.Errorf("a refusal: %+v", a)
	}
	if _, loads := fresh(); loads != 0 {
		t.Error("a refusal of something new made it ask again")
	}
	if _, signals := h.issued(h.clinic, "double", coded("C-1", oldBridgeNPI, rxNorm, "med1")); !signals {
		t.Error("nothing is said of a double")
	}
	if a := h.send(h.clinic, "stop", withStatus(coded("A-1", oldBridgeNPI, rxNorm, "med1"), "cancelled")); a.Status != 200 || a.Resources[0].State != "cancelled" {
		t.Errorf("a cancellation: %+v", a)
	}

	settle()
	f.arm("before commit", 1, fault.New(fault.Invalid, "the data breaks a constraint"))
	fresh() // decided twice, not quarantined
	if f.hits() != 1 {
		t.Error("no commit failed")
	}

	settle()
	who, _ := h.patient(h.clinic, "M-1")
	if a := h.fact(recorder.FactNomination, recorder.NominationFact{Patient: who.Patient.String(), Pharmacy: h.harbour.ID.String()}); a.Status != 201 {
		t.Fatalf("nomination: %+v", a)
	}
	settle()
	open := with(coded("D-1", "", rxNorm, "d1"), `"performer":{"identifier":{"system":"http://hl7.org/fhir/sid/us-npi","value":""}}`, `"numberOfRepeatsAllowed":1`)
	chosen, _ := h.issued(h.clinic, "chosen", open)
	if p, err := h.store.Prescription(t.Context(), parse(t, chosen)); err != nil || p.Pharmacy != h.harbour.ID {
		t.Errorf("an order without a performer goes to %v, %v; its patient has chosen %v", p.Pharmacy, err, h.harbour.ID)
	}

	h.issued(h.clinic2, "theirs", of("M-2", coded("E-1", harbourNPI, rxNorm, "theirs")))
	them, _ := h.patient(h.clinic2, "M-2")
	if a := h.fact(recorder.FactLink, recorder.LinkFact{Patient: who.Patient, Other: them.Patient}); a.Status != 201 {
		t.Fatalf("link: %+v", a)
	}
	settle()
	freshOf("M-1")
	if _, loads := freshOf("M-1"); loads != 0 {
		t.Error("of whoever is linked, it is asked again")
	}
	if _, signals := h.issued(h.clinic, "linked", coded("E-2", oldBridgeNPI, rxNorm, "theirs")); !signals {
		t.Error("nothing is said of a double of one who is linked")
	}
	settle()
	if a := h.fact(recorder.FactUnlink, recorder.UnlinkFact{Patient: who.Patient, By: recorder.ByPatient}); a.Status != 201 {
		t.Fatalf("unlink: %+v", a)
	}
	if _, signals := h.issued(h.clinic2, "unlinked", of("M-2", coded("E-3", harbourNPI, rxNorm, "med2"))); signals {
		t.Error("a double of one who is linked no more")
	}
}
