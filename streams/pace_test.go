package streams

import (
	"testing"
	"time"
)

// disk imitates a server that stores in order: each message alone takes one, a batch takes fixed and a
// tenth of one for each message.
type disk struct {
	now        time.Time
	one, fixed time.Duration
	pace       pace
}

func (d *disk) alone(n int) {
	for range n {
		sent := d.now
		if !d.pace.last.IsZero() {
			sent = sent.Add(-time.Second) // it waited for those before it
		}
		d.now = d.now.Add(d.one)
		d.pace.alone(sent, d.now, true)
	}
}

func (d *disk) batches(n, size int) {
	for range n {
		sent := d.now
		d.now = d.now.Add(d.fixed + time.Duration(size)*d.one/withinBatch)
		d.pace.batch(sent, d.now, size)
	}
}

func TestPaceFindsTheBreakEven(t *testing.T) {
	tests := []struct {
		name       string
		one, fixed time.Duration
		want       int
	}{
		{"staged in memory", 300 * time.Microsecond, 2700 * time.Microsecond, 10},
		{"staged on disk", 300 * time.Microsecond, 10800 * time.Microsecond, 40},
		{"network disk", 2 * time.Millisecond, 3 * time.Millisecond, leastBreakEven},
		{"batches are hopeless", 50 * time.Microsecond, time.Second, mostBreakEven},
	}
	for _, tt := range tests {
		d := &disk{now: time.Unix(0, 0), one: tt.one, fixed: tt.fixed}
		if got := d.pace.breakEven(); got != firstBreakEven {
			t.Errorf("%s: unmeasured: %d, want %d", tt.name, got, firstBreakEven)
		}
		d.alone(100)
		d.batches(50, 200)
		if got := d.pace.breakEven(); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

// One slow batch must not end batches for ever.
func TestPaceForgets(t *testing.T) {
	d := &disk{now: time.Unix(0, 0), one: time.Millisecond, fixed: 2 * time.Second}
	d.alone(10)
	d.batches(1, 50)
	if got := d.pace.breakEven(); got != mostBreakEven {
		t.Fatalf("after a slow batch: %d", got)
	}
	d.alone(5000)
	if got := d.pace.breakEven(); got >= 50 {
		t.Errorf("5000 messages later still %d", got)
	}
}
