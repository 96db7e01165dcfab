package fhir_test

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dosewire/dosewire/fhir"
)

// TestValidate changes one thing of a valid prescription for each rule.
func TestValidate(t *testing.T) {
	for _, tc := range []struct {
		rule     string
		old, new string // a replacement in testdata/medicationrequest.json
		want     string // "code expression" of the first issue, "" for none
	}{
		{"a valid prescription", ``, ``, ""},
		{"no resourceType", `"resourceType": "MedicationRequest",`, ``, "RX_REQUIRED Resource.resourceType"},
		{"a type that R4 does not have", `"resourceType": "MedicationRequest",`, `"resourceType": "Prescription",`, "RX_RESOURCE_TYPE Resource.resourceType"},

		{"an element that R4 does not have", `"status": "active",`, `"status": "active", "refills": 3,`, "RX_UNKNOWN_ELEMENT MedicationRequest"},
		{"a name in other case", `"status": "active",`, `"Status": "active",`, "RX_UNKNOWN_ELEMENT MedicationRequest"},
		{"a name in other case beside the right one", `"status": "active",`, `"status": "active", "STATUS": "draft",`, "RX_UNKNOWN_ELEMENT MedicationRequest"},
		{"a name that is no name", `"status": "active",`, `"status": "active", "Ada Okafor": 1,`, "RX_UNKNOWN_ELEMENT MedicationRequest"},
		{"an unknown element inside a type", `"text": "capsule"`, `"text": "capsule", "colour": "red"`, "RX_UNKNOWN_ELEMENT MedicationRequest.contained[2].form"},
		{"an unknown element in an array", `"sequence": 1,`, `"sequence": 1, "when": "now",`, "RX_UNKNOWN_ELEMENT MedicationRequest.dosageInstruction[0]"},
		{"resourceType in a data type", `"text": "capsule"`, `"resourceType": "Medication"`, "RX_UNKNOWN_ELEMENT MedicationRequest.contained[2].form.resourceType"},

		{"a required element absent", `"status": "active",`, ``, "RX_REQUIRED MedicationRequest.status"},
		{"a required choice absent", `"medicationReference": {"reference": "#med"},`, ``, "RX_REQUIRED MedicationRequest.medication"},
		{"required, and given by its extension", `"status": "active",`, `"_status": {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "masked"}]},`, ""},
		{"a required element of a data type absent", `{"text": "Allergic to none known."}`, `{"time": "2026-11-17"}`, "RX_REQUIRED MedicationRequest.note[0].text"},
		{"an extension without url", `{"url": "https://riverside.example/fhir/StructureDefinition/copay", "value`, `{"value`, "RX_REQUIRED MedicationRequest.extension[0].url"},

		{"an object where an array belongs", `"note": [{"text": "Allergic to none known."}]`, `"note": {"text": "x"}`, "RX_STRUCTURE MedicationRequest.note"},
		{"an array where an object belongs", `{"reference": "#doc"}`, `[{"reference": "#doc"}]`, "RX_STRUCTURE MedicationRequest.requester"},
		{"a string where an object belongs", `{"reference": "#doc"}`, `"#doc"`, "RX_STRUCTURE MedicationRequest.requester"},
		{"an object where a string belongs", `"status": "active"`, `"status": {"value": "active"}`, "RX_STRUCTURE MedicationRequest.status"},
		{"a number as a string", `"numberOfRepeatsAllowed": 1`, `"numberOfRepeatsAllowed": "1"`, "RX_STRUCTURE MedicationRequest.dispenseRequest.numberOfRepeatsAllowed"},
		{"a boolean as a string", `"allowedBoolean": true`, `"allowedBoolean": "true"`, "RX_STRUCTURE MedicationRequest.substitution.allowed"},
		{"null", `"priority": "routine"`, `"priority": null`, "RX_STRUCTURE MedicationRequest.priority"},
		{"an empty array", `"note": [{"text": "Allergic to none known."}]`, `"note": []`, "RX_STRUCTURE MedicationRequest.note"},
		{"an empty object", `{"reference": "#doc"}`, `{}`, "RX_STRUCTURE MedicationRequest.requester"},
		{"an empty string", `"family": "Okafor"`, `"family": ""`, "RX_VALUE MedicationRequest.contained[0].name[0].family"},
		{"an element with only an id", `{"reference": "#doc"}`, `{"id": "x"}`, "ele-1 MedicationRequest.requester"},

		{"a null that an extension explains", `"given": ["Ada", "June"]`, `"given": ["Ada", null], "_given": [null, {"id": "x", "extension": [{"url": "http://a.example", "valueBoolean": true}]}]`, ""},
		{"a null that nothing explains", `"given": ["Ada", "June"]`, `"given": ["Ada", null]`, "RX_STRUCTURE MedicationRequest.contained[0].name[0].given[1]"},
		{"two nulls that explain each other", `"given": ["Ada", "June"]`, `"given": ["Ada", null], "_given": [null, null]`, "RX_STRUCTURE MedicationRequest.contained[0].name[0].given[1]"},
		{"an underscore before what is no primitive", `"requester": {"reference": "#doc"}`, `"_requester": {"id": "x"}`, "RX_UNKNOWN_ELEMENT MedicationRequest.requester"},
		{"an underscore with a value", `"priority": "routine"`, `"_priority": "routine"`, "RX_STRUCTURE MedicationRequest.priority"},

		{"a choice given twice", `"medicationReference": {"reference": "#med"},`, `"medicationReference": {"reference": "#med"}, "medicationCodeableConcept": {"text": "x"},`, "RX_STRUCTURE MedicationRequest.medication"},
		{"a choice given twice, once by its extension", `"allowedBoolean": true`, `"allowedBoolean": true, "allowedCodeableConcept": {"text": "x"}`, "RX_STRUCTURE MedicationRequest.substitution.allowed"},
		{"a choice and its own extension", `"allowedBoolean": true`, `"allowedBoolean": true, "_allowedBoolean": {"extension": [{"url": "http://a.example", "valueCode": "x"}]}`, ""},
		{"a choice of a type it has not", `"medicationReference": {"reference": "#med"},`, `"medicationString": "x",`, "RX_UNKNOWN_ELEMENT MedicationRequest"},

		{"a code outside its set", `"status": "active"`, `"status": "aktiv"`, "RX_CODE MedicationRequest.status"},
		{"a code in other case", `"status": "active"`, `"status": "Active"`, "RX_CODE MedicationRequest.status"},
		{"intent", `"intent": "order"`, `"intent": "wish"`, "RX_CODE MedicationRequest.intent"},
		{"priority", `"routine"`, `"soon"`, "RX_CODE MedicationRequest.priority"},
		{"gender", `"female"`, `"f"`, "RX_CODE MedicationRequest.contained[0].gender"},
		{"a unit of time", `"periodUnit": "d"`, `"periodUnit": "day"`, "RX_CODE MedicationRequest.dosageInstruction[0].timing.repeat.periodUnit"},

		{"a day that no calendar has", `"1984-02-29"`, `"1985-02-29"`, "RX_VALUE MedicationRequest.contained[0].birthDate"},
		{"a date with a time", `"1984-02-29"`, `"1984-02-29T00:00:00Z"`, "RX_VALUE MedicationRequest.contained[0].birthDate"},
		{"a time without a zone", `"2026-11-17T14:05:00-05:00"`, `"2026-11-17T14:05:00"`, "RX_VALUE MedicationRequest.authoredOn"},
		{"a time without seconds", `"2026-11-17T14:05:00-05:00"`, `"2026-11-17T14:05-05:00"`, "RX_VALUE MedicationRequest.authoredOn"},
		{"an id with an underscore", `"id": "amox-1"`, `"id": "amox_1"`, "RX_VALUE MedicationRequest.id"},
		{"an id that is too long", `"id": "amox-1"`, `"id": "` + strings.Repeat("a", 65) + `"`, "RX_VALUE MedicationRequest.id"},
		{"a uri with a space", `"https://riverside.example/fhir/prescription"`, `"riverside prescription"`, "RX_VALUE MedicationRequest.identifier[0].system"},
		{"repeats below nought", `"numberOfRepeatsAllowed": 1`, `"numberOfRepeatsAllowed": -1`, "RX_VALUE MedicationRequest.dispenseRequest.numberOfRepeatsAllowed"},
		{"repeats with a fraction", `"numberOfRepeatsAllowed": 1`, `"numberOfRepeatsAllowed": 1.0`, "RX_VALUE MedicationRequest.dispenseRequest.numberOfRepeatsAllowed"},
		{"repeats beyond 32 bits", `"numberOfRepeatsAllowed": 1`, `"numberOfRepeatsAllowed": 99999999999`, "RX_VALUE MedicationRequest.dispenseRequest.numberOfRepeatsAllowed"},
		{"a frequency of nought", `"frequency": 3`, `"frequency": 0`, "RX_VALUE MedicationRequest.dosageInstruction[0].timing.repeat.frequency"},
		{"a decimal that keeps its zeros", `"value": 21`, `"value": 21.000`, ""},

		{"a modifierExtension", `"status": "active",`, `"status": "active", "modifierExtension": [{"url": "http://a.example/not", "valueBoolean": true}],`, "RX_MODIFIER_EXTENSION MedicationRequest.modifierExtension"},
		{"a modifierExtension deep inside", `"sequence": 1,`, `"modifierExtension": [{"url": "http://a.example/not", "valueBoolean": true}],`, "RX_MODIFIER_EXTENSION MedicationRequest.dosageInstruction[0].modifierExtension"},
		{"an extension with a value and extensions", `"valueMoney"`, `"extension": [{"url": "http://a.example", "valueCode": "x"}], "valueMoney"`, "ext-1 MedicationRequest.extension[0]"},

		{"a contained resource that is not there", `"#doc"`, `"#nobody"`, "RX_REFERENCE MedicationRequest.requester.reference"},
		{"a contained resource without id", `"id": "doc",`, ``, "RX_REQUIRED MedicationRequest.contained[1].id"},
		{"a contained resource in a contained one", `"form": {"text": "capsule"}`, `"manufacturer": {"reference": "#s"}, "contained": [{"resourceType": "Organization", "id": "s", "name": "n"}]`, "RX_REFERENCE MedicationRequest.contained[2].manufacturer.reference"},
		{"a contained resource in a contained one, unused", `"form": {"text": "capsule"}`, `"text": {"status": "empty", "div": "<div>-</div>"}, "contained": [{"resourceType": "Organization", "id": "s", "name": "n"}]`, "dom-3 MedicationRequest.contained[2].contained[0]"},
		{"a contained resource in a contained one, all of it", `"form": {"text": "capsule"}`, `"contained": [{"resourceType": "Patient", "id": "s", "extension": [{"url": "http://a.example", "valueReference": {"reference": "#"}}]}]`, "dom-2 MedicationRequest.contained[2].contained"},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			source := string(ours(t, "medicationrequest.json"))
			if !strings.Contains(source, tc.old) {
				t.Fatalf("the example does not hold %s", tc.old)
			}
			if got := first(t, strings.Replace(source, tc.old, tc.new, 1)); got != tc.want {
				t.Errorf("got  %q\nwant %q", got, tc.want)
			}
		})
	}
}

