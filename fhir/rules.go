package fhir

import "strings"

// rule is one constraint of the specification, under its own key. Exactly one of holds and judge is set.
type rule struct {
	key, text string
	when      []string                         // of a type's rule: it holds when none of these elements is there; nil = whatever is there
	unless    []string                         // likewise: it holds when one of these is there
	holds     func(element) bool               // false: broken at the element
	judge     func(*validator, element, *rule) // reports by itself, where one element has several faults
}

const ucum = "http://unitsofmeasure.org"

// rules are the error-level constraints that are judged, by key; a type before the key where R4 uses one
// key twice. ele-1, ext-1 and ref-1 are judged where elements, extensions and references are.
func rules() map[string]*rule {
	all := map[string]*rule{}
	add := func(name, text string, holds func(element) bool, when ...string) *rule {
		key := name[strings.LastIndexByte(name, ' ')+1:]
		all[name] = &rule{key: key, text: text, holds: holds, when: when}
		return all[name]
	}
	quantityRules(add)
	timingRules(add)
	dataTypeRules(add)
	resourceRules(add)
	bundleRules(add)
	for _, r := range []*rule{
		{key: "dom-2", when: []string{"contained"}, text: "A contained resource contains no other resources.", judge: (*validator).containedAlone},
		{key: "dom-3", when: []string{"contained"}, text: "A contained resource is referred to, or refers to the resource that contains it.", judge: (*validator).containedUsed},
		{key: "bdl-7", when: []string{"entry"}, text: "A fullUrl is unique in its Bundle.", judge: (*validator).fullURLs},
		{key: "txt-1", text: "The narrative is XHTML with formatting elements and attributes only.", judge: (*validator).narrative},
	} {
		all[r.key] = r
	}
	return all
}

// adder names a rule, says it in words, and gives what must hold when one of some elements is there.
type adder func(name, text string, holds func(element) bool, when ...string) *rule

// implies adds: if the first is there, so is the other. The sets of what is there answer that, but for an element
// of which it is asked alone.
func (add adder) implies(name, text, first, then string) {
	holds := func(e element) bool { return !e.has(first) || e.has(then) }
	add(name, text, holds, first).unless = []string{then}
}

// anyOf adds: one of these is there.
func (add adder) anyOf(name, text string, names ...string) {
	add(name, text, func(e element) bool { return e.hasAny(names...) }).unless = names
}

// not: not both are there.
func notBoth(a, b string) func(element) bool {
	return func(e element) bool { return !e.has(a) || !e.has(b) }
}

// has reports whether a member is there, or what stands for it: the extensions of a primitive.
func (e element) has(name string) bool {
	for m := range e.items() {
		key := m.key()
		if len(key) == len(name)+1 && key[0] == '_' {
			key = key[1:]
		}
		if string(key) == name {
			return true
		}
	}
	return false
}

func (e element) hasAny(names ...string) bool {
	for _, name := range names {
		if e.has(name) {
			return true
		}
	}
	return false
}

func (e element) hasChoice(name string) bool {
	return e.choice(name).present() || e.choice("_"+name).present()
}

// coded reports whether a CodeableConcept has one of the codes of a system.
func (e element) coded(system string, codes ...string) bool {
	for c := range e.member("coding").items() {
		if !c.member("system").is(system) {
			continue
		}
		for _, code := range codes {
			if c.member("code").is(code) {
				return true
			}
		}
	}
	return false
}

func quantityRules(add adder) {
	add.implies("qty-3", "If there is a code for the unit, there is a system.", "code", "system")
	add("sqty-1", "A simple quantity has no comparator.", func(e element) bool { return !e.has("comparator") }, "comparator")
	add("drt-1", "A duration with a code has a value, and its system is UCUM.", func(e element) bool {
		return !e.has("code") || e.has("value") && e.member("system").is(ucum)
	}, "code")
	ucumOnly := func(e element) bool {
		return (e.has("code") || !e.has("value")) && (!e.has("system") || e.member("system").is(ucum))
	}
	add("dis-1", "A distance with a value has a code, and its system is UCUM.", ucumOnly, "value", "system")
	add("age-1", "An age with a value has a code, its system is UCUM, and it is positive.", func(e element) bool {
		value := e.member("value")
		zero := decimalOf(value) != nil && decimalOf(value).Sign() <= 0
		return ucumOnly(e) && !zero
	}, "value", "system")
	add("cnt-3", "A count with a value has the code 1, its system is UCUM, and it is whole.", func(e element) bool {
		return ucumOnly(e) && (!e.has("code") || e.member("code").is("1")) && isWhole(e.member("value"))
	})
	add("rng-2", "The low end of a range is not above the high end.", func(e element) bool {
		return !exceeds(e.member("low"), e.member("high"))
	}, "low")
	add("rat-1", "A ratio has a numerator and a denominator, or neither and an extension.", func(e element) bool {
		n, d := e.has("numerator"), e.has("denominator")
		return n == d && (n || e.has("extension"))
	})
}

