package fhir_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/internal/fault"
)

func TestDecode(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		code       fault.Code
		at         string
	}{
		{"an empty object", `{}`, "", ""},
		{"white space around", " \r\n\t{ } \n", "", ""},
		{"every kind of value", `{"a":[true,false,null,-0.5e+10,"x",{}]}`, "", ""},
		{"escapes and pairs of surrogates", `{"a":"\"\\\/\n\r\t\u00e9\ud83d\ude00"}`, "", ""},
		{"text beyond ASCII", `{"a":"Łódź 東京 😀"}`, "", ""},
		{"names in other case are other names", `{"status":1,"Status":2}`, "", ""},

		{"nothing", ``, fault.CodeSyntax, "1:1"},
		{"an array", `[]`, fault.CodeStructure, "1:1"},
		{"a string", ` "x"`, fault.CodeStructure, "1:2"},
		{"null", "null", fault.CodeStructure, "1:1"},
		{"an array that is none", `[1`, fault.CodeSyntax, "1:3"},
		{"arrays, deep", strings.Repeat("[", 100_000), fault.CodeDepth, "1:65"},
		{"a word", "Prescription", fault.CodeSyntax, "1:1"},
		{"cut off", `{"a":`, fault.CodeSyntax, "1:6"},
		{"cut off in a string", `{"a":"b`, fault.CodeSyntax, "1:8"},
		{"a comma too many in an object", `{"a":1,}`, fault.CodeSyntax, "1:8"},
		{"a comma too many in an array", `{"a":[1,]}`, fault.CodeSyntax, "1:9"},
		{"a comma too few", "{\"a\":1\n\"b\":2}", fault.CodeSyntax, "2:1"},
		{"the wrong bracket", `{"a":[1}`, fault.CodeSyntax, "1:8"},
		{"a name without quotes", `{a:1}`, fault.CodeSyntax, "1:2"},
		{"a comment", `{/**/}`, fault.CodeSyntax, "1:2"},
		{"another value behind", `{}{}`, fault.CodeSyntax, "1:3"},
		{"bytes behind", "{}\n x", fault.CodeSyntax, "2:2"},
		{"a zero before the number", `{"a":01}`, fault.CodeSyntax, "1:7"},
		{"a plus", `{"a":+1}`, fault.CodeSyntax, "1:6"},
		{"a point without digits", `{"a":1.}`, fault.CodeSyntax, "1:8"},
		{"an exponent without digits", `{"a":1e}`, fault.CodeSyntax, "1:8"},
		{"only a minus", `{"a":-}`, fault.CodeSyntax, "1:7"},
		{"NaN", `{"a":NaN}`, fault.CodeSyntax, "1:6"},
		{"a word in other case", `{"a":True}`, fault.CodeSyntax, "1:6"},
		{"a raw line break in a string", "{\"a\":\"x\ny\"}", fault.CodeSyntax, "1:8"},
		{"an escape that is none", `{"a":"\x41"}`, fault.CodeSyntax, "1:7"},
		{"half an escape", `{"a":"\u12"}`, fault.CodeSyntax, "1:7"},

		{"a byte order mark", "\ufeff{}", fault.CodeEncoding, "1:1"},
		{"bytes that are no UTF-8", "{\"a\":\"é\xff\"}", fault.CodeEncoding, "1:8"},
		{"an overlong form", "{\"a\":\"\xc0\xaf\"}", fault.CodeEncoding, "1:7"},
		{"a surrogate in UTF-8", "{\"a\":\"\xed\xa0\x80\"}", fault.CodeEncoding, "1:7"},
		{"a lone first half", `{"a":"\ud83d"}`, fault.CodeEncoding, "1:7"},
		{"a lone second half", `{"a":"\ude00"}`, fault.CodeEncoding, "1:7"},
		{"two first halves", `{"a":"\ud83d\ud83d"}`, fault.CodeEncoding, "1:7"},
		{"a lone surrogate in a name", `{"\ud83d":1}`, fault.CodeEncoding, "1:3"},
		{"a NUL", `{"a":"\u0000"}`, fault.CodeEncoding, "1:7"},
		{"a backspace", `{"a":"\b"}`, fault.CodeEncoding, "1:7"},

		{"a name twice", `{"a":1,"a":2}`, fault.CodeDuplicateKey, "1:8"},
		{"a name twice, hidden by an escape", `{"status":1,"st\u0061tus":2}`, fault.CodeDuplicateKey, "1:13"},
		{"a name twice, deep inside", "{\"a\":[{\"b\":1,\n\"b\":1}]}", fault.CodeDuplicateKey, "2:1"},
		{"a name twice, and no value", `{"a":1,"a":@}`, fault.CodeDuplicateKey, "1:8"},
		{"a name twice, and no colon", `{"a":1,"a"}`, fault.CodeDuplicateKey, "1:8"},
		{"a name twice among many", "{" + members(100) + `,"m7":0}`, fault.CodeDuplicateKey, "1:792"},

		{"64 levels", nested(64), "", ""},
		{"65 levels", nested(65), fault.CodeDepth, "1:69"},
		{"100,000 values", values(fhir.MaxNodes), "", ""},
		{"one value too many", values(fhir.MaxNodes + 1), fault.CodeNodes, "1:200003"},
		{"1 MiB", sized(fhir.MaxBytes), "", ""},
		{"one byte too many", sized(fhir.MaxBytes + 1), fault.CodeTooLarge, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := fhir.Decode([]byte(tc.body))
			if fault.CodeOf(err) != tc.code {
				t.Fatalf("got %v, want %q", err, tc.code)
			}
			if issue := fhir.IssueOf(err); tc.at != "" && fmt.Sprintf("%d:%d", issue.Line, issue.Col) != tc.at {
				t.Errorf("at %d:%d, want %s", issue.Line, issue.Col, tc.at)
			}
		})
	}
}

