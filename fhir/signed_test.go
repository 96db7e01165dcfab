package fhir

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

const (
	signedPatient = `{"resourceType":"Patient","identifier":[{"system":"urn:mrn","value":"1"}]}`
	signedOrder   = `{"resourceType":"MedicationRequest","status":"active","subject":{"reference":"urn:uuid:00000000-0000-4000-8000-000000000001"}}`
)

// signedBundle puts a Provenance and Binaries beside entries.
func signedBundle(provenance string, entries ...string) string {
	return `{"resourceType":"Bundle","type":"collection","entry":[` + strings.Join(append(entries, provenance), ",") + `]}`
}

func entryAt(n int, resource string) string {
	return fmt.Sprintf(`{"fullUrl":"urn:uuid:00000000-0000-4000-8000-%012d","resource":%s}`, n, resource)
}

func binaryAt(n int, content string) string {
	return entryAt(n, `{"resourceType":"Binary","contentType":"application/fhir+json","data":"`+base64.StdEncoding.EncodeToString([]byte(content))+`"}`)
}

func decoded(t *testing.T, body string) *Document {
	t.Helper()
	d, err := Decode([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestSignatures(t *testing.T) {
	const to = `"target":[{"reference":"urn:uuid:00000000-0000-4000-8000-000000000009"}]`
	provenance := func(target, who, data string) string {
		return entryAt(8, `{"resourceType":"Provenance",`+target+`,"signature":[{"sigFormat":"application/jose","who":`+who+`,"data":"`+data+`"}]}`)
	}
	role := entryAt(3, `{"resourceType":"PractitionerRole","practitioner":{"reference":"urn:uuid:00000000-0000-4000-8000-000000000004"}}`)
	loop := entryAt(3, `{"resourceType":"PractitionerRole","practitioner":{"reference":"urn:uuid:00000000-0000-4000-8000-000000000003"}}`)
	doctor := entryAt(4, `{"resourceType":"Practitioner","identifier":[{"system":"npi","value":"77"}]}`)
	self := `{"identifier":{"system":"npi","value":"78"},"reference":"urn:uuid:00000000-0000-4000-8000-000000000003"}`
	for _, c := range []struct {
		name          string
		bundle        string
		data, content string
		who           string
	}{
		{"target", signedBundle(provenance(to, "{}", "YS4uYg=="), binaryAt(9, "text")), "a..b", "text", "[]"},
		{"entity", signedBundle(provenance(`"target":[{"reference":"Patient/1"}],"entity":[{"what":{"reference":"urn:uuid:00000000-0000-4000-8000-000000000009"}}]`, "{}", "YS4uYg=="), binaryAt(9, "text")), "a..b", "text", "[]"},
		{"both the same", signedBundle(provenance(to+`,"entity":[{"what":{"reference":"urn:uuid:00000000-0000-4000-8000-000000000009"}}]`, "{}", "YS4uYg=="), binaryAt(9, "text")), "a..b", "text", "[]"},
		{"two Binaries", signedBundle(provenance(to+`,"entity":[{"what":{"reference":"urn:uuid:00000000-0000-4000-8000-000000000010"}}]`, "{}", "YS4uYg=="), binaryAt(9, "text"), binaryAt(10, "other")), "a..b", "", "[]"},
		{"no Binary", signedBundle(provenance(to, "{}", "YS4uYg==")), "a..b", "", "[]"},
		{"lines", signedBundle(provenance(to, "{}", `YS4u\nYg==`), binaryAt(9, "text")), "a..b", "text", "[]"},
		{"no base64", signedBundle(provenance(to, "{}", "YS4uY"), binaryAt(9, "text")), "", "text", "[]"},
		{"spare bits", signedBundle(provenance(to, "{}", "YS4uYh=="), binaryAt(9, "text")), "", "text", "[]"},
		{"who by identifier, role and person", signedBundle(provenance(to, self, "YS4uYg=="), role, doctor, binaryAt(9, "text")), "a..b", "text", "[{npi 78} {npi 77}]"},
		{"a role of itself", signedBundle(provenance(to, self, "YS4uYg=="), loop, binaryAt(9, "text")), "a..b", "text", "[{npi 78}]"},
	} {
		all := Signatures(decoded(t, c.bundle))
		if len(all) != 1 || string(all[0].Data) != c.data || string(all[0].Content) != c.content || fmt.Sprint(all[0].Who) != c.who || all[0].Format != "application/jose" {
			t.Errorf("%s: %+v", c.name, all)
		}
		if len(all) == 1 && !strings.HasSuffix(all[0].Expression, ".resource.signature[0]") {
			t.Errorf("%s: at %s", c.name, all[0].Expression)
		}
	}
	if all := Signatures(decoded(t, `{"resourceType":"Provenance","signature":[{"data":"YS4uYg=="}]}`)); all != nil {
		t.Errorf("a bare Provenance: %+v", all)
	}
}

func TestHolds(t *testing.T) {
	const provenance = `{"resource":{"resourceType":"Provenance"}}`
	whole := signedBundle(`{"resource":{"resourceType":"MessageHeader"}}`, entryAt(1, signedPatient), entryAt(2, signedOrder))
	two := signedBundle(provenance, entryAt(1, signedPatient), entryAt(2, signedOrder), binaryAt(9, whole))
	alone := `{"resourceType":"MedicationRequest","status":"active","subject":{"identifier":{"value":"1"}}}`
	one := signedBundle(provenance, entryAt(2, alone), binaryAt(9, alone))
	for _, c := range []struct {
		name            string
		content, bundle string
		want            bool
	}{
		{"all of it", whole, two, true},
		{"spaces between tokens", strings.ReplaceAll(whole, `":`, `" : `), two, true},
		{"one resource alone", alone, one, true},
		{"a resource of several", signedOrder, two, false},
		{"another status", strings.Replace(whole, "active", "on-hold", 1), two, false},
		{"another patient", strings.Replace(whole, `"value":"1"`, `"value":"2"`, 1), two, false},
		{"under another fullUrl", strings.Replace(whole, "-000000000001\",\"resource", "-000000000007\",\"resource", 1), two, false},
		{"one less is asked for", whole, signedBundle(provenance, entryAt(2, signedOrder)), false},
		{"one more is asked for", signedBundle(provenance, entryAt(2, signedOrder)), two, false},
		{"a property more", strings.Replace(alone, `"status"`, `"intent":"order","status"`, 1), one, false},
		{"a space inside a text", strings.Replace(alone, `"active"`, `"active "`, 1), one, false},
		{"a number in other spelling", `{"resourceType":"MedicationRequest","x":1.0}`, signedBundle(provenance, entryAt(2, `{"resourceType":"MedicationRequest","x":1.00}`)), false},
		{"no JSON", "text", one, false},
		{"a property twice", `{"resourceType":"MedicationRequest","status":"on-hold",` + alone[len(`{"resourceType":"MedicationRequest",`):], one, false},
		{"nothing asked for", `{"resourceType":"Bundle"}`, signedBundle(provenance), false},
		{"no Bundle", alone, alone, false},
	} {
		if got := Holds([]byte(c.content), decoded(t, c.bundle)); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
