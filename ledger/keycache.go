package ledger

import (
	"container/list"
	"sync"
	"time"
)

// cachedPatients is how many patients' keys a keyring holds.
const cachedPatients = 10_000

// cachedFor is how long a keyring uses a patient's key without asking the key store again: so long an
// erasure by another process may go unnoticed.
const cachedFor = 5 * time.Minute

// indexPerPatient is how many index keys are held for each of them, on average.
const indexPerPatient = 4

// keyCache remembers unwrapped keys and which patient an index key belongs to. Safe for concurrent
// use.
type keyCache struct {
	mu       sync.Mutex // guards what follows
	keys     *lru[ID, aged]
	patients *lru[ID, aged] // current keys
	index    *lru[Key, ID]
	now      func() time.Time

	erasures uint64 // rises with every patient forgotten
}

// aged is a key with the time when it was read from the key store. Use does not make it younger.
type aged struct {
	PatientKey
	read time.Time
}

func newKeyCache(patients int, now func() time.Time) *keyCache {
	return &keyCache{
		now:      now,
		keys:     newLRU[ID, aged](patients),
		patients: newLRU[ID, aged](patients),
		index:    newLRU[Key, ID](patients * indexPerPatient),
	}
}

// resolve fills in the refs of which everything is known, and returns the positions of the others.
// A ref with an index key that is not cached is not known: that key may have to be added.
func (c *keyCache) resolve(refs []PatientRef, keys []PatientKey) (cold []int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	for i := range refs {
		if key, ok := c.ref(refs[i], now); ok {
			keys[i] = key
		} else {
			cold = append(cold, i)
		}
	}
	return cold
}

func (c *keyCache) ref(ref PatientRef, now time.Time) (PatientKey, bool) {
	var patient ID
	for i, key := range ref.Index {
		p, ok := c.index.get(key)
		if !ok {
			return PatientKey{}, false
		}
		if i == 0 {
			patient = p
		}
	}
	return fresh(c.patients, patient, now)
}

// fresh is a key that is not too old; one that is makes room.
func fresh(keys *lru[ID, aged], id ID, now time.Time) (PatientKey, bool) {
	key, ok := keys.get(id)
	if ok && now.Sub(key.read) >= cachedFor {
		keys.remove(keys.byKey[id])
		return PatientKey{}, false
	}
	return key.PatientKey, ok
}

func (c *keyCache) current(patient ID) (PatientKey, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fresh(c.patients, patient, c.now())
}

func (c *keyCache) key(id ID) (PatientKey, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fresh(c.keys, id, c.now())
}

// since is to be asked before the key store is read, and given to what puts the answer: what was read
// before somebody was forgotten is not kept, it may be theirs.
func (c *keyCache) since() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.erasures
}

func (c *keyCache) putKey(key PatientKey, since uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.erasures != since {
		return
	}
	c.keys.put(key.KeyID, aged{key, c.now()})
}

func (c *keyCache) putCurrent(key PatientKey, since uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.erasures != since {
		return
	}
	c.patients.put(key.Patient, aged{key, c.now()})
	c.keys.put(key.KeyID, aged{key, c.now()})
}

func (c *keyCache) putIndex(index map[Key]ID, since uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.erasures != since {
		return
	}
	for key, patient := range index {
		c.index.put(key, patient)
	}
}

func (c *keyCache) size() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.patients.byKey)
}

// forget is rare, so it searches.
func (c *keyCache) forget(patient ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.erasures++
	c.patients.drop(func(p ID, _ aged) bool { return p == patient })
	c.keys.drop(func(_ ID, k aged) bool { return k.Patient == patient })
	c.index.drop(func(_ Key, p ID) bool { return p == patient })
}

// forgetKeys forgets the owners of these keys. Rare, too.
func (c *keyCache) forgetKeys(ids []ID) {
	c.mu.Lock()
	c.erasures++
	c.mu.Unlock()
	for _, id := range ids {
		c.mu.Lock()
		key, ok := c.keys.get(id)
		c.mu.Unlock()
		if ok {
			c.forget(key.Patient)
		}
	}
}

func (c *keyCache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.erasures++
	c.keys.drop(func(ID, aged) bool { return true })
	c.patients.drop(func(ID, aged) bool { return true })
	c.index.drop(func(Key, ID) bool { return true })
}

// lru is a map of bounded size; the least recently used element makes room. Not safe for concurrent
// use.
type lru[K comparable, V any] struct {
	max   int
	byKey map[K]*list.Element
	order *list.List // of *pair, most recent first
}

type pair[K comparable, V any] struct {
	key   K
	value V
}

func newLRU[K comparable, V any](max int) *lru[K, V] {
	return &lru[K, V]{max: max, byKey: map[K]*list.Element{}, order: list.New()}
}

func (l *lru[K, V]) get(key K) (value V, ok bool) {
	e, ok := l.byKey[key]
	if !ok {
		return value, false
	}
	l.order.MoveToFront(e)
	return e.Value.(*pair[K, V]).value, true
}

func (l *lru[K, V]) put(key K, value V) {
	if e, ok := l.byKey[key]; ok {
		e.Value.(*pair[K, V]).value = value
		l.order.MoveToFront(e)
		return
	}
	l.byKey[key] = l.order.PushFront(&pair[K, V]{key, value})
	if l.order.Len() > l.max {
		l.remove(l.order.Back())
	}
}

func (l *lru[K, V]) remove(e *list.Element) {
	l.order.Remove(e)
	delete(l.byKey, e.Value.(*pair[K, V]).key)
}

// drop removes what which picks.
func (l *lru[K, V]) drop(which func(K, V) bool) {
	for key, e := range l.byKey {
		if which(key, e.Value.(*pair[K, V]).value) {
			l.remove(e)
		}
	}
}
