package fhir_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dosewire/dosewire/fhir"
)

// hostile are bodies made to cost more than they weigh, each as large as a body may be, or larger.
func hostile() map[string][]byte {
	wide := func(head, item, tail string) []byte {
		var b strings.Builder
		b.WriteString(head)
		for i := 0; b.Len() < fhir.MaxBytes-len(tail)-2*len(item); i++ {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(strings.ReplaceAll(item, "%d", fmt.Sprint(i)))
		}
		b.WriteString(tail)
		return []byte(b.String())
	}
	const request = `{"resourceType":"MedicationRequest","status":"active","intent":"order","medicationCodeableConcept":{"text":"x"},"subject":{"display":"x"},`
	return map[string][]byte{
		"10 MB of nesting":           bytes.Repeat([]byte("["), 10<<20),
		"1 MB of nested objects":     []byte(strings.Repeat(`{"extension":[`, 75_000)),
		"contained, none used":       wide(request+`"contained":[`, `{"resourceType":"Patient","id":"p%d"}`, `]}`),
		"contained, all used":        wide(request+`"contained":[`, `{"resourceType":"Patient","id":"p%d"}`, `],"supportingInformation":[{"reference":"#p1"}]}`),
		"references to one":          wide(request+`"contained":[{"resourceType":"Patient","id":"p"}],"supportingInformation":[`, `{"reference":"#p"}`, `]}`),
		"references to nothing":      wide(request+`"supportingInformation":[`, `{"reference":"#p%d"}`, `]}`),
		"the same fullUrl":           wide(`{"resourceType":"Bundle","type":"collection","entry":[`, `{"fullUrl":"urn:x:y"}`, `]}`),
		"other fullUrls":             wide(`{"resourceType":"Bundle","type":"collection","entry":[`, `{"fullUrl":"urn:x:%d"}`, `]}`),
		"names, all different":       wide(`{"resourceType":"Patient",`, `"a%d":1`, `}`),
		"names, two letters and all": wide(`{"resourceType":"Patient",`, `"aa%dbb":1`, `}`),
		"nulls with partners":        wide(`{"resourceType":"Patient","name":[{"given":[`, `null`, `],"_given":[{"id":"x"}]}]}`),
		"choices":                    wide(`{"resourceType":"Patient",`, `"deceasedBoolean":true,"deceasedDateTime":"2020"`, `}`),
		"a narrative":                wide(`{"resourceType":"Patient","text":{"status":"generated","div":"<div>`, `<p>a%d</p>`, `</div>"}}`),
		"an unclosed narrative":      wide(`{"resourceType":"Patient","text":{"status":"generated","div":"<div>`, `<p>`, `"}}`),
		"tags in a text":             wide(`{"resourceType":"Patient","name":[{"text":"`, `<`, `"}]}`),
		"tags with attributes":       wide(`{"resourceType":"Patient","name":[{"text":"`, `<a b `, `"}]}`),
		"equals signs":               wide(`{"resourceType":"Patient","name":[{"text":"<a `, ` =`, `>"}]}`),
		"attributes":                 wide(`{"resourceType":"Patient","text":{"status":"generated","div":"<div `, `class='%d' `, `>x</div>"}}`),
		"ids of elements":            wide(`{"resourceType":"Patient","name":[`, `{"id":"a%d","text":"x"}`, `]}`),
		"ids beside values":          wide(`{"resourceType":"Patient","name":[{"_given":[`, `{"id":"a%d"}`, `],"given":["x"]}]}`),
		"references back":            wide(`{"resourceType":"Patient","id":"p","contained":[`, `{"resourceType":"Observation","id":"o%d","status":"final","code":{"text":"x"},"subject":{"reference":"#"}}`, `]}`),
		"references to entries":      wide(`{"resourceType":"Bundle","type":"collection","entry":[`, `{"fullUrl":"urn:x:%d","resource":{"resourceType":"Patient","link":[{"type":"seealso","other":{"reference":"urn:x:%d"}}]}}`, `]}`),
		"Bundles in Bundles":         wide(`{"resourceType":"Bundle","type":"collection","entry":[`, `{"resource":{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","managingOrganization":{"reference":"urn:x:%d"}}}]}}`, `,{"resource":{"resourceType":"Patient","managingOrganization":{"reference":"urn:x:y"}}}]}`),
		"escapes":                    wide(`{"resourceType":"Patient","name":[{"text":"`, `\u00e9`, `"}]}`),
	}
}

// TestHostileBodiesAreLinear: no body takes more than a bounded multiple of the time in which it is hashed.
func TestHostileBodiesAreLinear(t *testing.T) {
	const most = 400                            // times SHA-256 with the processor's own instructions; a quadratic step is in the thousands
	judge([]byte(`{"resourceType":"Patient"}`)) // the table is loaded
	for name, body := range hostile() {
		reference, took := time.Hour, time.Hour
		for round := 0; round < 3 || took > most*reference && round < 15; round++ { // somebody else may work
			at := time.Now()
			sha256.Sum256(body)
			reference = min(reference, time.Since(at))
			at = time.Now()
			judge(body)
			took = min(took, time.Since(at))
		}
		t.Logf("%-28s %8d bytes %10v = %.1f x SHA-256", name, len(body), took.Round(time.Microsecond), float64(took)/float64(reference))
		if took > most*reference {
			t.Errorf("%s: %v for %d bytes, SHA-256 takes %v", name, took, len(body), reference)
		}
	}
}

// BenchmarkBundle is a Bundle of nearly 1 MB beside SHA-256 of the same bytes.
func BenchmarkBundle(b *testing.B) {
	order := ours(b, "medicationrequest.json")
	var body bytes.Buffer
	body.WriteString(`{"resourceType":"Bundle","type":"collection","entry":[`)
	for i := 0; body.Len()+len(order)+100 < fhir.MaxBytes; i++ {
		if i > 0 {
			body.WriteByte(',')
		}
		fmt.Fprintf(&body, `{"fullUrl":"https://clinic.example/MedicationRequest/%d","resource":%s}`, i, order)
	}
	body.WriteString(`]}`)
	b.Run("sha256", func(b *testing.B) {
		b.SetBytes(int64(body.Len()))
		for b.Loop() {
			sha256.Sum256(body.Bytes())
		}
	})
	b.Run("decode+validate", func(b *testing.B) {
		b.SetBytes(int64(body.Len()))
		b.ReportAllocs()
		for b.Loop() {
			d, err := fhir.Decode(body.Bytes())
			if err != nil || fhir.Validate(d) != nil {
				b.Fatal(err)
			}
		}
	})
}

// TestExponentsAreNotWrittenOut: numbers of a few characters and a million digits are refused unread.
func TestExponentsAreNotWrittenOut(t *testing.T) {
	one := `{"doseAndRate":[{"doseRange":{"low":{"value":1e999999},"high":{"value":1e999999}}}]}`
	body := `{"resourceType":"MedicationRequest","status":"active","intent":"order","medicationCodeableConcept":{"text":"x"},"subject":{"display":"x"},
		"dosageInstruction":[` + one + strings.Repeat(","+one, 200) + `]}`
	began := time.Now()
	d, err := fhir.Decode([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	if _, refused := fhir.Refused(fhir.Validate(d)); !refused {
		t.Error("taken")
	}
	if took := time.Since(began); took > time.Second { // each took 10 ms
		t.Errorf("took %v", took)
	}
}
