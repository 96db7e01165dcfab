package recorder

import (
	"testing"

	"github.com/dosewire/dosewire/ledger"
)

// What came directly between messages of the stream does not take back that those are announced: else
// RX_INTAKE would not be purged while the announcer is behind.
func TestSettledBesideDirectMessages(t *testing.T) {
	a := &announcer{next: 1, target: 4, recorded: 9}
	effect := func(number, seq uint64) announcement {
		return announcement{Effect: ledger.Effect{Number: number, Seq: seq}}
	}
	for _, tt := range []struct {
		batch []announcement
		want  uint64
	}{
		{[]announcement{effect(1, 0)}, 0},
		{[]announcement{effect(2, 6), effect(3, 0)}, 5},
		{[]announcement{effect(4, 0)}, 9}, // all of them
	} {
		a.told(tt.batch)
		if got := a.settled(); got != tt.want {
			t.Errorf("after %d effects settled up to %d, want %d", a.next-1, got, tt.want)
		}
	}
}
