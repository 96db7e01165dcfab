package inbox

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/fhir/rx"
	"github.com/dosewire/dosewire/fhir/safety"
)

// TestWhatWasChecked: the patient reads what was compared, and that nothing was where nothing was.
func TestWhatWasChecked(t *testing.T) {
	const text, coded = `"medicationCodeableConcept":{"text":"Ibuprofen"}`, `"medicationCodeableConcept":{"coding":[{"system":"urn:s","code":"1"}],"text":"Ibuprofen"}`
	plain := order("rx-1", "Ibuprofen", "", "20", 0)
	allergic := strings.Replace(strings.Replace(plain, text, coded, 1), `"contained":[`, `"contained":[{"resourceType":"AllergyIntolerance","id":"a","patient":{"reference":"#p"},"code":{"coding":[{"system":"urn:s","code":"2"}]}},`, 1)
	for name, tt := range map[string]struct {
		body, more string
		phase      rx.Phase
		want, not  []string
	}{
		"text":      {plain, "", rx.Ready, []string{"same medicine was not checked, because this one was sent as plain text", "Allergies were not checked, because none were sent"}, []string{"Please ask"}},
		"code":      {strings.Replace(plain, text, coded, 1), "", rx.Ready, []string{"compared this medicine", "any that you had added to this inbox, by exact code only.", "Allergies were not checked, because none were sent"}, nil},
		"allergies": {allergic, "", rx.Ready, []string{"compared this medicine", "We compared it with the allergies that your clinic sent with it, by exact code only."}, []string{"not checked"}},
		"found":     {allergic, `,"therapy":{"f":["00"]}`, rx.Ready, []string{"Please ask", "Ask your pharmacist"}, nil},
		"failed":    {allergic, `,"therapy":{"x":true}`, rx.Ready, []string{"something went wrong here"}, []string{"compared"}},
		"over":      {plain, "", rx.Completed, nil, []string{"What was checked"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			clinic, patient := w.organization("clinic", "Riverside"), uuid.Must(uuid.NewV7())
			id := w.issue(clinic, patient, w.now().Add(-time.Hour), "rx-1", tt.body, rx.State{Phase: tt.phase, Clinic: clinic.String(), FillsAllowed: 1}, string(tt.phase))
			row := &w.prescriptions[0]
			row.State = append(append(row.State[:len(row.State)-1:len(row.State)-1], tt.more...), '}')
			_, page := w.client(w.serve()).signIn(w, patient).get("/inbox/p/" + id.String())
			wantText(t, page, tt.want...)
			for _, not := range tt.not {
				if strings.Contains(page, not) {
					t.Errorf("the page says %q", not)
				}
			}
		})
	}
}

func TestByWords(t *testing.T) {
	for want, by := range map[string][]safety.Basis{
		"active ingredient":                                  {safety.Ingredient},
		"exact code and kind of medicine":                    {safety.Code, safety.Class},
		"exact code, active ingredient and kind of medicine": {safety.Code, safety.Ingredient, safety.Class},
	} {
		if got := byWords(safety.Looked{By: by}); got != want {
			t.Errorf("%v: %q", by, got)
		}
	}
}
