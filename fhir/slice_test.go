package fhir_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dosewire/dosewire/fhir"
)

// two is a message with two prescriptions and much around them. The odd white space must survive.
func two() string {
	return bundle("message", strings.Join([]string{
		at("urn:uuid:h", `{"resourceType":"MessageHeader","id":"h","focus":[{"reference":"urn:uuid:a"},{"reference":"urn:uuid:b"}]}`),
		at("urn:uuid:a", mr(`,  "id":"a","subject":{"reference":"urn:uuid:p"},"requester":{"reference":"urn:uuid:r"},"reasonReference":[{"reference":"urn:uuid:c"}],"basedOn":[{"reference":"urn:uuid:plan"}]`)),
		at("urn:uuid:b", mr(`,"id":"b","subject":{"reference":"urn:uuid:p"},"requester":{"reference":"urn:uuid:r"},"priorPrescription":{"reference":"urn:uuid:a"}`)),
		at("urn:uuid:p", `{"resourceType":"Patient","id":"p" }`),
		at("urn:uuid:r", `{"resourceType":"PractitionerRole","id":"r","practitioner":{"reference":"urn:uuid:d"},"organization":{"reference":"urn:uuid:o"}}`),
		at("urn:uuid:d", `{"resourceType":"Practitioner","id":"d"}`),
		at("urn:uuid:o", `{"resourceType":"Organization","id":"o"}`),
		at("urn:uuid:c", `{"resourceType":"Condition","id":"c","subject":{"reference":"urn:uuid:p"}}`),
		at("urn:uuid:plan", `{"resourceType":"CarePlan","id":"plan","activity":[{"reference":{"reference":"urn:uuid:b"}}]}`),
		at("urn:uuid:list", `{"resourceType":"List","id":"list"}`),
		at("urn:uuid:s1", `{"resourceType":"Provenance","id":"s1","target":[{"reference":"urn:uuid:a"}],"agent":[{"who":{"reference":"urn:uuid:d"}}]}`),
		at("urn:uuid:s2", `{"resourceType":"Provenance","id":"s2","target":[{"reference":"urn:uuid:a"},{"reference":"urn:uuid:b"}]}`),
	}, ","))
}

