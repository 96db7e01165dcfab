package recorder_test

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/dosewire/dosewire/internal/directory"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/recorder"
	"github.com/dosewire/dosewire/streams"
)

// somebody makes a patient of an organisation by a prescription, with a phone.
func (h *hub) somebody(org ledger.Organization, mrn string) (patient, device ledger.ID) {
	h.t.Helper()
	return h.somebodyAt(org, mrn, oldBridgeNPI)
}

func (h *hub) somebodyAt(org ledger.Organization, mrn, npi string) (patient, device ledger.ID) {
	h.t.Helper()
	if a := h.send(org, "m-"+mrn, of(mrn, order("RX-"+mrn, npi, "Amoxicillin"))); a.Status != 201 {
		h.t.Fatalf("issue: %+v", a)
	}
	key, _ := h.patient(org, mrn)
	device = uuid.Must(uuid.NewV7())
	h.must(h.store.PutDevice(h.t.Context(), directory.Device{ID: device, Patient: key.Patient, Transport: "webpush", KeyID: key.KeyID, Endpoint: []byte("e"), CreatedAt: time.Now()}))
	return key.Patient, device
}

// together demands that exactly these belong to one person.
func (h *hub) together(want ...ledger.ID) {
	h.t.Helper()
	got, err := h.store.Linked(h.t.Context(), want)
	h.must(err)
	slices.SortFunc(want, func(a, b ledger.ID) int { return bytes.Compare(a[:], b[:]) })
	for _, p := range want {
		if len(want) == 1 && got[p] == nil {
			continue
		}
		if !slices.Equal(got[p], want) {
			h.t.Errorf("together with %v: %v, want %v", p, got[p], want)
		}
	}
}

// woken counts wakes that wait for a device, and takes them away.
func (h *hub) woken(device ledger.ID) int {
	h.t.Helper()
	n := h.held(streams.Push, streams.PushSubject("webpush", device.String()))
	s, err := h.js.Stream(h.t.Context(), streams.Push)
	h.must(err)
	h.must(s.Purge(h.t.Context()))
	return n
}

// statementOf opens the record of a fact about links.
func (h *hub) statementOf(a streams.Answer) (s recorder.LinkStatement) {
	h.t.Helper()
	var id ledger.ID
	h.must(id.UnmarshalText([]byte(a.Record)))
	rec, err := h.store.Record(h.t.Context(), id)
	h.must(err)
	key, err := h.keys.Key(h.t.Context(), rec.KeyID)
	h.must(err)
	body, err := ledger.Open(key, rec, nil)
	h.must(err)
	h.must(json.Unmarshal(body, &s))
	return s
}

func TestLinks(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { links(t, open(t)) })
	t.Run("postgres", func(t *testing.T) { links(t, open(t, (*hub).onPostgres)) })
}

