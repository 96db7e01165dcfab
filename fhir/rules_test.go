package fhir

import (
	"slices"
	"strings"
	"testing"

	"github.com/dosewire/dosewire/fhir/definitions"
)

// inScope are the resources that a prescription hub meets.
func inScope() []string {
	return strings.Fields(`MedicationRequest MedicationDispense Medication Patient Practitioner PractitionerRole Organization Location
		Encounter Condition AllergyIntolerance Coverage Task Provenance AuditEvent Consent RelatedPerson MessageHeader Bundle Parameters
		OperationOutcome Subscription DetectedIssue Communication MedicationStatement Composition Binary`)
}

// elsewhere are constraints that no function of the registry judges, and who does.
func elsewhere() map[string]string {
	return map[string]string{
		"ref-1": "reference, with the target's type",
		"dom-4": "containedAlone, under dom-2",
		"dom-5": "containedAlone, under dom-2",
		"txt-2": "narrative, under txt-1",
	}
}

// TestEveryConstraintIsJudged: each error-level constraint in the closure of the types in scope has a
// function. None is waived.
func TestEveryConstraintIsJudged(t *testing.T) {
	keys := map[string][]string{} // type → keys named on its lines
	current := ""
	for line := range strings.Lines(definitions.Text()) {
		fields := strings.Fields(line)
		if line[0] != ' ' {
			current = fields[0]
		}
		if i := slices.Index(fields, "="); i > 0 {
			keys[current] = append(keys[current], strings.Split(fields[i+1], ",")...)
		}
	}
	registry, judged, seen := rules(), map[string]bool{}, map[*typeDef]bool{}
	var visit func(def *typeDef)
	visit = func(def *typeDef) {
		if def == nil || seen[def] {
			return
		}
		seen[def] = true
		for _, key := range keys[def.name] {
			_, ok := registry[key]
			_, ofType := registry[def.name+" "+key]
			_, other := elsewhere()[key]
			if !ok && !ofType && !other {
				t.Errorf("%s: nobody judges %s", def.name, key)
			}
			judged[key] = true
		}
		for _, m := range def.members {
			visit(m.def)
		}
	}
	for _, name := range inScope() {
		if types()[name] == nil {
			t.Fatalf("%s is not in the table", name)
		}
		visit(types()[name])
	}
	if len(judged) < 60 {
		t.Errorf("only %d constraints in scope: %v", len(judged), judged)
	}
	for name, r := range registry {
		if !judged[r.key] {
			t.Errorf("%s is in the registry and in no type in scope", name)
		}
	}
}

// BenchmarkTypes is the price of the first validation.
func BenchmarkTypes(b *testing.B) {
	for b.Loop() {
		parseTypes(definitions.Text())
	}
}
