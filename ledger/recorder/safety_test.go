package recorder_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/fhir/safety"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/recorder"
	"github.com/dosewire/dosewire/streams"
)

const (
	rxNorm   = "http://www.nlm.nih.gov/research/umls/rxnorm"
	sct      = "http://snomed.info/sct"
	atc      = "http://www.whocc.no/atc"
	textDrug = `"medicationCodeableConcept":{"text":"Amoxicillin"}`
)

// coded is an order for a coded medicine.
func coded(identifier, npi, system, code string) []byte {
	return with(order(identifier, npi, "Amoxicillin"), textDrug,
		fmt.Sprintf(`"medicationCodeableConcept":{"coding":[{"system":%q,"code":%q}],"text":"Amoxicillin"}`, system, code))
}

// mixed is an order for a medicine that has ingredients.
func mixed(identifier, npi string, ingredients ...string) []byte {
	var list []string
	for _, code := range ingredients {
		list = append(list, fmt.Sprintf(`{"itemCodeableConcept":{"coding":[{"system":%q,"code":%q}]}}`, rxNorm, code))
	}
	body := with(order(identifier, npi, "Amoxicillin"), textDrug, `"medicationReference":{"reference":"#m"}`)
	return with(body, `"contained":[`, `"contained":[{"resourceType":"Medication","id":"m","code":{"text":"a mixture"},"ingredient":[`+strings.Join(list, ",")+`]},`)
}

// allergic adds an allergy to an order.
func allergic(body []byte, system, code, more string) []byte {
	body = with(body, `"contained":[`, fmt.Sprintf(`"contained":[{"resourceType":"AllergyIntolerance","id":"a","patient":{"reference":"#p"},
 "clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical","code":"active"}]},%s
 "code":{"coding":[{"system":%q,"code":%q}]}},`, more, system, code))
	return with(body, `"requester":{`, `"supportingInformation":[{"reference":"#a"}],"requester":{`)
}

// signal is what a test looks at of a DetectedIssue.
type signal struct {
	kind, by string
	names    []string // references
	severity string
}

func (s signal) String() string {
	return fmt.Sprintf("%s %s %s %v", s.kind, s.by, s.severity, s.names)
}

// told are the signals that an organisation receives; each must be valid R4 and say nothing but itself.
func (h *hub) told(org ledger.Organization, quiet time.Duration) (all []signal) {
	h.t.Helper()
	for _, m := range h.received(org, quiet) {
		if subjectType(m) != "DetectedIssue" {
			continue
		}
		if m.Headers().Get(streams.HeaderID) == "" || m.Headers().Get(streams.HeaderIndex) == "" {
			h.t.Errorf("a signal without its prescription or entry: %v", m.Headers())
		}
		all = append(all, h.signal(m.Data()))
	}
	return all
}

func (h *hub) signal(body []byte) signal {
	h.t.Helper()
	d, err := fhir.Decode(body)
	h.must(err)
	if issues := fhir.Validate(d); len(issues) > 0 {
		h.t.Errorf("not valid: %+v\n%s", issues, body)
	}
	for _, canary := range []string{"Zsófia", "Canary", "M-1", "Amoxicillin", "Northgate", "Riverside", `"308191"`, `"723"`, h.clinic.ID.String(), h.clinic2.ID.String()} {
		if bytes.Contains(body, []byte(canary)) {
			h.t.Errorf("names %q: %s", canary, body)
		}
	}
	var i struct {
		Code     struct{ Coding []struct{ Code string } }
		Severity string
		Evidence []struct {
			Code []struct{ Coding []struct{ Code string } }
		}
		Implicated []struct{ Reference, Display string }
	}
	h.must(json.Unmarshal(body, &i))
	s := signal{kind: i.Code.Coding[0].Code, by: i.Evidence[0].Code[0].Coding[0].Code, severity: i.Severity}
	for _, p := range i.Implicated {
		if id, ok := strings.CutPrefix(p.Reference, "MedicationRequest/"); ok {
			s.names = append(s.names, id)
		} else {
			s.names = append(s.names, p.Display)
		}
	}
	return s
}

