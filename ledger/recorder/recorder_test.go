package recorder_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/recorder"
	"github.com/dosewire/dosewire/streams"
)

const (
	oldBridgeNPI = "1558203947"
	harbourNPI   = "1336490128"
)

func TestOnePrescriptionFromClinicToHandOver(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { clinicToHandOver(t, open(t)) })
	t.Run("postgres", func(t *testing.T) { clinicToHandOver(t, open(t, (*hub).onPostgres)) })
}

func clinicToHandOver(t *testing.T, h *hub) {
	body := order("A-1", oldBridgeNPI, "Amoxicillin")
	a := h.send(h.clinic, "m1", body)
	if a.Status != 201 || a.Index == nil || len(a.Resources) != 1 || a.Resources[0].State != "ready" {
		t.Fatalf("issue: %+v", a)
	}
	rx := a.Resources[0].Rx
	got := h.received(h.oldBridge, 300*time.Millisecond)
	if len(got) != 1 || !bytes.Equal(got[0].Data(), body) || got[0].Headers().Get(streams.HeaderID) != rx {
		t.Fatalf("pharmacy received %d messages", len(got))
	}
	for _, step := range []struct{ status, state string }{
		{"preparation", "held"}, {"in-progress", "ready-to-collect"}, {"completed", "completed"},
	} {
		a := h.send(h.oldBridge, "d-"+step.status, dispense("D-1", step.status, rx))
		if a.Status/100 != 2 || a.Resources[0].State != step.state {
			t.Fatalf("%s: %+v", step.status, a)
		}
	}
	if back := h.received(h.clinic, 300*time.Millisecond); len(back) != 3 {
		t.Errorf("clinic got %d dispenses back, want 3", len(back))
	}
	h.verify()
}

func TestSameIDSameAnswerAndPresentState(t *testing.T) {
	h := open(t)
	body := order("A-1", oldBridgeNPI, "Amoxicillin")
	first := h.send(h.clinic, "m1", body)
	h.send(h.oldBridge, "d1", dispense("D-1", "completed", first.Resources[0].Rx))
	again := h.send(h.clinic, "m1", body)
	if !again.Replayed || *again.Index != *first.Index || again.Status != 201 || again.Resources[0].State != "completed" {
		t.Errorf("again: %+v", again)
	}
	if other := h.send(h.clinic, "m1", order("A-2", oldBridgeNPI, "Other")); other.Status != 409 || other.Code != string(fault.CodeIDReused) {
		t.Errorf("other bytes: %+v", other)
	}
	// another organisation's message under the same id is another message
	if a := h.send(h.clinic2, "m1", order("A-1", harbourNPI, "Omeprazole")); a.Status != 201 || a.Replayed {
		t.Errorf("other organisation: %+v", a)
	}
	h.verify()
}

func TestOneWinnerForOneFill(t *testing.T) {
	h := open(t)
	rx := h.send(h.clinic, "m1", order("A-1", oldBridgeNPI, "Amoxicillin")).Resources[0].Rx
	var mu sync.Mutex
	won, lost := 0, 0
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			a := h.send(h.oldBridge, fmt.Sprint("c", i), dispense(fmt.Sprint("D-", i), "preparation", rx))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case a.Status == 201:
				won++
			case a.Status == 409 && a.Index != nil: // recorded, refused
				lost++
			default:
				t.Errorf("claim: %+v", a)
			}
		})
	}
	wg.Wait()
	if won != 1 || lost != 19 {
		t.Errorf("won %d, lost %d", won, lost)
	}
	h.verify()
}

