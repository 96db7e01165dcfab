package fhir

import (
	"strings"
	"unicode/utf8"
)

// seePrescription stands for a dosage that cannot be said in full here. Half of a dosage is worse
// than none.
const seePrescription = "See prescription"

// dose is one Dosage in plain English: the sender's text if there is one, else the structured fields.
// A field that cannot be put into words makes the whole "See prescription"; "" is a dosage that says
// nothing.
func dose(d element) string {
	if text := d.member("text").words(); text != "" {
		if more := d.member("patientInstruction").words(); more != "" && !strings.Contains(text, more) {
			text += ". " + more
		}
		return text
	}
	w := words{ok: true}
	w.amounts(d.member("doseAndRate"))
	w.verb = w.concept(d.member("method"))
	w.say(route(w.concept(d.member("route"))))
	w.say(w.concept(d.member("site")))
	w.timing(d.member("timing"))
	w.asNeeded(d.choice("asNeeded"))
	w.limits(d)
	for i := range d.member("additionalInstruction").items() {
		w.aside(conceptText(i))
	}
	w.aside(d.member("patientInstruction").words())
	w.onlyKnown(d, "id", "sequence", "text", "doseAndRate", "method", "route", "site", "timing", "asNeeded", "additionalInstruction",
		"patientInstruction", "maxDosePerPeriod", "maxDosePerAdministration", "maxDosePerLifetime")
	return w.sentence()
}

// words gathers a sentence. ok turns false when something cannot be said.
type words struct {
	verb   string
	parts  []string
	asides []string // after the sentence
	ok     bool
}

func (w *words) say(s string) {
	if s != "" {
		w.parts = append(w.parts, s)
	}
}

func (w *words) aside(s string) {
	if s != "" {
		w.asides = append(w.asides, s)
	}
}

// onlyKnown gives up when e has a member that is not among those rendered.
func (w *words) onlyKnown(e element, known ...string) {
	for m := range e.items() {
		found := false
		for _, k := range known {
			name := m.name()
			found = found || name == k || strings.HasPrefix(name, k) && len(name) > len(k) && name[len(k)] >= 'A' && name[len(k)] <= 'Z'
		}
		w.ok = w.ok && found
	}
}

// concept is the words of a CodeableConcept that must have some if it is there.
func (w *words) concept(c element) string {
	text := conceptText(c)
	w.ok = w.ok && (text != "" || !c.present())
	return text
}

// route is the one route that patients have their own word for.
func route(name string) string {
	switch strings.ToLower(name) {
	case "oral", "oral route", "oral use", "po", "per os", "per oral":
		return "by mouth"
	}
	return name
}

// amounts says how much. More than one dose and rate means calculated beside ordered: not for here.
func (w *words) amounts(list element) {
	for a := range list.items() {
		if list.count() > 1 {
			w.ok = false
		}
		w.onlyKnown(a, "id", "type", "dose", "rate")
		w.say(w.measure(a.choice("dose")))
		if rate := a.choice("rate"); rate.present() {
			w.say("at " + w.measure(rate))
		}
	}
}

// measure is a Quantity, Range or Ratio.
func (w *words) measure(e element) string {
	if !e.present() {
		return ""
	}
	text := ""
	switch {
	case e.member("numerator").present():
		text = quantity(e.member("numerator")) + " per " + strings.TrimPrefix(quantity(e.member("denominator")), "1 ")
	case e.member("low").present() && e.member("high").present():
		text = between(e.member("low"), e.member("high"))
	case e.member("low").present():
		text = "at least " + quantity(e.member("low"))
	case e.member("high").present():
		text = "up to " + quantity(e.member("high"))
	default:
		text = quantity(e)
	}
	if text == "" {
		w.ok = false
	}
	return text
}

func between(low, high element) string {
	if low.member("unit").text() == high.member("unit").text() {
		return low.member("value").text() + " to " + quantity(high)
	}
	return quantity(low) + " to " + quantity(high)
}

func (w *words) asNeeded(e element) {
	switch {
	case e.kind() == object:
		w.say("as needed for " + w.concept(e))
	case e.text() == "true":
		w.say("as needed")
	}
}

func (w *words) limits(d element) {
	if e := d.member("maxDosePerPeriod"); e.present() {
		w.aside("No more than " + w.measure(e))
	}
	if e := d.member("maxDosePerAdministration"); e.present() {
		w.aside("No more than " + w.measure(e) + " at a time")
	}
	if e := d.member("maxDosePerLifetime"); e.present() {
		w.aside("No more than " + w.measure(e) + " in a lifetime")
	}
}

func (w *words) sentence() string {
	if !w.ok {
		return seePrescription
	}
	parts := w.parts
	if w.verb != "" {
		parts = append([]string{w.verb}, parts...)
	}
	sentences := w.asides
	if s := strings.Join(parts, " "); s != "" {
		sentences = append([]string{s}, sentences...)
	}
	for i, s := range sentences {
		_, size := utf8.DecodeRuneInString(s)
		sentences[i] = strings.ToUpper(s[:size]) + strings.TrimRight(s[size:], ". ")
	}
	return strings.Join(sentences, ". ")
}
