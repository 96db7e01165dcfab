package fhir_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dosewire/dosewire/fhir"
)

// TestMutations breaks each of our own resources in every way that applies to it. Each original is accepted,
// and of the mutants at least 98 in 100 are refused. Those that are not stand in testdata/survivors.txt with
// the reason, and no others survive.
func TestMutations(t *testing.T) {
	files, err := filepath.Glob("testdata/resources/*.json")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d resources, %v", len(files), err)
	}
	used, total := map[string]int{}, 0
	var alive []string
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		if issues := judge(source); len(issues) > 0 {
			t.Errorf("%s is refused: %s %s", name, issues[0].ID, issues[0].Expression)
			continue
		}
		for _, o := range operators() {
			mutant := o.apply(source)
			if mutant == nil || bytes.Equal(mutant, source) {
				continue
			}
			used[o.name]++
			total++
			if len(judge(mutant)) == 0 {
				alive = append(alive, o.name+" | "+name)
			}
		}
	}
	slices.Sort(alive)
	explained, err := os.ReadFile("testdata/survivors.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range alive {
		if !strings.Contains(string(explained), a+": ") {
			t.Errorf("survives unexplained: %s", a)
		}
	}
	for _, o := range operators() {
		if used[o.name] == 0 {
			t.Errorf("%s applied to nothing", o.name)
		}
	}
	refused := total - len(alive)
	t.Logf("%d operators, %d resources, %d mutants, %d refused (%.2f %%)", len(operators()), len(files), total, refused, 100*float64(refused)/float64(total))
	if refused*100 < total*98 {
		t.Errorf("%d of %d refused, want 98 of 100", refused, total)
	}
}

// judge is what decoding and validation say.
func judge(body []byte) []fhir.Issue {
	d, err := fhir.Decode(body)
	if err != nil {
		return []fhir.Issue{fhir.IssueOf(err)}
	}
	return fhir.Validate(d)
}

// operator breaks a resource; apply is nil when there is nothing of the kind to break.
type operator struct {
	name  string
	apply func(source []byte) []byte
}

// object and list are JSON values; site is a member of one.
type (
	jsonObject = map[string]any
	site       struct {
		parent jsonObject
		key    string
	}
)

// sites are the members with a name, in a fixed order; "" is any name.
func sites(root any, key string) (found []site) {
	switch v := root.(type) {
	case jsonObject:
		for _, k := range slices.Sorted(mapKeys(v)) {
			if k == key || key == "" && k != "resourceType" && k != "div" && k[0] != '_' {
				found = append(found, site{v, k})
			}
			found = append(found, sites(v[k], key)...)
		}
	case []any:
		for _, item := range v {
			found = append(found, sites(item, key)...)
		}
	}
	return found
}

func mapKeys(m jsonObject) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// tree makes an operator that changes the decoded resource; change says whether it did.
func tree(name string, change func(root jsonObject) bool) operator {
	return operator{name, func(source []byte) []byte {
		d := json.NewDecoder(bytes.NewReader(source))
		d.UseNumber()
		var root jsonObject
		if d.Decode(&root) != nil || !change(root) {
			return nil
		}
		out, err := json.Marshal(root)
		if err != nil {
			return nil
		}
		return out
	}}
}

// dangling gives the first reference of that name in the first resource of such a Bundle another target.
func dangling(name, bundle, member, reference string) operator {
	return tree(name, func(r jsonObject) bool {
		entries, ok := r["entry"].([]any)
		if !ok || r["type"] != bundle {
			return false
		}
		for _, s := range sites(entries[0].(jsonObject)["resource"], member) {
			switch v := s.parent[s.key].(type) {
			case jsonObject:
				v["reference"] = reference
			case []any:
				v[0].(jsonObject)["reference"] = reference
			}
			return true
		}
		return false
	})
}

