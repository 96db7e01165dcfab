package main

import (
	"testing"

	"github.com/dosewire/dosewire/fhir"
)

// TestOrder: what is sent is valid, and a patient takes another medicine with each prescription.
func TestOrder(t *testing.T) {
	all := map[string]bool{}
	for _, n := range []int{1, 2, 19, 1999, 2001, 123457} {
		taken := map[string]bool{}
		for k := range 100 {
			d, err := fhir.Decode(order("run", n+k*patients))
			if err != nil {
				t.Fatal(err)
			}
			if issues := fhir.Validate(d); len(issues) > 0 {
				t.Fatalf("not valid: %+v", issues)
			}
			read, _ := fhir.Read(d)
			medicine, err := fhir.TherapyOf(d, read.Requests[0].Item)
			if err != nil || len(medicine.Codes) != 1 {
				t.Fatalf("medicine: %+v, %v", medicine, err)
			}
			taken[medicine.Codes[0].Code], all[medicine.Codes[0].Code] = true, true
		}
		if len(taken) != 100 {
			t.Errorf("a patient takes %d medicines by 100 prescriptions", len(taken))
		}
	}
	if len(all) != medicines {
		t.Errorf("%d medicines", len(all))
	}
}