func signalled(a streams.Answer) bool {
	return bytes.Contains(a.Issues, []byte(fault.CodeSafetySignal))
}

// issued sends an order that must be recorded, and returns its prescription.
func (h *hub) issued(org ledger.Organization, id string, body []byte) (rx string, signals bool) {
	h.t.Helper()
	a := h.send(org, id, body)
	if a.Status != 201 {
		h.t.Fatalf("%s: %d %s %s", id, a.Status, a.Code, a.Issues)
	}
	return a.Resources[0].Rx, signalled(a)
}

const quiet = 300 * time.Millisecond

// TestDoubles: the clinic and the pharmacy hear of a double, and each of what it may know.
func TestDoubles(t *testing.T) {
	for name, option := range map[string]func(*hub){"sqlite": func(*hub) {}, "postgres": (*hub).onPostgres} {
		t.Run(name, func(t *testing.T) {
			h := open(t, option)
			first, any := h.issued(h.clinic, "m1", coded("A-1", oldBridgeNPI, rxNorm, "308191"))
			if any || len(h.told(h.clinic, quiet))+len(h.told(h.oldBridge, quiet)) > 0 {
				t.Error("a signal about the first one")
			}
			second, any := h.issued(h.clinic, "m2", coded("A-2", oldBridgeNPI, rxNorm, "308191"))
			if !any {
				t.Error("the clinic's answer does not say so")
			}
			third, _ := h.issued(h.clinic, "m3", coded("A-3", harbourNPI, rxNorm, "308191"))
			expect(t, "clinic", h.told(h.clinic, quiet), signal{"DUPTHPY", "code", []string{second, first}, "moderate"},
				signal{"DUPTHPY", "code", []string{third, second, first}, "moderate"})
			expect(t, "old bridge", h.told(h.oldBridge, quiet), signal{"DUPTHPY", "code", []string{second, first}, "moderate"})
			expect(t, "harbour", h.told(h.harbour, quiet), signal{"DUPTHPY", "code", []string{third}, "moderate"})
			// another medicine, another clinic's patient of the same number
			if _, any := h.issued(h.clinic, "m4", coded("A-4", oldBridgeNPI, rxNorm, "999")); any {
				t.Error("another code is no double")
			}
			if _, any := h.issued(h.clinic2, "m5", coded("A-5", oldBridgeNPI, rxNorm, "308191")); any {
				t.Error("another clinic's patient is another patient")
			}
			h.sealedSignals()
			h.verify()
		})
	}
}

// sealedSignals demands that no stored effect says what was found.
func (h *hub) sealedSignals() {
	h.t.Helper()
	effects, err := h.store.Effects(h.t.Context(), ledger.ID{}, 0, 1000)
	h.must(err)
	n := 0
	for _, e := range effects {
		if e.Type != "DetectedIssue" {
			continue
		}
		n++
		if bytes.Contains(e.Body, []byte("DUPTHPY")) || bytes.Contains(e.Body, []byte("resourceType")) {
			h.t.Error("a signal is stored in clear")
		}
		opened, err := h.keys.OpenBody(h.t.Context(), e)
		h.must(err)
		h.signal(opened.Body)
	}
	if n == 0 {
		h.t.Error("no signal is stored")
	}
}

func expect(t *testing.T, who string, got []signal, want ...signal) {
	t.Helper()
	text := func(all []signal) (out []string) {
		for _, s := range all {
			if len(s.names) > 1 {
				slices.Sort(s.names[1:])
			}
			out = append(out, s.String())
		}
		return out
	}
	if g, w := text(got), text(want); !slices.Equal(g, w) {
		t.Errorf("%s was told\n %s\nwant\n %s", who, strings.Join(g, "\n "), strings.Join(w, "\n "))
	}
}

