package ledgertest

import (
	"fmt"
	"testing"
)

// BenchmarkCommit measures full messages of 2 kB committed by one recorder (record, entry, message,
// prescription and two effects each) in batches of 1, 100 and 1000.
func BenchmarkCommit(b *testing.B, open func(testing.TB) Backend) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("batch=%d", n), func(b *testing.B) {
			s := open(b)
			h := begin(b, s)
			b.SetBytes(int64(n) * 2048)
			for b.Loop() {
				b.StopTimer()
				x := newBatch(h)
				full(x, n, 2048)
				b.StartTimer()
				if err := s.Commit(b.Context(), &x.Batch); err != nil {
					b.Fatalf("Commit: %v", err)
				}
				h = x.To
			}
			b.ReportMetric(float64(b.N)*float64(n)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