// set gives the first member of one of these names another value.
func set(name string, value any, keys ...string) operator {
	return tree(name, func(root jsonObject) bool {
		for _, key := range keys {
			for _, s := range sites(root, key) {
				if _, composite := s.parent[s.key].(jsonObject); composite {
					continue
				}
				s.parent[s.key] = value
				return true
			}
		}
		return false
	})
}

// without takes away the first member of one of these names where another one is beside it.
func without(name, key, beside string) operator {
	return tree(name, func(root jsonObject) bool {
		for _, s := range sites(root, key) {
			if _, ok := s.parent[beside]; ok || beside == "" {
				delete(s.parent, key)
				return true
			}
		}
		return false
	})
}

// inside changes the first object under one of these names.
func inside(name string, change func(jsonObject) bool, keys ...string) operator {
	return tree(name, func(root jsonObject) bool {
		for _, key := range keys {
			for _, s := range sites(root, key) {
				switch v := s.parent[s.key].(type) {
				case jsonObject:
					if change(v) {
						return true
					}
				case []any:
					if o, ok := v[0].(jsonObject); ok && change(o) {
						return true
					}
				}
			}
		}
		return false
	})
}

// valued changes the first member whose value is of a kind.
func valued(name string, is func(any) bool, to func(any) any) operator {
	return tree(name, func(root jsonObject) bool {
		for _, s := range sites(root, "") {
			if is(s.parent[s.key]) {
				s.parent[s.key] = to(s.parent[s.key])
				return true
			}
		}
		return false
	})
}

// text makes an operator on the bytes.
func text(name string, change func(string) string) operator {
	return operator{name, func(source []byte) []byte {
		out := change(string(source))
		if out == string(source) {
			return nil
		}
		return []byte(out)
	}}
}

func isString(v any) bool  { _, ok := v.(string); return ok }
func isObject(v any) bool  { _, ok := v.(jsonObject); return ok }
func isArray(v any) bool   { _, ok := v.([]any); return ok }
func isBoolean(v any) bool { _, ok := v.(bool); return ok }
func isNumber(v any) bool  { _, ok := v.(json.Number); return ok }

func to(v any) func(any) any { return func(any) any { return v } }

func extended(o jsonObject, url string, value jsonObject) bool {
	list, _ := o["extension"].([]any)
	value["url"] = url
	o["extension"] = append(list, value)
	return true
}

func operators() []operator {
	return slices.Concat(structures(), encodings(), primitiveFaults(), codeFaults(), referenceFaults(), invariantFaults(), narrativeFaults())
}

