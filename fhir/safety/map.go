package safety

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/internal/fault"
)

// Map puts codes of medicines into classes: those that a FHIR ConceptMap of R4 maps to, such as the
// ingredients of products. A nil Map has none. It is only read.
type Map struct {
	of      map[fhir.Coding][]fhir.Coding // classes of a code
	members map[fhir.Coding][]fhir.Coding
	sum     string
}

// MaxMap bounds the file, bytes.
const MaxMap = 256 << 20

// Mistakes in a map, of kind Invalid.
var (
	ErrMapSize  = fault.New(fault.Invalid, "a code map is at most 256 MiB")
	ErrMapJSON  = fault.New(fault.Invalid, "a code map is a FHIR ConceptMap of R4, in JSON")
	ErrMapGroup = fault.New(fault.Invalid, "every group of a code map has a source, a target and elements, each element and target a code")
	ErrMapR5    = fault.New(fault.Invalid, "the code map says relationship, as in R5: R4 says equivalence")
	ErrMapEmpty = fault.New(fault.Invalid, "the code map has no pair whose target is the same or wider than its source (equal, equivalent, wider, subsumes), or the other way round (narrower, specializes)")
)

type conceptMap struct {
	ResourceType string `json:"resourceType"`
	Group        []struct {
		Source  string `json:"source"`
		Target  string `json:"target"`
		Element []struct {
			Code   string `json:"code"`
			Target []struct {
				Code         string `json:"code"`
				Equivalence  string `json:"equivalence"`
				Relationship string `json:"relationship"`
			} `json:"target"`
		} `json:"element"`
	} `json:"group"`
}

// ParseMap reads a ConceptMap. A source belongs to the class of each of its targets that is equal,
// equivalent, wider or subsumes it; a target that is narrower or specializes belongs to the class of its
// source. What else a map may say (related to, inexact, unmatched, disjoint) makes no class.
func ParseMap(text []byte) (*Map, error) {
	if len(text) > MaxMap {
		return nil, ErrMapSize
	}
	var from conceptMap
	if err := json.Unmarshal(text, &from); err != nil || from.ResourceType != "ConceptMap" {
		return nil, ErrMapJSON.Wrap(err)
	}
	sum := sha256.Sum256(text)
	m := &Map{of: map[fhir.Coding][]fhir.Coding{}, members: map[fhir.Coding][]fhir.Coding{}, sum: hex.EncodeToString(sum[:])}
	for _, g := range from.Group {
		source, target := unversioned(g.Source), unversioned(g.Target)
		if source == "" || target == "" || len(g.Element) == 0 {
			return nil, ErrMapGroup
		}
		for _, e := range g.Element {
			if e.Code == "" {
				return nil, ErrMapGroup
			}
			for _, t := range e.Target {
				switch {
				case t.Relationship != "":
					return nil, ErrMapR5
				case t.Code == "" && t.Equivalence != "unmatched":
					return nil, ErrMapGroup
				}
				m.pair(fhir.Coding{System: source, Code: e.Code}, fhir.Coding{System: target, Code: t.Code}, t.Equivalence)
			}
		}
	}
	if len(m.of) == 0 {
		return nil, ErrMapEmpty
	}
	return m, nil
}

func unversioned(canonical string) string {
	system, _, _ := strings.Cut(canonical, "|")
	return system
}

func (m *Map) pair(source, target fhir.Coding, equivalence string) {
	switch equivalence {
	case "equal", "equivalent", "wider", "subsumes":
	case "narrower", "specializes":
		source, target = target, source
	default:
		return
	}
	m.of[source] = append(m.of[source], target)
	m.members[target] = append(m.members[target], source)
}

// SHA256 of the file, hex; "" of none.
func (m *Map) SHA256() string {
	if m == nil {
		return ""
	}
	return m.sum
}

// Len is how many codes have a class.
func (m *Map) Len() int {
	if m == nil {
		return 0
	}
	return len(m.of)
}

// classes are those of any of the codes: what they map to, and a code that others map to itself.
func (m *Map) classes(lists ...[]fhir.Coding) (all []fhir.Coding) {
	if m == nil {
		return nil
	}
	for _, list := range lists {
		for _, c := range list {
			all = append(all, m.of[c]...)
			if len(m.members[c]) > 0 {
				all = append(all, c)
			}
		}
	}
	return distinct(all)
}

// maxKin is how many codes of the classes of one medicine are compared.
const maxKin = 4096

// kin are the codes in the classes, those of the classes themselves included.
func (m *Map) kin(classes []fhir.Coding) (all []fhir.Coding) {
	all = append(all, classes...)
	for _, class := range classes {
		all = append(all, m.members[class]...)
		if len(all) >= maxKin {
			return all[:maxKin]
		}
	}
	return all
}

func distinct(list []fhir.Coding) (out []fhir.Coding) {
	for _, c := range list {
		if !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	return out
}
