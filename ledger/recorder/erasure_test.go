package recorder_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/recorder"
	"github.com/dosewire/dosewire/streams"
)

func (h *hub) fact(kind string, fact any) streams.Answer {
	h.t.Helper()
	body, err := json.Marshal(fact)
	h.must(err)
	return h.call(streams.Message{ID: "hub." + rand.Text(), Subject: streams.FactSubject(kind), Body: body})
}

// patient finds who has this record number at an organisation.
func (h *hub) patient(org ledger.Organization, mrn string) (ledger.PatientKey, bool) {
	h.t.Helper()
	found, ok, err := h.keys.Find(context.Background(), []ledger.PatientRef{{Org: org.ID, Index: []ledger.Key{h.keys.Index(org.ID, "patient", "urn:mrn", mrn)}}})
	h.must(err)
	return found[0], ok[0]
}

func (h *hub) eraseFact(who ledger.PatientKey) recorder.EraseFact {
	h.t.Helper()
	keys, err := h.keys.KeyIDs(context.Background(), who.Patient)
	h.must(err)
	return recorder.EraseFact{Org: who.Org, Patient: who.Patient, Keys: keys, Reason: "art. 17", By: "test", RetainYears: 6, Force: recorder.ForceBeforeRetention}
}

// finished waits until every erasure is done outside too.
func (h *hub) finished() {
	h.t.Helper()
	for began := time.Now(); time.Since(began) < 15*time.Second; time.Sleep(20 * time.Millisecond) { // another goroutine works
		left, err := h.store.Erasures(context.Background())
		h.must(err)
		if len(left) == 0 {
			return
		}
	}
	h.t.Fatal("the erasure is not finished after 15 s")
}

// held counts the messages of a stream that match a subject.
func (h *hub) held(stream, subject string) (n int) {
	h.t.Helper()
	s, err := h.js.Stream(context.Background(), stream)
	h.must(err)
	info, err := s.Info(context.Background(), jetstream.WithSubjectFilter(subject))
	h.must(err)
	for _, c := range info.State.Subjects {
		n += int(c)
	}
	return n
}

func of(mrn string, order []byte) []byte {
	return bytes.ReplaceAll(order, []byte(`"value":"M-1"`), []byte(`"value":"`+mrn+`"`))
}

func TestErasure(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { erasure(t, open(t)) })
	t.Run("postgres", func(t *testing.T) { erasure(t, open(t, (*hub).onPostgres)) })
}

