package fhir_test

import (
	"testing"

	"github.com/dosewire/dosewire/fhir"
)

func TestExaminationsAreOfTheSameBytes(t *testing.T) {
	doc, err := fhir.Decode([]byte(`{"resourceType":"Bundle"}`))
	if err != nil {
		t.Fatal(err)
	}
	x := fhir.Examine(doc, fhir.Validate)
	var e fhir.Examinations
	forget := e.Keep("org.1", x)

	tests := []struct {
		name, id, body string
		want           bool
	}{
		{"the same", "org.1", `{"resourceType":"Bundle"}`, true},
		{"other bytes under the id", "org.1", `{"resourceType": "Bundle"}`, false},
		{"another id", "org.2", `{"resourceType":"Bundle"}`, false},
	}
	for _, tt := range tests {
		got, ok := e.Of(tt.id, []byte(tt.body))
		if ok != tt.want || ok && got.Document != doc {
			t.Errorf("%s: %v, want %v", tt.name, ok, tt.want)
		}
	}
	forget()
	if _, ok := e.Of("org.1", doc.Raw()); ok {
		t.Error("it was not forgotten")
	}

	var none *fhir.Examinations
	none.Keep("org.1", x)()
	if _, ok := none.Of("org.1", doc.Raw()); ok {
		t.Error("nil holds something")
	}
}
