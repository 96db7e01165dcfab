package recorder_test

import (
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/recorder"
	"github.com/dosewire/dosewire/streams"
)

// ifNone is a conditional create as the hub's REST publishes it.
func (h *hub) ifNone(org ledger.Organization, id, identifier string, body []byte) streams.Message {
	key, _ := recorder.PrescriptionKey(h.keys, org.ID, fhir.Identifier{System: "urn:rx", Value: identifier}, "")
	m := message(org, id, body)
	m.Header = map[string][]string{streams.HeaderNoneExist: {hex.EncodeToString(key.Hash[:])}}
	return m
}

// TestConditionalCreate: what exists is named, and nothing is recorded.
func TestConditionalCreate(t *testing.T) {
	h := open(t)
	body := order("A-1", oldBridgeNPI, "Amoxicillin")
	first := h.call(h.ifNone(h.clinic, "m1", "A-1", body))
	if first.Status != 201 {
		t.Fatalf("create: %+v", first)
	}
	size := h.verify().Size
	for name, body := range map[string][]byte{"same": body, "other content": order("A-1", oldBridgeNPI, "Aspirin")} {
		a := h.call(h.ifNone(h.clinic, "m-"+name, "A-1", body))
		if a.Status != 200 || a.Index != nil || a.Record != "" || a.Replayed || a.Resources[0].ID != first.Resources[0].ID || a.Resources[0].State != "ready" {
			t.Errorf("%s: %+v", name, a)
		}
	}
	if again := h.call(h.ifNone(h.clinic, "m1", "A-1", body)); !again.Replayed || again.Status != 201 {
		t.Errorf("the creating message again: %+v", again)
	}
	if now := h.verify().Size; now != size {
		t.Errorf("%d entries were added", now-size)
	}
	if a := h.call(h.ifNone(h.clinic, "m2", "A-2", body)); a.Code != string(fault.CodeNotServed) {
		t.Errorf("another identifier than the prescription's: %+v", a)
	}
	if a := h.call(h.ifNone(h.clinic2, "m1", "A-1", body)); a.Status != 201 {
		t.Errorf("another clinic's: %+v", a)
	}
	h.send(h.clinic, "gone", withStatus(order("A-9", oldBridgeNPI, "Aspirin"), "cancelled"))
	if a := h.call(h.ifNone(h.clinic, "late", "A-9", order("A-9", oldBridgeNPI, "Aspirin"))); a.Status/100 != 2 || a.Index == nil || a.Resources[0].State != "cancelled" {
		t.Errorf("born cancelled: %+v", a)
	}
}

// TestParallelCreates: of many at once, conditional or under one key, exactly one creates.
func TestParallelCreates(t *testing.T) {
	h := open(t)
	for name, make := range map[string]func(round, i int) streams.Message{
		"If-None-Exist": func(round, i int) streams.Message {
			id := fmt.Sprint("C-", round)
			return h.ifNone(h.clinic, fmt.Sprintf("c-%d-%d", round, i), id, order(id, oldBridgeNPI, "Amoxicillin"))
		},
		"Idempotency-Key": func(round, _ int) streams.Message {
			id := fmt.Sprint("K-", round)
			return message(h.clinic, "k-"+id, order(id, oldBridgeNPI, "Amoxicillin"))
		},
		"identifier alone": func(round, i int) streams.Message {
			id := fmt.Sprint("I-", round)
			return message(h.clinic, fmt.Sprintf("i-%d-%d", round, i), order(id, oldBridgeNPI, "Amoxicillin"))
		},
	} {
		for round := range 10 {
			var mu sync.Mutex
			created, ids := 0, map[string]bool{}
			var wg sync.WaitGroup
			for i := range 16 {
				wg.Go(func() {
					a := h.call(make(round, i))
					mu.Lock()
					defer mu.Unlock()
					if a.Status == 201 && !a.Replayed {
						created++
					}
					if a.Status/100 != 2 {
						t.Errorf("%s: %+v", name, a)
						return
					}
					ids[a.Resources[0].Rx] = true
				})
			}
			wg.Wait()
			if created != 1 || len(ids) != 1 {
				t.Errorf("%s: %d created, %d prescriptions", name, created, len(ids))
			}
		}
	}
	h.verify()
}

