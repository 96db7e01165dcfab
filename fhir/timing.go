package fhir

import (
	"strconv"
	"strings"
)

// timing says when: the repeat rule, else the code, else the events.
func (w *words) timing(t element) {
	if !t.present() {
		return
	}
	w.onlyKnown(t, "id", "repeat", "code", "event")
	repeat := t.member("repeat")
	for e := range t.member("event").items() {
		w.say("on " + e.text())
	}
	if code := t.member("code"); code.present() && (!repeat.present() || code.member("text").present()) {
		w.say(w.shorthand(code))
	}
	if repeat.present() {
		w.repeat(repeat)
	}
}

// shorthand is a Timing.code in words: its text, what a code of v3-GTSAbbreviation means, its display.
func (w *words) shorthand(code element) string {
	if text := code.member("text").words(); text != "" {
		return text
	}
	for c := range code.member("coding").items() {
		if text := abbreviations(c.member("code").text()); text != "" {
			return text
		}
		if text := c.member("display").words(); text != "" {
			return text
		}
	}
	w.ok = false
	return ""
}

func abbreviations(code string) string {
	switch code {
	case "QD":
		return "once a day"
	case "BID":
		return "twice a day"
	case "TID":
		return "3 times a day"
	case "QID":
		return "4 times a day"
	case "QOD":
		return "every other day"
	case "AM":
		return "every morning"
	case "PM":
		return "every afternoon"
	case "BED":
		return "at bedtime"
	case "WK":
		return "once a week"
	case "MO":
		return "once a month"
	case "Q1H", "Q2H", "Q3H", "Q4H", "Q6H", "Q8H":
		return "every " + strings.TrimPrefix(plural(code[1:2], "h"), "1 ")
	}
	return ""
}

func (w *words) repeat(r element) {
	w.onlyKnown(r, "id", "bounds", "count", "countMax", "duration", "durationMax", "durationUnit",
		"frequency", "frequencyMax", "period", "periodMax", "periodUnit", "dayOfWeek", "timeOfDay", "when", "offset")
	w.often(r)
	w.days(r.member("dayOfWeek"))
	w.moments(r)
	if d := span(r, "duration", "durationMax"); d != "" {
		w.say("over " + plural(d, r.member("durationUnit").text()))
	}
	if c := span(r, "count", "countMax"); c != "" {
		w.say("(" + plural(c, "time") + " in all)")
	}
	w.bounds(r.choice("bounds"))
}

// often says the frequency in a period. Without a frequency a period means once in it.
func (w *words) often(r element) {
	count, period := span(r, "frequency", "frequencyMax"), span(r, "period", "periodMax")
	unit := r.member("periodUnit").text()
	anchored := r.member("when").present() || r.member("timeOfDay").present()
	switch {
	case period == "" && count == "":
	case period == "":
		w.ok = false // how often, and in what time is not said
	case anchored && count == "1" && period == "1" && unit == "d":
		// "in the morning" says it
	case count == "" || count == "1":
		w.say(once(period, unit))
	default:
		w.say(times(count) + " " + strings.Replace(once(period, unit), "once ", "", 1))
	}
	if period != "" && unit == "" {
		w.ok = false
	}
}

// once is "once a day", "every 8 hours".
func once(period, unit string) string {
	if period == "1" {
		if unit == "h" {
			return "once an hour"
		}
		return "once a " + unitName(unit)
	}
	return "every " + plural(period, unit)
}

func times(n string) string {
	if n == "2" {
		return "twice"
	}
	return plural(n, "time")
}

// span is "2", or "2 to 3" with a maximum.
func span(r element, low, high string) string {
	a, b := r.member(low).text(), r.member(high).text()
	switch {
	case b == "" || a == b:
		return a
	case a == "":
		return "up to " + b
	}
	return a + " to " + b
}

// plural is a number with the name of a unit of time, or with any other noun.
func plural(n, unit string) string {
	name := unitName(unit)
	if n == "1" {
		return n + " " + name
	}
	return n + " " + name + "s"
}

