package recorder_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/recorder"
)

// weighing notes how many disclosures are chained beside messages.
type weighing struct {
	recorder.Store
	mu     sync.Mutex
	beside []int
}

func (w *weighing) Commit(ctx context.Context, b *ledger.Batch) error {
	if len(b.Records) > 0 {
		w.mu.Lock()
		w.beside = append(w.beside, len(b.Accesses))
		w.mu.Unlock()
	}
	return w.Store.Commit(ctx, b)
}

// sum is how many there were so far.
func (w *weighing) sum() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, beside := range w.beside {
		n += beside
	}
	return n
}

// TestMessagesBeforeDisclosures: however many disclosures wait, a message's commit carries few of them, and
// they are all chained in time.
func TestMessagesBeforeDisclosures(t *testing.T) {
	w := &weighing{}
	h := open(t, func(h *hub) {
		h.wrap = func(s recorder.Store) recorder.Store { w.Store = s; return w }
	})
	const waiting, most = 500, 100
	var late time.Duration
	for i := range 20 {
		for j := range waiting / 20 {
			var id ledger.ID
			binary.BigEndian.PutUint64(id[:], uint64(1+i*waiting+j))
			h.must(h.store.InsertAccess(t.Context(), ledger.Access{ID: id, Org: h.clinic.ID, Action: "read", Time: time.Now().UnixMilli()}))
		}
		if i == 10 { // a heap, as it is when several organisations read at once
			for j := range 3 * most {
				h.must(h.store.InsertAccess(t.Context(), ledger.Access{ID: ledger.ID{9, byte(j), byte(j >> 8)}, Org: h.clinic.ID, Action: "read", Time: time.Now().UnixMilli()}))
			}
		}
		began := time.Now()
		h.send(h.clinic, fmt.Sprint("m", i), order(fmt.Sprint("A-", i), oldBridgeNPI, "Amoxicillin"))
		late = max(late, time.Since(began))
	}
	// Messages without a pause: then nothing but their commits can carry disclosures.
	for i := 0; w.sum() == 0 && i < 500; i++ {
		id := ledger.ID{8, byte(i), byte(i >> 8)}
		h.must(h.store.InsertAccess(t.Context(), ledger.Access{ID: id, Org: h.clinic.ID, Action: "read", Time: time.Now().UnixMilli()}))
		h.send(h.clinic, fmt.Sprint("n", i), order(fmt.Sprint("B-", i), oldBridgeNPI, "Amoxicillin"))
	}
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) { // another goroutine works
		pending, err := h.store.PendingAccess(t.Context(), 1)
		h.must(err)
		if len(pending) == 0 {
			break
		}
		if time.Since(began) > 5*time.Second {
			t.Fatal("disclosures are not chained in 5 s")
		}
	}
	h.close()
	for _, n := range w.beside {
		if n > most {
			t.Errorf("%d disclosures beside a message", n)
		}
	}
	if w.sum() == 0 {
		t.Errorf("none was chained beside a message: %v", w.beside)
	}
	t.Logf("the slowest message took %v", late)
}
