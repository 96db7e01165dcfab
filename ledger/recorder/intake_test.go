package recorder_test

import (
	"sync/atomic"
	"testing"
	"time"
)

// gate lets one commit wait, when it is armed, until it is told to go on.
type gate struct {
	armed    atomic.Bool
	held, on chan struct{}
}

func (g *gate) at(point string, _ uint64) error {
	if point == "before commit" && g.armed.CompareAndSwap(true, false) {
		g.held <- struct{}{}
		<-g.on
	}
	return nil
}

// While one batch commits, the patients of the next are found; but never behind a message that may change how
// those behind it are read.
func TestWorkAhead(t *testing.T) {
	g := &gate{held: make(chan struct{}), on: make(chan struct{})}
	h := &hub{t: t, dir: t.TempDir()}
	h.config.Fault = g.at
	h.start()
	t.Cleanup(h.close)
	h.clinic = h.add("clinic", "Riverside", "1902847563")
	h.oldBridge = h.add("pharmacy", "Old Bridge", oldBridgeNPI)
	known := func(mrn string, within time.Duration) bool {
		for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(10 * time.Millisecond) { // another goroutine finds it
			if _, ok := h.patient(h.clinic, mrn); ok {
				return true
			}
		}
		return false
	}

	g.armed.Store(true)
	h.publish(h.clinic, "m1", of("first", order("A-1", oldBridgeNPI, "Amoxicillin")))
	<-g.held
	h.publish(h.clinic, "m2", of("second", order("A-2", oldBridgeNPI, "Amoxicillin")))
	if !known("second", 2*time.Second) {
		t.Error("while a batch commits, nothing is done for the next")
	}
	g.on <- struct{}{}

	g.armed.Store(true)
	added := make(chan struct{})
	go func() {
		defer close(added)
		h.add("pharmacy", "Harbour Street", "1336490128")
	}()
	<-g.held
	h.publish(h.clinic, "m3", of("third", order("A-3", oldBridgeNPI, "Amoxicillin")))
	if known("third", 300*time.Millisecond) {
		t.Error("a message behind a change of the directory was looked at before the change was committed")
	}
	g.on <- struct{}{}
	<-added
	if !known("third", 2*time.Second) {
		t.Error("the message behind the change is not read")
	}
}
