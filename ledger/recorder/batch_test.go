package recorder_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/streams"
)

// batch is a batch Bundle with this identifier ("" for none) and these entries.
func batch(identifier string, entries ...string) []byte {
	named := ""
	if identifier != "" {
		named = `"identifier":{"system":"urn:batch","value":"` + identifier + `"},`
	}
	return fmt.Appendf(nil, `{"resourceType":"Bundle",%s"type":"batch","entry":[%s]}`, named, strings.Join(entries, ","))
}

func entryOf(body []byte) string {
	return `{"resource":` + string(body) + `,"request":{"method":"POST","url":"MedicationRequest"}}`
}

func TestMessageIDOfABatch(t *testing.T) {
	h := open(t)
	one, two := entryOf(order("A-1", oldBridgeNPI, "Amoxicillin")), entryOf(order("A-2", oldBridgeNPI, "Omeprazole"))
	for name, id := range map[string]string{
		"foreign prefix": h.clinic2.ID.String() + ".x", "too long": h.clinic.ID.String() + "." + strings.Repeat("x", 5000),
	} {
		for _, entries := range [][]string{{one}, {one, two}} {
			m := message(h.clinic, "", batch("", entries...))
			m.ID = id
			if a := h.call(m); a.Status != 400 || a.Code != string(fault.CodeMessageID) {
				t.Errorf("%s, %d entries: %+v", name, len(entries), a)
			}
		}
	}
}

// TestBundleIdentifierNamesABatch: without a message id, the same Bundle.identifier is the same message.
func TestBundleIdentifierNamesABatch(t *testing.T) {
	h := open(t)
	send := func(body []byte) streams.Answer {
		m := message(h.clinic, "", body)
		m.ID = ""
		return h.call(m)
	}
	for i, entries := range [][2][]string{
		{{entryOf(order("A-1", oldBridgeNPI, "Amoxicillin"))}, {entryOf(order("A-2", oldBridgeNPI, "Omeprazole"))}},
		{{entryOf(order("B-1", oldBridgeNPI, "Amoxicillin")), entryOf(order("B-2", oldBridgeNPI, "Amoxicillin"))},
			{entryOf(order("B-3", oldBridgeNPI, "Omeprazole")), entryOf(order("B-4", oldBridgeNPI, "Omeprazole"))}},
	} {
		id := fmt.Sprint("b", i)
		codes := func(a streams.Answer) (all []string) {
			if len(entries[0]) == 1 {
				return []string{a.Code}
			}
			for _, r := range a.Resources {
				all = append(all, r.Code)
			}
			return all
		}
		if a := send(batch(id, entries[0]...)); a.Status/100 != 2 || a.Replayed {
			t.Fatalf("first: %+v", a)
		}
		if a := send(batch(id, entries[0]...)); !a.Replayed {
			t.Errorf("again: %+v", a)
		}
		for _, code := range codes(send(batch(id, entries[1]...))) {
			if code != string(fault.CodeIDReused) {
				t.Errorf("other entries under the same identifier: %q, want %s", code, fault.CodeIDReused)
			}
		}
	}
	h.verify()
}

// TestBatchEntriesThatAreNoPosts: each is refused at its place, and the others are recorded.
func TestBatchEntriesThatAreNoPosts(t *testing.T) {
	h := open(t)
	a := h.send(h.clinic, "b1", batch("", `{"request":{"method":"POST","url":"MedicationRequest"}}`,
		`{"request":{"method":"DELETE","url":"MedicationRequest/1"}}`, entryOf(order("A-1", oldBridgeNPI, "Amoxicillin"))))
	if len(a.Resources) != 3 || a.Resources[2].Status != 201 {
		t.Fatalf("%+v", a)
	}
	for i, want := range []fault.Code{fault.CodeRequired, fault.CodeNotServed} {
		if got := a.Resources[i].Code; got != string(want) {
			t.Errorf("entry %d: %q, want %s", i, got, want)
		}
	}
	for _, place := range []string{"Bundle.entry[0].resource", "Bundle.entry[1].request.method"} {
		if !strings.Contains(string(a.Issues), `"`+place+`"`) {
			t.Errorf("%s is not named in %s", place, a.Issues)
		}
	}
}

// TestIssuesOfABatchAreCounted: what is said of one entry is never taken for another's.
func TestIssuesOfABatchAreCounted(t *testing.T) {
	h := open(t)
	bare := with(order("A-1", oldBridgeNPI, "Amoxicillin"), `"dosageInstruction":[{"text":"once daily"}],`, "")
	a := h.send(h.clinic, "b1", batch("", entryOf(bare), entryOf(with(order("A-2", oldBridgeNPI, "X"), `"active"`, `"draft"`)), entryOf(order("A-3", oldBridgeNPI, "Omeprazole"))))
	var got []int
	for _, r := range a.Resources {
		got = append(got, r.Issues)
	}
	if fmt.Sprint(got) != "[2 1 1]" { // RX_NO_DOSAGE and RX_RECORDED; RX_STATUS; RX_RECORDED
		t.Errorf("issues of the entries: %v of %s", got, a.Issues)
	}
	if h.send(h.clinic, "b1", batch("", entryOf(bare), entryOf(with(order("A-2", oldBridgeNPI, "X"), `"active"`, `"draft"`)), entryOf(order("A-3", oldBridgeNPI, "Omeprazole")))).Resources[0].Issues != 2 {
		t.Error("said again: not counted")
	}
}

// TestRefusedTransactionClaimsNothing: where one item is refused, no other is called recorded.
func TestRefusedTransactionClaimsNothing(t *testing.T) {
	h := open(t)
	held := order("A-1", oldBridgeNPI, "Amoxicillin")
	first := h.send(h.clinic, "m1", held).Resources[0].Rx
	second := h.send(h.clinic, "m2", order("A-2", oldBridgeNPI, "Omeprazole")).Resources[0].Rx
	h.send(h.clinic, "m3", withStatus(held, "on-hold"))
	body := fmt.Appendf(nil, `{"resourceType":"Bundle","type":"collection","entry":[{"resource":%s},{"resource":%s}]}`,
		dispense("D-1", "preparation", first), dispense("D-2", "completed", second))
	a := h.send(h.oldBridge, "d1", body)
	if a.Status != 409 || a.Code != string(fault.CodeOnHold) || strings.Contains(string(a.Issues), string(fault.CodeRecorded)) {
		t.Errorf("%+v %s", a, a.Issues)
	}
	if a := h.send(h.oldBridge, "d2", dispense("D-2", "completed", second)); a.Status != 201 {
		t.Errorf("the hand-over alone: %+v", a)
	}
	h.verify()
}
