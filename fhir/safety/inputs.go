package safety

import (
	"slices"
	"strings"

	"github.com/dosewire/dosewire/fhir"
)

// Basis is by what two medicines are found to be one.
type Basis string

// Bases, the surest first.
const (
	Code       Basis = "code"       // a code in common
	Ingredient Basis = "ingredient" // an active ingredient in common
	Class      Basis = "map"        // a class in common, by the loaded map
)

func bases() []Basis { return []Basis{Code, Ingredient, Class} }

// Reason is why there was nothing to look by.
type Reason string

// Reasons.
const (
	TextOnly     Reason = "text-only"      // the medicine has no code with a system
	NoIngredient Reason = "no-ingredient"  // the message names no coded ingredient
	NoMap        Reason = "no-map"         // no code map is loaded
	NotInMap     Reason = "not-in-map"     // the map has none of the medicine's codes
	NoneStated   Reason = "none-stated"    // no allergies came with the order
	AllergyText  Reason = "allergies-text" // those that came have no code
	Failed       Reason = "failed"         // the check itself went wrong
)

// Looked says by what one kind of signal was looked for, and why not by the rest.
type Looked struct {
	By  []Basis
	Not []Reason
}

// Checked reports whether anything could be compared at all.
func (l Looked) Checked() bool { return len(l.By) > 0 }

func (l Looked) String() string {
	var words []string
	for _, b := range l.By {
		words = append(words, string(b))
	}
	if len(words) == 0 {
		words = []string{"not-checked"}
	}
	text := strings.Join(words, "+")
	for i, r := range l.Not {
		text += []string{" (", ", "}[min(i, 1)] + string(r)
	}
	if len(l.Not) > 0 {
		text += ")"
	}
	return text
}

// Inputs is what a check of one order goes by.
type Inputs struct{ Doubles, Allergies Looked }

// String is how a delivery's header says it: "doubles=code+ingredient (no-map); allergies=not-checked (none-stated)".
func (i Inputs) String() string {
	return "doubles=" + i.Doubles.String() + "; allergies=" + i.Allergies.String()
}

// Unchecked are the inputs of a check that went wrong.
func Unchecked() Inputs {
	none := Looked{Not: []Reason{Failed}}
	return Inputs{none, none}
}

// Inputs says what the order can be checked by. m may be nil.
func (m *Map) Inputs(t fhir.Therapy) (in Inputs) {
	in.Doubles = m.looked(t.Codes, t.Parts)
	in.Allergies = m.looked(t.Codes, append(slices.Clip(t.Parts), t.Excipients...))
	switch {
	case t.Stated == 0:
		in.Allergies = Looked{Not: []Reason{NoneStated}}
	case len(t.Allergies) > 0 && !slices.ContainsFunc(t.Allergies, func(a fhir.Allergy) bool { return len(a.Codes) > 0 }):
		in.Allergies = Looked{Not: []Reason{AllergyText}}
	case slices.ContainsFunc(t.Allergies, func(a fhir.Allergy) bool { return len(a.Codes) == 0 }):
		in.Allergies.Not = append(in.Allergies.Not, AllergyText)
	}
	return in
}

func (m *Map) looked(codes, parts []fhir.Coding) (l Looked) {
	switch {
	case len(codes) > 0:
		l.By = append(l.By, Code)
	case len(parts) == 0:
		l.Not = append(l.Not, TextOnly)
		return l
	}
	if len(parts) > 0 {
		l.By = append(l.By, Ingredient)
	} else {
		l.Not = append(l.Not, NoIngredient)
	}
	switch {
	case m == nil:
		l.Not = append(l.Not, NoMap)
	case len(m.classes(codes, parts)) == 0:
		l.Not = append(l.Not, NotInMap)
	default:
		l.By = append(l.By, Class)
	}
	return l
}

// InputsOf says what the prescription at item of a received body can be checked by; Unchecked when it cannot
// be read.
func (m *Map) InputsOf(body []byte, item int) Inputs {
	if all := m.InputsIn(body, []int{item}); len(all) == 1 {
		return all[0]
	}
	return Unchecked()
}

// InputsIn is InputsOf for several, and for all orders of the body when items is nil.
func (m *Map) InputsIn(body []byte, items []int) (all []Inputs) {
	defer func() {
		if recover() != nil {
			all = []Inputs{Unchecked()}
		}
	}()
	d, err := fhir.Decode(body)
	if err != nil {
		return []Inputs{Unchecked()}
	}
	if items == nil {
		read, _ := fhir.Read(d)
		for _, q := range read.Requests {
			items = append(items, q.Item)
		}
	}
	for _, item := range items {
		t, err := fhir.TherapyOf(d, item)
		if err != nil {
			all = append(all, Unchecked())
			continue
		}
		all = append(all, m.Inputs(t))
	}
	return all
}