func structures() []operator {
	return []operator{
		tree("unknown element", func(r jsonObject) bool { r["colour"] = "red"; return true }),
		inside("unknown element inside", func(o jsonObject) bool { o["colour"] = "red"; return true }, "identifier", "meta", "entry", "parameter", "issue", "contact", "period", "source"),
		tree("element in another case", func(r jsonObject) bool {
			for _, s := range sites(r, "") {
				up := strings.ToUpper(s.key[:1]) + s.key[1:]
				s.parent[up] = s.parent[s.key]
				delete(s.parent, s.key)
				return true
			}
			return false
		}),
		without("no resourceType", "resourceType", ""),
		tree("unknown resourceType", func(r jsonObject) bool { r["resourceType"] = "Recipe"; return true }),
		tree("resourceType in another case", func(r jsonObject) bool { r["resourceType"] = strings.ToLower(r["resourceType"].(string)); return true }),
		tree("resourceType a number", func(r jsonObject) bool { r["resourceType"] = 1; return true }),
		tree("abstract resourceType", func(r jsonObject) bool { r["resourceType"] = "DomainResource"; return true }),
		valued("one value where several may be", isArray, func(v any) any { return v.([]any)[0] }),
		valued("several values where one may be", isObject, func(v any) any { return []any{v} }),
		valued("a text in an array", isString, func(v any) any { return []any{v} }),
		valued("empty array", isArray, to([]any{})),
		valued("empty object", isObject, to(jsonObject{})),
		valued("null", isString, to(nil)),
		valued("null for an object", isObject, to(nil)),
		valued("null in an array", isArray, func(v any) any { return append(v.([]any), nil) }),
		valued("array in an array", isArray, func(v any) any { return []any{v} }),
		valued("text for an object", isObject, to("x")),
		valued("object for a text", isString, to(jsonObject{"value": "x"})),
		valued("number for a text", isString, to(json.Number("1"))),
		valued("text for a boolean", isBoolean, func(v any) any { return fmt.Sprint(v) }),
		valued("text for a number", isNumber, func(v any) any { return string(v.(json.Number)) }),
		valued("number for a boolean", isBoolean, to(json.Number("1"))),
		tree("extension of a primitive beside an object", func(r jsonObject) bool {
			for _, s := range sites(r, "") {
				if isObject(s.parent[s.key]) {
					s.parent["_"+s.key] = jsonObject{"id": "x"}
					return true
				}
			}
			return false
		}),
		tree("empty extension of a primitive", func(r jsonObject) bool {
			for _, s := range sites(r, "") {
				if isString(s.parent[s.key]) {
					s.parent["_"+s.key] = jsonObject{}
					return true
				}
			}
			return false
		}),
		tree("choice of a type it has not", func(r jsonObject) bool {
			for _, key := range []string{"medicationReference", "medicationCodeableConcept", "valueString", "valueBoolean", "onsetDateTime", "occurredDateTime", "contentString", "eventCoding", "effectivePeriod", "deceasedBoolean", "identifiedDateTime"} {
				for _, s := range sites(r, key) {
					s.parent[strings.TrimRight(key, "abcdefghijklmnopqrstuvwxyz")+"Nothing"] = s.parent[key]
					delete(s.parent, key)
					return true
				}
			}
			return false
		}),
		tree("choice twice", func(r jsonObject) bool {
			for key, other := range map[string]string{"medicationReference": "medicationCodeableConcept", "medicationCodeableConcept": "medicationReference",
				"valueBoolean": "valueString", "valueString": "valueBoolean", "deceasedBoolean": "deceasedDateTime", "effectivePeriod": "effectiveDateTime", "eventCoding": "eventUri"} {
				for _, s := range sites(r, key) {
					s.parent[other] = map[string]any{"medicationCodeableConcept": jsonObject{"text": "x"}, "medicationReference": jsonObject{"reference": "Medication/x"},
						"valueString": "x", "valueBoolean": true, "deceasedDateTime": "2026", "effectiveDateTime": "2026", "eventUri": "urn:x:y"}[other]
					return true
				}
			}
			return false
		}),
		inside("modifierExtension", func(o jsonObject) bool {
			o["modifierExtension"] = []any{jsonObject{"url": "https://a.example/not", "valueBoolean": true}}
			return true
		}, "entry", "contact", "issue", "parameter", "agent", "section", "dosageInstruction", "provision", "ingredient"),
	}
}