func TestOutcomeOverNATSIsADelivery(t *testing.T) {
	h := open(t)
	h.publish(h.clinic, "good", order("A-1", oldBridgeNPI, "Amoxicillin"))
	h.publish(h.clinic, "bad", []byte(`{"resourceType":"MedicationRequest","status":"actve"}`))
	h.publish(h.clinic, "broken", []byte(`{"resourceType":"MedicationRequest",`))
	got := h.received(h.clinic, 500*time.Millisecond)
	if len(got) != 3 {
		t.Fatalf("%d outcomes, want 3", len(got))
	}
	for i, m := range got {
		if subjectType(m) != "OperationOutcome" || (m.Headers().Get(streams.HeaderIndex) != "") != (i == 0) {
			t.Errorf("outcome %d: %s %v", i, m.Subject(), m.Headers())
		}
	}
	index, err := strconv.ParseUint(got[0].Headers().Get(streams.HeaderIndex), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	e, err := h.store.Entry(t.Context(), index)
	if err != nil {
		t.Fatal(err)
	}
	if leaf := fmt.Sprintf("%x", e.Leaf()); got[0].Headers().Get(streams.HeaderLeaf) != leaf || got[1].Headers().Get(streams.HeaderLeaf) != "" {
		t.Errorf("leaf %q, want %q; of a refusal %q", got[0].Headers().Get(streams.HeaderLeaf), leaf, got[1].Headers().Get(streams.HeaderLeaf))
	}
}

func TestWrongMessageIDIsRefused(t *testing.T) {
	h := open(t)
	m := message(h.clinic, "x", order("A-1", oldBridgeNPI, "Amoxicillin"))
	m.ID = h.clinic2.ID.String() + ".x"
	if a := h.call(m); a.Status != 400 || a.Code != string(fault.CodeMessageID) {
		t.Errorf("foreign prefix: %+v", a)
	}
	m.ID = h.clinic.ID.String() + "." + strings.Repeat("x", 300)
	if a := h.call(m); a.Status != 400 || a.Code != string(fault.CodeMessageID) {
		t.Errorf("too long: %+v", a)
	}
}

func TestTwoPharmaciesSeeOnlyTheirOwn(t *testing.T) {
	h := open(t)
	bundle := fmt.Appendf(nil, `{"resourceType":"Bundle","type":"collection","entry":[{"resource":%s},{"resource":%s}]}`,
		order("A-1", oldBridgeNPI, "Lisinopril"), order("A-2", harbourNPI, "Atorvastatin"))
	if a := h.send(h.clinic, "b1", bundle); a.Status != 201 || len(a.Resources) != 2 {
		t.Fatalf("bundle: %+v", a)
	}
	for _, x := range []struct {
		org         ledger.Organization
		own, others string
	}{{h.oldBridge, "Lisinopril", "Atorvastatin"}, {h.harbour, "Atorvastatin", "Lisinopril"}} {
		got := h.received(x.org, 300*time.Millisecond)
		if len(got) != 1 || !bytes.Contains(got[0].Data(), []byte(x.own)) || bytes.Contains(got[0].Data(), []byte(x.others)) {
			t.Errorf("%s: %d messages", x.org.Name, len(got))
		}
	}
}

func TestTombstone(t *testing.T) {
	h := open(t)
	body := order("A-1", oldBridgeNPI, "Amoxicillin")
	if a := h.send(h.clinic, "cancel", withStatus(body, "cancelled")); a.Status/100 != 2 {
		t.Fatalf("cancel: %+v", a)
	}
	a := h.send(h.clinic, "issue", body)
	if a.Status/100 != 2 || a.Resources[0].State != "cancelled" {
		t.Errorf("issue after cancel: %+v", a)
	}
	if got := h.received(h.oldBridge, 300*time.Millisecond); len(got) != 0 {
		t.Errorf("pharmacy received %d", len(got))
	}
}

// The matrix: whatever fails at whichever point, no acknowledged message is lost, each has one entry,
// every delivery arrives at least once under its one id, and the chain verifies.
func TestFaultMatrix(t *testing.T) {
	crash := fault.New(fault.Tampered, "crash") // ends the recorder there
	told := fault.Of(fault.CodeUnavailable)     // "it did not happen", whether it did or not
	for _, point := range []string{"commit", "reply", "announce", "index"} {
		for _, when := range []string{"before", "after"} {
			for name, err := range map[string]error{"crash": crash, "told otherwise": told} {
				for store, on := range map[string]func(*hub){"sqlite": func(*hub) {}, "postgres": (*hub).onPostgres} {
					t.Run(when+" "+point+" "+name+" "+store, func(t *testing.T) { t.Parallel(); faultAt(t, when+" "+point, err, on) })
				}
			}
		}
	}
}

func faultAt(t *testing.T, point string, err error, on func(*hub)) {
	f := &faults{}
	h := open(t, f.with, on)
	before := h.verify().Size

	const n = 30
	f.arm(point, 1, err)
	for i := range n {
		h.publish(h.clinic, fmt.Sprint("m", i), order(fmt.Sprint("A-", i), oldBridgeNPI, "Amoxicillin"))
	}
	// a waiting sender too: the answer may be lost, the same call fetches it
	answered := make(chan streams.Answer, 1)
	go func() {
		for {
			a, err := h.caller.Call(context.Background(), message(h.clinic, "waits", order("A-w", oldBridgeNPI, "Amoxicillin")), time.Second)
			if err == nil {
				answered <- a
				return
			}
			time.Sleep(50 * time.Millisecond) // as a client would
		}
	}()
	restarted := false
	select {
	case a := <-answered:
		if a.Status != 201 {
			t.Errorf("answer: %+v", a)
		}
	case <-h.done: // crashed
		h.reopen()
		restarted = true
		a := h.send(h.clinic, "waits", order("A-w", oldBridgeNPI, "Amoxicillin"))
		if a.Status != 201 {
			t.Errorf("answer after the crash: %+v", a)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("no answer in 30 s")
	}
	for deadline := time.Now().Add(3 * time.Second); f.hits() == 0 && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond) // the index is stored once a second
	}
	if f.hits() == 0 {
		t.Error("the fault was never met")
	}
	ends := strings.HasSuffix(point, " commit") || strings.HasSuffix(point, " announce") // elsewhere it is borne
	if ends && fault.KindOf(err) == fault.Tampered && !restarted {
		select {
		case <-h.done: // crashed behind the answer
			h.reopen()
		case <-time.After(20 * time.Second):
			t.Error("the crash did not end the recorder")
		}
	}
	if got := len(h.ids(h.oldBridge, n+1)); got != n+1 {
		t.Errorf("%d distinct deliveries, want %d", got, n+1)
	}
	if got := h.verify().Size - before; got != n+1 {
		t.Errorf("%d entries for %d messages", got, n+1)
	}
}