// TestWhatIsADouble goes through what makes two orders one therapy, and what does not.
func TestWhatIsADouble(t *testing.T) {
	classes := conceptMap(t)
	h := open(t, func(h *hub) { h.config.Map = classes })
	defer func() { h.verify() }()
	patient := 0
	mine := func(body []byte, n int) []byte {
		return with(with(body, `"value":"M-1"`, fmt.Sprintf(`"value":"P-%d"`, n)), `"id":"r-`, fmt.Sprintf(`"id":"r-%d-`, n))
	}
	valid := func(body []byte, from, to time.Duration) []byte {
		at := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }
		return with(body, `"dispenseRequest":{`, `"dispenseRequest":{"validityPeriod":{"start":"`+at(from)+`","end":"`+at(to)+`"},`)
	}
	supply := func(body []byte, days int) []byte {
		return with(body, `"dispenseRequest":{`, fmt.Sprintf(`"dispenseRequest":{"expectedSupplyDuration":{"value":%d,"unit":"d","system":"http://unitsofmeasure.org","code":"d"},`, days))
	}
	day := 24 * time.Hour
	one := func(id string) []byte { return coded(id, oldBridgeNPI, rxNorm, "308191") }
	bare := func(body []byte) []byte { return with(body, `"system":"`+rxNorm+`",`, ``) }
	prior := func(body []byte, id string) []byte {
		return with(body, `"requester":{`, `"priorPrescription":{"identifier":{"system":"urn:rx","value":"`+id+`"}},"requester":{`)
	}
	status := func(s string) func(string, []byte) {
		return func(id string, body []byte) {
			if a := h.send(h.clinic, id, withStatus(body, s)); a.Status > 201 {
				t.Fatalf("%s: %+v", s, a)
			}
		}
	}
	for _, tt := range []struct {
		name          string
		first, second []byte
		between       func(id string, first []byte)
		by            string
	}{
		{"the same code", one("1"), one("2"), nil, "code"},
		{"a code without a system", bare(one("1")), bare(one("2")), nil, ""},
		{"the same code of another system", one("1"), coded("2", oldBridgeNPI, sct, "308191"), nil, ""},
		{"the same text", order("1", oldBridgeNPI, "Amoxicillin"), order("2", oldBridgeNPI, "Amoxicillin"), nil, ""},
		{"an ingredient in common", mixed("1", oldBridgeNPI, "723", "48203"), mixed("2", oldBridgeNPI, "723"), nil, "ingredient"},
		{"the ingredient as a medicine", mixed("1", oldBridgeNPI, "723", "48203"), coded("2", oldBridgeNPI, rxNorm, "723"), nil, "ingredient"},
		{"no ingredient in common", mixed("1", oldBridgeNPI, "48203"), mixed("2", oldBridgeNPI, "723"), nil, ""},
		{"a class in common by the map", coded("1", oldBridgeNPI, rxNorm, "308182"), coded("2", oldBridgeNPI, rxNorm, "308189"), nil, "map"},
		{"the class itself", coded("1", oldBridgeNPI, atc, "J01CA04"), coded("2", oldBridgeNPI, rxNorm, "308189"), nil, "map"},
		{"held by the clinic", one("1"), one("2"), status("on-hold"), ""},
		{"cancelled", one("1"), one("2"), status("cancelled"), ""},
		{"replaced", one("1"), prior(one("2"), "1-replaced"), nil, ""},
		{"one after the other", valid(one("1"), -day, 5*day), valid(one("2"), 6*day, 10*day), nil, ""},
		{"overlapping", valid(one("1"), -day, 5*day), valid(one("2"), 4*day, 10*day), nil, "code"},
		{"while the last fill lasts", supply(valid(one("1"), -day, 5*day), 30), valid(one("2"), 6*day, 10*day), nil, "code"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			patient++
			label := fmt.Sprint(patient)
			name := func(body []byte, id string) []byte {
				return with(mine(body, patient), `"value":"`+id+`"}],"status"`, `"value":"`+id+"-"+label+`"}],"status"`)
			}
			first, second := name(tt.first, "1"), name(tt.second, "2")
			if tt.name == "replaced" {
				second = with(second, "1-replaced", "1-"+label)
			}
			h.issued(h.clinic, "a"+label, first)
			if tt.between != nil {
				tt.between("b"+label, first)
			}
			_, any := h.issued(h.clinic, "c"+label, second)
			got := h.told(h.clinic, quiet)
			if any != (tt.by != "") || len(got) != len(strings.Fields(tt.by)) || any && got[0].by != tt.by {
				t.Errorf("told %v (answer says so: %v), want %q", got, any, tt.by)
			}
		})
	}
}

