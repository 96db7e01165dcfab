package fhir

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	models "github.com/samply/golang-fhir-models/fhir-models/fhir"
)

// TestDefinitions compares the table with models that others generated from HL7's definitions: the
// same properties, repeating or not, required or not, of the same kind.
func TestDefinitions(t *testing.T) {
	compared := 0
	for name, model := range map[string]any{
		"MedicationRequest": models.MedicationRequest{}, "MedicationDispense": models.MedicationDispense{},
		"Medication": models.Medication{}, "Patient": models.Patient{}, "Practitioner": models.Practitioner{},
		"PractitionerRole": models.PractitionerRole{}, "Organization": models.Organization{},
		"MessageHeader": models.MessageHeader{}, "Bundle": models.Bundle{}, "Composition": models.Composition{},
		"OperationOutcome": models.OperationOutcome{},
		"DataRequirement":  models.DataRequirement{}, "TriggerDefinition": models.TriggerDefinition{},
		"RelatedArtifact": models.RelatedArtifact{}, "UsageContext": models.UsageContext{},
		"Contributor": models.Contributor{}, "ParameterDefinition": models.ParameterDefinition{},
		"Expression": models.Expression{}, "SampledData": models.SampledData{}, "Signature": models.Signature{},
		"Dosage": models.Dosage{}, "Timing": models.Timing{}, "Extension": models.Extension{},
	} {
		compared += compare(t, types()[name], reflect.TypeOf(model), map[string]bool{})
	}
	if compared < 600 {
		t.Errorf("only %d properties were compared", compared)
	}
}

// compare walks a type and those of its elements.
func compare(t *testing.T, def *typeDef, model reflect.Type, seen map[string]bool) (compared int) {
	if def == nil || seen[def.name] {
		return 0
	}
	seen[def.name] = true
	known := map[string]bool{}
	for i := range model.NumField() {
		field := model.Field(i)
		property, rest, _ := strings.Cut(field.Tag.Get("json"), ",")
		known[property] = true
		m, ok := def.member(property)
		if !ok {
			t.Errorf("%s.%s is not in the table", def.name, property)
			continue
		}
		compared++
		e := def.elements[m.element]
		typ := field.Type
		many := typ.Kind() == reflect.Slice && typ != reflect.TypeFor[json.RawMessage]()
		if many != e.many {
			t.Errorf("%s.%s repeats: %t here, %t there", def.name, property, e.many, many)
		}
		required := def.required&(1<<m.element) != 0
		if !e.choice && required == strings.Contains(rest, "omitempty") {
			t.Errorf("%s.%s required: %t here, %q there", def.name, property, required, rest)
		}
		for typ.Kind() == reflect.Pointer || many && typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		compareKind(t, def.name+"."+property, m, typ)
		if m.def != nil && typ.Kind() == reflect.Struct {
			compared += compare(t, m.def, typ, seen)
		}
	}
	for _, m := range def.members {
		property := m.name
		// the models know neither contained resources nor all types of an extension
		if !known[property] && property != "contained" && !strings.HasPrefix(property, "value") {
			t.Errorf("%s.%s is not in R4", def.name, property)
		}
	}
	return compared
}

// compareKind: a simple type is no struct, and a code with a required set is an enum there, or a
// string where R4's set spans several systems.
func compareKind(t *testing.T, path string, m member, typ reflect.Type) {
	t.Helper()
	var want []reflect.Kind
	switch {
	case m.def != nil:
		want = []reflect.Kind{reflect.Struct}
	case m.resource():
		want = []reflect.Kind{reflect.Slice} // raw
	case m.primitive == pBoolean:
		want = []reflect.Kind{reflect.Bool}
	case m.primitive == pCode:
		want = []reflect.Kind{reflect.String, reflect.Int}
	case m.primitive.form() == number:
		want = []reflect.Kind{reflect.Int, reflect.String} // json.Number is a string
	default:
		want = []reflect.Kind{reflect.String}
	}
	for _, k := range want {
		if typ.Kind() == k {
			return
		}
	}
	t.Errorf("%s is %s there", path, typ)
}

// TestDefinitionsFit: the table is whole, and its sets of elements fit a word.
func TestDefinitionsFit(t *testing.T) {
	for name, def := range types() {
		if len(def.elements) > 64 {
			t.Errorf("%s has %d elements", name, len(def.elements))
		}
		for _, m := range def.members {
			if m.primitive == noPrimitive && m.def == nil && !isResourceSlot(name, m.name) {
				t.Errorf("%s.%s has a type that is not in the table", name, m.name)
			}
		}
	}
}

func isResourceSlot(typ, property string) bool {
	return property == "contained" || property == "resource" && (typ == "Bundle.entry" || typ == "Parameters.parameter") ||
		typ == "Bundle.entry.response" && property == "outcome"
}
