package recorder_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/recorder"
	"github.com/dosewire/dosewire/streams"
)

// directly lets the recorder take what callers bring.
func directly(h *hub) { h.config.Direct = true }

// intakeEnd is the last sequence of RX_INTAKE.
func (h *hub) intakeEnd() uint64 {
	h.t.Helper()
	s, err := h.js.Stream(context.Background(), streams.Intake)
	h.must(err)
	return s.CachedInfo().State.LastSeq
}

// head is that of the database, verified.
func (h *hub) head() ledger.Head {
	h.t.Helper()
	h.verify()
	head, err := h.store.Head(context.Background())
	h.must(err)
	return head
}

// What a caller of the same process brings is recorded without the stream: issued, held by one, handed over,
// repeated and refused as any other message, with a place of its own.
func TestDirect(t *testing.T) {
	h := open(t, directly)
	end, before := h.intakeEnd(), h.head()
	issued := h.send(h.clinic, "m1", order("A-1", oldBridgeNPI, "Amoxicillin"))
	if issued.Status != 201 || issued.Index == nil {
		t.Fatalf("issue: %+v", issued)
	}
	if again := h.send(h.clinic, "m1", order("A-1", oldBridgeNPI, "Amoxicillin")); !again.Replayed || *again.Index != *issued.Index {
		t.Errorf("again: %+v", again)
	}
	if other := h.send(h.clinic, "m1", order("A-2", oldBridgeNPI, "Omeprazole")); other.Code != string(fault.CodeIDReused) {
		t.Errorf("other bytes: %+v", other)
	}
	if refused := h.send(h.clinic, "m2", []byte(`{"resourceType":"MedicationRequest","status":"actve"}`)); refused.Status != 422 {
		t.Errorf("refused: %+v", refused)
	}
	if a := h.send(h.oldBridge, "d1", dispense("D-1", "completed", issued.Resources[0].Rx)); a.Status != 201 {
		t.Errorf("hand-over: %+v", a)
	}
	after := h.head()
	if got := h.intakeEnd(); got != end || after.Seq != before.Seq || after.Size != before.Size+2 {
		t.Errorf("RX_INTAKE ends at %d, cursor %d, %d entries; want %d, %d, %d", got, after.Seq, after.Size, end, before.Seq, before.Size+2)
	}
	rows, err := h.store.Page(t.Context(), before.Size, 10)
	h.must(err)
	for i, row := range rows {
		if row.Record.Epoch != 0 || row.Record.Seq != after.Term || row.Record.Sub == 0 || i > 0 && row.Record.Sub <= rows[i-1].Record.Sub {
			t.Errorf("record %d: place %d, %d, %d", i, row.Record.Epoch, row.Record.Seq, row.Record.Sub)
		}
	}
	if got := h.quarantined(); got != 1 {
		t.Errorf("%d in quarantine, want 1", got)
	}
	for _, org := range []ledger.Organization{h.clinic, h.oldBridge} {
		for _, m := range h.received(org, 300*time.Millisecond) {
			if cause, ok := m.Headers()[streams.HeaderCause]; ok {
				t.Errorf("a delivery names the sequence %s, and none was published", cause)
			}
		}
	}
}

// Messages from the stream and direct ones share batches: the cursor follows the stream alone, also when a
// batch ends in the middle of a parcel.
func TestDirectBesideTheStream(t *testing.T) {
	h := open(t, directly, func(h *hub) { h.config.MaxBatch = 7 })
	before := h.head()
	const n = 60
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			h.publish(h.clinic, fmt.Sprint("p", i), order(fmt.Sprint("P-", i), oldBridgeNPI, "Amoxicillin"))
		})
		wg.Go(func() {
			if a := h.send(h.clinic2, fmt.Sprint("m", i), order(fmt.Sprint("A-", i), oldBridgeNPI, "Amoxicillin")); a.Status != 201 {
				t.Errorf("%d: %+v", i, a)
			}
		})
	}
	wg.Wait()
	deliveries, after := h.ids(h.oldBridge, 2*n), h.head()
	if len(deliveries) != 2*n || after.Size != before.Size+2*n || after.Seq != h.intakeEnd() {
		t.Errorf("%d deliveries, %d entries, cursor %d of %d", len(deliveries), after.Size-before.Size, after.Seq, h.intakeEnd())
	}
}

// The matrix for messages that lie nowhere but in memory until they are committed: whatever fails, what was
// answered is there once, what was not can be sent again, and every delivery comes under its one id.
func TestFaultMatrixDirect(t *testing.T) {
	crash, told := fault.New(fault.Tampered, "crash"), fault.Of(fault.CodeUnavailable)
	for _, point := range []string{"before commit", "after commit", "before reply", "after reply"} {
		for name, err := range map[string]error{"crash": crash, "told otherwise": told} {
			for store, on := range map[string]func(*hub){"sqlite": func(*hub) {}, "postgres": (*hub).onPostgres} {
				t.Run(point+" "+name+" "+store, func(t *testing.T) { t.Parallel(); directFaultAt(t, point, err, on) })
			}
		}
	}
}

