package fhir

// lookup is a map that is read much more often than made: of the properties of a type, of the resources. Of a
// name it looks at the length and three letters, which tells the properties of nearly all types of R4 apart, and
// so is twice as fast as a map of strings.
type lookup[T any] struct {
	slots []slot[T] // a power of two, at least half of them empty
}

type slot[T any] struct {
	name  string // "" = empty
	value T
}

// newLookup has room for n names.
func newLookup[T any](n int) lookup[T] {
	size := 4
	for size < 2*n {
		size *= 2
	}
	return lookup[T]{make([]slot[T], size)}
}

// put adds a name that is not there.
func (l *lookup[T]) put(name string, value T) {
	i := l.start([]byte(name))
	for l.slots[i].name != "" {
		i = (i + 1) & (len(l.slots) - 1)
	}
	l.slots[i] = slot[T]{name, value}
}

func (l *lookup[T]) start(name []byte) int {
	n := len(name)
	h := uint32(n)*0x9e3779b1 ^ uint32(name[0])*0x85ebca6b ^ uint32(name[n/2])*0xc2b2ae35 ^ uint32(name[n-1])*0x27d4eb2f
	return int(h>>16^h>>7) & (len(l.slots) - 1)
}

// find is nil for a name that is not there. Nobody may change what it leads to.
func (l *lookup[T]) find(name []byte) *T {
	if len(name) == 0 || len(l.slots) == 0 {
		return nil
	}
	for i := l.start(name); ; i = (i + 1) & (len(l.slots) - 1) {
		s := &l.slots[i]
		if s.name == string(name) {
			return &s.value
		}
		if s.name == "" {
			return nil
		}
	}
}