// One poisonous message in a thousand: the others are recorded, it is quarantined and answered.
func TestPoison(t *testing.T) {
	for name, arm := range map[string]func(h *hub){
		"NUL in a string": func(*hub) {},
		"a rule that panics": func(h *hub) {
			h.config.Validate = func(d *fhir.Document) []fhir.Issue {
				if bytes.Contains(d.Raw(), []byte("POISON")) {
					panic("rule")
				}
				return fhir.Validate(d)
			}
		},
		"a constraint violated": func(h *hub) {
			h.wrap = func(s recorder.Store) recorder.Store { return &refusing{s, h} }
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := &hub{t: t, dir: t.TempDir()}
			arm(h)
			h.start()
			t.Cleanup(h.close)
			h.clinic = h.add("clinic", "Riverside", "1902847563")
			h.oldBridge = h.add("pharmacy", "Old Bridge", oldBridgeNPI)
			before := h.verify().Size
			drug := "POISON"
			if name == "NUL in a string" {
				drug = `NUL \u0000 inside`
			}
			h.stop()
			<-h.done // the backlog is read as one batch
			var wg sync.WaitGroup
			for i := range 1000 {
				wg.Go(func() {
					body := order(fmt.Sprint("A-", i), oldBridgeNPI, "Amoxicillin")
					if i == 637 {
						body = order(fmt.Sprint("A-", i), oldBridgeNPI, drug)
					}
					h.publish(h.clinic, fmt.Sprint("m", i), body)
				})
			}
			wg.Wait()
			h.lead()
			outcomes := h.received(h.clinic, 5*time.Second)
			refused := 0
			for _, m := range outcomes {
				if m.Headers().Get(streams.HeaderIndex) == "" {
					refused++
				}
			}
			if len(outcomes) != 1000 || refused != 1 {
				t.Errorf("%d outcomes, %d of them refusals; want 1000 and 1", len(outcomes), refused)
			}
			if got := h.verify().Size - before; got != 999 {
				t.Errorf("%d entries, want 999", got)
			}
		})
	}
}

// refusing is a store whose constraints object to one message: prescription A-637.
type refusing struct {
	recorder.Store
	h *hub
}

func (s *refusing) Commit(ctx context.Context, b *ledger.Batch) error {
	key, _ := recorder.PrescriptionKey(s.h.keys, s.h.clinic.ID, fhir.Identifier{System: "urn:rx", Value: "A-637"}, "")
	for _, q := range b.Begun {
		if q.Identity == key.Hash {
			return fault.New(fault.Invalid, "constraint")
		}
	}
	return s.Store.Commit(ctx, b)
}