func encodings() []operator {
	first := func(s, old, new string) string { return strings.Replace(s, old, new, 1) }
	return []operator{
		text("name twice", func(s string) string { return first(s, `"resourceType"`, `"id":"x","id":"x","resourceType"`) }),
		text("name twice by an escape", func(s string) string { return first(s, `"id"`, `"\u0069d":"x","id"`) }),
		text("trailing data", func(s string) string { return s + "{}" }),
		text("cut off", func(s string) string { return strings.TrimSpace(s)[:len(strings.TrimSpace(s))-1] }),
		text("trailing comma", func(s string) string { return strings.TrimSuffix(strings.TrimSpace(s), "}") + ",}" }),
		text("comment", func(s string) string { return first(s, "{", "{/* x */") }),
		text("single quotes", func(s string) string { return first(s, `"resourceType"`, `'resourceType'`) }),
		text("not a number", func(s string) string { return first(s, "{", `{"a":NaN,`) }),
		text("leading zero", func(s string) string { return first(s, "{", `{"a":01,`) }),
		text("plus sign", func(s string) string { return first(s, "{", `{"a":+1,`) }),
		text("byte order mark", func(s string) string { return "\ufeff" + s }),
		text("bad UTF-8", func(s string) string { return first(s, `"id": "`, "\"id\": \"\xff") }),
		text("lone surrogate", func(s string) string { return first(s, `"id": "`, `"id": "\ud800`) }),
		text("control character", func(s string) string { return first(s, `"id": "`, "\"id\": \"\x01") }),
		text("bad escape", func(s string) string { return first(s, `"id": "`, `"id": "\x`) }),
		text("an array around it", func(s string) string { return "[" + s + "]" }),
		text("nested too deep", func(s string) string {
			return first(s, "{", `{"extension":`+strings.Repeat(`[{"url":"u:x","extension":`, 80)+`[]`+strings.Repeat(`}]`, 80)+`,`)
		}),
	}
}

func primitiveFaults() []operator {
	dates := []string{"birthDate", "authoredOn", "recordedDate", "expirationDate", "date", "dateTime", "dateAsserted", "start", "occurredDateTime"}
	instants := []string{"lastUpdated", "recorded", "timestamp", "sent", "authoredOn", "whenPrepared", "end", "valueDateTime"}
	return []operator{
		set("empty text", "", "id", "text", "value", "title", "name"),
		inside("element's id with a space", func(o jsonObject) bool { o["id"] = "a b"; return true }, "period", "meta", "identifier", "name", "subject", "code"),
		inside("element's id twice", func(o jsonObject) bool {
			o["id"] = "a"
			return o["value"] != nil && extended(o, "https://a.example/x", jsonObject{"valueCode": "x", "id": "a"})
		}, "identifier", "telecom"),
		inside("extension of an element's id", func(o jsonObject) bool {
			o["_id"] = jsonObject{"extension": []any{jsonObject{"url": "https://a.example/x", "valueCode": "x"}}}
			return true
		}, "period", "meta", "identifier", "name", "subject", "code"),
		tree("extension of an extension's url", func(r jsonObject) bool {
			value := jsonObject{"valueCode": "x", "_url": jsonObject{"id": "a"}}
			return r["text"] != nil && extended(r, "https://a.example/x", value)
		}),
		tree("extensions that are all null", func(r jsonObject) bool {
			for _, s := range sites(r, "") {
				if list, ok := s.parent[s.key].([]any); ok && isString(list[0]) {
					s.parent["_"+s.key] = []any{nil}
					return true
				}
			}
			return false
		}),
		set("code with a wide space", "a\u2003b", "code"),
		set("impossible day", "2026-02-30", dates...),
		set("month thirteen", "2026-13", dates...),
		set("day with one digit", "2026-1-2", dates...),
		set("time without a zone", "2026-01-02T09:00:00", instants...),
		set("time with a space", "2026-01-02 09:00:00Z", instants...),
		set("time without seconds", "2026-01-02T09:00Z", instants...),
		set("hour twenty-five", "2026-01-02T25:00:00Z", instants...),
		set("instant of a day", "2026-01-02", "lastUpdated", "recorded", "timestamp"),
		set("time of day with a zone", "08:00:00Z", "availableStartTime", "timeOfDay"),
		set("id with an underscore", "a_b", "id"),
		set("id too long", strings.Repeat("a", 65), "id"),
		set("uri with a space", "https://a example", "system", "url", "fullUrl", "endpoint"),
		set("code with two spaces", "a  b", "code"),
		set("code with a space in front", " a", "code"),
		set("count of nought", json.Number("0"), "rank", "count", "frequency", "order", "valuePositiveInt"),
		set("whole number with a fraction", json.Number("1.5"), "sequence", "rank", "count", "numberOfRepeatsAllowed", "size", "order", "valueInteger", "repetitions"),
		set("whole number too large", json.Number("99999999999"), "sequence", "rank", "numberOfRepeatsAllowed", "size", "order", "valueInteger"),
		set("number below nought", json.Number("-1"), "numberOfRepeatsAllowed", "size", "rank", "order"),
		set("exponent too large", json.Number("1e1000"), "longitude", "value"),
		set("bad base64", "a=b", "data"),
		set("language with an underscore", "en_US", "language"),
		set("media type without a slash", "pdf", "contentType", "sigFormat", "payload"),
		set("currency of four letters", "EURO", "currency"),
	}
}

