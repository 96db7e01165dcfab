package fhir

import (
	"math/big"
	"strconv"
	"strings"
	"time"
)

// Amount is a quantity that can be added up: millionths of a unit, which is "system|code". The zero Amount
// says nothing, or nothing that can be counted so.
type Amount struct {
	Millionths int64
	Unit       string
}

// most is the largest amount that is told from others: whatever is beyond it is as much.
const most = 1 << 60

// amountOf reads a Quantity. One with a comparator, without a coded unit, below or at zero or finer than a
// millionth says nothing.
func amountOf(q element) Amount {
	code, given := q.member("code").text(), q.member("value")
	if code == "" || q.has("comparator") {
		return Amount{}
	}
	unit := q.member("system").text() + "|" + code
	if n, err := strconv.ParseInt(string(given.raw()), 10, 32); err == nil && n > 0 {
		return Amount{n * 1_000_000, unit} // a whole number, as most are
	}
	value := decimalOf(given)
	if value == nil || value.Sign() <= 0 {
		return Amount{}
	}
	value.Mul(value, big.NewRat(1_000_000, 1))
	switch {
	case !value.IsInt():
		return Amount{}
	case value.Num().BitLen() > 60:
		return Amount{most, unit}
	}
	return Amount{value.Num().Int64(), unit}
}

// none reports a Quantity of zero or less.
func none(q element) bool {
	value := decimalOf(q.member("value"))
	return value != nil && value.Sign() <= 0
}

// durationOf reads a Duration in UCUM time units, 0 if it is none. A month has 30 days, a year 365.
func durationOf(q element) time.Duration {
	unit := unitOfTime(q.member("code"))
	value := decimalOf(q.member("value"))
	if value == nil || value.Sign() <= 0 || unit == 0 || q.has("comparator") {
		return 0
	}
	value.Mul(value, new(big.Rat).SetInt64(int64(unit)))
	d := new(big.Int).Quo(value.Num(), value.Denom())
	if d.BitLen() > 60 {
		return 0
	}
	return time.Duration(d.Int64())
}

func unitOfTime(code element) time.Duration {
	const day = 24 * time.Hour
	switch string(code.inner()) {
	case "s":
		return time.Second
	case "min":
		return time.Minute
	case "h":
		return time.Hour
	case "d":
		return day
	case "wk":
		return 7 * day
	case "mo":
		return 30 * day
	case "a":
		return 365 * day
	}
	return 0
}

// codingsOf are the codings of CodeableConcepts.
func codingsOf(concepts ...element) (all []Coding) {
	for _, concept := range concepts {
		for c := range concept.member("coding").items() {
			if code := c.member("code").text(); code != "" {
				all = append(all, Coding{System: c.member("system").text(), Code: code})
			}
		}
	}
	return all
}

// noSubstitution: the order allows no other product. N of v3-substanceAdminSubstitution is "none".
func noSubstitution(q element) bool {
	s := q.member("substitution")
	if s.member("allowedBoolean").text() == "false" {
		return true
	}
	for _, c := range codingsOf(s.member("allowedCodeableConcept")) {
		if c.Code == "N" && strings.HasSuffix(c.System, "substanceAdminSubstitution") {
			return true
		}
	}
	return false
}

// medication is what an order or a dispense says the medicine is: its codes, and those of the ingredients
// where the Medication is in the message.
func (r *reader) medication(e element, home int) (codes, ingredients []Coding) {
	m := e.choice("medication")
	if m.named("medicationCodeableConcept") {
		return codingsOf(m), nil
	}
	to := r.scope.resolve(m, home)
	for i := range to.member("ingredient").items() {
		if c := i.member("itemCodeableConcept"); c.present() {
			ingredients = append(ingredients, codingsOf(c)...)
			continue
		}
		item := r.scope.resolve(i.member("itemReference"), to.home)
		ingredients = append(ingredients, codingsOf(item.member("code"))...)
	}
	return codingsOf(to.member("code")), ingredients
}

// mitigated: the pharmacist says in a DetectedIssue of the message what was done about it.
func (r *reader) mitigated(md element, home int) bool {
	for ref := range md.member("detectedIssue").items() {
		if issue := r.scope.resolve(ref, home); issue.typ() == "DetectedIssue" && issue.member("mitigation").count() > 0 {
			return true
		}
	}
	return false
}
