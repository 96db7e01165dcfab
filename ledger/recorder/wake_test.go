package recorder_test

import (
	"testing"

	"github.com/dosewire/dosewire/streams"
)

// TestAnUrgentWakeStaysUrgent: the stream keeps the newest wake of a device, and so ordinary news replaces a
// cancellation's wake that no push service has taken yet. Quiet hours hold the replacement back as little.
func TestAnUrgentWakeStaysUrgent(t *testing.T) {
	h := open(t)
	_, phone := h.somebody(h.clinic, "M-1")
	h.announcedAll()
	h.woken(phone)
	s, err := h.js.Stream(t.Context(), streams.Push)
	h.must(err)
	ordinary := func(id string) (urgent bool, seq uint64) {
		t.Helper()
		if got := h.send(h.clinic, "issue-"+id, of("M-1", order(id, "1999999984", "Ibuprofen"))); got.Status != 201 {
			t.Fatalf("issue: %+v", got)
		}
		h.announcedAll()
		m, err := s.GetLastMsgForSubject(t.Context(), streams.PushSubject("webpush", phone.String()))
		h.must(err)
		return m.Header.Get(streams.HeaderUrgent) != "", m.Sequence
	}
	if got := h.send(h.clinic, "cancel", withStatus(of("M-1", order("RX-M-1", oldBridgeNPI, "Amoxicillin")), "cancelled")); got.Status != 200 {
		t.Fatalf("cancel: %+v", got)
	}
	h.announcedAll()
	cancelled, err := s.GetLastMsgForSubject(t.Context(), streams.PushSubject("webpush", phone.String()))
	h.must(err)
	if cancelled.Header.Get(streams.HeaderUrgent) == "" {
		t.Fatal("a cancellation waits for the morning")
	}
	if urgent, seq := ordinary("RX-2"); !urgent || seq == cancelled.Sequence {
		t.Errorf("the wake that replaced a cancellation's: urgent %v, replaced %v", urgent, seq != cancelled.Sequence)
	}
}
