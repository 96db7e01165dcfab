package fhir

import (
	"bytes"
	"math/big"
	"strings"
	"time"
)

// certainlyAfter reports whether date a lies after date b however what they leave open is filled in:
// a day may be anywhere on earth, a month any of its days. FHIRPath would call such a comparison empty;
// a prescription is not refused for it.
func certainlyAfter(a, b element) bool {
	first, second := a.inner(), b.inner()
	if len(first) == 0 || len(second) == 0 || len(first) == len(second) && len(first) <= 10 && bytes.Compare(first, second) <= 0 {
		return false // dates in order: nothing to work out
	}
	earliest, _, ok := reach(string(first))
	_, latest, ok2 := reach(string(second))
	return ok && ok2 && earliest.After(latest)
}

// offsets is how far local dates stand apart at most: from UTC+14 to UTC-12.
const offsets = 14 * time.Hour

// reach is the time that a FHIR date, dateTime or instant may mean. ok is false when it is none.
func reach(text string) (earliest, latest time.Time, ok bool) {
	if strings.Contains(text, "T") {
		at, err := time.Parse(time.RFC3339Nano, text)
		return at, at, err == nil
	}
	for layout, next := range map[string]func(time.Time) time.Time{
		"2006":       func(t time.Time) time.Time { return t.AddDate(1, 0, 0) },
		"2006-01":    func(t time.Time) time.Time { return t.AddDate(0, 1, 0) },
		"2006-01-02": func(t time.Time) time.Time { return t.AddDate(0, 0, 1) },
	} {
		if len(layout) != len(text) {
			continue
		}
		if at, err := time.Parse(layout, text); err == nil {
			return at.Add(-offsets), next(at).Add(offsets), true
		}
	}
	return earliest, latest, false
}

// decimalOf reads a FHIR decimal exactly; nil when it is none.
func decimalOf(e element) *big.Rat {
	if e.kind() != number || len(e.raw()) > 64 {
		return nil
	}
	r, ok := new(big.Rat).SetString(string(e.raw()))
	if !ok {
		return nil
	}
	return r
}

// negative reports whether a number is below zero. Its text says so, but for -0.
func negative(e element) bool {
	if e.kind() != number {
		return false
	}
	raw := e.raw()
	if raw[0] != '-' {
		return false
	}
	for _, c := range raw[1:] {
		if c == 'e' || c == 'E' {
			break
		}
		if c >= '1' && c <= '9' {
			return true
		}
	}
	return false
}

// exceeds reports whether quantity a is more than b. Of different units nothing is said.
func exceeds(a, b element) bool {
	for _, name := range []string{"system", "code", "unit"} {
		if a.member(name).text() != b.member(name).text() {
			return false
		}
	}
	x, y := decimalOf(a.member("value")), decimalOf(b.member("value"))
	return x != nil && y != nil && x.Cmp(y) > 0
}