func unitName(unit string) string {
	switch unit {
	case "s":
		return "second"
	case "min":
		return "minute"
	case "h":
		return "hour"
	case "d":
		return "day"
	case "wk":
		return "week"
	case "mo":
		return "month"
	case "a":
		return "year"
	}
	return unit
}

func (w *words) days(list element) {
	var days []string
	for d := range list.items() {
		switch d.text() {
		case "mon":
			days = append(days, "Monday")
		case "tue":
			days = append(days, "Tuesday")
		case "wed":
			days = append(days, "Wednesday")
		case "thu":
			days = append(days, "Thursday")
		case "fri":
			days = append(days, "Friday")
		case "sat":
			days = append(days, "Saturday")
		case "sun":
			days = append(days, "Sunday")
		default:
			w.ok = false
		}
	}
	if len(days) > 0 {
		w.say("on " + and(days))
	}
}

func (w *words) moments(r element) {
	var at []string
	for e := range r.member("timeOfDay").items() {
		at = append(at, "at "+strings.TrimSuffix(e.text(), ":00"))
	}
	offset := ""
	if minutes := r.member("offset").text(); minutes != "" && minutes != "0" {
		offset = plural(minutes, "min") + " "
		if n, err := strconv.Atoi(minutes); err == nil && n%60 == 0 {
			offset = plural(strconv.Itoa(n/60), "h") + " "
		}
	}
	for e := range r.member("when").items() {
		moment := whens(e.text())
		switch {
		case moment == "":
			w.ok = false
		case offset != "" && !strings.HasPrefix(moment, "before") && !strings.HasPrefix(moment, "after"):
			w.ok = false
		default:
			at = append(at, offset+moment)
		}
	}
	w.say(and(at))
}

// whens is http://hl7.org/fhir/ValueSet/event-timing in words.
func whens(code string) string {
	switch code {
	case "MORN":
		return "in the morning"
	case "MORN.early":
		return "early in the morning"
	case "MORN.late":
		return "late in the morning"
	case "NOON":
		return "at noon"
	case "AFT":
		return "in the afternoon"
	case "AFT.early":
		return "early in the afternoon"
	case "AFT.late":
		return "late in the afternoon"
	case "EVE":
		return "in the evening"
	case "EVE.early":
		return "early in the evening"
	case "EVE.late":
		return "late in the evening"
	case "NIGHT":
		return "at night"
	case "PHS":
		return "after going to sleep"
	case "HS":
		return "before going to sleep"
	case "WAKE":
		return "after waking up"
	case "C":
		return "with a meal"
	case "CM":
		return "with breakfast"
	case "CD":
		return "with lunch"
	case "CV":
		return "with dinner"
	case "AC":
		return "before a meal"
	case "ACM":
		return "before breakfast"
	case "ACD":
		return "before lunch"
	case "ACV":
		return "before dinner"
	case "PC":
		return "after a meal"
	case "PCM":
		return "after breakfast"
	case "PCD":
		return "after lunch"
	case "PCV":
		return "after dinner"
	}
	return ""
}

func (w *words) bounds(b element) {
	switch {
	case !b.present():
	case b.named("boundsPeriod"):
		if start := b.member("start").text(); start != "" {
			w.say("from " + start)
		}
		if end := b.member("end").text(); end != "" {
			w.say("until " + end)
		}
	case b.named("boundsDuration"):
		value := b.member("value").text()
		unit := b.member("code").text()
		if unit == "" {
			unit = b.member("unit").words()
		}
		if value == "" || unit == "" || b.member("comparator").present() {
			w.ok = false
		}
		if unit != "s" {
			unit = strings.TrimSuffix(unit, "s")
		}
		w.say("for " + plural(value, unit))
	default:
		w.say("for " + w.measure(b))
	}
}

func and(list []string) string {
	if len(list) < 2 {
		return strings.Join(list, "")
	}
	return strings.Join(list[:len(list)-1], ", ") + " and " + list[len(list)-1]
}
