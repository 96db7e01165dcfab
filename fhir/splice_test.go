package fhir_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/internal/fault"
)

func hubMeta() fhir.Meta {
	return fhir.Meta{ID: "hub-1", VersionID: "3", LastUpdated: "2026-11-18T09:00:00Z", Tags: []fhir.Coding{{System: "s", Code: "ready"}}}
}

func TestSplice(t *testing.T) {
	const all = `"versionId":"3","lastUpdated":"2026-11-18T09:00:00Z","tag":[{"system":"s","code":"ready"}]`
	for _, tc := range []struct{ rule, body, want string }{
		{"nothing there", `{"resourceType":"X"}`, `{"resourceType":"X","id":"hub-1","meta":{` + all + `}}`},
		{"an empty resource", `{ }`, `{"id":"hub-1","meta":{` + all + `} }`},
		{"the id is replaced where it stands", `{"id" : "mine", "a": 1.00}`, `{"id" : "hub-1", "a": 1.00,"meta":{` + all + `}}`},
		{"a meta keeps what it has", "{\"meta\" : {\"profile\":[\"p\"]\n}, \"id\":\"mine\"}", "{\"meta\" : {\"profile\":[\"p\"],\"versionId\":\"3\",\"lastUpdated\":\"2026-11-18T09:00:00Z\",\"tag\":[{\"system\":\"s\",\"code\":\"ready\"}]\n}, \"id\":\"hub-1\"}"},
		{"a version is replaced", `{"id":"x","meta":{"versionId":"1"}}`, `{"id":"hub-1","meta":{"versionId":"3","lastUpdated":"2026-11-18T09:00:00Z","tag":[{"system":"s","code":"ready"}]}}`},
		{"tags are added", `{"id":"x","meta":{"tag":[{"code":"a"}],"versionId":"1","lastUpdated":"2020"}}`, `{"id":"hub-1","meta":{"tag":[{"code":"a"},{"system":"s","code":"ready"}],"versionId":"3","lastUpdated":"2026-11-18T09:00:00Z"}}`},
		{"a tag is not added twice", `{"id":"x","meta":{"tag":[{"system":"s","code":"ready"}],"versionId":"1","lastUpdated":"2020"}}`, `{"id":"hub-1","meta":{"tag":[{"system":"s","code":"ready"}],"versionId":"3","lastUpdated":"2026-11-18T09:00:00Z"}}`},
		{"ids inside stay", `{"contained":[{"id":"c"}],"id":"x","meta":{"versionId":"1","lastUpdated":"2020","tag":[{"system":"s","code":"ready"}]}}`, `{"contained":[{"id":"c"}],"id":"hub-1","meta":{"versionId":"3","lastUpdated":"2026-11-18T09:00:00Z","tag":[{"system":"s","code":"ready"}]}}`},
		{"white space around stays", "\n{\"resourceType\":\"X\" } \n", "\n{\"resourceType\":\"X\",\"id\":\"hub-1\",\"meta\":{" + all + "} } \n"},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			got, err := fhir.Splice([]byte(tc.body), hubMeta())
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != tc.want {
				t.Errorf("\ngot  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestSpliceNothing(t *testing.T) {
	body := ours(t, "medicationrequest.json")
	got, err := fhir.Splice(body, fhir.Meta{})
	if err != nil || string(got) != string(body) {
		t.Errorf("an empty Meta changes the text: %v", err)
	}
	if _, err := fhir.Splice([]byte(`{"meta":[]}`), hubMeta()); fault.CodeOf(err) != fault.CodeStructure {
		t.Errorf("a meta that is an array: %v", err)
	}
}

func TestItem(t *testing.T) {
	body := bundle("message", res(`{"resourceType":"Patient"}`)+","+res(md(`, "id":"d"`)))
	for item, want := range map[int]string{0: `{"resourceType":"Patient"}`, 1: md(`, "id":"d"`)} {
		if got, err := fhir.Item([]byte(body), item); err != nil || string(got) != want {
			t.Errorf("item %d: %s %v", item, got, err)
		}
	}
	if _, err := fhir.Item([]byte(body), 2); fault.CodeOf(err) != fault.CodeStructure {
		t.Errorf("an item that is not there: %v", err)
	}
	if got := fhir.OnlyDispense([]byte(body)); got != 1 {
		t.Errorf("the dispense is at %d", got)
	}
}

func FuzzSplice(f *testing.F) {
	f.Add(ours(f, "medicationrequest.json"))
	f.Add([]byte(`{"id":"x","meta":{"tag":[{"code":"a"}],"versionId":"1"},"a":1.00}`))
	f.Add([]byte(`{"meta":{}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		out, err := fhir.Splice(body, hubMeta())
		if err != nil {
			return
		}
		if _, err := fhir.Decode(out); err != nil && fault.CodeOf(err) != fault.CodeTooLarge && fault.CodeOf(err) != fault.CodeNodes && fault.CodeOf(err) != fault.CodeDepth {
			t.Fatalf("%v: %s", err, out)
		}
		again, err := fhir.Splice(out, hubMeta())
		if err == nil && string(again) != string(out) {
			t.Fatalf("twice is not once: %s", again)
		}
		before, ok1 := object(body)
		after, ok2 := object(out)
		if !ok1 || !ok2 { // a number that Go cannot hold, such as 1e999
			return
		}
		if after["id"] != "hub-1" {
			t.Fatalf("no id: %s", out)
		}
		for _, o := range []map[string]any{before, after} {
			delete(o, "id")
			delete(o, "meta")
		}
		if diff := cmp.Diff(before, after); diff != "" {
			t.Fatal(diff)
		}
	})
}

func object(body []byte) (o map[string]any, ok bool) {
	err := json.Unmarshal(body, &o)
	return o, err == nil
}