func TestSlice(t *testing.T) {
	dispenses := bundle("transaction", strings.Join([]string{
		at("urn:uuid:m1", mr(`,"id":"m1"`)),
		at("urn:uuid:m2", mr(`,"id":"m2"`)),
		at("urn:uuid:d1", md(`,"id":"d1","authorizingPrescription":[{"reference":"urn:uuid:m1"}],"performer":[{"actor":{"reference":"urn:uuid:o"}}]`)),
		at("urn:uuid:d2", md(`,"id":"d2","authorizingPrescription":[{"reference":"urn:uuid:m2"}]`)),
		at("urn:uuid:o", `{"resourceType":"Organization","id":"o"}`),
	}, ","))
	for _, tc := range []struct {
		rule, body string
		items      []int
		want       string // ids, or "whole"
	}{
		{"all items: as received", two(), []int{1, 2}, "whole"},
		{"a bare resource", mr(`,"id":"a"`), []int{0}, "whole"},
		{"one item, its people and reasons, its own signature", two(), []int{1}, "a p r d o c s1"},
		{"the other item, and not the one that it replaces", two(), []int{2}, "b p r d o"},
		{"all dispenses: as received", dispenses, []int{2, 3}, "whole"},
		{"one dispense and the prescription it cites", dispenses, []int{2}, "m1 d1 o"},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			got, err := fhir.Slice([]byte(tc.body), tc.items)
			if err != nil {
				t.Fatal(err)
			}
			if tc.want == "whole" {
				if string(got) != tc.body {
					t.Errorf("not as received: %s", got)
				}
				return
			}
			if diff := cmp.Diff(strings.Fields(tc.want), ids(t, tc.body, got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// ids lists the resources of a slice, each of which must stand in the message byte for byte and at
// the same fullUrl.
func ids(t testing.TB, message string, slice []byte) (all []string) {
	t.Helper()
	d := decode(t, string(slice))
	if got := d.BundleType(); got != "collection" {
		t.Errorf("a Bundle of type %q", got)
	}
	bodies, _ := fhir.Split(d)
	for _, b := range bodies {
		whole := bytes.Index([]byte(message), b)
		if whole < 0 {
			t.Errorf("changed: %s", b)
		}
		_, id, _ := strings.Cut(string(b), `"id":"`)
		id, _, _ = strings.Cut(id, `"`)
		if !strings.Contains(message, fmt.Sprintf(`"fullUrl":"urn:uuid:%s","resource":%s`, id, b)) {
			t.Errorf("%s has another fullUrl", id)
		}
		all = append(all, id)
	}
	return all
}

func TestSliceRefuses(t *testing.T) {
	for name, items := range map[string][]int{"no items": nil, "an item that is not there": {77}, "an item that is no prescription": {3}, "a negative one": {-1}} {
		if _, err := fhir.Slice([]byte(two()), items); !errors.Is(err, fhir.ErrItem) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := fhir.Slice([]byte(`{`), []int{0}); err == nil {
		t.Error("broken text was sliced")
	}
}

// TestCorpusSlices: of every Bundle with several prescriptions each slice holds its own one, complete
// in itself, and no other.
func TestCorpusSlices(t *testing.T) {
	bundles, slices := 0, 0
	for _, s := range corpus(t) {
		if s.verdict != "valid" {
			continue
		}
		d, err := fhir.Decode(s.body)
		if err != nil {
			continue
		}
		m, issues := fhir.Read(d)
		if len(issues) > 0 || len(m.Requests) < 2 || len(m.Dispenses) > 0 {
			continue
		}
		bundles++
		for _, q := range m.Requests {
			slices++
			body, err := fhir.Slice(s.body, []int{q.Item})
			if err != nil {
				t.Errorf("%s: %v", s.file, err)
				continue
			}
			part := decode(t, string(body))
			own, issues := fhir.Read(part)
			if len(issues) > 0 || len(own.Requests) != 1 || !bytes.Equal(own.Requests[0].Raw, q.Raw) {
				t.Errorf("%s: item %d: %d requests, %v", s.file, q.Item, len(own.Requests), issues)
				continue
			}
			if before, after := refused(d, q), refused(part, own.Requests[0]); after != before {
				t.Errorf("%s: item %d: refused %t whole, %t alone", s.file, q.Item, before, after)
			}
		}
	}
	t.Logf("%d slices of %d Bundles", slices, bundles)
}

func refused(d *fhir.Document, q fhir.Request) bool {
	_, yes := fhir.Refused(fhir.Complete(d, q))
	return yes
}

func TestSplit(t *testing.T) {
	bodies, expressions := fhir.Split(decode(t, bundle("batch", res(`{"resourceType":"Patient"}`)+`,{"request":{"method":"GET","url":"x"}},`+res(mr("")))))
	var got []string
	for _, b := range bodies {
		got = append(got, string(b))
	}
	if diff := cmp.Diff([]string{`{"resourceType":"Patient"}`, "", mr("")}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"Bundle.entry[0].resource", "Bundle.entry[1]", "Bundle.entry[2].resource"}, expressions); diff != "" {
		t.Error(diff)
	}
}

func FuzzSlice(f *testing.F) {
	f.Add([]byte(two()), 1)
	f.Add(ours(f, "medicationrequest.json"), 0)
	f.Fuzz(func(t *testing.T, body []byte, item int) {
		out, err := fhir.Slice(body, []int{item})
		if err != nil {
			return
		}
		d, err := fhir.Decode(out)
		if err != nil {
			t.Fatalf("the slice is no JSON: %v", err)
		}
		if !bytes.Equal(out, body) {
			if m, _ := fhir.Read(d); len(m.Requests)+len(m.Dispenses) == 0 {
				t.Fatal("the item is not in its slice")
			}
		}
	})
}
