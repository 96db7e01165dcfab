package fhir_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dosewire/dosewire/fhir"
)

func TestViewOf(t *testing.T) {
	got, err := fhir.ViewOf(ours(t, "medicationrequest.json"), 0)
	if err != nil {
		t.Fatal(err)
	}
	want := fhir.View{
		Medication: "Amoxicillin 250 mg capsules",
		Dosage:     []string{"Take 1 capsule by mouth 3 times a day for 7 days"},
		Prescriber: "Dr Sven Lindqvist", Note: []string{"Allergic to none known."}, Quantity: "21 capsules", Repeats: 1,
		AuthoredOn: "2026-11-17T14:05:00-05:00", ValidTo: "2026-12-17", Patient: "Ada June Okafor", BirthDate: "1984-02-29",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := fhir.ViewOf([]byte(bundle("message", res(`{"resourceType":"Patient"}`))), 0); !errors.Is(err, fhir.ErrItem) {
		t.Errorf("the view of a Patient: %v", err)
	}
}

func TestViewDosage(t *testing.T) {
	one := func(timing string) string {
		return `{"doseAndRate":[{"doseQuantity":{"value":1,"unit":"tablet"}}],"timing":{"repeat":{` + timing + `}}}`
	}
	for _, tc := range []struct{ dosage, want string }{
		{`{"text":"Two at night"}`, "Two at night"},
		{`{"text":"Two at night","patientInstruction":"With water"}`, "Two at night. With water"},
		{`{"text":"Two at night","doseAndRate":[{"doseQuantity":{"value":3}}]}`, "Two at night"},
		{`{"patientInstruction":"With water."}`, "With water"},
		{one(`"frequency":1,"period":1,"periodUnit":"d"`), "1 tablet once a day"},
		{one(`"frequency":2,"period":1,"periodUnit":"d"`), "1 tablet twice a day"},
		{one(`"frequency":1,"frequencyMax":2,"period":1,"periodUnit":"d"`), "1 tablet 1 to 2 times a day"},
		{one(`"frequency":1,"period":8,"periodUnit":"h"`), "1 tablet every 8 hours"},
		{one(`"frequency":1,"period":4,"periodMax":6,"periodUnit":"h"`), "1 tablet every 4 to 6 hours"},
		{one(`"frequency":1,"period":1,"periodUnit":"h"`), "1 tablet once an hour"},
		{one(`"frequency":2,"period":3,"periodUnit":"wk"`), "1 tablet twice every 3 weeks"},
		{one(`"frequency":1,"period":1,"periodUnit":"d","when":["MORN"]`), "1 tablet in the morning"},
		{one(`"when":["ACM","ACV"],"offset":30`), "1 tablet 30 minutes before breakfast and 30 minutes before dinner"},
		{one(`"when":["PCD"],"offset":60`), "1 tablet 1 hour after lunch"},
		{one(`"frequency":1,"period":1,"periodUnit":"wk","dayOfWeek":["mon","wed","fri"]`), "1 tablet once a week on Monday, Wednesday and Friday"},
		{one(`"timeOfDay":["08:00:00","20:00:00"]`), "1 tablet at 08:00 and at 20:00"},
		{one(`"frequency":1,"period":1,"periodUnit":"d","boundsPeriod":{"start":"2026-11-17","end":"2026-11-24"}`), "1 tablet once a day from 2026-11-17 until 2026-11-24"},
		{one(`"frequency":1,"period":1,"periodUnit":"d","boundsRange":{"low":{"value":5,"unit":"days"},"high":{"value":7,"unit":"days"}}`), "1 tablet once a day for 5 to 7 days"},
		{one(`"frequency":1,"period":1,"periodUnit":"d","count":10`), "1 tablet once a day (10 times in all)"},
		{`{"timing":{"code":{"coding":[{"code":"BID"}]}}}`, "Twice a day"},
		{`{"timing":{"code":{"coding":[{"code":"Q6H"}]}}}`, "Every 6 hours"},
		{`{"timing":{"code":{"text":"with each meal"}}}`, "With each meal"},
		{`{"doseAndRate":[{"doseRange":{"low":{"value":1,"unit":"puff"},"high":{"value":2,"unit":"puffs"}}}],"asNeededBoolean":true}`, "1 puff to 2 puffs as needed"},
		{`{"doseAndRate":[{"doseQuantity":{"value":5,"unit":"mL"}}],"asNeededCodeableConcept":{"text":"pain"},"maxDosePerPeriod":{"numerator":{"value":20,"unit":"mL"},"denominator":{"value":1,"unit":"day"}}}`, "5 mL as needed for pain. No more than 20 mL per day"},
		{`{"doseAndRate":[{"rateRatio":{"numerator":{"value":100,"unit":"mL"},"denominator":{"value":1,"unit":"h"}}}],"route":{"text":"intravenous"}}`, "At 100 mL per h intravenous"},
		{`{"method":{"text":"apply"},"site":{"text":"to the left arm"},"additionalInstruction":[{"text":"keep from light"}]}`, "Apply to the left arm. Keep from light"},
		{`{"method":{"text":"žvýkat"}}`, "Žvýkat"},

		// what cannot be said in full is not said in part
		{one(`"frequency":1`), "See prescription"},
		{one(`"frequency":1,"period":1`), "See prescription"},
		{one(`"frequency":1,"period":1,"periodUnit":"d","extension":[{"url":"http://a.example","valueCode":"x"}]`), "See prescription"},
		{`{"doseAndRate":[{"doseQuantity":{"value":1}},{"doseQuantity":{"value":2}}]}`, "See prescription"},
		{`{"doseAndRate":[{"doseQuantity":{"unit":"tablet"}}]}`, "See prescription"},
		{`{"timing":{"code":{"coding":[{"code":"XYZ"}]}}}`, "See prescription"},
		{`{"route":{"coding":[{"system":"http://snomed.info/sct"}]}}`, "See prescription"},
		{`{"method":{"text":"take"},"extension":[{"url":"http://a.example","valueCode":"x"}]}`, "See prescription"},
	} {
		v, err := fhir.ViewOf([]byte(mr(`,"dosageInstruction":[`+tc.dosage+`]`)), 0)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{tc.want}, v.Dosage); diff != "" {
			t.Errorf("%s: %s", tc.dosage, diff)
		}
	}
}

// TestCorpusViews: every order of the corpus can be shown.
func TestCorpusViews(t *testing.T) {
	shown, structured := 0, 0
	for _, s := range corpus(t) {
		if s.verdict != "valid" {
			continue
		}
		for _, q := range orders(t, s) {
			v, err := fhir.ViewOf(s.body, q.Item)
			if err != nil || v.Medication == "" || v.Patient == "" || v.BirthDate == "" || v.Prescriber == "" {
				t.Errorf("%s: item %d: %v", s.file, q.Item, err)
			}
			shown++
			for _, d := range v.Dosage {
				if d == "See prescription" {
					structured++
				}
			}
		}
	}
	t.Logf("%d orders shown, %d dosages refer to the prescription", shown, structured)
}