func links(t *testing.T, h *hub) {
	a, phoneA := h.somebody(h.clinic, "M-1")
	b, phoneB := h.somebody(h.clinic2, "M-2")
	c, _ := h.somebody(h.oldBridgeClinic(), "M-3")
	stranger, phoneS := h.somebody(h.clinic, "M-4")
	h.announcedAll()
	for _, phone := range []ledger.ID{phoneA, phoneB, phoneS} {
		h.woken(phone)
	}

	// one person of two: both phones learn of it, the stranger's does not
	var made []ledger.PatientLink
	first := h.fact(recorder.FactLink, recorder.LinkFact{Patient: a, Other: b})
	if first.Status != 201 || first.Index == nil {
		t.Fatalf("link: %+v", first)
	}
	made = append(made, h.statementOf(first).Links...)
	h.together(a, b)
	h.together(stranger)
	h.announcedAll()
	if n := h.held(streams.Push, "push.>"); n != 2 || h.held(streams.Push, streams.PushSubject("webpush", phoneS.String())) != 0 {
		t.Errorf("%d wakes for two phones", n)
	}
	h.woken(phoneS) // all are taken away

	// again, the other way round, and with oneself: nothing changes
	for _, f := range []recorder.LinkFact{{Patient: a, Other: b}, {Patient: b, Other: a}, {Patient: a, Other: a}} {
		got := h.fact(recorder.FactLink, f)
		if got.Status != 200 || len(h.statementOf(got).Links) != 0 {
			t.Errorf("linked again: %+v", got)
		}
	}
	h.together(a, b)

	// news of one wakes both, until they part
	news := func(mrn, id string, org ledger.Organization) {
		t.Helper()
		if got := h.send(org, "cancel-"+id, withStatus(of(mrn, order("RX-"+mrn, oldBridgeNPI, "Amoxicillin")), "cancelled")); got.Status != 200 {
			t.Fatalf("cancel: %+v", got)
		}
		h.announcedAll()
	}
	heard := make(chan *nats.Msg, 16)
	sub, err := h.nc.ChanSubscribe(streams.LiveSubject(a.String()), heard)
	h.must(err)
	h.must(h.nc.Flush())
	news("M-2", "1", h.clinic2)
	if h.held(streams.Push, streams.PushSubject("webpush", phoneA.String())) != 1 || len(heard) != 1 {
		t.Errorf("a linked patient hears nothing: %d events", len(heard))
	}
	h.woken(phoneA)

	ready := h.send(h.clinic2, "m-ready", of("M-2", order("RX-ready", oldBridgeNPI, "Omeprazole"))).Resources[0].Rx
	h.announcedAll()
	h.woken(phoneA)
	h.send(h.oldBridge, "d-ready", dispense("D-ready", "in-progress", ready))
	h.announcedAll()
	if h.held(streams.Push, streams.PushSubject("webpush", phoneA.String())) != 1 {
		t.Error("a linked patient is not woken for what is ready to collect")
	}

	// a chain is one person of three; the middle one leaves, the others stay
	second := h.fact(recorder.FactLink, recorder.LinkFact{Patient: b, Other: c})
	made = append(made, h.statementOf(second).Links...)
	h.together(a, b, c)
	stale := h.fact(recorder.FactUnlink, recorder.UnlinkFact{Patient: b, With: stranger, By: recorder.ByPatient})
	if stale.Status != 200 {
		t.Errorf("a stale wish: %+v", stale)
	}
	h.together(a, b, c)
	parted := h.fact(recorder.FactUnlink, recorder.UnlinkFact{Patient: b, With: c, By: recorder.ByPatient})
	if parted.Status != 201 {
		t.Errorf("unlink: %+v", parted)
	}
	made = append(made, h.statementOf(parted).Links...)
	h.together(a, c)
	h.together(b)
	if again := h.fact(recorder.FactUnlink, recorder.UnlinkFact{Patient: b, By: recorder.ByPatient}); again.Status != 200 {
		t.Errorf("unlinked again: %+v", again)
	}
	h.announcedAll()
	h.woken(phoneA)
	for len(heard) > 0 {
		<-heard
	}
	if got := h.send(h.clinic2, "m-new", of("M-2", order("RX-new", oldBridgeNPI, "Omeprazole"))); got.Status != 201 {
		t.Fatalf("issue: %+v", got)
	}
	h.announcedAll()
	if n := h.held(streams.Push, streams.PushSubject("webpush", phoneA.String())); n != 0 || len(heard) != 0 {
		t.Errorf("after parting: %d wakes, %d events", n, len(heard))
	}
	h.must(sub.Unsubscribe())

	// a sandbox and a real organisation have no patient in common
	toy, _ := h.somebodyAt(h.addWith("clinic", "Toy Clinic", "1000000009", func(o *ledger.Organization) { o.Sandbox = true }), "M-9", "none")
	if got := h.fact(recorder.FactLink, recorder.LinkFact{Patient: a, Other: toy}); got.Code != string(fault.CodeOrganization) {
		t.Errorf("link with a sandbox: %+v", got)
	}
	h.together(toy)

	// repair, with a reason
	if got := h.fact(recorder.FactUnlink, recorder.UnlinkFact{Patient: c, By: "operator"}); got.Status < 400 {
		t.Errorf("without a reason: %+v", got)
	}
	repaired := h.fact(recorder.FactUnlink, recorder.UnlinkFact{Patient: c, By: "operator", Reason: "two people"})
	made = append(made, h.statementOf(repaired).Links...)
	h.together(a)
	h.together(c)

	// two persons of two become one of four
	h.linked(&made, a, b, c, stranger)
	last := h.fact(recorder.FactLink, recorder.LinkFact{Patient: c, Other: a})
	made = append(made, h.statementOf(last).Links...)
	h.together(a, b, c, stranger)

	// the table is what the records say, and survives a new recorder
	h.sameTable(made)
	h.close()
	h.start()
	h.sameTable(made)

	// an erased patient is linked with nobody, and is linked no more
	who, _ := h.patient(h.clinic, "M-1")
	h.announcedAll()
	h.woken(phoneB)
	if got := h.fact(recorder.FactErase, h.eraseFact(who)); got.Status != 200 {
		t.Fatalf("erase: %+v", got)
	}
	h.finished()
	h.announcedAll()
	if h.held(streams.Push, streams.PushSubject("webpush", phoneB.String())) != 1 || h.held(streams.Push, streams.PushSubject("webpush", phoneA.String())) != 0 {
		t.Error("those who were linked with an erased patient are not told, or the erased one is")
	}
	h.together(b, c, stranger)
	h.together(a)
	for _, f := range []recorder.LinkFact{{Patient: a, Other: b}, {Patient: b, Other: a}, {Patient: b, Other: uuid.Must(uuid.NewV7())}} {
		if got := h.fact(recorder.FactLink, f); got.Status != 410 || got.Code != string(fault.CodeErased) {
			t.Errorf("link of an erased patient: %+v", got)
		}
	}
	for _, mrn := range []string{"M-2"} {
		who, _ := h.patient(h.clinic2, mrn)
		h.fact(recorder.FactErase, h.eraseFact(who))
	}
	h.finished()
	h.together(c, stranger)
	h.verify()
	h.toldNobody()
}