// A recorder that dies in the middle of a parcel reads all of it again: each message is recorded or
// refused once, and the cursor does not pass what is not decided.
func TestParcelIsCutAnywhere(t *testing.T) {
	for store, on := range map[string]func(*hub){"sqlite": func(*hub) {}, "postgres": (*hub).onPostgres} {
		t.Run(store, func(t *testing.T) {
			f := &faults{}
			h := &hub{t: t, dir: t.TempDir()}
			h.config.Fault, h.config.MaxBatch = f.at, 3
			on(h)
			h.start()
			t.Cleanup(h.close)
			h.clinic = h.add("clinic", "Riverside", "1902847563")
			h.oldBridge = h.add("pharmacy", "Old Bridge", oldBridgeNPI)
			before := h.verify()
			h.stop()
			<-h.done

			const n = 40
			var wg sync.WaitGroup
			for i := range n {
				wg.Go(func() {
					body := order(fmt.Sprint("A-", i), oldBridgeNPI, "Amoxicillin")
					if i%10 == 7 {
						body = []byte(`{"resourceType":"MedicationRequest","status":"actve"}`)
					}
					h.publish(h.clinic, fmt.Sprint("m", i), body)
				})
			}
			wg.Wait()
			info, err := h.js.Stream(t.Context(), streams.Intake)
			h.must(err)
			if got := info.CachedInfo().State.LastSeq - before.Seq; got >= n {
				t.Fatalf("%d stream messages for %d: no parcels were made", got, n)
			}
			for round := range 6 { // each time a little further into the parcels
				f.arm("after commit", 1, fault.New(fault.Tampered, "crash"))
				h.lead()
				<-h.done
				if head := h.verify(); head.Seq > info.CachedInfo().State.LastSeq {
					t.Fatalf("round %d: cursor %d", round, head.Seq)
				}
			}
			h.lead()
			outcomes := map[string]bool{}
			for _, m := range h.received(h.clinic, time.Second) {
				outcomes[m.Headers().Get(streams.HeaderMsgID)] = true
			}
			if got := h.verify().Size - before.Size; got != n-4 {
				t.Errorf("%d entries, want %d", got, n-4)
			}
			deliveries := map[string]bool{}
			for _, m := range h.received(h.oldBridge, 500*time.Millisecond) {
				deliveries[m.Headers().Get(streams.HeaderMsgID)] = true
			}
			if len(deliveries) != n-4 {
				t.Errorf("%d deliveries, want %d", len(deliveries), n-4)
			}
			if len(outcomes) < n {
				t.Errorf("%d outcomes, want at least %d: a repeat is answered again", len(outcomes), n)
			}
			head, err := h.store.Head(t.Context())
			h.must(err)
			if head.Seq != info.CachedInfo().State.LastSeq {
				t.Errorf("cursor %d, want %d", head.Seq, info.CachedInfo().State.LastSeq)
			}
		})
	}
}

// What is recorded leaves RX_INTAKE when there is much of it; what is not recorded stays.
func TestIntakeIsKeptBySize(t *testing.T) {
	h := &hub{t: t, dir: t.TempDir()}
	h.config.KeepBytes = 20_000
	h.start()
	t.Cleanup(h.close)
	h.clinic = h.add("clinic", "Riverside", "1902847563")
	h.oldBridge = h.add("pharmacy", "Old Bridge", oldBridgeNPI)
	for i := range 60 {
		h.send(h.clinic, fmt.Sprint("m", i), order(fmt.Sprint("A-", i), oldBridgeNPI, "Amoxicillin"))
	}
	var bytes uint64
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		info, err := h.js.Stream(t.Context(), streams.Intake)
		h.must(err)
		if bytes = info.CachedInfo().State.Bytes; bytes < 40_000 {
			break
		}
	}
	if bytes == 0 || bytes >= 40_000 {
		t.Errorf("RX_INTAKE holds %d bytes, want about 20000", bytes)
	}
	h.close()
	h.start() // the cursor is within the stream
	if a := h.send(h.clinic, "m3", order("A-3", oldBridgeNPI, "Amoxicillin")); !a.Replayed {
		t.Errorf("after a restart: %+v", a)
	}
	h.verify()
}