// conceptMap puts two products into one class.
func conceptMap(t *testing.T) *safety.Map {
	t.Helper()
	m, err := safety.ParseMap(fmt.Appendf(nil, `{"resourceType":"ConceptMap","status":"active","group":[{"source":%q,"target":%q,"element":[
 {"code":"308182","target":[{"code":"J01CA04","equivalence":"wider"}]},
 {"code":"308189","target":[{"code":"J01CA04","equivalence":"wider"}]}]}]}`, rxNorm, atc))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestAllergies: what came with the order, and counts.
func TestAllergies(t *testing.T) {
	h := open(t)
	defer func() { h.verify() }()
	rx, any := h.issued(h.clinic, "m1", allergic(mixed("A-1", oldBridgeNPI, "723"), rxNorm, "723", `"criticality":"high",`))
	if !any {
		t.Error("the answer does not say so")
	}
	expect(t, "clinic", h.told(h.clinic, quiet), signal{"ALGY", "ingredient", []string{rx, "MedicationRequest.contained[0]"}, "high"})
	expect(t, "pharmacy", h.told(h.oldBridge, quiet), signal{"ALGY", "ingredient", []string{rx, "stated in the prescriber's message"}, "high"})
	rx, _ = h.issued(h.clinic, "m2", allergic(coded("A-2", harbourNPI, rxNorm, "9"), rxNorm, "9", `"type":"intolerance",`))
	expect(t, "clinic", h.told(h.clinic, quiet), signal{"INT", "code", []string{rx, "MedicationRequest.contained[0]"}, "moderate"})
	refuted := `"verificationStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/allergyintolerance-verification","code":"refuted"}]},`
	if _, any := h.issued(h.clinic, "m3", allergic(coded("A-3", harbourNPI, rxNorm, "8"), rxNorm, "8", refuted)); any {
		t.Error("a refuted allergy counts")
	}
}

// TestSensitive: what is labelled stays inside its own clinic.
func TestSensitive(t *testing.T) {
	h := open(t)
	defer func() { h.verify() }()
	for i, label := range []string{
		`{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}`,
		`{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"V"}`,
		`{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"42CFRPart2"}`,
	} {
		code := fmt.Sprint(100 + i)
		secret := with(coded(fmt.Sprintf("S-%d", i), oldBridgeNPI, rxNorm, code), `"contained":[`, `"meta":{"security":[`+label+`]},"contained":[`)
		first, _ := h.issued(h.clinic, fmt.Sprintf("s%d", i), secret)
		second, _ := h.issued(h.clinic, fmt.Sprintf("o%d", i), coded(fmt.Sprintf("O-%d", i), oldBridgeNPI, rxNorm, code))
		expect(t, "its own clinic", h.told(h.clinic, quiet), signal{"DUPTHPY", "code", []string{second, first}, "moderate"})
		expect(t, "the pharmacy", h.told(h.oldBridge, quiet))
	}
}

// TestDoublesOfLinked: whoever has linked two organisations' records is one patient, and neither organisation
// learns of it more than that there is one.
func TestDoublesOfLinked(t *testing.T) {
	for name, option := range map[string]func(*hub){"sqlite": func(*hub) {}, "postgres": (*hub).onPostgres} {
		t.Run(name, func(t *testing.T) {
			h := open(t, option, func(h *hub) { h.config.Map = conceptMap(t) })
			defer func() { h.verify() }()
			heard := 0
			pair := func(code, more, label string, want bool) {
				t.Helper()
				heard++
				mark := func(body []byte) []byte {
					if label != "" {
						body = with(body, `"contained":[`, `"meta":{"security":[`+label+`]},"contained":[`)
					}
					return body
				}
				id := fmt.Sprintf("L%d", heard)
				first, _ := h.issued(h.clinic, "a"+id, mark(coded("A-"+id, oldBridgeNPI, rxNorm, code)))
				second, any := h.issued(h.clinic2, "b"+id, of("M-2", coded("B-"+id, harbourNPI, rxNorm, more)))
				if any != want {
					t.Errorf("%s and %s: the answer says so: %v, want %v", code, more, any, want)
				}
				var all []signal
				if want {
					by := "code"
					if code != more {
						by = "map"
					}
					all = []signal{{"DUPTHPY", by, []string{second}, "moderate"}}
				}
				for _, org := range []ledger.Organization{h.clinic2, h.harbour} {
					var got []signal
					for _, s := range h.bodies(org) {
						if bytes.Contains(s, []byte(first)) || bytes.Contains(s, []byte("A-"+id)) || bytes.Contains(s, []byte(code)) {
							t.Errorf("%s is told of the other's: %s", org.Name, s)
						}
						got = append(got, h.signal(s))
					}
					expect(t, org.Name, got, all...)
				}
				if n := len(h.told(h.clinic, quiet)) + len(h.told(h.oldBridge, quiet)); n != 0 {
					t.Errorf("%d signals to those who have nothing to do with the order", n)
				}
			}
			h.somebody(h.clinic, "M-1")
			h.somebody(h.clinic2, "M-2")
			a, _ := h.patient(h.clinic, "M-1")
			b, _ := h.patient(h.clinic2, "M-2")
			pair("code100", "code100", "", false)
			if got := h.fact(recorder.FactLink, recorder.LinkFact{Patient: a.Patient, Other: b.Patient}); got.Status != 201 {
				t.Fatalf("link: %+v", got)
			}
			pair("code101", "code101", "", true)
			pair("308182", "308189", "", true)
			// the other way round
			_, any := h.issued(h.clinic, "back", coded("back", oldBridgeNPI, rxNorm, "code101"))
			if !any {
				t.Error("nothing is said to the first clinic")
			}
			h.told(h.clinic, quiet)
			h.told(h.oldBridge, quiet)
			for i, label := range []string{
				`{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}`,
				`{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"42CFRPart2"}`,
			} {
				code := fmt.Sprint("secret", i)
				pair(code, code, label, false)
			}
			h.close() // whoever leads next knows that somebody is linked
			h.start()
			pair("code102", "code102", "", true)
			if got := h.fact(recorder.FactUnlink, recorder.UnlinkFact{Patient: a.Patient, By: recorder.ByPatient}); got.Status != 201 {
				t.Fatalf("unlink: %+v", got)
			}
			pair("code103", "code103", "", false)
		})
	}
}

// bodies are the signals that an organisation receives.
func (h *hub) bodies(org ledger.Organization) (all [][]byte) {
	h.t.Helper()
	for _, m := range h.received(org, quiet) {
		if subjectType(m) == "DetectedIssue" {
			all = append(all, m.Data())
		}
	}
	return all
}

// TestErasedSignals: with the patient all that was said of what it takes is gone: from the row, from the stored
// deliveries, and from a copy of them.
func TestErasedSignals(t *testing.T) {
	for name, option := range map[string]func(*hub){"sqlite": func(*hub) {}, "postgres": (*hub).onPostgres} {
		t.Run(name, func(t *testing.T) {
			h := open(t, option)
			ctx := t.Context()
			h.issued(h.clinic, "m1", coded("A-1", oldBridgeNPI, rxNorm, "308191"))
			rx, any := h.issued(h.clinic, "m2", allergic(coded("A-2", oldBridgeNPI, rxNorm, "308191"), rxNorm, "308191", ""))
			kept, _ := h.issued(h.clinic, "m3", of("M-2", allergic(coded("B-1", oldBridgeNPI, rxNorm, "308191"), rxNorm, "308191", "")))
			if !any {
				t.Fatal("no signal")
			}
			signals := func() (of map[string][]ledger.Effect) {
				of = map[string][]ledger.Effect{}
				effects, err := h.store.Effects(ctx, ledger.ID{}, 0, 1000)
				h.must(err)
				for _, e := range effects {
					if e.Type == "DetectedIssue" {
						of[e.Prescription.String()] = append(of[e.Prescription.String()], e)
					}
				}
				return of
			}
			copied := signals() // a backup
			if len(copied[rx]) != 4 || len(copied[kept]) != 2 {
				t.Fatalf("%d and %d signals", len(copied[rx]), len(copied[kept]))
			}
			row, err := h.store.Prescription(ctx, parse(t, rx))
			h.must(err)
			if len(row.Therapy) != ledger.TherapyToken {
				t.Fatalf("tokens: %x", row.Therapy)
			}
			h.announcedAll()
			who, _ := h.patient(h.clinic, "M-1")
			if a := h.fact(recorder.FactErase, h.eraseFact(who)); a.Status != 200 {
				t.Fatalf("erase: %+v", a)
			}
			h.finished()
			if left := signals(); len(left) != 1 || len(left[kept]) != 2 {
				t.Errorf("signals of %d prescriptions are left", len(left))
			}
			for _, e := range copied[rx] {
				if bytes.Contains(e.Body, []byte("ALGY")) || bytes.Contains(e.Body, []byte("DUPTHPY")) {
					t.Errorf("a copy can be read: %s", e.Body)
				}
				if opened, err := h.keys.OpenBody(ctx, e); !errors.Is(err, ledger.ErrErased) {
					t.Errorf("a copy can be opened: %s, %v", opened.Body, err)
				}
			}
			have, err := h.store.Load(ctx, ledger.Want{Therapies: []ledger.Taking{{Patient: who.Patient, Tokens: row.Therapy}}})
			h.must(err)
			if len(have.Prescriptions) != 0 {
				t.Errorf("%d prescriptions are found by their tokens", len(have.Prescriptions))
			}
			for _, m := range h.received(h.oldBridge, quiet) {
				if bytes.Contains(m.Data(), []byte(rx)) {
					t.Errorf("the stream has it: %s", m.Data())
				}
			}
			for _, e := range copied[kept] { // the other patient's
				opened, err := h.keys.OpenBody(ctx, e)
				h.must(err)
				h.signal(opened.Body)
			}
			h.verify()
		})
	}
}

// TestNeverBlocks: whatever goes wrong in a check, the order is recorded, and who must look is told.
func TestNeverBlocks(t *testing.T) {
	for name, broken := range map[string]func() error{
		"an error": func() error { return errors.New("broken") },
		"a panic":  func() error { panic("broken") },
	} {
		t.Run(name, func(t *testing.T) {
			on := true
			h := open(t, func(h *hub) {
				h.config.Fault = func(point string, _ uint64) error {
					if point == "safety" && on {
						return broken()
					}
					return nil
				}
			})
			a := h.send(h.clinic, "m1", coded("A-1", oldBridgeNPI, rxNorm, "1"))
			if a.Status != 201 || !bytes.Contains(a.Issues, []byte(fault.CodeSafetyUnchecked)) {
				t.Fatalf("%+v", a)
			}
			if got := h.codes(h.oldBridge, quiet); !slices.Equal(got, []string{"MedicationRequest", string(fault.CodeSafetyUnchecked)}) {
				t.Errorf("the pharmacy got %v", got)
			}
			on = false
			if _, any := h.issued(h.clinic, "m2", coded("A-2", oldBridgeNPI, rxNorm, "1")); any {
				t.Error("compared with one that was not read")
			}
			if _, any := h.issued(h.clinic, "m3", coded("A-3", oldBridgeNPI, rxNorm, "1")); !any {
				t.Error("not compared any more")
			}
			h.verify()
		})
	}
}

// TestToldLater: who gets an order later is told what was found when it was placed, and no more.
func TestToldLater(t *testing.T) {
	h := open(t)
	defer func() { h.verify() }()
	h.issued(h.clinic, "m1", coded("A-1", oldBridgeNPI, rxNorm, "1"))
	waiting := with(allergic(coded("A-2", "", rxNorm, "1"), rxNorm, "1", ""), `"performer":{"identifier":{"system":"http://hl7.org/fhir/sid/us-npi","value":""}}`, `"numberOfRepeatsAllowed":1`)
	rx, _ := h.issued(h.clinic, "m2", waiting)
	expect(t, "nobody yet", h.told(h.harbour, quiet))
	p, err := h.store.Prescription(t.Context(), parse(t, rx))
	h.must(err)
	fact, err := json.Marshal(recorder.NominationFact{Patient: p.Patient.String(), Pharmacy: h.harbour.ID.String()})
	h.must(err)
	if a := h.call(streams.Message{ID: "hub.n1", Subject: streams.FactSubject(recorder.FactNomination), Body: fact}); a.Status != 201 {
		t.Fatalf("%+v", a)
	}
	expect(t, "the pharmacy chosen", h.told(h.harbour, quiet), signal{"DUPTHPY", "code", []string{rx}, "moderate"},
		signal{"ALGY", "code", []string{rx}, "moderate"})
	if bytes.Contains(p.State, []byte("ALGY")) || bytes.Contains(p.State, []byte("DUPTHPY")) || bytes.Contains(p.State, []byte(rxNorm)) {
		t.Errorf("the state says what was found: %s", p.State)
	}
}

// TestSupply: what was handed over counts as long as it lasts, less what is early for a renewal.
func TestSupply(t *testing.T) {
	h := open(t)
	defer func() { h.verify() }()
	lasts := func(id, value string) []byte {
		return with(coded(id, oldBridgeNPI, rxNorm, value), `"dispenseRequest":{`, `"dispenseRequest":{"expectedSupplyDuration":{"value":30,"system":"http://unitsofmeasure.org","code":"d"},`)
	}
	first, _ := h.issued(h.clinic, "m1", lasts("A-1", "1"))
	if a := h.send(h.oldBridge, "d1", dispense("D-1", "completed", first)); a.Status != 201 || a.Resources[0].State != "completed" {
		t.Fatalf("%+v", a)
	}
	if _, any := h.issued(h.clinic, "m2", lasts("A-2", "1")); !any {
		t.Error("a month's supply, and nobody hears of the next order on the same day")
	}
	in := func(days int) string { return time.Now().AddDate(0, 0, days).UTC().Format(time.RFC3339) }
	third, _ := h.issued(h.clinic, "m3", lasts("A-3", "3"))
	h.send(h.oldBridge, "d3", dispense("D-3", "completed", third))
	renewal := with(lasts("A-4", "3"), `"dispenseRequest":{`, `"dispenseRequest":{"validityPeriod":{"start":"`+in(25)+`"},`)
	if _, any := h.issued(h.clinic, "m4", renewal); any {
		t.Error("a renewal in good time is called a double")
	}
}

// TestOneMessage: the items of one Bundle are compared with each other.
func TestOneMessage(t *testing.T) {
	h := open(t)
	defer func() { h.verify() }()
	a := h.send(h.clinic, "m1", fmt.Appendf(nil, `{"resourceType":"Bundle","type":"collection","entry":[{"resource":%s},{"resource":%s}]}`,
		coded("A-1", oldBridgeNPI, rxNorm, "1"), coded("A-2", oldBridgeNPI, rxNorm, "1")))
	if a.Status != 201 || len(a.Resources) != 2 {
		t.Fatalf("%+v", a)
	}
	x, y := a.Resources[0].Rx, a.Resources[1].Rx
	want := []signal{{"DUPTHPY", "code", []string{x, y}, "moderate"}, {"DUPTHPY", "code", []string{y, x}, "moderate"}}
	expect(t, "clinic", h.told(h.clinic, quiet), want...)
	expect(t, "pharmacy", h.told(h.oldBridge, quiet), want...)
}
