package fhir

import (
	"bytes"
	"math/big"
	"strings"
	"time"
)

// certainlyAfter reports whether date a lies after date b however what they leave open is filled in. Two dates
// are compared as far as both go; a day and a time with the slack that a day has, which may be anywhere on
// earth. FHIRPath calls what is left empty; a prescription is not refused for it.
func certainlyAfter(a, b element) bool {
	first, second := a.inner(), b.inner()
	n := min(len(first), len(second))
	if n == 0 {
		return false
	}
	if len(first) <= 10 && len(second) <= 10 {
		return bytes.Compare(first[:n], second[:n]) > 0
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
		at, ok := moment(text)
		return at, at, ok
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

// moment reads a date with a time. A leap second is the one before and a second.
func moment(text string) (at time.Time, ok bool) {
	const second = len("2006-01-02T15:04:")
	leap := len(text) > second+2 && text[second:second+2] == "60"
	if leap {
		text = text[:second] + "59" + text[second+2:]
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if leap {
		at = at.Add(time.Second)
	}
	return at, err == nil
}

// decimalOf reads a FHIR decimal exactly; nil when it is none, or none that is taken: an exponent of six
// digits would take milliseconds to write out.
func decimalOf(e element) *big.Rat {
	if e.kind() != number || !decimal(e.raw()) {
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

// exceeds reports whether quantity a is more than b. Of different units nothing is said; a code tells more of a
// unit than its name.
func exceeds(a, b element) bool {
	unit := "unit"
	if a.has("code") || b.has("code") {
		unit = "code"
	}
	if a.member("system").text() != b.member("system").text() || a.member(unit).text() != b.member(unit).text() {
		return false
	}
	x, y := decimalOf(a.member("value")), decimalOf(b.member("value"))
	return x != nil && y != nil && x.Cmp(y) > 0
}

// isWhole reports whether a number has no fraction. 1.0 has one (R4 looks for the point).
func isWhole(e element) bool {
	if text := e.inner(); !bytes.ContainsAny(text, "eE") {
		return bytes.IndexByte(text, '.') < 0
	}
	n := decimalOf(e)
	return n == nil || n.IsInt()
}