func (h *hub) oldBridgeClinic() ledger.Organization {
	h.t.Helper()
	return h.add("clinic", "Hillside Clinic", "1669400001")
}

// linked joins two pairs.
func (h *hub) linked(made *[]ledger.PatientLink, a, b, c, d ledger.ID) {
	h.t.Helper()
	for _, f := range []recorder.LinkFact{{Patient: a, Other: b}, {Patient: c, Other: d}} {
		got := h.fact(recorder.FactLink, f)
		if got.Status != 201 {
			h.t.Fatalf("link: %+v", got)
		}
		*made = append(*made, h.statementOf(got).Links...)
	}
}

// sameTable applies what the records say, in their order, and compares.
func (h *hub) sameTable(made []ledger.PatientLink) {
	h.t.Helper()
	table := map[ledger.ID]ledger.ID{}
	for _, l := range made {
		if table[l.Patient] = l.Person; l.Person == (ledger.ID{}) {
			delete(table, l.Patient)
		}
	}
	rows, err := h.store.Links(h.t.Context(), nil)
	h.must(err)
	for _, l := range rows {
		if table[l.Patient] != l.Person {
			h.t.Errorf("link %v, the records say person %v", l, table[l.Patient])
		}
	}
	if len(rows) != len(table) {
		h.t.Errorf("%d links, the records say %d", len(rows), len(table))
	}
}

// announcedAll waits until everything decided is announced.
func (h *hub) announcedAll() {
	h.t.Helper()
	for began := time.Now(); time.Since(began) < 10*time.Second; time.Sleep(5 * time.Millisecond) { // another goroutine works
		head, err := h.store.Head(context.Background())
		h.must(err)
		upTo, err := h.store.Acknowledged(context.Background())
		h.must(err)
		if upTo[ledger.ID{}] >= head.Deliveries {
			return
		}
	}
	h.t.Fatal("not announced after 10 s")
}

// toldNobody demands that no organisation was sent a word about links: what each receives is its own.
func (h *hub) toldNobody() {
	h.t.Helper()
	for _, org := range []ledger.Organization{h.clinic, h.clinic2, h.oldBridge} {
		for _, m := range h.received(org, 200*time.Millisecond) {
			if bytes.Contains(bytes.ToLower(m.Data()), []byte("link")) {
				h.t.Errorf("%s received: %s", org.Name, m.Data())
			}
		}
	}
	effects, err := h.store.Effects(context.Background(), ledger.ID{}, 0, 10000)
	h.must(err)
	for _, e := range effects {
		if e.Kind == ledger.EffectDeliver && e.Type != streams.TypeMedicationRequest && e.Type != streams.TypeMedicationDispense && e.Type != "OperationOutcome" {
			h.t.Errorf("effect %+v", e)
		}
	}
}
