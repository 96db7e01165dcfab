package recorder_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/fhir/rx"
)

// kept is what is stored of a prescription, and its version.
func (h *hub) kept(id string) (rx.Kept, int) {
	h.t.Helper()
	p, err := h.store.Prescription(h.t.Context(), uuid.MustParse(id))
	h.must(err)
	var kept rx.Kept
	h.must(json.Unmarshal(p.State, &kept))
	return kept, p.Version
}

// TestTrail: every version has its step, with the message that brought it, and nothing else has one: not a
// repeat, and not what was refused.
func TestTrail(t *testing.T) {
	h := open(t)
	issue := order("A-1", oldBridgeNPI, "Amoxicillin")
	bundle := fmt.Appendf(nil, `{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"urn:uuid:3f1c0b5e-7d55-4a9e-8f0e-000000000001","resource":%s},{"fullUrl":"urn:uuid:3f1c0b5e-7d55-4a9e-8f0e-000000000002","resource":%s}]}`,
		order("A-2", oldBridgeNPI, "Ibuprofen"), issue)
	a := h.send(h.clinic, "m1", bundle)
	if a.Status != 201 || len(a.Resources) != 2 {
		t.Fatalf("issue: %+v", a)
	}
	id, issued := a.Resources[1].Rx, a.Record
	h.send(h.clinic, "m1", bundle) // a repeat
	claim := h.send(h.oldBridge, "d1", dispense("D-1", "preparation", id))
	h.send(h.oldBridge, "d2", dispense("D-1", "preparation", id))                                  // the same in other words
	if lost := h.send(h.oldBridge, "d3", dispense("D-2", "preparation", id)); lost.Status != 409 { // another claim
		t.Fatalf("second claim: %+v", lost)
	}
	pause := h.send(h.clinic, "m2", withStatus(issue, "on-hold"))
	done := h.send(h.oldBridge, "d4", dispense("D-1", "completed", id))

	kept, version := h.kept(id)
	clinic, pharmacy := h.clinic.ID.String(), h.oldBridge.ID.String()
	want := []rx.Step{
		{Version: 1, Kind: rx.Issue, Record: issued + "#1", By: clinic, With: pharmacy, Status: "ready"},
		{Version: 2, Kind: rx.Claim, Record: claim.Record, By: pharmacy, With: pharmacy, Status: "held"},
		{Version: 3, Kind: rx.Hold, Record: pause.Record, By: clinic, With: pharmacy, Status: "on-hold"},
		{Version: 4, Kind: rx.HandOver, Record: done.Record, By: pharmacy, With: pharmacy, Status: "completed", Code: "RX_FLAGGED"},
	}
	if version != len(want) || len(kept.Trail) != len(want) {
		t.Fatalf("version %d, trail %+v", version, kept.Trail)
	}
	last := int64(0)
	for i, got := range kept.Trail {
		if got.At < last {
			t.Errorf("step %d went back in time", i)
		}
		last, got.At = got.At, 0
		if got != want[i] {
			t.Errorf("step %d:\ngot  %+v\nwant %+v", i, got, want[i])
		}
		record, _, _ := strings.Cut(got.Record, "#")
		if r, err := h.store.Record(t.Context(), uuid.MustParse(record)); err != nil || r.Index == 0 {
			t.Errorf("step %d: record %+v, %v", i, r.ID, err)
		}
	}
	if said, _ := kept.Trail.Said(4); said.Record != pause.Record {
		t.Errorf("the text in force is that of %s", said.Record)
	}
	mine, err := h.store.OrgPrescriptions(t.Context(), h.oldBridge.ID, uuid.UUID{}, 10)
	if err != nil || len(mine) != 2 {
		t.Errorf("the pharmacy was sent %d, %v", len(mine), err)
	}
	h.verify()
}
