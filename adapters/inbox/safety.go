package inbox

import (
	"slices"
	"strings"

	"github.com/dosewire/dosewire/fhir/safety"
)

// checked is what a prescription's state says of its safety check.
type checked struct {
	Found  []string `json:"f"`
	Failed bool     `json:"x"`
}

// safetyWords tell the patient what was looked for, and what not.
type safetyWords struct {
	Found string   // "" = nothing
	Lines []string // what was not checked, and what was
}

// Any reports whether there is anything to say.
func (w safetyWords) Any() bool { return w.Found != "" || len(w.Lines) > 0 }

// safetyOf is empty for what is over, and for what cannot be read.
func (a *app) safetyOf(p prescription, body []byte) (w safetyWords) {
	if !p.Readable || !p.Words.Active {
		return w
	}
	if len(p.checked.Found) > 0 {
		w.Found = "There is something to check before you take this: your clinic and your pharmacy were told. Ask your pharmacist."
	}
	item, err := itemOf(a.keys, p.row, body)
	in := a.classes.InputsOf(body, item)
	if err != nil || p.checked.Failed {
		in = safety.Unchecked()
	}
	w.Lines = []string{doublesWords(in.Doubles), allergyWords(in.Allergies)}
	return w
}

func doublesWords(l safety.Looked) string {
	switch {
	case l.Checked():
		return "We compared this medicine with your other prescriptions from this clinic, and from any that you had added to this inbox, by " + byWords(l) + " only. Medicines from elsewhere were not compared."
	case slices.Contains(l.Not, safety.Failed):
		return "Whether you already have the same medicine was not checked, because something went wrong here."
	}
	return "Whether you already have the same medicine was not checked, because this one was sent as plain text."
}

func allergyWords(l safety.Looked) string {
	switch {
	case l.Checked():
		return "We compared it with the allergies that your clinic sent with it, by " + byWords(l) + " only."
	case slices.Contains(l.Not, safety.Failed):
		return "Allergies were not checked, because something went wrong here."
	case slices.Contains(l.Not, safety.NoneStated):
		return "Allergies were not checked, because none were sent with this prescription."
	case slices.Contains(l.Not, safety.AllergyText):
		return "Allergies were not checked, because they were sent as plain text."
	}
	return "Allergies were not checked, because the medicine was sent as plain text."
}

// byWords are what was compared: "exact code, active ingredient and kind of medicine".
func byWords(l safety.Looked) string {
	var by []string
	for _, b := range l.By {
		switch b {
		case safety.Code:
			by = append(by, "exact code")
		case safety.Ingredient:
			by = append(by, "active ingredient")
		case safety.Class:
			by = append(by, "kind of medicine")
		}
	}
	if last := len(by) - 1; last > 0 {
		return strings.Join(by[:last], ", ") + " and " + by[last]
	}
	return strings.Join(by, "")
}
