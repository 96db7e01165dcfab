package recorder_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/recorder"
	"github.com/dosewire/dosewire/streams"
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

// counting counts the questions of a hub.
func counting(store **asked) func(*hub) {
	return func(h *hub) {
		h.wrap = func(s recorder.Store) recorder.Store { *store = &asked{Store: s}; return *store }
	}
}

// settle brings new orders until one is decided without a question.
func (h *hub) settle(store *asked) {
	h.t.Helper()
	for range 300 {
		before, id := store.loads.Load(), rand.Text()
		h.issued(h.clinic, id, of("S-1", order(id, oldBridgeNPI, "Amoxicillin")))
		if store.loads.Load() == before {
			return
		}
	}
	h.t.Fatal("after 300 new orders it still asks")
}

// What was decided and could not be decided any more is still a repeat: nothing of it is tried, and nothing
// quarantined.
func TestARepeatNeedNotBeDecidable(t *testing.T) {
	for name, option := range map[string]func(*hub){"sqlite": func(*hub) {}, "postgres": (*hub).onPostgres} {
		t.Run(name, func(t *testing.T) {
			var store *asked
			h := open(t, option, counting(&store))
			body := of("E-1", order("A-1", oldBridgeNPI, "Amoxicillin"))
			h.issued(h.clinic, "m1", body)
			who, _ := h.patient(h.clinic, "E-1")
			chosen, err := json.Marshal(recorder.NominationFact{Patient: who.Patient.String(), Pharmacy: h.harbour.ID.String()})
			h.must(err)
			nomination := streams.Message{ID: "hub." + rand.Text(), Subject: streams.FactSubject(recorder.FactNomination), Body: chosen}
			if a := h.call(nomination); a.Status != 201 {
				t.Fatalf("nomination: %+v", a)
			}
			if a := h.fact(recorder.FactErase, h.eraseFact(who)); a.Status != 200 {
				t.Fatalf("erase: %+v", a)
			}
			h.finished()
			h.settle(store)
			if a := h.call(nomination); a.Code != string(fault.CodeErased) {
				t.Errorf("a nomination of somebody who is erased, again: %+v", a)
			}
			h.settle(store)
			if a := h.send(h.clinic, "m1", body); a.Code != string(fault.CodeErased) {
				t.Errorf("an order of somebody who is erased, again: %+v", a)
			}
			if q, err := h.store.Quarantine(t.Context(), ledger.Place{}, 10); err != nil || len(q) != 0 {
				t.Errorf("%d in quarantine, %v", len(q), err)
			}
			h.settle(store)
			if a := h.send(h.clinic, "m2", of("E-1", order("A-1", oldBridgeNPI, "Amoxicillin"))); a.Status != 201 {
				t.Errorf("the same person and prescription, anew: %+v", a)
			}
		})
	}
}

// An amendment names what is there, also where its order alone says which.
func TestAmendmentsAreNoMistakes(t *testing.T) {
	var store *asked
	h := open(t, counting(&store))
	h.issued(h.clinic, "m1", order("A-1", oldBridgeNPI, "Amoxicillin"))
	h.settle(store)
	m := message(h.clinic, "m2", order("A-1", oldBridgeNPI, "Ampicillin"))
	m.Header = map[string][]string{streams.HeaderMatch: {"1"}}
	if a := h.call(m); a.Status != 200 || a.Resources[0].Version != 2 {
		t.Fatalf("amended: %+v", a)
	}
	before := store.loads.Load()
	h.issued(h.clinic, "m3", of("S-1", order("A-3", oldBridgeNPI, "Amoxicillin")))
	if store.loads.Load() != before {
		t.Error("an amendment made it ask again")
	}
}

// away is a key database that is away for a moment.
type away struct {
	keyStore
	times atomic.Int64
}

func (a *away) FindPatients(ctx context.Context, keys []ledger.Key) (map[ledger.Key]ledger.ID, error) {
	if a.times.Add(-1) >= 0 {
		return nil, fault.Of(fault.CodeUnavailable)
	}
	return a.keyStore.FindPatients(ctx, keys)
}

// A patient may be made for an order while the one before it, whose patient could not be found ahead, is still
// to be decided. The two are compared.
func TestThePatientOfAnOrderBehindIsNotNew(t *testing.T) {
	for name, option := range map[string]func(*hub){"sqlite": func(*hub) {}, "postgres": (*hub).onPostgres} {
		t.Run(name, func(t *testing.T) {
			var keys *away
			var armed atomic.Bool
			held, let := make(chan struct{}), make(chan struct{})
			h := open(t, option, func(h *hub) {
				h.config.MaxBatch = 1
				h.keysBy = func(s keyStore) keyStore { keys = &away{keyStore: s}; return keys }
				h.config.Fault = func(point string, _ uint64) error {
					if point == "before commit" && armed.CompareAndSwap(true, false) {
						close(held)
						<-let
					}
					return nil
				}
			})
			wait := func(what string, until func() bool) {
				t.Helper()
				for end := time.Now().Add(5 * time.Second); !until(); time.Sleep(time.Millisecond) { // another goroutine works
					if time.Now().After(end) {
						t.Fatal(what)
					}
				}
			}
			armed.Store(true)
			h.publish(h.clinic, "m1", of("N-0", coded("A-1", oldBridgeNPI, rxNorm, "other")))
			<-held
			keys.times.Store(1)
			h.publish(h.clinic, "m2", of("N-1", coded("A-2", oldBridgeNPI, rxNorm, "same")))
			wait("nobody is looked for ahead", func() bool { return keys.times.Load() <= 0 })
			answer := make(chan streams.Answer)
			go func() { answer <- h.send(h.clinic, "m3", of("N-1", coded("A-3", oldBridgeNPI, rxNorm, "same"))) }()
			wait("the patient is not made ahead", func() bool { _, ok := h.patient(h.clinic, "N-1"); return ok })
			close(let)
			if a := <-answer; a.Status != 201 || !signalled(a) {
				t.Errorf("the second order of a medicine: %d %s", a.Status, a.Issues)
			}
		})
	}
}
