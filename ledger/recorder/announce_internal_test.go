package recorder

import (
	"testing"
	"testing/synctest"
	"time"

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

// TestGather: many effects are announced at once, unless the recorder decides on more meanwhile: then while that is
// committed, and never later than what is few.
func TestGather(t *testing.T) {
	const many = holdUpTo + 1
	after := func(d time.Duration, do func(*announcer)) func(*announcer) {
		return func(a *announcer) { time.Sleep(d); do(a) }
	}
	for _, tt := range []struct {
		name      string
		more      bool // at hand
		behind    int  // effects of before that are not announced
		effects   int
		meanwhile func(*announcer)
		want      time.Duration
	}{
		{"few, and no more", false, 0, 10, nil, holdFor},
		{"many, and no more", false, 0, many, nil, 0},
		{"few of more", true, 0, 10, nil, holdLong},
		{"few of more, which are committed", true, 0, 10, after(20*time.Millisecond, (*announcer).commits), holdLong},
		{"many of more", true, 0, many, nil, holdLong},
		{"many of more, which are committed", true, 0, many, after(20*time.Millisecond, (*announcer).commits), 20 * time.Millisecond},
		{"many of more, which came to nothing", true, 0, many, after(20*time.Millisecond, func(a *announcer) { a.hold(false) }), 20 * time.Millisecond},
		{"many of more, and the end", true, 0, many, after(20*time.Millisecond, (*announcer).finish), 20 * time.Millisecond},
		{"many of more, and one is behind", true, 1, many, nil, 0},
		{"many of more, and many are behind", true, many, many, nil, 0},
		{"the rest of many of more", true, -100, many + 100, nil, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const before = 1000 // committed
				a := &announcer{wake: make(chan struct{}, 1), target: before, next: uint64(before + 1 - tt.behind)}
				a.since = time.Now()
				a.hold(tt.more)
				a.committed(make([]announcement, tt.effects), ledger.Head{Deliveries: before + uint64(tt.effects)})
				if tt.meanwhile != nil {
					go tt.meanwhile(a)
				}
				began := time.Now()
				a.gather(t.Context())
				if got := time.Since(began); got != tt.want {
					t.Errorf("announced after %v, want %v", got, tt.want)
				}
			})
		})
	}
}

// TestTakenIsCleared: what was taken is out of memory as soon as it is announced, though the rest of its commit waits
// yet; and what was announced from the database meanwhile is, too.
func TestTakenIsCleared(t *testing.T) {
	a := &announcer{wake: make(chan struct{}, 1), next: 3}
	effects := make([]announcement, 600)
	for i := range effects {
		effects[i] = announcement{Effect: ledger.Effect{Number: uint64(i + 1)}, body: []byte("body")}
	}
	a.committed(effects, ledger.Head{Deliveries: 600})
	batch, _, err := a.take(t.Context())
	if err != nil || len(batch) != 500 || batch[0].Number != 3 {
		t.Fatalf("took %d: %v", len(batch), err)
	}
	if a.bytes != 98*len("body") {
		t.Errorf("%d bytes wait, want those of 98", a.bytes)
	}
	clear(batch)
	for i, e := range effects {
		if kept := e.body != nil; kept != (i >= 502) {
			t.Fatalf("effect %d is kept: %v", i+1, kept)
		}
	}
	a.committed([]announcement{{Effect: ledger.Effect{Number: 601}}}, ledger.Head{Deliveries: 601})
	if a.next = 503; len(a.queue) != 99 {
		t.Errorf("%d wait, want 99", len(a.queue))
	}
	if batch, _, err = a.take(t.Context()); err != nil || len(batch) != 99 || batch[98].Number != 601 || a.bytes != 0 {
		t.Errorf("then took %d, %d bytes wait: %v", len(batch), a.bytes, err)
	}
}
