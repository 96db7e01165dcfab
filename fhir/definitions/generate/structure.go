package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// structure is what is read of a StructureDefinition.
type structure struct {
	Type           string
	Kind           string
	Derivation     string
	BaseDefinition string
	FHIRVersion    string
	Snapshot       struct{ Element []element }
}

type element struct {
	Path string
	Min  int
	Max  string
	Base struct{ Path string }
	Type []struct {
		Code          string
		Profile       []string
		TargetProfile []string
		Extension     []struct{ URL, ValueURL string }
	}
	ContentReference string
	Constraint       []struct{ Key, Severity string }
	Binding          *struct{ Strength, ValueSet string }
}

// structures reads the types themselves from a Bundle; profiles of types are left out.
func structures(bundle []byte) ([]structure, error) {
	var all []structure
	err := resourcesOf(bundle, func(raw json.RawMessage) error {
		var kind struct{ ResourceType string }
		if err := json.Unmarshal(raw, &kind); err != nil || kind.ResourceType != "StructureDefinition" {
			return err
		}
		var s structure
		if err := json.Unmarshal(raw, &s); err != nil {
			return err
		}
		wanted := (s.Kind == "resource" || s.Kind == "complex-type") && s.Derivation != "constraint"
		if wanted {
			all = append(all, s)
		}
		return nil
	})
	return all, err
}

// profiledTypes are data types of R4 that are written as profiles of Quantity or Element types but have
// names of their own.
func profiledTypes() []string { return []string{"Age", "Count", "Distance", "Duration"} }

// simpleQuantity is the one profile that R4's own elements name as their type. Properties of a choice are
// called after the type below it: doseQuantity.
const simpleQuantity = "SimpleQuantity < Quantity = qty-3,sqty-1\n"

// table writes all types, a parent before its children.
func table(types []structure, sets *valueSets) (string, error) {
	byName := map[string]structure{}
	var names []string
	for _, t := range types {
		if _, twice := byName[t.Type]; !twice {
			byName[t.Type] = t
			names = append(names, t.Type)
		}
	}
	slices.Sort(names)
	names = append([]string{"Element", "BackboneElement", "Resource", "DomainResource"}, names...)
	var b strings.Builder
	done := map[string]bool{}
	var write func(name string) error
	write = func(name string) error {
		t, ok := byName[name]
		if done[name] || !ok {
			return nil
		}
		done[name] = true
		if err := write(parent(t)); err != nil {
			return err
		}
		return writeType(&b, t, sets)
	}
	for _, name := range names {
		if err := write(name); err != nil {
			return "", err
		}
	}
	for _, name := range profiledTypes() {
		if !done[name] {
			fmt.Fprintf(&b, "%s < Quantity = %s\n", name, map[string]string{"Age": "age-1", "Count": "cnt-3", "Distance": "dis-1", "Duration": "drt-1"}[name])
		}
	}
	b.WriteString(simpleQuantity)
	b.WriteString(replaced)
	return b.String(), nil
}

func parent(t structure) string {
	return t.BaseDefinition[strings.LastIndexByte(t.BaseDefinition, '/')+1:]
}

// writeType writes a type and the types of its elements.
func writeType(b *strings.Builder, t structure, sets *valueSets) error {
	elements := t.Snapshot.Element
	for i := range elements {
		e := &elements[i]
		if i > 0 && !hasChildren(elements, i) || foreign(e.Path) {
			continue
		}
		base := ""
		if i == 0 {
			base = parent(t)
		} else {
			base = e.Type[0].Code
		}
		fmt.Fprint(b, e.Path)
		if base != "" && base != "Base" {
			fmt.Fprintf(b, " < %s", base)
		}
		writeConstraints(b, e)
		b.WriteByte('\n')
		for j := range elements {
			child := &elements[j]
			if dir, name, ok := cutLast(child.Path); ok && dir == e.Path && own(child) && (!foreign(child.Path) || child.Path == "EvidenceVariable.characteristic") {
				if err := writeElement(b, name, child, hasChildren(elements, j), sets); err != nil {
					return fmt.Errorf("%s: %w", child.Path, err)
				}
			}
		}
	}
	return nil
}

// own: not inherited.
func own(e *element) bool { return e.Base.Path == "" || e.Base.Path == e.Path }

func cutLast(path string) (dir, name string, ok bool) {
	i := strings.LastIndexByte(path, '.')
	if i < 0 {
		return "", path, false
	}
	return path[:i], path[i+1:], true
}

func hasChildren(all []element, i int) bool {
	for _, e := range all {
		if dir, _, ok := cutLast(e.Path); ok && dir == all[i].Path {
			return true
		}
	}
	return false
}

func writeElement(b *strings.Builder, name string, e *element, inner bool, sets *valueSets) error {
	card := map[bool]map[bool]string{false: {false: "?", true: "!"}, true: {false: "*", true: "+"}}[e.Max != "1"][e.Min > 0]
	if e.Max == "0" {
		return nil
	}
	types, err := typesOf(e, inner)
	if err != nil {
		return err
	}
	fmt.Fprintf(b, "  %s %s %s", name, types, card)
	if e.Binding != nil && e.Binding.Strength == "required" {
		if codes := sets.codes(e.Binding.ValueSet, types); codes != "" {
			fmt.Fprintf(b, " : %s", codes)
		}
	}
	if !inner {
		writeConstraints(b, e)
	}
	b.WriteByte('\n')
	return nil
}

func typesOf(e *element, inner bool) (string, error) {
	switch {
	case e.ContentReference != "":
		return strings.TrimPrefix(e.ContentReference[strings.IndexByte(e.ContentReference, '#'):], "#"), nil
	case inner:
		return ".", nil
	case len(e.Type) == 0:
		return "", fmt.Errorf("no type")
	}
	var all []string
	for _, t := range e.Type {
		code := t.Code
		if strings.HasPrefix(code, "http://hl7.org/fhirpath/System.") { // the value of a primitive, and ids
			code = "string"
			for _, x := range t.Extension {
				if strings.HasSuffix(x.URL, "structuredefinition-fhir-type") && x.ValueURL != "" {
					code = x.ValueURL
				}
			}
		}
		if code == "Reference" && len(t.TargetProfile) > 0 {
			var targets []string
			for _, p := range t.TargetProfile {
				targets = append(targets, p[strings.LastIndexByte(p, '/')+1:])
			}
			slices.Sort(targets)
			if !slices.Contains(targets, "Resource") {
				code += "(" + strings.Join(slices.Compact(targets), "+") + ")"
			}
		}
		if code == "Quantity" && slices.Contains(t.Profile, "http://hl7.org/fhir/StructureDefinition/SimpleQuantity") {
			code = "SimpleQuantity"
		}
		switch e.Path {
		case "Resource.id":
			code = "id"
		case "Bundle.entry.response.outcome":
			code = "Resource" // the package narrows it
		}
		all = append(all, code)
	}
	return strings.Join(all, "|"), nil
}

// writeConstraints lists the error-level constraints that an element states itself. Those of every
// element and every extension are known anyway.
func writeConstraints(b *strings.Builder, e *element) {
	var keys []string
	for _, c := range e.Constraint {
		if c.Severity == "error" && c.Key != "ele-1" && c.Key != "ext-1" {
			keys = append(keys, c.Key)
		}
	}
	if len(keys) > 0 {
		slices.Sort(keys)
		fmt.Fprintf(b, " = %s", strings.Join(slices.Compact(keys), ","))
	}
}
