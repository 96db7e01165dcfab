package hub

import (
	"encoding/binary"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

// TestReadRate: who reads too often is told how long to wait, leaves no access row and slows nobody else.
func TestReadRate(t *testing.T) {
	records, s, ids := library(t)
	now := time.UnixMilli(1234)
	records.now = func() time.Time { return now }
	records.Limited(NewReadRate(3))
	one, other := adapters.Reader{Org: newID(t), Action: "read"}, adapters.Reader{Patient: newID(t), Action: "read"}
	read := func(who adapters.Reader) error {
		_, err := records.ReadAll(t.Context(), who, ids)
		return err
	}
	for range 3 * readBurst {
		if err := read(one); err != nil {
			t.Fatal(err)
		}
	}
	rows := len(s.accesses)
	err := read(one)
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || e.Code() != fault.CodeReads || fault.Status(err) != http.StatusTooManyRequests {
		t.Fatalf("one too many: %v", err)
	}
	if wait := e.RetryAfter(); wait <= 0 || wait > time.Second {
		t.Errorf("told to wait %v", wait)
	}
	if len(s.accesses) != rows {
		t.Error("a read that was refused left an access row")
	}
	if err := read(other); err != nil {
		t.Errorf("another reader: %v", err)
	}
	now = now.Add(e.RetryAfter() + time.Millisecond)
	if err := read(one); err != nil {
		t.Errorf("after the wait: %v", err)
	}
	if err := read(one); fault.CodeOf(err) != fault.CodeReads {
		t.Errorf("and at once again: %v", err)
	}
}

// TestReadRateForgets: readers who have gone cost nothing.
func TestReadRateForgets(t *testing.T) {
	r, now := NewReadRate(1), time.UnixMilli(0)
	for i := range 3 * manyReaders {
		now = now.Add(time.Millisecond * 10)
		var who ledger.ID
		binary.BigEndian.PutUint64(who[:], uint64(i))
		if err := r.take(who, now); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(r.readers); n > manyReaders {
		t.Errorf("%d readers are kept", n)
	}
}
