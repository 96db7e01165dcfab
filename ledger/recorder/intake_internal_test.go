package recorder

import (
	"runtime"
	"testing"
	"weak"

	"github.com/dosewire/dosewire/streams"
)

// TestTakenIsLetGo: the list of what is ready does not keep messages that were taken from it.
func TestTakenIsLetGo(t *testing.T) {
	in := newIntake(nil, nil, 1)
	in.ready = make([]arrival, 0, 64)
	var put []weak.Pointer[streams.Message]
	for range 8 {
		m := &streams.Message{Body: make([]byte, 1<<10)}
		put = append(put, weak.Make(m))
		in.put([]arrival{{message: m}}, false)
	}
	for range 7 {
		if taken, err := in.next(1, 1<<20); len(taken) != 1 || err != nil {
			t.Fatalf("took %d, %v", len(taken), err)
		}
	}
	runtime.GC()
	for i, p := range put {
		if kept := p.Value() != nil; kept != (i == 7) {
			t.Errorf("message %d of 8 kept: %v", i+1, kept)
		}
	}
	runtime.KeepAlive(in)
}
