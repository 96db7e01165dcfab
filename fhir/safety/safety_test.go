package safety_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/fhir/safety"
)

const (
	rxn = "http://www.nlm.nih.gov/research/umls/rxnorm"
	atc = "http://www.whocc.no/atc"
)

var update = flag.Bool("update", false, "write the golden files anew")

func codes(system string, list ...string) (all []fhir.Coding) {
	for _, code := range list {
		all = append(all, fhir.Coding{System: system, Code: code})
	}
	return all
}

// plain is a hash for tests.
func plain(c fhir.Coding) string { return c.System + "|" + c.Code }

func parsed(t testing.TB) *safety.Map {
	t.Helper()
	m, err := safety.ParseMap([]byte(`{"resourceType":"ConceptMap","status":"active","group":[
 {"source":"` + rxn + `|2026-01","target":"` + atc + `","element":[
  {"code":"10","target":[{"code":"A","equivalence":"wider"}]},{"code":"11","target":[{"code":"A","equivalence":"subsumes"},{"code":"B","equivalence":"equivalent"}]},
  {"code":"12","target":[{"code":"A","equivalence":"relatedto"}]},{"code":"13","target":[{"equivalence":"unmatched"}]}]},
 {"source":"` + atc + `","target":"` + rxn + `","element":[{"code":"B","target":[{"code":"14","equivalence":"narrower"},{"code":"15","equivalence":"specializes"},{"code":"16","equivalence":"wider"}]}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestAgainst(t *testing.T) {
	m := parsed(t)
	drug := func(codes, parts []fhir.Coding) fhir.Therapy { return fhir.Therapy{Codes: codes, Parts: parts} }
	for name, tt := range map[string]struct {
		m          *safety.Map
		one, other fhir.Therapy
		want       safety.Basis
	}{
		"nothing":                        {m, drug(nil, nil), drug(nil, nil), ""},
		"a code":                         {nil, drug(codes(rxn, "1", "2"), nil), drug(codes(rxn, "2"), nil), safety.Code},
		"another system's":               {nil, drug(codes(rxn, "1"), nil), drug(codes(atc, "1"), nil), ""},
		"a code before an ingredient":    {nil, drug(codes(rxn, "1"), codes(rxn, "5")), drug(codes(rxn, "1"), codes(rxn, "5")), safety.Code},
		"an ingredient":                  {nil, drug(codes(rxn, "1"), codes(rxn, "5", "6")), drug(codes(rxn, "2"), codes(rxn, "6")), safety.Ingredient},
		"an ingredient that is its code": {nil, drug(codes(rxn, "6"), nil), drug(codes(rxn, "2"), codes(rxn, "6")), safety.Ingredient},
		"without a map":                  {nil, drug(codes(rxn, "10"), nil), drug(codes(rxn, "11"), nil), ""},
		"a class":                        {m, drug(codes(rxn, "10"), nil), drug(codes(rxn, "11"), nil), safety.Class},
		"a class of ingredients":         {m, drug(nil, codes(rxn, "10")), drug(nil, codes(rxn, "11")), safety.Class},
		"a class from both directions":   {m, drug(codes(rxn, "11"), nil), drug(codes(rxn, "14"), nil), safety.Class},
		"siblings by specializes":        {m, drug(codes(rxn, "15"), nil), drug(codes(rxn, "14"), nil), safety.Class},
		"the class itself":               {m, drug(codes(atc, "A"), nil), drug(codes(rxn, "10"), nil), safety.Class},
		"its member":                     {m, drug(codes(rxn, "10"), nil), drug(codes(atc, "A"), nil), safety.Class},
		"related is no class":            {m, drug(codes(rxn, "12"), nil), drug(codes(rxn, "10"), nil), ""},
		"unmatched is no class":          {m, drug(codes(rxn, "13"), nil), drug(codes(rxn, "10"), nil), ""},
		"no class in common":             {m, drug(codes(rxn, "10"), nil), drug(codes(rxn, "14"), nil), ""},
	} {
		got, ok := tt.m.Check(tt.one, plain).Against(safety.TokensOf(tt.other, plain))
		if got != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: %q %v, want %q", name, got, ok, tt.want)
		}
		back, _ := tt.m.Check(tt.other, plain).Against(safety.TokensOf(tt.one, plain))
		if back != got {
			t.Errorf("%s: %q one way, %q the other", name, got, back)
		}
	}
}

func TestAllergies(t *testing.T) {
	m := parsed(t)
	order := fhir.Therapy{Codes: codes(rxn, "10"), Parts: codes(rxn, "5"), Excipients: codes(rxn, "99"), Stated: 6, Allergies: []fhir.Allergy{
		{Expression: "a", Codes: codes(rxn, "10"), High: true}, {Expression: "b", Codes: codes(rxn, "99"), Intolerance: true},
		{Expression: "c", Codes: codes(rxn, "7")}, {Expression: "d", Codes: codes(rxn, "11"), Private: true}, {Expression: "e", Codes: codes(atc, "A")}, {Expression: "f"}}}
	want := []safety.Match{{Kind: safety.Allergic, By: safety.Code, Expression: "a", High: true}, {Kind: safety.Intolerance, By: safety.Ingredient, Expression: "b"},
		{Kind: safety.Allergic, By: safety.Class, Expression: "d", Private: true}, {Kind: safety.Allergic, By: safety.Class, Expression: "e"}}
	if got := m.Check(order, plain).Allergies(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestInputs is the table of docs/safety.md: what was looked by, and why not.
func TestInputs(t *testing.T) {
	m := parsed(t)
	allergy := []fhir.Allergy{{Codes: codes(rxn, "7")}}
	for name, tt := range map[string]struct {
		m    *safety.Map
		t    fhir.Therapy
		want string
	}{
		"text":              {m, fhir.Therapy{}, "doubles=not-checked (text-only); allergies=not-checked (none-stated)"},
		"a code":            {nil, fhir.Therapy{Codes: codes(rxn, "1")}, "doubles=code (no-ingredient, no-map); allergies=not-checked (none-stated)"},
		"ingredients":       {nil, fhir.Therapy{Parts: codes(rxn, "1")}, "doubles=ingredient (no-map); allergies=not-checked (none-stated)"},
		"all":               {m, fhir.Therapy{Codes: codes(rxn, "10"), Parts: codes(rxn, "1"), Stated: 1, Allergies: allergy}, "doubles=code+ingredient+map; allergies=code+ingredient+map"},
		"not in the map":    {m, fhir.Therapy{Codes: codes(rxn, "1"), Parts: codes(rxn, "2")}, "doubles=code+ingredient (not-in-map); allergies=not-checked (none-stated)"},
		"allergies in text": {nil, fhir.Therapy{Codes: codes(rxn, "1"), Stated: 1, Allergies: []fhir.Allergy{{}}}, "doubles=code (no-ingredient, no-map); allergies=not-checked (allergies-text)"},
		"one of them": {nil, fhir.Therapy{Codes: codes(rxn, "1"), Stated: 2, Allergies: append(allergy, fhir.Allergy{})},
			"doubles=code (no-ingredient, no-map); allergies=code (no-ingredient, no-map, allergies-text)"},
		"none that counts":         {nil, fhir.Therapy{Codes: codes(rxn, "1"), Stated: 1}, "doubles=code (no-ingredient, no-map); allergies=code (no-ingredient, no-map)"},
		"allergies, text medicine": {nil, fhir.Therapy{Stated: 1, Allergies: allergy}, "doubles=not-checked (text-only); allergies=not-checked (text-only)"},
	} {
		if got := tt.m.Inputs(tt.t).String(); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, tt.want)
		}
	}
	if got := m.InputsOf([]byte("{"), 0).String(); got != "doubles=not-checked (failed); allergies=not-checked (failed)" {
		t.Errorf("unreadable: %s", got)
	}
}

func TestBadMaps(t *testing.T) {
	one := func(equivalence string) string {
		return `{"resourceType":"ConceptMap","group":[{"source":"a","target":"b","element":[{"code":"1","target":[{"code":"2",` + equivalence + `}]}]}]}`
	}
	for text, want := range map[string]error{
		``:                                 safety.ErrMapJSON,
		`[]`:                               safety.ErrMapJSON,
		`{"resourceType":"ValueSet"}`:      safety.ErrMapJSON,
		`{"resourceType":"ConceptMap"}`:    safety.ErrMapEmpty,
		one(`"equivalence":"relatedto"`):   safety.ErrMapEmpty,
		one(`"relationship":"equivalent"`): safety.ErrMapR5,
		strings.Replace(one(`"equivalence":"equal"`), `"source":"a",`, ``, 1): safety.ErrMapGroup,
		strings.Replace(one(`"equivalence":"equal"`), `"code":"2",`, ``, 1):   safety.ErrMapGroup,
		strings.Replace(one(`"equivalence":"equal"`), `{"code":"1",`, `{`, 1): safety.ErrMapGroup,
	} {
		if _, err := safety.ParseMap([]byte(text)); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", text, err, want)
		}
	}
	if m := parsed(t); m.Len() != 5 || len(m.SHA256()) != 64 {
		t.Errorf("%d codes, sum %q", m.Len(), m.SHA256())
	}
}

// TestIssue compares with the golden files, and demands valid R4.
func TestIssue(t *testing.T) {
	m := parsed(t)
	at := time.UnixMilli(1_790_000_000_000)
	for name, s := range map[string]safety.Signal{
		"double":    {ID: "0190a0de-0000-5000-8000-000000000001", Kind: safety.Double, By: safety.Class, At: at, Prescription: "0190a0de-0000-7000-8000-000000000001", Others: []string{"0190a0de-0000-7000-8000-000000000002"}},
		"elsewhere": {ID: "0190a0de-0000-5000-8000-000000000002", Kind: safety.Double, By: safety.Code, At: at, Prescription: "0190a0de-0000-7000-8000-000000000001"},
		"allergy": {ID: "0190a0de-0000-5000-8000-000000000003", Kind: safety.Allergic, By: safety.Ingredient, At: at, Prescription: "0190a0de-0000-7000-8000-000000000001",
			Allergies: []fhir.Party{{Type: "AllergyIntolerance", Display: "Bundle.entry[3].resource"}}, High: true},
		"intolerance": {ID: "0190a0de-0000-5000-8000-000000000004", Kind: safety.Intolerance, By: safety.Code, At: at, Prescription: "0190a0de-0000-7000-8000-000000000001"},
	} {
		got, err := m.Issue(s)
		if err != nil {
			t.Fatal(err)
		}
		d, err := fhir.Decode(got)
		if err != nil {
			t.Fatal(err)
		}
		if issues := fhir.Validate(d); len(issues) > 0 {
			t.Errorf("%s is not valid: %+v", name, issues)
		}
		path := "testdata/" + name + ".json"
		if *update {
			if err := os.WriteFile(path, append(got, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(bytes.TrimSpace(want), got) {
			t.Errorf("%s: %v\n got %s\nwant %s", name, err, got, want)
		}
	}
}

func FuzzParseMap(f *testing.F) {
	f.Add([]byte(`{"resourceType":"ConceptMap","group":[{"source":"a","target":"b","element":[{"code":"1","target":[{"code":"2","equivalence":"wider"}]}]}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := safety.ParseMap(text)
		if err == nil && m.Len() == 0 {
			t.Fatal("a map without classes")
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	m := parsed(b)
	order := fhir.Therapy{Codes: codes(rxn, "10"), Parts: codes(rxn, "5")}
	other := safety.TokensOf(fhir.Therapy{Codes: codes(rxn, "14")}, plain)
	for b.Loop() {
		m.Check(order, plain).Against(other)
	}
}