// TestValidateBundles: rules of Bundles, and of what stands in them.
func TestValidateBundles(t *testing.T) {
	const patient = `{"fullUrl":"urn:uuid:00000000-0000-4000-8000-000000000001","resource":{"resourceType":"Patient","id":"a"}}`
	const flag = `"status":"active","code":{"text":"x"},"subject":{"display":"x"}`
	other := func(body string) string {
		return bundle("collection", `{"resource":{"resourceType":"Flag",`+flag+","+body+`}}`)
	}
	for _, tc := range []struct{ rule, body, want string }{
		{"a Bundle", bundle("collection", patient), ""},
		{"a type of Bundle that R4 does not have", bundle("parcel", patient), "RX_CODE Bundle.type"},
		{"an entry with an element of its own", bundle("collection", `{"id":"x","meta":{},"fullUrl":"urn:x:y"}`), "RX_UNKNOWN_ELEMENT Bundle.entry[0]"},
		{"a relative fullUrl", bundle("collection", `{"fullUrl":"Patient/a","resource":{"resourceType":"Patient"}}`), "RX_VALUE Bundle.entry[0].fullUrl"},
		{"a fullUrl twice", bundle("collection", patient+","+patient), "bdl-7 Bundle.entry[1].fullUrl"},
		{"#id leads nowhere from another entry", bundle("collection", `{"resource":{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o","name":"n"}],"managingOrganization":{"reference":"#o"}}},{"resource":{"resourceType":"Patient","managingOrganization":{"reference":"#o"}}}`), "RX_REFERENCE Bundle.entry[1].resource.managingOrganization.reference"},
		{"a Bundle in a Bundle", bundle("collection", `{"resource":`+bundle("searchset", `{"resource":{"resourceType":"Patient","sex":"f"}}`)+`}`), "RX_UNKNOWN_ELEMENT Bundle.entry[0].resource.entry[0].resource"},

		{"another type", other(`"id":"f"`), ""},
		{"another type: an element it has not", other(`"flagColour":"red"`), "RX_UNKNOWN_ELEMENT Bundle.entry[0].resource"},
		{"an unknown type", bundle("collection", `{"resource":{"resourceType":"Banner"}}`), "RX_RESOURCE_TYPE Bundle.entry[0].resource.resourceType"},
		{"another type: an id that is none", other(`"id":"a b"`), "RX_VALUE Bundle.entry[0].resource.id"},
		{"another type: null", other(`"period":null`), "RX_STRUCTURE Bundle.entry[0].resource.period"},
		{"another type: an empty object", other(`"period":{}`), "RX_STRUCTURE Bundle.entry[0].resource.period"},
		{"another type: an empty array", other(`"category":[]`), "RX_STRUCTURE Bundle.entry[0].resource.category"},
		{"another type: an array in an array", other(`"category":[[1]]`), "RX_STRUCTURE Bundle.entry[0].resource.category[0]"},
		{"another type: an empty string", other(`"language":""`), "RX_VALUE Bundle.entry[0].resource.language"},
		{"another type: comments", other(`"fhir_comments":["x"]`), "RX_UNKNOWN_ELEMENT Bundle.entry[0].resource"},
		{"another type: a modifierExtension", other(`"modifierExtension":[{"url":"http://a.example","valueCode":"x"}]`), "RX_MODIFIER_EXTENSION Bundle.entry[0].resource.modifierExtension"},
		{"another type: an extension", other(`"extension":[{"uri":"http://a.example","valueCode":"x"}]`), "RX_UNKNOWN_ELEMENT Bundle.entry[0].resource.extension[0]"},
		{"another type: a resource inside", other(`"contained":[{"resourceType":"Patient","id":"p","sex":"f"}],"author":{"reference":"#p"}`), "RX_UNKNOWN_ELEMENT Bundle.entry[0].resource.contained[0]"},
		{"another type: #id leads nowhere", other(`"author":{"reference":"#p"}`), "RX_REFERENCE Bundle.entry[0].resource.author.reference"},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			if got := first(t, tc.body); got != tc.want {
				t.Errorf("got  %q\nwant %q", got, tc.want)
			}
		})
	}
}

