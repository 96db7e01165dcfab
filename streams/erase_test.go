package streams_test

import (
	"strconv"
	"testing"

	"github.com/dosewire/dosewire/streams"
)

// What is erased by subject is gone, what is beside it stays, and again is nothing.
func TestEraseSubject(t *testing.T) {
	h := startHub(t)
	p := newDeliveryPublisher(t, h)
	if _, err := p.Publish(t.Context(), numbered("org", 1, 40)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Publish(t.Context(), []streams.Message{{ID: "again", Subject: streams.DeliverySubject("other", streams.TypeBundle, "r7"), Body: []byte("7")}}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := streams.EraseSubject(t.Context(), h.js, streams.Delivery, streams.DeliverySubject("*", "*", "r7")); err != nil {
			t.Fatal(err)
		}
		if got := h.state(t, streams.Delivery).Msgs; got != 39 {
			t.Errorf("%d messages left, want 39", got)
		}
	}
	if _, err := p.Publish(t.Context(), numbered("org", 41, 41)); err != nil { // the fence is where it was
		t.Errorf("publish after an erasure: %v", err)
	}
}

func TestEraseMessage(t *testing.T) {
	h := startHub(t)
	p := h.publisher(t)
	for i := range 3 {
		n := strconv.Itoa(i)
		if err := p.Publish(t.Context(), streams.Message{ID: "org." + n, Subject: streams.IntakeSubject("org", streams.TypeBundle), Body: []byte(n)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, seq := range []uint64{3, 3, 1, 99} {
		if err := streams.EraseMessage(t.Context(), h.js, streams.Intake, seq); err != nil {
			t.Errorf("erase %d: %v", seq, err)
		}
	}
	if s := h.state(t, streams.Intake); s.Msgs != 1 || s.LastSeq != 3 {
		t.Errorf("%d messages up to %d, want one up to 3", s.Msgs, s.LastSeq)
	}
}