func directFaultAt(t *testing.T, point string, err error, on func(*hub)) {
	f := &faults{}
	h := open(t, directly, f.with, on)
	before := h.verify().Size

	const n = 30
	f.arm(point, 1, err)
	caller, answers := h.caller, make([]streams.Answer, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			m := message(h.clinic, fmt.Sprint("m", i), order(fmt.Sprint("A-", i), oldBridgeNPI, "Amoxicillin"))
			answers[i], _ = caller.Call(context.Background(), m, 3*time.Second) // without an answer it is sent again below
		})
	}
	wg.Wait()
	if f.hits() == 0 {
		t.Fatal("the fault was never met")
	}
	select {
	case <-h.done:
		h.reopen()
	default:
		if fault.KindOf(err) == fault.Tampered && (point == "before commit" || point == "after commit") {
			t.Fatal("the crash did not end the recorder")
		}
	}
	for i := range n {
		a := h.send(h.clinic, fmt.Sprint("m", i), order(fmt.Sprint("A-", i), oldBridgeNPI, "Amoxicillin"))
		if first := answers[i]; a.Status != 201 || a.Index == nil || first.Status != 0 && (!a.Replayed || *first.Index != *a.Index) {
			t.Errorf("%d: first %+v, again %+v", i, first, a)
		}
	}
	delivered := len(h.ids(h.oldBridge, n))
	if got := h.verify().Size - before; delivered != n || got != n {
		t.Errorf("%d entries, %d deliveries, want %d", got, delivered, n)
	}
}

// A batch that leaves the head where it was can be in doubt like any other: it is decided again, and answered.
func TestDoubtAboutABatchThatMovesNothing(t *testing.T) {
	f := &faults{}
	h := open(t, directly, f.with)
	h.send(h.clinic, "m1", order("A-1", oldBridgeNPI, "Amoxicillin"))
	f.arm("after commit", 1, fault.Of(fault.CodeUnavailable))
	if a := h.send(h.clinic, "m1", order("A-1", oldBridgeNPI, "Amoxicillin")); !a.Replayed || f.hits() != 1 {
		t.Errorf("%+v after %d faults", a, f.hits())
	}
}

// While only direct messages come, the loss of RX_INTAKE is noticed all the same.
func TestLostIntakeBesideDirectMessages(t *testing.T) {
	h := open(t, directly)
	before := h.head()
	h.must(h.js.DeleteStream(t.Context(), streams.Intake))
	for i, end := 0, time.Now().Add(20*time.Second); ; i++ {
		_, _ = h.caller.Call(t.Context(), message(h.clinic, fmt.Sprint("m", i), order(fmt.Sprint("A-", i), oldBridgeNPI, "Amoxicillin")), 5*time.Second)
		if head, err := h.store.Head(t.Context()); err == nil && head.Epoch == before.Epoch+1 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("RX_INTAKE was not made anew in 20 s")
		}
	}
	if a := h.send(h.clinic, "last", order("A-last", oldBridgeNPI, "Omeprazole")); a.Status != 201 {
		t.Errorf("after the loss: %+v", a)
	}
}

// One poisonous message among those that callers brought: the others are recorded, and the log names the row
// under which it lies, not a sequence of RX_INTAKE.
func TestPoisonDirect(t *testing.T) {
	var log bytes.Buffer
	h := open(t, directly, func(h *hub) {
		h.config.Log = slog.New(slog.NewTextHandler(&log, nil))
		h.wrap = func(s recorder.Store) recorder.Store { return &refusing{s, h} }
	})
	before := h.head()
	var wg sync.WaitGroup
	for i := 600; i < 660; i++ {
		wg.Go(func() {
			want := 201
			if i == 637 {
				want = 422
			}
			if a := h.send(h.clinic, fmt.Sprint("m", i), order(fmt.Sprint("A-", i), oldBridgeNPI, "Amoxicillin")); a.Status != want {
				t.Errorf("%d: %+v, want %d", i, a, want)
			}
		})
		wg.Go(func() {
			h.publish(h.clinic2, fmt.Sprint("p", i), order(fmt.Sprint("P-", i), oldBridgeNPI, "Amoxicillin"))
		})
	}
	wg.Wait()
	for end := time.Now().Add(10 * time.Second); h.head().Seq < h.intakeEnd() && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
	}
	if after := h.head(); after.Size != before.Size+119 {
		t.Errorf("%d entries, want 119", after.Size-before.Size)
	}
	q, err := h.store.Quarantine(t.Context(), ledger.Place{}, 10)
	h.must(err)
	if len(q) != 1 || q[0].Epoch != 0 || q[0].Sub == 0 {
		t.Fatalf("quarantine: %+v", q)
	}
	h.close()
	if want := fmt.Sprintf("epoch=0 seq=%d sub=%d ", q[0].Seq, q[0].Sub); !strings.Contains(log.String(), want) {
		t.Errorf("the log does not say %s", want)
	}
}