func timingRules(add adder) {
	add.implies("tim-1", "If there is a duration, there is its unit.", "duration", "durationUnit")
	add.implies("tim-2", "If there is a period, there is its unit.", "period", "periodUnit")
	add("tim-4", "A duration is not negative.", func(e element) bool { return !negative(e.member("duration")) }, "duration")
	add("tim-5", "A period is not negative.", func(e element) bool { return !negative(e.member("period")) }, "period")
	add.implies("tim-6", "If there is a periodMax, there is a period.", "periodMax", "period")
	add.implies("tim-7", "If there is a durationMax, there is a duration.", "durationMax", "duration")
	add.implies("tim-8", "If there is a countMax, there is a count.", "countMax", "count")
	add("tim-9", "If there is an offset, there is a when that is not a meal itself.", func(e element) bool {
		if !e.has("offset") {
			return true
		}
		for w := range e.member("when").items() {
			switch w.text() {
			case "C", "CM", "CD", "CV":
				return false
			}
		}
		return e.has("when")
	}, "offset")
	add("tim-10", "A time of day and a when exclude each other.", notBoth("timeOfDay", "when"), "when")
	add("per-1", "The start of a period is not after its end.", func(e element) bool {
		return !certainlyAfter(e.member("start"), e.member("end"))
	}, "end")
}

func dataTypeRules(add adder) {
	add.implies("cpt-2", "A contact point with a value has a system.", "value", "system")
	add.implies("att-1", "An attachment with data has a contentType.", "data", "contentType")
	add.anyOf("exp-1", "An expression has its text or a reference.", "expression", "reference")
	exactlyOne := func(e element) bool { return e.has("path") != e.has("searchParam") }
	add("drq-1", "There is either a path or a searchParam.", exactlyOne)
	add("drq-2", "There is either a path or a searchParam.", exactlyOne)
	add("trd-1", "A trigger has a timing or data, not both.", func(e element) bool { return !e.has("data") || !e.hasChoice("timing") }, "data")
	add.implies("trd-2", "A trigger has a condition only with data.", "condition", "data")
	add("trd-3", "A named event has a name, a periodic one a timing, a data event data.", func(e element) bool {
		kind := e.member("type").text()
		switch {
		case kind == "named-event":
			return e.has("name")
		case kind == "periodic":
			return e.hasChoice("timing")
		}
		return !strings.HasPrefix(kind, "data-") || e.has("data")
	})
}

func resourceRules(add adder) {
	add("mdd-1", "whenHandedOver is not before whenPrepared.", func(e element) bool {
		return !certainlyAfter(e.member("whenPrepared"), e.member("whenHandedOver"))
	}, "whenPrepared")
	add("Task inv-1", "lastModified is not before authoredOn.", func(e element) bool {
		return !certainlyAfter(e.member("authoredOn"), e.member("lastModified"))
	}, "lastModified")
	add("Parameters.parameter inv-1", "A parameter has exactly one of value, resource and part.", func(e element) bool {
		n := 0
		for _, has := range []bool{e.hasChoice("value"), e.has("resource"), e.has("part")} {
			if has {
				n++
			}
		}
		return n == 1
	})
	add.anyOf("pat-1", "A contact has details, or a reference to an organization.", "name", "telecom", "address", "organization")
	add.anyOf("org-1", "An organization has a name or an identifier.", "name", "identifier")
	notHome := func(e element) bool { return !e.member("use").is("home") }
	add("org-2", "An address of an organization is nobody's home.", notHome)
	add("org-3", "A telecom of an organization is nobody's home.", notHome)

	const allergy = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"
	const condition = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
	add("ait-1", "There is a clinicalStatus unless it was entered in error.", func(e element) bool {
		return e.has("clinicalStatus") || e.member("verificationStatus").coded(allergy, "entered-in-error")
	})
	add("ait-2", "There is no clinicalStatus when it was entered in error.", func(e element) bool {
		return !e.has("clinicalStatus") || !e.member("verificationStatus").coded(allergy, "entered-in-error")
	}, "clinicalStatus")
	add.anyOf("con-1", "A stage has a summary or an assessment.", "summary", "assessment")
	add.anyOf("con-2", "Evidence has a code or a detail.", "code", "detail")
	add("con-4", "An abated condition is inactive, resolved or in remission.", func(e element) bool {
		return !e.hasChoice("abatement") || e.member("clinicalStatus").coded(
			"http://terminology.hl7.org/CodeSystem/condition-clinical", "resolved", "remission", "inactive")
	}, "abatement")
	add("con-5", "There is no clinicalStatus when it was entered in error.", func(e element) bool {
		return !e.has("clinicalStatus") || !e.member("verificationStatus").coded(condition, "entered-in-error")
	}, "clinicalStatus")
	add("sev-1", "An entity has a name or a query, not both.", notBoth("name", "query"), "query")
	add.anyOf("ppc-1", "A consent has a policy or a policyRule.", "policy", "policyRule")
	// R4 states these with the system 'something'; by the letter no consent breaks them.
	for key, code := range map[string]string{"ppc-2": "patient-privacy", "ppc-3": "research", "ppc-4": "adr", "ppc-5": "treatment"} {
		add(key, "A consent of this scope has a patient.", func(e element) bool {
			return e.has("patient") || !e.member("scope").coded("something", code)
		})
	}
	add.anyOf("cmp-1", "A section has text, entries or sections.", "text", "entry", "section")
	add("cmp-2", "A section with entries has no emptyReason.", notBoth("emptyReason", "entry"), "emptyReason")
}