func members(n int) string {
	var parts []string
	for i := range n {
		parts = append(parts, fmt.Sprintf(`"m%d":0`, i))
	}
	return strings.Join(parts, ",")
}

func nested(depth int) string {
	return `{"a":` + strings.Repeat("[", depth-1) + strings.Repeat("]", depth-1) + `}`
}

// values has n values: the object, the array and what is in it.
func values(n int) string { return `{"a":[` + strings.Repeat("0,", n-3) + "0]}" }

func sized(n int) string { return `{"a":"` + strings.Repeat("x", n-8) + `"}` }

// TestDecodeDiffers sends mutations of real messages through this decoder and another's, which must
// agree on what is JSON.
func TestDecodeDiffers(t *testing.T) {
	seeds := [][]byte{
		ours(t, "medicationrequest.json"),
		[]byte(`{"a":[1,-2.5e3,"\ud83d\ude00 é",null,true,{"b":{}}],"c":"\\\"\/"}`),
	}
	random := rand.New(rand.NewPCG(1, 2)) // always the same mutations
	wrong := 0
	for range 20_000 {
		body := mutate(random, seeds[random.IntN(len(seeds))])
		_, err := fhir.Decode(body)
		if stricter(err, body) {
			continue
		}
		if (err == nil) != isJSON(body) {
			t.Errorf("Decode says %v, jsontext %t: %q", err, isJSON(body), body)
		}
		if err != nil {
			wrong++
		}
	}
	if wrong < 5_000 {
		t.Errorf("only %d mutations broke the text: they test nothing", wrong)
	}
}

// stricter is what FHIR and this hub refuse besides what RFC 8259 and I-JSON do.
func stricter(err error, body []byte) bool {
	switch fault.CodeOf(err) {
	case fault.CodeDepth, fault.CodeNodes, fault.CodeTooLarge:
		return true
	case fault.CodeEncoding:
		return bytes.Contains(body, []byte(`\b`)) || bytes.Contains(body, []byte(`\f`)) || bytes.Contains(body, []byte(`\u00`))
	case fault.CodeSyntax:
		return len(bytes.TrimLeft(body, " \n\r\t")) == 0 || bytes.TrimLeft(body, " \n\r\t")[0] != '{'
	}
	return false
}

func isJSON(body []byte) bool {
	d := jsontext.NewDecoder(bytes.NewReader(body))
	if err := d.SkipValue(); err != nil {
		return false
	}
	_, err := d.ReadToken()
	return err == io.EOF
}

// mutate changes a few places of a body: a byte, a cut, a copy of another part, an escape.
func mutate(random *rand.Rand, seed []byte) []byte {
	body := bytes.Clone(seed)
	for range 1 + random.IntN(2) {
		at := random.IntN(len(body))
		switch random.IntN(6) {
		case 0:
			body[at] = byte(random.IntN(256))
		case 1:
			body[at] = `{}[]",:\0-e.u`[random.IntN(13)]
		case 2:
			body = append(body[:at], body[min(len(body), at+1+random.IntN(4)):]...)
		case 3:
			from := random.IntN(len(body))
			part := bytes.Clone(body[from:min(len(body), from+random.IntN(20))])
			body = append(body[:at], append(part, body[at:]...)...)
		case 4:
			escape := []string{`\u0041`, `\ud83d`, `\ude00`, `\n`, `\q`}[random.IntN(5)]
			body = append(body[:at], append([]byte(escape), body[at:]...)...)
		case 5: // untouched: half of what is sent should be JSON
		}
		if len(body) == 0 {
			return seed
		}
	}
	return body
}

