package main

import (
	"encoding/json"
	"slices"
	"strings"
)

// valueSets expands the value sets of required bindings, where they can be expanded without a server.
type valueSets struct {
	systems map[string]codeSystem
	sets    map[string]valueSet
}

type codeSystem struct {
	URL      string
	Content  string
	Concept  []concept
	ValueSet string
}

type concept struct {
	Code    string
	Concept []concept
}

type valueSet struct {
	URL     string
	Compose struct{ Include, Exclude []include }
}

type include struct {
	System   string
	Concept  []concept
	ValueSet []string
	Filter   []struct{ Property, Op, Value string }
}

func newValueSets() *valueSets {
	return &valueSets{systems: map[string]codeSystem{}, sets: map[string]valueSet{}}
}

func (v *valueSets) add(bundle []byte) error {
	return resourcesOf(bundle, func(raw json.RawMessage) error {
		var kind struct{ ResourceType string }
		if err := json.Unmarshal(raw, &kind); err != nil {
			return err
		}
		switch kind.ResourceType {
		case "CodeSystem":
			var c codeSystem
			if err := json.Unmarshal(raw, &c); err != nil {
				return err
			}
			v.systems[c.URL] = c
		case "ValueSet":
			var s valueSet
			if err := json.Unmarshal(raw, &s); err != nil {
				return err
			}
			v.sets[s.URL] = s
		}
		return nil
	})
}

// coding is one member of an expansion.
type coding struct{ system, code string }

// formOf names the form of codes that no table can list.
func formOf(url string) string {
	switch url {
	case "http://hl7.org/fhir/ValueSet/mimetypes":
		return "~mime"
	case "http://hl7.org/fhir/ValueSet/currencies":
		return "~currency"
	case "http://hl7.org/fhir/ValueSet/ucum-units":
		return "~unit"
	}
	return ""
}

// codes writes the expansion: codes alone for an element of type code, else by system; or the form of the
// codes. "" when the set cannot be expanded.
func (v *valueSets) codes(url, typ string) string {
	url, _, _ = strings.Cut(url, "|")
	if form := formOf(url); form != "" {
		return form
	}
	all, ok := v.expand(url)
	if !ok || len(all) == 0 {
		return ""
	}
	bySystem := map[string][]string{}
	for _, c := range all {
		system := c.system
		if typ == "code" || typ == "string" || typ == "uri" {
			system = ""
		}
		bySystem[system] = append(bySystem[system], c.code)
	}
	var systems []string
	for s := range bySystem {
		systems = append(systems, s)
	}
	slices.Sort(systems)
	var parts []string
	for _, s := range systems {
		slices.Sort(bySystem[s])
		text := strings.Join(slices.Compact(bySystem[s]), "|")
		if strings.ContainsAny(text, " ;#") {
			return "" // not in our notation; no required binding of R4 has such codes
		}
		if s != "" {
			text = s + "#" + text
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ";")
}

func (v *valueSets) expand(url string) ([]coding, bool) {
	set, ok := v.sets[url]
	if !ok {
		return nil, false
	}
	excluded := map[coding]bool{}
	for _, x := range set.Compose.Exclude {
		codes, ok := v.included(x)
		if !ok {
			return nil, false
		}
		for _, c := range codes {
			excluded[c] = true
		}
	}
	var all []coding
	for _, i := range set.Compose.Include {
		codes, ok := v.included(i)
		if !ok {
			return nil, false
		}
		for _, c := range codes {
			if !excluded[c] {
				all = append(all, c)
			}
		}
	}
	return all, true
}

func (v *valueSets) included(i include) ([]coding, bool) {
	switch {
	case len(i.ValueSet) > 0:
		var all []coding
		for _, url := range i.ValueSet {
			url, _, _ = strings.Cut(url, "|")
			codes, ok := v.expand(url)
			if !ok {
				return nil, false
			}
			all = append(all, codes...)
		}
		return all, true
	case len(i.Concept) > 0:
		return flat(i.System, i.Concept), true
	}
	system, ok := v.systems[i.System]
	if !ok || len(system.Concept) == 0 {
		return nil, false
	}
	switch {
	case len(i.Filter) == 0:
		return flat(i.System, system.Concept), true
	case len(i.Filter) == 1 && i.Filter[0].Property == "concept" && i.Filter[0].Op == "is-a":
		if root, ok := find(system.Concept, i.Filter[0].Value); ok {
			return flat(i.System, []concept{root}), true
		}
	}
	return nil, false
}

func flat(system string, concepts []concept) []coding {
	var all []coding
	for _, c := range concepts {
		all = append(append(all, coding{system, c.Code}), flat(system, c.Concept)...)
	}
	return all
}

func find(concepts []concept, code string) (concept, bool) {
	for _, c := range concepts {
		if c.Code == code {
			return c, true
		}
		if found, ok := find(c.Concept, code); ok {
			return found, true
		}
	}
	return concept{}, false
}
