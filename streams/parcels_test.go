package streams_test

import (
	"strconv"
	"sync"
	"testing"

	"github.com/dosewire/dosewire/streams"
)

// TestParcels: how many messages each parcel carried is told by its header, and is what a reader gets.
func TestParcels(t *testing.T) {
	h := startHub(t)
	js, publisher := h.js, h.publisher(t)
	var wg sync.WaitGroup
	const messages = 300
	for i := range messages {
		wg.Go(func() {
			m := streams.Message{ID: "hub.p." + strconv.Itoa(i), Subject: streams.FactSubject("due"), Body: []byte("{}")}
			if err := publisher.Publish(t.Context(), m); err != nil {
				t.Errorf("publish: %v", err)
			}
		})
	}
	wg.Wait()
	want := map[uint64]int{}
	var last uint64
	for _, m := range readAll(t, h, streams.Intake, messages) {
		if m.Parts > 0 {
			want[m.Seq] = m.Parts
		}
		last = max(last, m.Seq)
	}
	if len(want) == 0 {
		t.Fatal("nothing travelled together")
	}
	got, err := streams.Parcels(t.Context(), js, 0, last)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Errorf("%d parcels, want %d", len(got), len(want))
	}
	for seq, n := range want {
		if got[seq] != n {
			t.Errorf("parcel %d carried %d, want %d", seq, got[seq], n)
		}
		if one, err := streams.Parcels(t.Context(), js, seq-1, seq); err != nil || len(one) != 1 || one[seq] != n {
			t.Errorf("parcel %d alone: %v, %v", seq, one, err)
		}
	}
	if none, err := streams.Parcels(t.Context(), js, last, last+10); err != nil || len(none) != 0 {
		t.Errorf("behind the end: %v, %v", none, err)
	}
}
