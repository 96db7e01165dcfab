package recorder_test

import (
	"strings"
	"testing"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
)

// dispenseFor is dispense with a subject in this system.
func dispenseFor(id, status, rx, system, value string) []byte {
	return []byte(strings.Replace(string(dispense(id, status, rx)), `"status"`,
		`"subject":{"identifier":{"system":"`+system+`","value":"`+value+`"}},"status"`, 1))
}

// TestDispenseForAnotherPatient: who names another patient in a system that the prescription uses too
// has taken the wrong prescription. What was only intended is refused; what was handed over is recorded,
// flagged, and the clinic is told.
func TestDispenseForAnotherPatient(t *testing.T) {
	h := open(t)
	rx := h.send(h.clinic, "m1", order("A-1", oldBridgeNPI, "Amoxicillin")).Resources[0].Rx
	for _, status := range []string{"preparation", "in-progress"} {
		if a := h.send(h.oldBridge, "x-"+status, dispenseFor("D-1", status, rx, "urn:mrn", "nobody")); a.Status != 422 || a.Code != string(fault.CodeOnePatient) {
			t.Errorf("%s for another: %+v", status, a)
		}
	}
	for i, ok := range [][2]string{{"urn:mrn", "M-1"}, {"urn:pharmacy", "nobody"}} {
		id := "D-ok" + ok[0]
		if a := h.send(h.oldBridge, id, dispenseFor("D-2", "preparation", rx, ok[0], ok[1])); a.Status/100 != 2 {
			t.Errorf("claim %d: %+v", i, a)
		}
	}
	h.received(h.clinic, 300*time.Millisecond)
	a := h.send(h.oldBridge, "done", dispenseFor("D-2", "completed", rx, "urn:mrn", "nobody"))
	if a.Status/100 != 2 || a.Resources[0].Code != string(fault.CodeFlagged) || a.Resources[0].State != "completed" {
		t.Errorf("hand-over: %+v", a)
	}
	if text := string(a.Issues); strings.Count(text, `"`+string(fault.CodeFlagged)+`"`) != 1 || !strings.Contains(text, "other-patient") {
		t.Errorf("flagged once, and why: %s", text)
	}
	told := false
	for _, m := range h.received(h.clinic, 300*time.Millisecond) {
		told = told || strings.Contains(string(m.Data()), string(fault.CodeFlagged))
	}
	if !told {
		t.Error("the clinic was not told")
	}
	h.verify()
}

// TestIdentifiersOfTwoPatients: one message that names two patients who are already known is recorded
// under the first, and its sender is told.
func TestIdentifiersOfTwoPatients(t *testing.T) {
	h := open(t)
	named := func(rx string, identifiers string) []byte {
		return []byte(strings.Replace(string(order(rx, oldBridgeNPI, "Amoxicillin")), `[{"system":"urn:mrn","value":"M-1"}]`, identifiers, 1))
	}
	const ada, bob = `{"system":"urn:mrn","value":"A"}`, `{"system":"urn:mrn","value":"B"}`
	warned := func(id string, body []byte) bool {
		a := h.send(h.clinic, id, body)
		if a.Status != 201 {
			t.Fatalf("%s: %+v", id, a)
		}
		return strings.Contains(string(a.Issues), `"`+string(fault.CodeAmbiguous)+`"`)
	}
	for id, ids := range map[string]string{"a": "[" + ada + "]", "b": "[" + bob + "]"} {
		if warned(id, named(id, ids)) {
			t.Errorf("%s: warned of one patient", id)
		}
	}
	if !warned("both", named("both", "["+ada+","+bob+"]")) {
		t.Error("not told of two patients")
	}
	if warned("more", named("more", "["+ada+`,{"system":"urn:ssn","value":"1"}]`)) {
		t.Error("warned of a new identifier")
	}
}