func codeFaults() []operator {
	coded := []string{"status", "gender", "use", "type", "method", "severity", "mode", "action", "intent"}
	return []operator{
		set("code that is not in the set", "nonsense", coded...),
		tree("code in another case", func(r jsonObject) bool {
			for _, key := range coded {
				for _, s := range sites(r, key) {
					if text, ok := s.parent[key].(string); ok && key != "action" && !strings.Contains(text, "/") {
						s.parent[key] = strings.ToUpper(text[:1]) + text[1:]
						return true
					}
				}
			}
			return false
		}),
		inside("concept that is not in the set", func(o jsonObject) bool {
			o["coding"] = []any{jsonObject{"system": "https://a.example", "code": "x"}}
			return true
		}, "clinicalStatus", "verificationStatus"),
		inside("concept without a code", func(o jsonObject) bool { delete(o, "coding"); o["text"] = "active"; return true }, "clinicalStatus", "verificationStatus"),
		set("unit of time in words", "day", "periodUnit", "durationUnit"),
		set("unknown day of the week", []any{"monday"}, "daysOfWeek"),
		tree("no status", func(r jsonObject) bool {
			for _, key := range []string{"status", "intent", "subject", "patient", "type", "payor", "target", "recorded", "issue", "contentType", "criteria", "source", "beneficiary"} {
				switch r["resourceType"].(string) + "." + key {
				case "Location.status", "Medication.status", "Task.patient", "MedicationDispense.subject", "Organization.type", "Communication.subject", "Composition.subject", "DetectedIssue.patient", "AllergyIntolerance.type", "Consent.patient", "Encounter.subject":
					continue
				}
				if _, ok := r[key]; ok {
					delete(r, key)
					return true
				}
			}
			return false
		}),
	}
}