// first is the code and the place of the first issue.
func first(t *testing.T, body string) string {
	t.Helper()
	d, err := fhir.Decode([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	issues := fhir.Validate(d)
	if _, refused := fhir.Refused(issues); refused != (len(issues) > 0) {
		t.Errorf("refused %t by %d issues", refused, len(issues))
	}
	if len(issues) == 0 {
		return ""
	}
	if issues[0].Line == 0 || issues[0].Text == "" {
		t.Errorf("no place or no sentence: %+v", issues[0])
	}
	return issues[0].ID + " " + issues[0].Expression
}

// TestValidateAll: all issues at once, and no more than 100.
func TestValidateAll(t *testing.T) {
	d, err := fhir.Decode([]byte(`{"resourceType":"MedicationRequest","status":"x","intent":"y","Subject":{},"note":[` +
		strings.Repeat(`{"text":1},`, 200) + `{"text":1}]}`))
	if err != nil {
		t.Fatal(err)
	}
	issues := fhir.Validate(d)
	if len(issues) != 100 {
		t.Errorf("%d issues, want 100", len(issues))
	}
	var codes []string
	for _, i := range issues[:4] {
		codes = append(codes, i.ID)
	}
	if got := strings.Join(codes, " "); got != "RX_CODE RX_CODE RX_UNKNOWN_ELEMENT RX_STRUCTURE" {
		t.Errorf("got %s", got)
	}
}

// TestCorpusPrimitives judges single values of each simple type.
func TestCorpusPrimitives(t *testing.T) {
	dir := filepath.Join(root(t), "..", "shared", "corpus", "google-fhir-primitives")
	files, err := filepath.Glob(filepath.Join(dir, "*.ndjson"))
	if err != nil || len(files) == 0 {
		t.Skipf("SKIPPED: the corpus of public examples is not beside the checkout")
	}
	for _, file := range files {
		typ, rest, _ := strings.Cut(filepath.Base(file), ".")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(bytes.NewReader(text))
		for lines.Scan() {
			value := lines.Text()
			if value == "" || value == "null" { // their word for absence
				continue
			}
			d, err := fhir.Decode([]byte(holding(typ, value)))
			valid := err == nil && len(fhir.Validate(d)) == 0
			want := strings.HasPrefix(rest, "valid") && value != `""` // an empty div breaks txt-2
			if valid != want {
				t.Errorf("%s %s: accepted %t, want %t", typ, value, valid, want)
			}
		}
	}
}

// holding is a resource with a value of a type in it.
func holding(typ, value string) string {
	if typ == "xhtml" {
		return `{"resourceType":"Patient","text":{"status":"generated","div":` + value + `}}`
	}
	if typ == "reference" && strings.Contains(value, `"#`) {
		return `{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"p1","name":"n"}],"managingOrganization":` + value + `}`
	}
	var name strings.Builder
	for part := range strings.SplitSeq(typ, "_") {
		name.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return `{"resourceType":"Patient","extension":[{"url":"http://a.example","value` + name.String() + `":` + value + `}]}`
}
