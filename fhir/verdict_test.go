package fhir_test

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestVerdicts: what R4 allows and what it does not, where the two lie close together.
func TestVerdicts(t *testing.T) {
	patient := func(members string) string { return `{"resourceType":"Patient",` + members + `}` }
	narrative := func(div string) string {
		return patient(`"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">` + div + `</div>"}`)
	}
	parameter := func(members string) string {
		return `{"resourceType":"Parameters","parameter":[{"name":"a",` + members + `}]}`
	}
	const x = `"extension":[{"url":"http://a.example","valueCode":"x"}]`
	const dispense = `{"resourceType":"MedicationDispense","status":"completed","medicationCodeableConcept":{"text":"x"},`
	const request = `{"resourceType":"MedicationRequest","status":"active","intent":"order","medicationCodeableConcept":{"text":"x"},"subject":{"display":"x"},`
	const task = `{"resourceType":"Task","status":"requested","intent":"order",`
	const uuid = "00000000-0000-4000-8000-000000000001"
	organization := `"contained":[{"resourceType":"Organization","id":"o1","name":"n"}]`

	for _, c := range []struct{ rule, body, want string }{
		// ele-1: a primitive with a value needs no more children
		{"an id beside a value", patient(`"birthDate":"1990-01-01","_birthDate":{"id":"b1"}`), ""},
		{"an id before its value", patient(`"_birthDate":{"id":"b1"},"birthDate":"1990-01-01"`), ""},
		{"an id without a value", patient(`"_birthDate":{"id":"b1"}`), "ele-1 Patient.birthDate"},
		{"an id beside a value in a list", patient(`"name":[{"given":["A","B"],"_given":[null,{"id":"g2"}]}]`), ""},
		{"an id without a value in a list", patient(`"name":[{"given":["A",null],"_given":[null,{"id":"g2"}]}]`), "ele-1 Patient.name[0].given[1]"},
		{"an id beyond the values of a list", patient(`"name":[{"given":["A"],"_given":[null,{"id":"g2"}]}]`), "ele-1 Patient.name[0].given[1]"},
		{"a bad id beside a value", patient(`"birthDate":"1990-01-01","_birthDate":{"id":"b 1"}`), "RX_VALUE Patient.birthDate.id"},
		{"a list of nulls", patient(`"name":[{"given":["A"],"_given":[null]}]`), "RX_STRUCTURE Patient.name[0].given"},

		// order of dates
		{"a day after a day", patient(`"name":[{"period":{"start":"2020-01-02","end":"2020-01-01"}}]`), "per-1 Patient.name[0].period"},
		{"a day after itself", patient(`"name":[{"period":{"start":"2020-01-02","end":"2020-01-02"}}]`), ""},
		{"a month after a month", patient(`"name":[{"period":{"start":"2020-02","end":"2020-01"}}]`), "per-1 Patient.name[0].period"},
		{"a year after a year", patient(`"name":[{"period":{"start":"2021","end":"2020"}}]`), "per-1 Patient.name[0].period"},
		{"a day in a month", patient(`"name":[{"period":{"start":"2020-01-31","end":"2020-01"}}]`), ""},
		{"a month that holds a day", patient(`"name":[{"period":{"start":"2020-01","end":"2020-01-01"}}]`), ""},
		{"a month after a day", patient(`"name":[{"period":{"start":"2020-02","end":"2020-01-31"}}]`), "per-1 Patient.name[0].period"},
		{"a day and a time of the day before elsewhere", patient(`"name":[{"period":{"start":"2020-01-02","end":"2020-01-01T23:00:00Z"}}]`), ""},
		{"a time before a leap second", patient(`"name":[{"period":{"start":"2016-12-31T23:59:59.5Z","end":"2016-12-31T23:59:60Z"}}]`), ""},
		{"a leap second after the end", patient(`"name":[{"period":{"start":"2016-12-31T23:59:60Z","end":"2015"}}]`), "per-1 Patient.name[0].period"},
		{"a task modified before it was authored", task + `"authoredOn":"2020-01-02","lastModified":"2020-01-01"}`, "inv-1 Task"},
		{"handed over the day before", dispense + `"whenPrepared":"2020-01-02","whenHandedOver":"2020-01-01"}`, "mdd-1 MedicationDispense"},

		// escapes mean what they stand for
		{"an escaped # leads to a contained resource", patient(organization + `,"managingOrganization":{"reference":"\u0023o1"}`), ""},
		{"an escaped name of a choice", parameter(`"\u0076alueString":"x"`), ""},
		{"an escaped name of a choice beside a part", parameter(`"\u0076alueString":"x","part":[{"name":"b","valueCode":"c"}]`), "inv-1 Parameters.parameter[0]"},
		{"an escaped abatement", `{"resourceType":"Condition","subject":{"display":"x"},"clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"active"}]},"\u0061batementString":"x"}`, "con-4 Condition"},

		// SimpleQuantity
		{"less than an amount to dispense", request + `"dispenseRequest":{"quantity":{"value":1,"comparator":"<"}}}`, "sqty-1 MedicationRequest.dispenseRequest.quantity"},
		{"less than a dose", request + `"dosageInstruction":[{"doseAndRate":[{"doseQuantity":{"value":1,"comparator":"<"}}]}]}`, "sqty-1 MedicationRequest.dosageInstruction[0].doseAndRate[0].dose"},
		{"less than a low", request + `"dosageInstruction":[{"doseAndRate":[{"doseRange":{"low":{"value":1,"comparator":"<"}}}]}]}`, "sqty-1 MedicationRequest.dosageInstruction[0].doseAndRate[0].dose.low"},
		{"a comparator by its extension", request + `"dispenseRequest":{"quantity":{"value":1,"_comparator":{` + x + `}}}}`, "sqty-1 MedicationRequest.dispenseRequest.quantity"},
		{"a simple quantity with a code only", request + `"dispenseRequest":{"quantity":{"value":1,"code":"mg"}}}`, "qty-3 MedicationRequest.dispenseRequest.quantity"},
		{"an observed quantity", `{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1,"comparator":"<"}}`, ""},

		// quantities
		{"a range in one unit by two names", request + `"dosageInstruction":[{"doseAndRate":[{"doseRange":{"low":{"value":10,"unit":"mg","system":"http://unitsofmeasure.org","code":"mg"},"high":{"value":9,"unit":"milligram","system":"http://unitsofmeasure.org","code":"mg"}}}]}]}`, "rng-2 MedicationRequest.dosageInstruction[0].doseAndRate[0].dose"},
		{"a range in two units", request + `"dosageInstruction":[{"doseAndRate":[{"doseRange":{"low":{"value":10,"unit":"mg"},"high":{"value":9,"unit":"g"}}}]}]}`, ""},
		{"half a count by its exponent", patient(`"extension":[{"url":"http://a.example","valueCount":{"value":15e-1,"code":"1","system":"http://unitsofmeasure.org"}}]`), "cnt-3 Patient.extension[0].value"},
		{"a whole count with an exponent", patient(`"extension":[{"url":"http://a.example","valueCount":{"value":15e1,"code":"1","system":"http://unitsofmeasure.org"}}]`), ""},

		// narratives
		{"an attribute twice", narrative(`<p class=\"a\" class=\"b\">x</p>`), "txt-1 Patient.text.div"},
		{"attributes without a space", narrative(`<p class=\"a\"id=\"b\">x</p>`), "txt-1 Patient.text.div"},
		{"attributes with line feeds", narrative(`<p class=\"a\"\n id = 'b\"c>d' >x</p>`), ""},
		{"an undeclared prefix", narrative(`<a x:href=\"#\">x</a>`), "txt-1 Patient.text.div"},
		{"xlink", narrative(`<a xmlns:xlink=\"http://www.w3.org/1999/xlink\" xlink:href=\"#\">x</a>`), "txt-1 Patient.text.div"},
		{"xml:lang", narrative(`<p xml:lang=\"en\" lang=\"en\">x</p>`), ""},
		{"a script in a link with a line feed", narrative(`<a href=\"java&#10;script:x()\">x</a>`), "txt-1 Patient.text.div"},
		{"a script in a link with a control in front", narrative(`<a href=\"&#9; JavaScript:x()\">x</a>`), "txt-1 Patient.text.div"},
		{"a page in a link", narrative(`<a href=\"data:text/html,x\">x</a>`), "txt-1 Patient.text.div"},
		{"an image in its text", narrative(`<img src=\"data:image/png;base64,AAAA\"/>`), ""},
		{"a div without a namespace", patient(`"text":{"status":"generated","div":"<div>x</div>"}`), ""},
		{"a div by its extension", patient(`"text":{"status":"generated","_div":{` + x + `}}`), "RX_UNKNOWN_ELEMENT Patient.text.div.extension"},
		{"an extension of a div", patient(`"text":{"status":"generated","div":"<div>x</div>","_div":{` + x + `}}`), "RX_UNKNOWN_ELEMENT Patient.text.div.extension"},
		{"no div, but its id", patient(`"text":{"status":"generated","_div":{"id":"x"}}`), "ele-1 Patient.text.div"},

		// ids and urls are no elements
		{"an extension of a url", patient(`"extension":[{"url":"http://a.example","_url":{` + x + `},"valueCode":"x"}]`), "RX_UNKNOWN_ELEMENT Patient.extension[0].url"},
		{"an extension of an element's id", patient(`"name":[{"_id":{` + x + `},"text":"x"}]`), "RX_UNKNOWN_ELEMENT Patient.name[0].id"},
		{"an element's id with a space", patient(`"name":[{"id":"a b","text":"x"}]`), "RX_VALUE Patient.name[0].id"},
		{"an element's id that is no resource's", patient(`"name":[{"id":"a_b/c","text":"x"}]`), ""},
		{"two elements of one id", patient(`"name":[{"id":"a","text":"x"},{"id":"a","text":"y"}]`), "RX_VALUE Patient.name[1].id"},
		{"two contained resources of one id", patient(`"contained":[{"resourceType":"Organization","id":"o1","name":"n"},{"resourceType":"Organization","id":"o1","name":"m"}],"managingOrganization":{"reference":"#o1"}`), "RX_VALUE Patient.contained[1].id"},

		// dom-3
		{"a text that looks like a reference", patient(organization + `,"name":[{"text":"#o1"}]`), "dom-3 Patient.contained[0]"},
		{"a name of a contained resource that looks like a reference", patient(`"contained":[{"resourceType":"Organization","id":"o1","name":"#"}]`), "dom-3 Patient.contained[0]"},
		{"a uri that leads to a contained resource", patient(organization + `,"extension":[{"url":"http://a.example","valueUri":"#o1"}]`), ""},
		{"a contained resource that leads back", patient(`"contained":[{"resourceType":"Organization","id":"o1","name":"n","partOf":{"reference":"#"}}]`), "RX_REFERENCE_TYPE Patient.contained[0].partOf.reference"},
		{"a contained observation that leads back", patient(`"contained":[{"resourceType":"Observation","id":"o1","status":"final","code":{"text":"x"},"subject":{"reference":"\u0023"}}]`), ""},

		// references
		{"a subject of a wrong type with a fragment", request[:strings.Index(request, `"subject"`)] + `"subject":{"reference":"Practitioner/1#a"}}`, "RX_REFERENCE_TYPE MedicationRequest.subject.reference"},
		{"a subject that the Bundle says is none", bundle("collection", `{"fullUrl":"urn:uuid:`+uuid+`","resource":{"resourceType":"Practitioner"}},{"resource":`+request[:strings.Index(request, `"subject"`)]+`"subject":{"reference":"urn:uuid:`+uuid+`"}}}`), "RX_REFERENCE_TYPE Bundle.entry[1].resource.subject.reference"},
		{"a subject that the Bundle says is one", bundle("collection", `{"fullUrl":"urn:uuid:`+uuid+`","resource":{"resourceType":"Patient"}},{"resource":`+request[:strings.Index(request, `"subject"`)]+`"subject":{"reference":"urn:uuid:`+uuid+`"}}}`), ""},
		{"a type that the Bundle contradicts", bundle("collection", `{"fullUrl":"urn:uuid:`+uuid+`","resource":{"resourceType":"Patient"}},{"resource":`+request[:strings.Index(request, `"subject"`)]+`"subject":{"type":"Group","reference":"urn:uuid:`+uuid+`"}}}`), "RX_REFERENCE_TYPE Bundle.entry[1].resource.subject.type"},
		{"no UUID as fullUrl", bundle("collection", `{"fullUrl":"urn:uuid:","resource":{"resourceType":"Patient"}}`), "RX_VALUE Bundle.entry[0].fullUrl"},

		// codes by their form
		{"a mapping's language", `{"resourceType":"StructureDefinition","url":"http://a.example/x","name":"X","status":"draft","kind":"resource","abstract":false,"type":"Patient","differential":{"element":[{"path":"Patient","mapping":[{"identity":"a","language":"application/xquery","map":"x"}]}]}}`, ""},
		{"a payload that is no media type", `{"resourceType":"Subscription","status":"off","reason":"x","criteria":"Patient","channel":{"type":"rest-hook","payload":"not a mime"}}`, "RX_VALUE Subscription.channel.payload"},
		{"a unit in words", `{"resourceType":"EffectEvidenceSynthesis","status":"draft","population":{"display":"x"},"exposure":{"display":"x"},"exposureAlternative":{"display":"x"},"outcome":{"display":"x"},"effectEstimate":[{"unitOfMeasure":{"text":"each"}}]}`, "RX_CODE EffectEvidenceSynthesis.effectEstimate[0].unitOfMeasure"},
		{"a unit of UCUM", `{"resourceType":"EffectEvidenceSynthesis","status":"draft","population":{"display":"x"},"exposure":{"display":"x"},"exposureAlternative":{"display":"x"},"outcome":{"display":"x"},"effectEstimate":[{"unitOfMeasure":{"coding":[{"system":"http://unitsofmeasure.org","code":"mg/dL"}]}}]}`, ""},
		{"a code with a wide space", `{"resourceType":"Observation","status":"final","code":{"coding":[{"code":"a\u2003b"}]}}`, "RX_VALUE Observation.code.coding[0].code"},

		// texts
		{"more and less", patient(`"name":[{"text":"Na <a and K >b"}]`), ""},
		{"an address of mail", patient(`"telecom":[{"system":"email","value":"Jane <jane@example.org>"}]`), ""},
		{"an element of HTML", patient(`"name":[{"text":"<b>Ada</b>"}]`), "RX_MARKUP Patient.name[0].text"},
		{"an element of HTML with an attribute", patient(`"name":[{"text":"<A HREF='x'>Ada"}]`), "RX_MARKUP Patient.name[0].text"},
		{"an element of HTML with a word", patient(`"name":[{"text":"<script defer >"}]`), "RX_MARKUP Patient.name[0].text"},
		{"an unknown element with a handler", patient(`"name":[{"text":"<zz onpointerover=x()>"}]`), "RX_MARKUP Patient.name[0].text"},
		{"an element with a handler that is not closed", patient(`"name":[{"text":"<img src=x onerror=x() "}]`), "RX_MARKUP Patient.name[0].text"},
		{"an end tag", patient(`"name":[{"text":"a</title>"}]`), "RX_MARKUP Patient.name[0].text"},
		{"a comment", patient(`"name":[{"text":"a<!-- b"}]`), "RX_MARKUP Patient.name[0].text"},
		{"a blank text", patient(`"name":[{"text":" "}]`), ""},
		{"a no-break space", patient(`"name":[{"text":"\u00a0"}]`), ""},
	} {
		t.Run(c.rule, func(t *testing.T) {
			if got := first(t, c.body); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

// TestReferencesAreLinear: what a reference leads to is looked up, not searched for among members that mean
// nothing.
func TestReferencesAreLinear(t *testing.T) {
	const references, junk = 20_000, 45_000
	const most = 2000 // times SHA-256 with the processor's own instructions; a search for each was 8,000 and more
	build := func(reference, head, tail string) []byte {
		var b strings.Builder
		b.WriteString(`{` + head + `"recorded":"2020-01-01T00:00:00Z","agent":[{"who":{"display":"x"}}],"target":[`)
		for i := range references {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(`{"reference":"` + reference + `"}`)
		}
		b.WriteString(`]`)
		b.WriteString(tail + `}`)
		return []byte(b.String())
	}
	var members strings.Builder
	for i := range junk {
		fmt.Fprintf(&members, `"%x":1,`, i+1<<16)
	}
	for name, body := range map[string][]byte{
		"to the resource":   build("#", "", ","+members.String()+`"resourceType":"Provenance"`),
		"to what it holds":  build("#a", `"resourceType":"Provenance",`, `,"contained":[{"resourceType":"Patient",`+members.String()+`"id":"a"}]`),
		"and back, unnamed": build("#a", `"resourceType":"Provenance",`, `,"contained":[{`+members.String()+`"resourceType":"Patient","id":"a"}]`),
	} {
		reference, took := time.Hour, time.Hour
		for range 3 {
			at := time.Now()
			sha256.Sum256(body)
			reference = min(reference, time.Since(at))
			at = time.Now()
			if len(judge(body)) == 0 {
				t.Errorf("%s: accepted", name)
			}
			took = min(took, time.Since(at))
		}
		t.Logf("%s: %d bytes, %v = %.1f x SHA-256", name, len(body), took, float64(took)/float64(reference))
		if took > most*reference {
			t.Errorf("%s: %v for %d bytes, SHA-256 takes %v", name, took, len(body), reference)
		}
	}
}