func erasure(t *testing.T, h *hub) {
	ctx := t.Context()
	body := order("A-1", oldBridgeNPI, "Amoxicillin")
	broken := bytes.Replace(order("A-9", oldBridgeNPI, "Amoxicillin"), []byte(`"intent":"order"`), []byte(`"intent":"wish"`), 1)
	// refused before anybody knows the patient, and what nobody can read
	for id, b := range map[string][]byte{"early": broken, "noise": []byte(`{"resourceType":`)} {
		if a := h.send(h.clinic, id, b); a.Status < 400 {
			t.Fatalf("%s: %+v", id, a)
		}
	}
	first := h.send(h.clinic, "m1", body)
	rx := first.Resources[0].Rx
	h.send(h.oldBridge, "d1", dispense("D-1", "preparation", rx))
	h.send(h.oldBridge, "d2", dispense("D-1", "grounded", rx)) // refused, and cites the patient's prescription
	other := h.send(h.clinic, "m2", of("M-2", order("B-1", oldBridgeNPI, "Omeprazole")))
	h.send(h.clinic, "m3", bytes.Replace(of("M-2", broken), []byte("A-9"), []byte("B-9"), 1))
	who, _ := h.patient(h.clinic, "M-1")
	them, _ := h.patient(h.clinic, "M-2")
	if q, err := h.store.Quarantine(ctx, ledger.Place{}, 10); err != nil || len(q) != 4 {
		t.Fatalf("quarantine: %d, %v", len(q), err)
	}

	// neither retention nor a hold can be passed over, and both refusals are on record
	early := h.eraseFact(who)
	early.Force = "please"
	size := h.verify().Size
	if a := h.fact(recorder.FactErase, early); a.Status != 409 || a.Code != string(fault.CodeRetention) || a.Index == nil {
		t.Errorf("before the retention period ends: %+v", a)
	}
	for _, hold := range []recorder.HoldFact{{Org: h.clinic.ID, Patient: who.Patient, Reason: "case"}, {Org: h.clinic.ID, Reason: "audit"}} {
		placed := h.fact(recorder.FactHold, hold)
		if placed.Status != 201 {
			t.Fatalf("hold: %+v", placed)
		}
		if a := h.fact(recorder.FactErase, h.eraseFact(who)); a.Status != 409 || a.Code != string(fault.CodeLegalHold) || a.Index == nil {
			t.Errorf("under a hold: %+v", a)
		}
		id := ledger.ID{}
		h.must(id.UnmarshalText([]byte(placed.Resources[0].ID)))
		if a := h.fact(recorder.FactHold, recorder.HoldFact{Release: id, Reason: "over"}); a.Status != 200 {
			t.Errorf("release: %+v", a)
		}
		if a := h.fact(recorder.FactHold, recorder.HoldFact{Release: id, Reason: "over"}); a.Status != 404 {
			t.Errorf("release again: %+v", a)
		}
	}
	if a := h.fact(recorder.FactRequest, recorder.RequestFact{Org: h.clinic.ID, Patient: who.Patient, Kind: ledger.RequestAmendment, Text: "the dose"}); a.Status != 201 {
		t.Errorf("request: %+v", a)
	}
	if got, err := h.store.PatientRequests(ctx, who.Patient); err != nil || len(got) != 1 {
		t.Errorf("requests: %v, %v", got, err)
	}
	if now := h.verify().Size; now != size+8 {
		t.Errorf("%d entries for 8 facts", now-size)
	}
	old, err := h.store.Record(ctx, mustID(t, first.Record)) // a backup of the records
	h.must(err)

	a := h.fact(recorder.FactErase, h.eraseFact(who))
	if a.Status != 200 || a.Index == nil {
		t.Fatalf("erase: %+v", a)
	}
	h.finished()
	gone(t, h, who, old, rx)

	// the other patient has lost nothing
	q, err := h.store.Quarantine(ctx, ledger.Place{}, 10)
	h.must(err)
	q = slices.DeleteFunc(q, func(q ledger.Quarantined) bool { return q.Org == ledger.ID{} }) // refused facts
	if len(q) != 1 {
		t.Errorf("quarantine: %d, want the other patient's", len(q))
	} else if key, err := h.keys.Key(ctx, q[0].KeyID); err != nil {
		t.Error(err)
	} else if b, err := ledger.OpenQuarantined(key, q[0]); err != nil || !bytes.Contains(b, []byte("M-2")) {
		t.Errorf("quarantined: %v", err)
	}
	if now, ok := h.patient(h.clinic, "M-2"); !ok || now.KeyID != them.KeyID {
		t.Error("the other patient has no key")
	}
	left := h.received(h.oldBridge, 300*time.Millisecond)
	for _, m := range left {
		if bytes.Contains(m.Data(), []byte("M-1")) {
			t.Error("the pharmacy still receives the erased prescription")
		}
	}
	if again := h.send(h.clinic, "m2", of("M-2", order("B-1", oldBridgeNPI, "Omeprazole"))); !again.Replayed || *again.Index != *other.Index {
		t.Errorf("the other patient's message again: %+v", again)
	}

	// a repeat is answered 410 and makes nobody anew; also with other bytes, and after a restart
	for range 2 {
		for _, b := range [][]byte{body, order("A-1", oldBridgeNPI, "Ibuprofen")} {
			if a := h.send(h.clinic, "m1", b); a.Status != 410 || a.Code != string(fault.CodeErased) {
				t.Errorf("a repeat: %+v", a)
			}
		}
		if _, ok := h.patient(h.clinic, "M-1"); ok {
			t.Error("a repeat made the patient anew")
		}
		h.close()
		h.start()
	}
	if a := h.fact(recorder.FactErase, h.eraseFactOf(who, old.KeyID)); a.Status != 410 {
		t.Errorf("erased again: %+v", a)
	}

	// a new message about the same person is a new patient with a new key
	if a := h.send(h.clinic, "m9", body); a.Status != 201 || a.Resources[0].Rx == rx {
		t.Errorf("registered again: %+v", a)
	}
	if now, ok := h.patient(h.clinic, "M-1"); !ok || now.Patient == who.Patient || now.KeyID == who.KeyID {
		t.Error("the new patient is the old one")
	}
	h.verify()
}

func (h *hub) eraseFactOf(who ledger.PatientKey, key ledger.ID) recorder.EraseFact {
	f := h.eraseFact(who)
	f.Keys = []ledger.ID{key}
	return f
}

func mustID(t *testing.T, text string) (id ledger.ID) {
	t.Helper()
	if err := id.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return id
}