func referenceFaults() []operator {
	wrong := func(o jsonObject) bool {
		if _, ok := o["reference"]; ok {
			o["reference"] = "Schedule/x"
			delete(o, "type")
			return true
		}
		return false
	}
	refs := []string{"subject", "patient", "requester", "managingOrganization", "practitioner", "organization", "partOf", "manufacturer", "beneficiary", "owner", "sender", "issuer", "for", "observer", "author", "performer"}
	contain := func(name string, resource jsonObject) operator {
		return tree(name, func(r jsonObject) bool {
			if _, ok := r["text"]; !ok {
				return false
			}
			list, _ := r["contained"].([]any)
			r["contained"] = append(list, resource)
			extended(r, "https://a.example/x", jsonObject{"valueReference": jsonObject{"reference": "#zz"}})
			return true
		})
	}
	return []operator{
		inside("reference to a type that is not allowed", wrong, refs...),
		inside("reference to nothing contained", func(o jsonObject) bool { o["reference"] = "#nobody"; delete(o, "type"); return true }, refs...),
		inside("reference of a type that it does not lead to", func(o jsonObject) bool { o["type"] = "Schedule"; return true }, refs...),
		inside("reference of an unknown type", func(o jsonObject) bool { o["type"] = "person"; return true }, refs...),
		inside("reference to half a urn", func(o jsonObject) bool { o["reference"] = "urn:uuid:123"; return true }, refs...),
		inside("reference to a type that is not allowed, with a fragment", func(o jsonObject) bool {
			was := o["reference"]
			o["reference"] = "Schedule/x#a"
			delete(o, "type")
			return was != nil
		}, refs...),
		inside("reference by a search of a type that is not allowed", func(o jsonObject) bool {
			was := o["reference"]
			o["reference"] = "Schedule?identifier=x"
			delete(o, "type")
			return was != nil
		}, refs...),
		tree("reference to an entry of a type that is not allowed", func(r jsonObject) bool {
			entries, ok := r["entry"].([]any)
			if !ok {
				return false
			}
			for _, key := range []string{"subject", "patient"} {
				for _, s := range sites(r, key) {
					o, ok := s.parent[key].(jsonObject)
					if !ok || s.parent["resourceType"] == "Composition" {
						continue
					}
					const url = "urn:uuid:12345678-1234-4234-8234-123456789abc"
					o["reference"] = url
					delete(o, "type")
					e := jsonObject{"fullUrl": url, "resource": jsonObject{"resourceType": "Schedule", "actor": []any{jsonObject{"display": "x"}}}}
					if request := entries[0].(jsonObject)["request"]; request != nil {
						e["request"] = request
					}
					r["entry"] = append(entries, e)
					return true
				}
			}
			return false
		}),
		inside("reference as a text", func(o jsonObject) bool { o["reference"] = jsonObject{"url": "x"}; return true }, refs...),
		contain("contained without id", jsonObject{"resourceType": "Patient"}),
		contain("contained of an unknown type", jsonObject{"resourceType": "Recipe", "id": "zz"}),
		contain("contained in contained", jsonObject{"resourceType": "Patient", "id": "zz", "contained": []any{jsonObject{"resourceType": "Patient", "id": "y"}}}),
		contain("contained with a version", jsonObject{"resourceType": "Patient", "id": "zz", "meta": jsonObject{"versionId": "1"}}),
		contain("contained with a label", jsonObject{"resourceType": "Patient", "id": "zz", "meta": jsonObject{"security": []any{jsonObject{"code": "R"}}}}),
		contain("contained with a fault", jsonObject{"resourceType": "Patient", "id": "zz", "gender": "f"}),
		tree("contained twice by one id", func(r jsonObject) bool {
			list, ok := r["contained"].([]any)
			if ok {
				r["contained"] = append(list, list[0])
			}
			return ok
		}),
		tree("contained and named by a text only", func(r jsonObject) bool {
			list, ok := r["contained"].([]any)
			if ok {
				r["contained"] = append(list, jsonObject{"resourceType": "Patient", "id": "unused", "name": []any{jsonObject{"text": "#unused"}, jsonObject{"text": "#"}}})
			}
			return ok
		}),
		tree("contained and not referred to", func(r jsonObject) bool {
			list, ok := r["contained"].([]any)
			if ok {
				r["contained"] = append(list, jsonObject{"resourceType": "Patient", "id": "unused"})
			}
			return ok
		}),
	}
}

