package streams

import (
	"strings"
	"sync"
)

// Callers are the Callers of this process: answers for them need not pass the server, nor need what they
// bring, when there is a Reader that takes it. The zero value, and nil, have none. Safe for concurrent use.
type Callers struct {
	mu     sync.RWMutex       // guards what follows
	byName map[string]*Caller // by inbox
	reader *Reader
}

// Serve gives r what the Callers bring for organisations, as long as r is open and has room.
func (here *Callers) Serve(r *Reader) {
	here.mu.Lock()
	defer here.mu.Unlock()
	here.reader = r
}

// offer gives m to the reader, if it is a message of an organisation. What the hub itself says is a fact
// that lies in the stream.
func (here *Callers) offer(m Message) (gone <-chan struct{}, taken bool) {
	if here == nil || !strings.HasPrefix(m.Subject, intakePrefix) {
		return nil, false
	}
	here.mu.RLock()
	r := here.reader
	here.mu.RUnlock()
	if r == nil {
		return nil, false
	}
	return r.Offer(m)
}

func (here *Callers) add(c *Caller) {
	if here == nil {
		return
	}
	here.mu.Lock()
	defer here.mu.Unlock()
	if here.byName == nil {
		here.byName = make(map[string]*Caller)
	}
	here.byName[c.inbox] = c
}

func (here *Callers) remove(c *Caller) {
	if here == nil {
		return
	}
	here.mu.Lock()
	defer here.mu.Unlock()
	delete(here.byName, c.inbox)
}

func (here *Callers) find(inbox string) *Caller {
	if here == nil {
		return nil
	}
	here.mu.RLock()
	defer here.mu.RUnlock()
	return here.byName[inbox]
}
