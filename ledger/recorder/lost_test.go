package recorder_test

import (
	"context"
	"testing"
	"time"

	"github.com/dosewire/dosewire/streams"
)

// TestLostIntakeIsMadeAnew: somebody deletes RX_INTAKE while the recorder runs. It is not well until
// the stream is there again, under a new epoch, and says so.
func TestLostIntakeIsMadeAnew(t *testing.T) {
	h := open(t)
	h.send(h.clinic, "m1", order("A-1", oldBridgeNPI, "Amoxicillin"))
	before, err := h.store.Head(t.Context())
	h.must(err)
	h.must(h.js.DeleteStream(t.Context(), streams.Intake))
	unwell := false
	until := time.Now().Add(20 * time.Second)
	for {
		unwell = unwell || h.recorder.Healthy() != nil
		if _, err := h.js.Stream(t.Context(), streams.Intake); err == nil && h.recorder.Healthy() == nil {
			break
		}
		if time.Now().After(until) {
			t.Fatal("RX_INTAKE was not made anew in 20 s")
		}
		time.Sleep(5 * time.Millisecond)
	}
	if !unwell {
		t.Error("the recorder was well without its stream")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	a, err := h.caller.Call(ctx, message(h.clinic, "m2", order("A-2", oldBridgeNPI, "Omeprazole")), 10*time.Second)
	if err != nil || a.Status != 201 {
		t.Fatalf("after the loss: %+v, %v", a, err)
	}
	h.verify()
	if after, err := h.store.Head(t.Context()); err != nil || after.Epoch != before.Epoch+1 {
		t.Errorf("epoch %d after %d", after.Epoch, before.Epoch)
	}
}
