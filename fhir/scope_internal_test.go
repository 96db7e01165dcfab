package fhir

import (
	"fmt"
	"strings"
	"testing"
)

// Few contained resources and few identifiers are looked through, many have an index: what a reference leads to is
// the same.
func TestResolveInBareResource(t *testing.T) {
	for _, n := range []int{1, manyContained - 1, manyContained, 5 * manyContained} {
		var contained, others strings.Builder
		for i := range n {
			fmt.Fprintf(&contained, `{"resourceType":"Patient","id":"p%d","gender":"other"},`, i)
			fmt.Fprintf(&others, `{"system":"urn:s","value":"v%d"},`, i)
		}
		d, err := Decode([]byte(`{"resourceType":"MedicationRequest","id":"rx","identifier":[` + others.String() +
			`{"system":"urn:s","value":"v"}],"contained":[` + contained.String() + `{"resourceType":"Patient","id":"p0","gender":"female"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		root, s := d.root(), d.tree()
		if named, held := s.byName != nil, s.contained != nil; named != (n+1 > fewIdentifiers) || held != (n+1 > manyContained) {
			t.Errorf("%d of each: index of names %v, of what is contained %v", n+1, named, held) // else work grows with the square
		}
		for _, c := range []struct {
			reference string
			want      string // where it leads: a gender, "root", or "" for nowhere
		}{
			{`{"reference":"#p0"}`, "female"}, // the last of two
			{fmt.Sprintf(`{"reference":"#p%d"}`, n-1), map[bool]string{true: "female", false: "other"}[n == 1]},
			{fmt.Sprintf(`{"reference":"#p%d"}`, n), ""},
			{`{"reference":"#"}`, "root"},
			{`{"reference":"MedicationRequest/rx"}`, "root"},
			{`{"reference":"MedicationRequest/ry"}`, ""},
			{`{"reference":"Patient/p0"}`, ""},
			{`{"type":"MedicationRequest","identifier":{"system":"urn:s","value":"v"}}`, "root"},
			{`{"reference":"MedicationRequest?identifier=urn:s|v"}`, "root"},
			{`{"reference":"#gone","type":"MedicationRequest","identifier":{"system":"urn:s","value":"v"}}`, "root"},
			{`{"type":"Patient","identifier":{"system":"urn:s","value":"v"}}`, ""},
			{`{"type":"MedicationRequest","identifier":{"system":"urn:s","value":"w"}}`, ""},
			{`{}`, ""},
		} {
			ref, err := Decode([]byte(c.reference))
			if err != nil {
				t.Fatal(err)
			}
			to := s.resolve(ref.root(), 0)
			got := to.member("gender").text()
			if to.present() && to.at == root.at {
				got = "root"
			}
			if got != c.want {
				t.Errorf("%d contained, %s: leads to %q, want %q", n+1, c.reference, got, c.want)
			}
		}
	}
}

// A whole number takes a shorter way to the same amount.
func TestAmountOf(t *testing.T) {
	const unit = `"system":"urn:u","code":"mg"`
	for q, want := range map[string]Amount{
		`{"value":21,` + unit + `}`:                        {21_000_000, "urn:u|mg"},
		`{"value":21.0,` + unit + `}`:                      {21_000_000, "urn:u|mg"},
		`{"value":2.1e1,` + unit + `}`:                     {21_000_000, "urn:u|mg"},
		`{"value":0.000001,` + unit + `}`:                  {1, "urn:u|mg"},
		`{"value":0.0000001,` + unit + `}`:                 {},
		`{"value":2147483647,` + unit + `}`:                {2147483647_000_000, "urn:u|mg"},
		`{"value":2147483648,` + unit + `}`:                {2147483648_000_000, "urn:u|mg"},
		`{"value":99999999999999999999,` + unit + `}`:      {most, "urn:u|mg"},
		`{"value":0,` + unit + `}`:                         {},
		`{"value":-3,` + unit + `}`:                        {},
		`{"value":"3",` + unit + `}`:                       {},
		`{"value":3}`:                                      {},
		`{"value":3,"comparator":"<",` + unit + `}`:        {},
		`{"value":3,"_comparator":{"id":"c"},"code":"mg"}`: {},
		`{"value":3,"code":"mg"}`:                          {3_000_000, "|mg"},
		`{` + unit + `}`:                                   {},
	} {
		d, err := Decode([]byte(q))
		if err != nil {
			t.Fatal(err)
		}
		if got := amountOf(d.root()); got != want {
			t.Errorf("%s: %v, want %v", q, got, want)
		}
	}
}
