package fhir

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// The tests here compare what was made fast with the simple way to say it.

// TestShortcuts: where the set of elements says that a rule holds, the rule says so too, whatever is there.
func TestShortcuts(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	asked, spared := 0, 0
	for name, def := range types() {
		if len(def.rules) == 0 {
			continue
		}
		properties := properties(def)
		for range 300 {
			e, seen := anyOf(t, random, def, properties)
			for i := range def.rules {
				r := &def.rules[i]
				if r.holds == nil {
					continue
				}
				asked++
				if !r.holdsFor(seen) {
					continue
				}
				if spared++; !r.holds(e) {
					t.Errorf("%s %s is not asked about %s", name, r.key, e.raw())
				}
			}
		}
	}
	if asked < 10_000 || spared < asked/4 {
		t.Errorf("%d rules were asked, %d spared", asked, spared)
	}
}

// properties are the names that an object of a type may have, in order.
func properties(def *typeDef) (names []string) {
	for _, s := range def.lookup.slots {
		if s.name != "" {
			names = append(names, s.name)
		}
	}
	slices.Sort(names)
	return names
}

// anyOf is an object with some of the properties, and their set. Half of the members are one of two that the
// rules of the type are about.
func anyOf(t *testing.T, random *rand.Rand, def *typeDef, names []string) (e element, seen uint64) {
	t.Helper()
	given := map[string]bool{}
	for range 1 + random.IntN(5) {
		name := names[random.IntN(len(names))]
		if r := def.rules[random.IntN(len(def.rules))]; random.IntN(2) == 0 {
			about := slices.DeleteFunc(slices.Concat(r.when, r.unless), func(name string) bool { return def.lookup.find([]byte(name)) == nil })
			if len(about) > 0 {
				name = about[random.IntN(len(about))]
			}
		}
		given[name] = true
	}
	var members []string
	for name := range given {
		value := []string{`"x"`, `-1`, `{"value":1}`, `[{"request":{}}]`, `"2026-01-01"`, `null`}[random.IntN(6)]
		members = append(members, fmt.Sprintf("%q:%s", name, value))
		seen |= def.lookup.find([]byte(name)).bit
	}
	d, err := Decode([]byte("{" + strings.Join(members, ",") + "}"))
	if err != nil {
		t.Fatal(err)
	}
	return d.root(), seen
}

// TestLookup: a name leads to what the map has under it, and no other name leads anywhere.
func TestLookup(t *testing.T) {
	for name, def := range types() {
		for _, p := range properties(def) {
			own, under := strings.CutPrefix(p, "_")
			found := def.lookup.find([]byte(p))
			if m, ok := def.member(own); !ok || found.of != &def.elements[m.element] || found.def != m.def || found.primitive != m.primitive || found.under != under {
				t.Errorf("%s.%s leads astray", name, p)
			}
			for _, other := range []string{p + "x", p[1:], "_" + p, strings.ToUpper(p)} {
				own, under := strings.CutPrefix(other, "_")
				m, ok := def.member(own)
				ok = ok && (!under || m.simple() && !def.elements[m.element].bare)
				if got := def.lookup.find([]byte(other)) != nil; got != ok {
					t.Errorf("%s.%s: found %t", name, other, got)
				}
			}
		}
		if got := resourceNamed([]byte(name)); resourceType(def) != (got == def) || !resourceType(def) && got != nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestVersions: the names of entries are given twice when name and version are.
func TestVersions(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 2_000 {
		var entries []string
		for range random.IntN(8) {
			meta := []string{``, `"meta":{}`, `"meta":{"versionId":"1"}`, `"meta":{"versionId":"2"}`}[random.IntN(4)]
			entries = append(entries, fmt.Sprintf(`{"fullUrl":"urn:x:%d","resource":{%s}}`, random.IntN(3), meta))
		}
		d, err := Decode([]byte(`{"entry":[` + strings.Join(entries, ",") + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		given, simple := versions{seen: map[string]element{}}, map[[2]string]bool{}
		for entry := range d.root().member("entry").items() {
			key := [2]string{entry.member("fullUrl").text(), versionOf(entry)}
			if got := given.again(key[0], entry); got != simple[key] {
				t.Fatalf("%s is there twice: %t in %s", entry.raw(), got, d.Raw())
			}
			simple[key] = true
		}
	}
}

// TestEightAtATime: what looks at eight bytes at once sees what looks at one.
func TestEightAtATime(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	kinds := []string{"a", "é", "~", " ", "\t", "\n", "\r", `"`, `\`, "!", "\x1f", "\x00", "\x7f", " ", "\u2003", "\u0080", "😀"}
	for range 100_000 {
		var b []byte
		usual := kinds[random.IntN(4)]
		for range random.IntN(30) {
			if random.IntN(8) == 0 {
				b = append(b, kinds[random.IntN(len(kinds))]...)
				continue
			}
			b = append(b, usual...)
		}
		from := random.IntN(len(b) + 1)
		if got, want := plain(b, from), firstFrom(b, from, func(c byte) bool { return c < 0x20 || c == '"' || c == '\\' }); got != want {
			t.Fatalf("plain(%q, %d) = %d, want %d", b, from, got, want)
		}
		if got, want := blank(b, from), firstFrom(b, from, func(c byte) bool { return !strings.ContainsRune(" \t\n\r", rune(c)) }); got != want {
			t.Fatalf("blank(%q, %d) = %d, want %d", b, from, got, want)
		}
		if want := bytes.ContainsFunc(b, spaceOf(b)); holdsSpace(b) != want {
			t.Fatalf("holdsSpace(%q) is not %t", b, want)
		}
	}
}

func firstFrom(b []byte, from int, is func(byte) bool) int {
	for from < len(b) && !is(b[from]) {
		from++
	}
	return from
}

// spaceOf is what no URI has: white space, and before anything beyond ASCII the control characters.
func spaceOf(b []byte) func(rune) bool {
	ascii := true
	return func(r rune) bool {
		ascii = ascii && r < utf8.RuneSelf
		return unicode.IsSpace(r) || ascii && r <= ' '
	}
}

func TestDaysIn(t *testing.T) {
	for year := 1; year <= 9999; year++ {
		for month := time.January; month <= time.December; month++ {
			if want := time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day(); daysIn(year, int(month)) != want {
				t.Fatalf("%04d-%02d has %d days, not %d", year, month, want, daysIn(year, int(month)))
			}
		}
	}
}
