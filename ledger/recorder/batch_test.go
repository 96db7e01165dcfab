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