// gone demands that nothing of an erased patient can be read: old is a record from a backup.
func gone(t *testing.T, h *hub, who ledger.PatientKey, old ledger.Record, rx string) {
	t.Helper()
	ctx := t.Context()
	if _, err := h.keys.Key(ctx, old.KeyID); !errors.Is(err, ledger.ErrErased) {
		t.Errorf("key: %v, want ErrErased", err)
	}
	if _, ok := h.patient(h.clinic, "M-1"); ok {
		t.Error("the index still knows the patient")
	}
	if _, err := h.store.Record(ctx, old.ID); !errors.Is(err, ledger.ErrErased) {
		t.Errorf("record: %v, want ErrErased", err)
	}
	if _, err := h.store.Prescription(ctx, mustID(t, rx)); !errors.Is(err, ledger.ErrErased) {
		t.Errorf("prescription: %v, want ErrErased", err)
	}
	for _, id := range []string{old.ID.String(), rx} {
		if n := h.held(streams.Delivery, streams.DeliverySubject("*", "*", id)); n != 0 {
			t.Errorf("%d deliveries of the patient are in the stream", n)
		}
	}
	intake, err := h.js.Stream(ctx, streams.Intake)
	h.must(err)
	if _, err := intake.GetMsg(ctx, old.Seq); !errors.Is(err, jetstream.ErrMsgNotFound) {
		t.Errorf("the intake message is there: %v", err)
	}
	_, seen, err := ledger.Verify(ctx, h.store, ledger.Head{Leaf: ledger.Origin("dosewire.example/log")}, nil)
	if err != nil || seen.Erased == 0 {
		t.Errorf("verify: %+v, %v", seen, err)
	}
}

// An erasure that is cut short anywhere is finished by the next start.
func TestErasureIsFinishedAtTheNextStart(t *testing.T) {
	for _, point := range []string{"after commit", "before shred", "before purge", "before finish"} {
		t.Run(point, func(t *testing.T) {
			f := &faults{}
			h := open(t, func(h *hub) { h.config.Fault = f.at })
			a := h.send(h.clinic, "m1", order("A-1", oldBridgeNPI, "Amoxicillin"))
			who, _ := h.patient(h.clinic, "M-1")
			old, err := h.store.Record(t.Context(), mustID(t, a.Record))
			h.must(err)
			f.arm(point, 1<<30, fault.New(fault.Internal, "test: killed"))
			body, err := json.Marshal(h.eraseFact(who))
			h.must(err)
			h.must(h.publisher.Publish(t.Context(), streams.Message{ID: "hub." + rand.Text(), Subject: streams.FactSubject(recorder.FactErase), Body: body}))
			for began := time.Now(); f.hits() == 0 && time.Since(began) < 10*time.Second; time.Sleep(10 * time.Millisecond) { // the recorder works
			}
			if f.hits() == 0 {
				t.Fatal("the fault was not met")
			}
			h.shut()
			f.arm("", 0, nil)
			h.start()
			h.finished()
			gone(t, h, who, old, a.Resources[0].Rx)
		})
	}
}

// After the loss of all of NATS the deliveries are announced again, and those of the erased are not.
func TestNothingErasedIsAnnouncedAgain(t *testing.T) {
	h := open(t)
	h.send(h.clinic, "m1", order("A-1", oldBridgeNPI, "Amoxicillin"))
	h.send(h.clinic, "m2", of("M-2", order("B-1", oldBridgeNPI, "Omeprazole")))
	who, _ := h.patient(h.clinic, "M-1")
	h.fact(recorder.FactErase, h.eraseFact(who))
	h.finished()
	h.close()
	h.must(os.RemoveAll(filepath.Join(h.dir, "nats")))
	h.start()
	got := h.received(h.oldBridge, 500*time.Millisecond)
	if len(got) != 1 || !bytes.Contains(got[0].Data(), []byte("M-2")) {
		t.Errorf("announced again: %d messages, want the other patient's", len(got))
	}
	h.verify()
}

// A message that was recorded directly and came through RX_INTAKE as well, as when nobody answered in time, is
// erased there too; another's copy stays.
func TestErasureOfARepeatInTheIntake(t *testing.T) {
	for store, on := range map[string]func(*hub){"sqlite": func(*hub) {}, "postgres": (*hub).onPostgres} {
		t.Run(store, func(t *testing.T) {
			h := open(t, directly, on)
			erased, kept := order("A-1", oldBridgeNPI, "Amoxicillin"), of("M-2", order("B-1", oldBridgeNPI, "Omeprazole"))
			h.send(h.clinic, "m1", erased)
			h.send(h.clinic, "m2", kept)
			end := h.intakeEnd()
			h.publish(h.clinic, "m1", erased)
			h.publish(h.clinic, "m2", kept)
			who, _ := h.patient(h.clinic, "M-1")
			if a := h.fact(recorder.FactErase, h.eraseFact(who)); a.Status != 200 {
				t.Fatalf("erase: %+v", a)
			}
			h.finished()
			intake, err := h.js.Stream(t.Context(), streams.Intake)
			h.must(err)
			if _, err := intake.GetMsg(t.Context(), end+1); !errors.Is(err, jetstream.ErrMsgNotFound) {
				t.Errorf("the repeat is there: %v", err)
			}
			if _, err := intake.GetMsg(t.Context(), end+2); err != nil {
				t.Errorf("another's: %v", err)
			}
		})
	}
}
