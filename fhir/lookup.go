package fhir

// lookup finds a property of a type by its name. Of a name it looks at the length and three letters, which
// tells the properties of nearly all types of R4 apart, and so is twice as fast as a map of strings.
type lookup struct {
	slots []slot // a power of two, at least half of them empty
}

type slot struct {
	name string // "" = empty
	member
}

func newLookup(members map[string]member) lookup {
	size := 4
	for size < 2*len(members) {
		size *= 2
	}
	l := lookup{make([]slot, size)}
	for name, m := range members {
		i := l.start([]byte(name))
		for l.slots[i].name != "" {
			i = (i + 1) & (size - 1)
		}
		l.slots[i] = slot{name, m}
	}
	return l
}

func (l lookup) start(name []byte) int {
	n := len(name)
	h := uint32(n)*0x9e3779b1 ^ uint32(name[0])*0x85ebca6b ^ uint32(name[n/2])*0xc2b2ae35 ^ uint32(name[n-1])*0x27d4eb2f
	return int(h>>16^h>>7) & (len(l.slots) - 1)
}

func (l lookup) find(name []byte) (member, bool) {
	if len(name) == 0 || len(l.slots) == 0 {
		return member{}, false
	}
	for i := l.start(name); ; i = (i + 1) & (len(l.slots) - 1) {
		s := &l.slots[i]
		if s.name == string(name) {
			return s.member, true
		}
		if s.name == "" {
			return member{}, false
		}
	}
}