// What had waited is not purged piece by piece while a backlog is recorded.
func TestBacklogIsKept(t *testing.T) {
	t.Parallel()
	h := open(t, func(h *hub) { h.config.KeepBytes = 20_000 })
	h.stop()
	h.must(<-h.done)
	for i := range 60 {
		h.publish(h.clinic, fmt.Sprint("m", i), order(fmt.Sprint("A-", i), oldBridgeNPI, "Amoxicillin"))
	}
	time.Sleep(10 * time.Second) // so long the server holds in memory what it has written
	held := func() uint64 {
		info, err := h.js.Stream(t.Context(), streams.Intake)
		h.must(err)
		return info.CachedInfo().State.Bytes
	}
	before := held()
	h.lead()
	h.ids(h.oldBridge, 60)
	time.Sleep(500 * time.Millisecond) // it looks every 100 ms
	if after := held(); before < 40_000 || after < before {
		t.Errorf("RX_INTAKE held %d bytes that waited, and holds %d", before, after)
	}
	for i := range 20 {
		h.send(h.clinic, fmt.Sprint("n", i), order(fmt.Sprint("B-", i), oldBridgeNPI, "Amoxicillin"))
	}
	for deadline := time.Now().Add(5 * time.Second); held() >= 40_000; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("RX_INTAKE holds %d bytes, want about 20000", held())
		}
	}
}

// A stream that was full of what waited has room again when that is recorded.
func TestIntakeDoesNotStayFull(t *testing.T) {
	t.Parallel()
	h := open(t, func(h *hub) { h.config.KeepBytes, h.streams.IntakeBytes = 20_000, 120_000 })
	h.stop()
	h.must(<-h.done)
	publish := func(id string) error {
		return h.publisher.Publish(t.Context(), streams.Message{ID: h.clinic.ID.String() + "." + id,
			Subject: streams.IntakeSubject(h.clinic.ID.String(), streams.TypeMedicationRequest), Body: order(id, oldBridgeNPI, "Amoxicillin")})
	}
	sent := 0
	for sent < 500 && publish(fmt.Sprint("m", sent)) == nil {
		sent++
	}
	time.Sleep(10 * time.Second) // so long the server holds in memory what it has written
	h.lead()
	if sent == 500 || len(h.ids(h.oldBridge, sent)) != sent {
		t.Fatalf("%d were taken: this test shows nothing", sent)
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		err := publish("last")
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still refused: %v", err)
		}
	}
}

// A database that is an older copy than the stream allows is noticed before anything is decided.
func TestOldCopyOfTheDatabase(t *testing.T) {
	h := open(t)
	h.stop()
	<-h.done
	h.done <- nil
	head, err := h.store.Head(t.Context())
	h.must(err)
	for i := range 5 {
		h.publish(h.clinic, fmt.Sprint("m", i), order(fmt.Sprint("A-", i), oldBridgeNPI, "Amoxicillin"))
	}
	h.must(streams.PurgeBefore(t.Context(), h.js, streams.Intake, head.Seq+3)) // as the later state of it did
	_, err = recorder.Open(t.Context(), h.config, recorder.Deps{Store: h.store, Reader: h.store, Keys: h.keys, NATS: h.nc,
		Directory: h.dirs, Devices: h.store})
	if !errors.Is(err, recorder.ErrRestored) {
		t.Errorf("got %v, want ErrRestored", err)
	}
}

// The stream store deleted while the hub is down: everything undelivered comes back.
func TestStreamStoreLost(t *testing.T) {
	h := open(t)
	const n = 25
	for i := range n {
		h.send(h.clinic, fmt.Sprint("m", i), order(fmt.Sprint("A-", i), oldBridgeNPI, "Amoxicillin"))
	}
	first := map[string]bool{}
	for _, m := range h.received(h.oldBridge, 300*time.Millisecond) {
		first[m.Headers().Get(streams.HeaderMsgID)] = true
	}
	if len(first) != n {
		t.Fatalf("delivered %d, want %d", len(first), n)
	}
	time.Sleep(1500 * time.Millisecond) // the index of what is acknowledged is stored once a second
	want := map[string][]byte{}
	for i := range n {
		body := order(fmt.Sprint("B-", i), harbourNPI, "Omeprazole")
		h.send(h.clinic, fmt.Sprint("b", i), body)
		want[string(body)] = body
	}
	h.close()
	if err := os.RemoveAll(filepath.Join(h.dir, "nats")); err != nil {
		t.Fatal(err)
	}
	h.start()
	for _, m := range h.received(h.oldBridge, time.Second) {
		t.Errorf("delivered again although acknowledged: %s", m.Headers().Get(streams.HeaderMsgID))
	}
	for _, m := range h.received(h.harbour, time.Second) {
		delete(want, string(m.Data()))
	}
	if len(want) != 0 {
		t.Errorf("%d deliveries did not come back", len(want))
	}
	if a := h.send(h.clinic, "after", order("C-1", oldBridgeNPI, "Metformin")); a.Status != 201 {
		t.Errorf("after the loss: %+v", a)
	}
	h.verify()
}