func invariantFaults() []operator {
	backwards := func(start, end string) func(jsonObject) bool {
		return func(o jsonObject) bool {
			if o["start"] == nil || o["end"] == nil || o["start"] == o["end"] {
				return false
			}
			o["start"], o["end"] = start, end
			return true
		}
	}
	periods := []string{"period", "validityPeriod", "boundsPeriod", "executionPeriod", "effectivePeriod", "during"}
	return []operator{
		inside("period backwards", backwards("2029-01-01", "2020-01-01"), periods...),
		inside("period backwards by a day", backwards("2020-01-02", "2020-01-01"), periods...),
		inside("period backwards by a month", backwards("2020-02", "2020-01"), periods...),
		inside("period backwards by a year", backwards("2021", "2020"), periods...),
		inside("period from a month to a day before it", backwards("2020-02", "2020-01-31"), periods...),
		inside("period that starts in a leap second", backwards("2016-12-31T23:59:60Z", "2015"), periods...),
		inside("simple quantity with a comparator", func(o jsonObject) bool { o["comparator"] = "<"; return true }, "doseQuantity", "low", "rateQuantity", "quantity", "daysSupply"),
		inside("range backwards, with other words for its unit", func(o jsonObject) bool {
			low, ok := o["high"].(jsonObject)
			high, too := o["low"].(jsonObject)
			if !ok || !too {
				return false
			}
			o["low"], o["high"] = low, high
			for _, q := range []jsonObject{low, high} {
				q["system"], q["code"] = "http://unitsofmeasure.org", "mg"
			}
			low["unit"] = "another word"
			return true
		}, "doseRange"),
		set("fullUrl of no UUID", "urn:uuid:", "fullUrl"),
		without("unit of a period missing", "periodUnit", "period"),
		without("unit of a duration missing", "durationUnit", "duration"),
		without("period missing", "period", "periodMax"),
		without("duration missing", "duration", "durationMax"),
		without("count missing", "count", "countMax"),
		without("when missing", "when", "offset"),
		inside("offset of a meal", func(o jsonObject) bool { o["when"] = []any{"C"}; return o["offset"] != nil }, "repeat"),
		inside("when and time of day", func(o jsonObject) bool {
			o["when"], o["timeOfDay"] = []any{"MORN"}, []any{"08:00:00"}
			delete(o, "offset")
			return true
		}, "repeat"),
		inside("duration below nought", func(o jsonObject) bool { o["duration"] = json.Number("-1"); return o["durationUnit"] != nil }, "repeat"),
		inside("period below nought", func(o jsonObject) bool { o["period"] = json.Number("-0.5"); return o["periodUnit"] != nil }, "repeat"),
		without("code without a system", "system", "unit"),
		without("value without a system", "system", "rank"),
		inside("telecom without a system", func(o jsonObject) bool { delete(o, "system"); return o["value"] != nil }, "telecom"),
		without("data without a type", "contentType", "data"),
		inside("range backwards", func(o jsonObject) bool { o["low"], o["high"] = o["high"], o["low"]; return true }, "doseRange"),
		without("ratio without a denominator", "denominator", "numerator"),
		inside("duration in another system", func(o jsonObject) bool { o["system"] = "https://a.example"; return o["code"] != nil }, "expectedSupplyDuration", "length"),
		tree("extension without a value", func(r jsonObject) bool { return r["text"] != nil && extended(r, "https://a.example/x", jsonObject{}) }),
		tree("extension with a value and extensions", func(r jsonObject) bool {
			return r["text"] != nil && extended(r, "https://a.example/x", jsonObject{"valueCode": "a", "extension": []any{jsonObject{"url": "y", "valueCode": "b"}}})
		}),
		tree("extension without a url", func(r jsonObject) bool {
			r["extension"] = []any{jsonObject{"valueCode": "a"}}
			return r["text"] != nil
		}),
		inside("element of an id only", func(o jsonObject) bool { clear(o); o["id"] = "x"; return true }, "period", "subject", "requester", "code", "channel"),
		set("handed over before it was prepared", "2025-12-31T00:00:00Z", "whenHandedOver"),
		set("modified before it was authored", "2025-12-31T00:00:00Z", "lastModified"),
		tree("fullUrl twice", func(r jsonObject) bool {
			entries, ok := r["entry"].([]any)
			if ok {
				r["entry"] = append(entries, entries[len(entries)-1])
			}
			return ok
		}),
		set("fullUrl with a version", "https://a.example/Patient/1/_history/2", "fullUrl"),
		set("fullUrl that is relative", "Patient/1", "fullUrl"),
		dangling("subject of a document that it does not hold", "document", "subject", "Patient/absent"),
		dangling("author of a document that it does not hold", "document", "author", "https://riverside.example/fhir/Practitioner/absent"),
		dangling("section entry of a document in another version", "document", "entry", "MedicationRequest/rx-1/_history/7"),
		dangling("focus of a message that it does not hold", "message", "focus", "MedicationRequest/absent"),
		tree("relative code system in a concept", func(r jsonObject) bool {
			for _, s := range sites(r, "coding") {
				if codings, ok := s.parent[s.key].([]any); ok && len(codings) > 0 {
					codings[0].(jsonObject)["system"] = "loinc"
					return true
				}
			}
			return false
		}),
		inside("request where none may be", func(o jsonObject) bool {
			if o["request"] != nil {
				delete(o, "request")
			} else {
				o["request"] = jsonObject{"method": "POST", "url": "Patient"}
			}
			return true
		}, "entry"),
		tree("total of what is no search", func(r jsonObject) bool { r["total"] = json.Number("1"); return r["entry"] != nil }),
		tree("organization at home", func(r jsonObject) bool {
			if r["resourceType"] != "Organization" {
				return false
			}
			r["address"] = []any{jsonObject{"use": "home"}}
			return true
		}),
		without("no clinical status", "clinicalStatus", "criticality"),
	}
}

