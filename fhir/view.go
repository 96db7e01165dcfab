package fhir

import (
	"strconv"
	"strings"
)

// ViewOf reads the prescription at item of a received body for the patient's eyes. The error is that
// of Decode, or ErrItem when the item is no MedicationRequest.
func ViewOf(body []byte, item int) (View, error) {
	d, err := Decode(body)
	if err != nil {
		return View{}, err
	}
	s := d.tree()
	home, ok := s.at(item)
	if !ok || s.entries[home].typ != "MedicationRequest" {
		return View{}, ErrItem
	}
	q := s.entries[home].resource
	order := q.member("dispenseRequest")
	requester := s.party(q.member("requester"), home)
	r := reader{doc: d, scope: s}
	patient := r.patient(q.member("subject"), home).subject()
	v := View{
		Medication: s.drug(q, home),
		Prescriber: requester.name, Organization: requester.organization,
		Quantity:   quantity(order.member("quantity")),
		AuthoredOn: q.member("authoredOn").text(), ValidTo: order.get("validityPeriod", "end").text(),
		Patient: patient.Name, BirthDate: patient.BirthDate,
	}
	if n, err := strconv.Atoi(order.member("numberOfRepeatsAllowed").text()); err == nil {
		v.Repeats = n
	}
	for dosage := range q.member("dosageInstruction").items() {
		if text := dose(dosage); text != "" {
			v.Dosage = append(v.Dosage, text)
		}
	}
	for note := range q.member("note").items() {
		if text := note.member("text").words(); text != "" {
			v.Note = append(v.Note, text)
		}
	}
	return v, nil
}

// quantity is a number with its unit, as written. The unit's words, else its code where that is a
// unit of UCUM that people read.
func quantity(q element) string {
	value := q.member("value").text()
	if value == "" {
		return ""
	}
	unit := q.member("unit").words()
	if unit == "" {
		unit = strings.Trim(q.member("code").text(), "{}")
	}
	if c := q.member("comparator").text(); c != "" {
		value = comparators(c) + value
	}
	if unit == "" || unit == "1" {
		return value
	}
	return value + " " + unit
}

func comparators(c string) string {
	switch c {
	case "<":
		return "less than "
	case "<=":
		return "at most "
	case ">":
		return "more than "
	case ">=":
		return "at least "
	}
	return c + " "
}
