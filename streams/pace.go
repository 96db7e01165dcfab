package streams

import "time"

// pace measures what storing costs on this server and disk, and so from how many messages on an
// atomic batch is faster than the same messages each by itself. It guards nothing; its lane does.
//
// A single node syncs once for each message stored alone, and has a fixed cost for each batch. Two
// cores, ext4, write and fsync of 2 kB in 0.24 to 0.30 ms, AES, sync always (BenchmarkBreakEven):
//
//	messages on their way           4      8     16     32     64    128    256
//	alone, messages/s           2,800  3,600  2,900  3,000  2,900  3,300  2,800
//	batch, staged on disk         360    600  1,300  2,300  4,500  7,500 13,300
//	batch, staged in memory     1,600  2,500  4,800 10,200 16,600 21,500 28,600
//
// So the break-even is near 40 with staging on disk and near 10 in memory (streams/embedded does
// that). A slower disk moves it down. Hence it is measured while the lane runs, not configured.
type pace struct {
	last  time.Time     // when the server was last known to be done with something
	one   time.Duration // to store one message alone
	fixed time.Duration // to store a batch, beyond what its messages cost
}

const (
	firstBreakEven = 12
	leastBreakEven = 4
	mostBreakEven  = 100

	// withinBatch is the part of a message's cost alone that it still has within a batch: a tenth, as
	// measured above (30 of 300 µs).
	withinBatch = 10
)

// alone takes in one message stored by itself, sent and acknowledged at these times.
func (p *pace) alone(sent, acked time.Time, stored bool) {
	took := p.took(sent, acked)
	if !stored {
		return
	}
	p.one = smooth(p.one, took)
	// A batch that was slow by accident must not end batches for ever.
	p.fixed -= p.fixed / 1024
}

// batch takes in a batch of n messages.
func (p *pace) batch(sent, acked time.Time, n int) {
	took := p.took(sent, acked)
	p.fixed = smooth(p.fixed, max(took-time.Duration(n)*p.one/withinBatch, 1))
}

// took is the server's own time: it stores in order, so it began when it was done with what came before.
func (p *pace) took(sent, acked time.Time) time.Duration {
	if sent.Before(p.last) {
		sent = p.last
	}
	p.last = acked
	return max(acked.Sub(sent), 1)
}

// breakEven is the number of waiting messages from which a batch is worth it.
func (p *pace) breakEven() int {
	if p.one == 0 || p.fixed == 0 {
		return firstBreakEven
	}
	return int(min(max(p.fixed/max(p.one-p.one/withinBatch, 1), leastBreakEven), mostBreakEven))
}

func smooth(mean, next time.Duration) time.Duration {
	if mean == 0 {
		return next
	}
	return mean + (next-mean)/8
}