// TestAmendByID: PUT names the prescription by the hub's id; the order's own identity must lead there too.
func TestAmendByID(t *testing.T) {
	h := open(t)
	noID := func(drug, id string) []byte {
		return with(with(order("A-1", oldBridgeNPI, drug), `"identifier":[{"system":"urn:rx","value":"A-1"}],`, ""), `"id":"r-A-1"`, `"id":"`+id+`"`)
	}
	first := h.send(h.clinic, "m1", noID("Amoxicillin", "own-1")).Resources[0]
	second := h.send(h.clinic, "m2", order("A-2", oldBridgeNPI, "Omeprazole")).Resources[0]
	put := func(org ledger.Organization, id string, about streams.Resource, version int, body []byte) streams.Answer {
		m := message(org, id, body)
		if id == "" {
			m.ID = ""
		}
		m.Header = map[string][]string{streams.HeaderMatch: {fmt.Sprint(version)}, streams.HeaderID: {about.Rx}}
		return h.call(m)
	}
	if a := put(h.clinic, "p1", first, 1, noID("Ampicillin", first.Rx)); a.Status != 200 || a.Resources[0].Version != 2 || a.Resources[0].Rx != first.Rx {
		t.Errorf("sent back with the hub's id: %+v", a)
	}
	if a := put(h.clinic, "p2", first, 2, noID("Aspirin", "own-1")); a.Status != 200 || a.Resources[0].Version != 3 {
		t.Errorf("under the own id: %+v", a)
	}
	for name, a := range map[string]streams.Answer{
		"another prescription's identity": put(h.clinic, "p3", first, 3, order("A-2", oldBridgeNPI, "Aspirin")),
		"an unknown identity":             put(h.clinic, "p4", first, 3, order("A-7", oldBridgeNPI, "Aspirin")),
		"another clinic":                  put(h.clinic2, "p5", first, 3, noID("Aspirin", first.Rx)),
		"a prescription that is not":      put(h.clinic, "p6", streams.Resource{Rx: strings.Replace(first.Rx, first.Rx[:4], "0000", 1)}, 3, noID("Aspirin", "own-1")),
	} {
		if a.Status != 404 || a.Code != string(fault.CodeNotFound) {
			t.Errorf("%s: %+v", name, a)
		}
	}
	// without a key, the version makes another message of the same bytes
	body := order("A-2", oldBridgeNPI, "Pantoprazole")
	if a := put(h.clinic, "", second, 9, body); a.Status != 412 || a.Code != string(fault.CodeVersion) {
		t.Errorf("wrong version: %+v", a)
	}
	if a := put(h.clinic, "", second, 1, body); a.Status != 200 || a.Replayed || a.Resources[0].Version != 2 {
		t.Errorf("right version: %+v", a)
	}
	if a := put(h.clinic, "", second, 1, body); a.Status != 200 || !a.Replayed {
		t.Errorf("again: %+v", a)
	}
	if a := put(h.clinic, "hold", second, 1, withStatus(body, "on-hold")); a.Status != 412 {
		t.Errorf("hold of an old version: %+v", a)
	}
	if a := put(h.clinic, "hold2", second, 2, withStatus(body, "on-hold")); a.Status != 200 || a.Resources[0].State != "on-hold" {
		t.Errorf("hold: %+v", a)
	}
	if a := put(h.clinic, "resume", second, 3, body); a.Status != 200 || a.Resources[0].State != "ready" {
		t.Errorf("resume by PUT: %+v", a)
	}
	h.verify()
}
