package recorder

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/dosewire/dosewire/ledger"
)

func TestUsual(t *testing.T) {
	fresh := names{messages: []ledger.Key{{}}, identities: []ledger.Key{{Org: ledger.ID{1}}}}
	var s usual
	// until is how many messages it takes, one by one.
	until := func() (n int) {
		t.Helper()
		for ; s.absent(fresh).none(); n++ {
			if n > 2*mostNew {
				t.Fatal("it never becomes usual")
			}
			s.found(fresh, ledger.Have{})
		}
		return n
	}
	if n := until(); n != fewestNew {
		t.Errorf("assumed after %d messages", n)
	}
	if many := (names{messages: make([]ledger.Key, fewestNew+1)}); !s.absent(many).none() {
		t.Error("assumed of more messages than were new")
	}
	if !s.absent(names{}).none() || s.wrong() {
		t.Error("something was assumed of nothing")
	}
	for want := 2 * fewestNew; want <= 2*mostNew; want *= 2 {
		until()
		if !s.wrong() {
			t.Error("it was not for what was assumed")
		}
		if n := until(); n != min(want, mostNew) {
			t.Errorf("assumed again after %d messages, want %d", n, min(want, mostNew))
		}
	}
	for need := mostNew; need > fewestNew; need /= 2 {
		for range longTime * need / (need / 8) {
			s.absent(names{messages: make([]ledger.Key, need/8)})
			s.right()
		}
	}
	s.absent(fresh)
	s.wrong()
	if n := until(); n > 4*fewestNew {
		t.Errorf("after a long time without a mistake, one costs %d messages", n)
	}

	for _, h := range []ledger.Have{
		{Messages: map[ledger.Key]ledger.Message{{}: {}}},
		{Identities: map[ledger.Key]ledger.ID{{Org: ledger.ID{1}}: {}}},
	} {
		var s usual
		for range fewestNew - 1 {
			s.found(fresh, ledger.Have{})
		}
		s.found(fresh, h)
		if !s.absent(fresh).none() {
			t.Errorf("usual, though this was there: %+v", h)
		}
	}
	var other usual
	for range fewestNew { // what a cancellation names is there, and says nothing of new orders
		other.found(fresh, ledger.Have{Identities: map[ledger.Key]ledger.ID{{Org: ledger.ID{9}}: {}}})
	}
	if other.absent(fresh).none() {
		t.Error("what was not fresh counts")
	}
}

func TestAcquaintances(t *testing.T) {
	token := func(n uint32) []byte {
		return append(binary.BigEndian.AppendUint32(nil, n), make([]byte, ledger.TherapyToken-4)...)
	}
	who := func(n int) (id ledger.ID) {
		binary.BigEndian.PutUint64(id[:], uint64(n))
		return id
	}
	var a acquaintances
	first := &acquaintance{}
	a.meet(who(0), first)
	for n := 1; n <= 3*enough; n++ {
		a.meet(who(n), &acquaintance{})
		if a.known(who(0)) != first {
			t.Fatalf("somebody seen all the time is forgotten after %d others", n)
		}
		if back := n - enough/2 + 2; back > 0 && a.late[who(back)] == nil && a.before[who(back)] == nil {
			t.Fatalf("somebody seen lately is forgotten after %d others", n)
		}
		if size := len(a.late) + len(a.before); size > enough {
			t.Fatalf("%d are remembered", size)
		}
	}

	a.committed(&ledger.Batch{Prescriptions: []ledger.Prescription{{Patient: who(0), Therapy: slices.Concat(token(1), token(2))}, {Patient: who(0), Therapy: token(1)}, {Patient: who(-1), Therapy: token(1)}},
		Nominations: []ledger.Nomination{{Patient: who(0), Pharmacy: who(7)}}})
	if !first.has(token(1)) || !first.has(token(2)) || first.has(token(3)) || len(first.tokens) != 2 || first.nominated != who(7) || a.known(who(-1)) != nil {
		t.Errorf("after a commit: %+v", first)
	}
	for n := range uint32(ledger.MaxTokens) {
		first.add(token(n + 10))
	}
	if !first.many || !first.has(token(3)) || first.tokens != nil {
		t.Errorf("of too many: %+v", first)
	}
	var all []byte
	for n := range uint32(1000 * ledger.MaxTokens) {
		all = append(all, token(n)...)
	}
	if n := testing.AllocsPerRun(1, func() { (&acquaintance{}).add(all) }); n > 10 {
		t.Errorf("%v allocations for tokens that are too many", n)
	}
	if nobody := (*acquaintance)(nil); !nobody.has(token(1)) {
		t.Error("of whom nothing is known, something is")
	}
	for _, b := range []*ledger.Batch{{Erasure: &ledger.Erasure{}}, {Links: []ledger.PatientLink{{}}}} {
		a.meet(who(0), first)
		if a.committed(b); a.known(who(0)) != nil {
			t.Errorf("still known after %+v", b)
		}
	}
}