func narrativeFaults() []operator {
	div := func(name, content string) operator {
		return tree(name, func(r jsonObject) bool {
			narrative, ok := r["text"].(jsonObject)
			if ok {
				narrative["div"] = content
			}
			return ok
		})
	}
	const open = `<div xmlns="http://www.w3.org/1999/xhtml">`
	return []operator{
		div("narrative with a script", open+`<script>alert(1)</script></div>`),
		div("narrative with a handler", open+`<p onclick="x()">a</p></div>`),
		div("narrative with a script in a link", open+`<a href="javascript:x()">a</a></div>`),
		div("narrative with a frame", open+`<iframe src="https://a.example"></iframe>a</div>`),
		div("narrative with a form", open+`<form><input/></form>a</div>`),
		div("narrative with a style sheet", open+`<style>p{}</style>a</div>`),
		div("narrative that is not well-formed", open+`<p>a</div>`),
		div("narrative of nothing", open+` </div>`),
		div("narrative without a div", `<p>a</p>`),
		div("narrative with a document type", `<!DOCTYPE html>`+open+`a</div>`),
		div("narrative with an object", open+`<object data="x"></object>a</div>`),
		div("narrative in another namespace", `<div xmlns="https://a.example">a</div>`),
		div("narrative of two divs", open+`a</div>`+open+`b</div>`),
		div("narrative as plain text", `just text`),
		div("narrative with an attribute twice", open+`<p class="a" class="b">a</p></div>`),
		div("narrative with attributes without a space", open+`<p class="a"id="b">a</p></div>`),
		div("narrative with an undeclared prefix", open+`<a x:href="#">a</a></div>`),
		div("narrative with a link of another namespace", `<div xmlns="http://www.w3.org/1999/xhtml" xmlns:x="http://www.w3.org/1999/xlink"><a x:href="#">a</a></div>`),
		div("narrative with a script behind a line feed", open+`<a href="java&#10;script:x()">a</a></div>`),
		div("narrative with a page in a link", open+`<a href="data:text/html,x">a</a></div>`),
		tree("extension of a narrative's div", func(r jsonObject) bool {
			narrative, ok := r["text"].(jsonObject)
			if ok {
				narrative["_div"] = jsonObject{"extension": []any{jsonObject{"url": "https://a.example/x", "valueCode": "x"}}}
			}
			return ok
		}),
		tree("narrative by its extension", func(r jsonObject) bool {
			narrative, ok := r["text"].(jsonObject)
			if ok {
				delete(narrative, "div")
				narrative["_div"] = jsonObject{"extension": []any{jsonObject{"url": "https://a.example/x", "valueCode": "x"}}}
			}
			return ok
		}),
		set("tags in a text", "<b onmouseover=x()>a</b>", "display", "title", "family", "value", "name"),
		inside("narrative without status", func(o jsonObject) bool { delete(o, "status"); return o["div"] != nil }, "text"),
	}
}