// TestHostile: bodies made to be slow are answered in the time their size deserves.
func TestHostile(t *testing.T) {
	entry := `{"resource":{"resourceType":"MedicationRequest","id":"a","status":"active","intent":"order",` +
		`"medicationReference":{"reference":"Medication/m"},"subject":{"reference":"Patient/p"}}}`
	n := 5_000
	for name, body := range map[string]string{
		"many names":            "{" + members(80_000) + "}",
		"many equal references": bundle("collection", strings.Repeat(entry+",", n)+entry),
		"many contained":        contained(15_000),
		"a chain of medicines":  bundle("collection", chain(4_000)),
	} {
		t.Run(name, func(t *testing.T) {
			d, err := fhir.Decode([]byte(body))
			if err != nil {
				t.Fatal(err)
			}
			fhir.Validate(d)
			m, _ := fhir.Read(d)
			for _, q := range m.Requests {
				fhir.Complete(d, q)
			}
			if len(m.Requests) > 0 {
				if _, err := fhir.Slice([]byte(body), []int{m.Requests[0].Item}); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func bundle(typ, entries string) string {
	return `{"resourceType":"Bundle","type":"` + typ + `","entry":[` + entries + `]}`
}

func contained(n int) string {
	var in, refs []string
	for i := range n {
		in = append(in, fmt.Sprintf(`{"resourceType":"Basic","id":"c%d"}`, i))
		refs = append(refs, fmt.Sprintf(`{"reference":"#c%d"}`, n-1-i))
	}
	return `{"resourceType":"MedicationRequest","id":"a","contained":[` + strings.Join(in, ",") + `],"supportingInformation":[` + strings.Join(refs, ",") + `]}`
}

// chain is an order of a medicine that is made of a medicine that is made of a medicine.
func chain(n int) string {
	parts := []string{`{"resource":{"resourceType":"MedicationRequest","id":"a","medicationReference":{"reference":"Medication/m0"}}}`}
	for i := range n {
		ref := fmt.Sprintf(`{"itemReference":{"reference":"Medication/m%d"}}`, (i+1)%n)
		parts = append(parts, fmt.Sprintf(`{"resource":{"resourceType":"Medication","id":"m%d","ingredient":[%s,%s]}}`, i, ref, ref))
	}
	return strings.Join(parts, ",")
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"a":[1,-2.5e3,"\ud83d\ude00 é",null,true,{"b":{}}]}`))
	f.Add(ours(f, "medicationrequest.json"))
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := fhir.Decode(body)
		if err == nil && !isJSON(body) {
			t.Fatal("accepted what is no JSON")
		}
		if err != nil {
			if fault.CodeOf(err) == "" {
				t.Fatalf("an error without a code: %v", err)
			}
			return
		}
		fhir.Validate(d)
		m, _ := fhir.Read(d)
		for _, q := range m.Requests {
			fhir.Complete(d, q)
			if _, err := fhir.ViewOf(body, q.Item); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// FuzzDecodeAgrees compares with another strict decoder: both call the same JSON, but for the limits and the
// control characters that no FHIR string has, which are ours.
func FuzzDecodeAgrees(f *testing.F) {
	for _, seed := range []string{`{"a":[1,-2.5e3,"\ud83d\ude00 é",null,true,{"b":{}}]}`, `{"a":1,"\u0061":2}`, `{"a":"\ud800"}`, ` {} `, `{}{}`, `{"a":01}`, `{"a":.5}`, "{\"a\":\"\x7f\"}", `{"":"\b"}`, `[]`, ` "x" `, `null`, `-0`, `[1}`} {
		f.Add([]byte(seed))
	}
	control := regexp.MustCompile(`\\([bf]|u00[01])`)
	f.Fuzz(func(t *testing.T, body []byte) {
		_, err := fhir.Decode(body)
		switch code := fault.CodeOf(err); {
		case code == fault.CodeTooLarge, code == fault.CodeDepth, code == fault.CodeNodes, code == fault.CodeEncoding && control.Match(body):
			return
		case code == fault.CodeStructure: // a resource is an object
			err = nil
		}
		if (err == nil) != isJSON(body) {
			t.Fatalf("ours: %v, theirs: %t", err, isJSON(body))
		}
	})
}

// FuzzPrimitives: no text of any type makes the validator fail, and the forms agree with FHIR's own patterns
// where those say all.
func FuzzPrimitives(f *testing.F) {
	for _, seed := range []string{"2026-02-30", "a-b.c", "08:00:00", "+1", "1.0e3", "urn:uuid:", "QQ==", "2026-01-02T24:00:00Z", "en-US"} {
		f.Add(seed)
	}
	id := regexp.MustCompile(`^[A-Za-z0-9\-.]{1,64}$`)
	code := regexp.MustCompile(`^[^\s]+(\s[^\s]+)*$`)
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return
		}
		quoted, err := json.Marshal(text)
		if err != nil {
			return
		}
		for typ, pattern := range map[string]*regexp.Regexp{"Id": id, "Code": code, "Date": nil, "DateTime": nil, "Instant": nil, "Time": nil,
			"Base64Binary": nil, "Oid": nil, "Uuid": nil, "Uri": nil, "String": nil, "Markdown": nil} {
			d, err := fhir.Decode(fmt.Appendf(nil, `{"resourceType":"Basic","code":{"text":"x"},"extension":[{"url":"u:x","value%s":%s}]}`, typ, quoted))
			if err != nil {
				return
			}
			accepted := len(fhir.Validate(d)) == 0
			if typ == "Id" && accepted != pattern.MatchString(text) || typ == "Code" && accepted && !pattern.MatchString(text) {
				t.Errorf("%s %q: accepted %t", typ, text, accepted)
			}
		}
	})
}
