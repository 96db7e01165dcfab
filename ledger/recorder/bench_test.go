package recorder_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

// BenchmarkCall measures a recorded prescription from publish to answer, without HTTP.
func BenchmarkCall(b *testing.B) {
	for name, on := range map[string]func(*hub){"sqlite": func(*hub) {}, "postgres": (*hub).onPostgres} {
		benchmarkCall(b, name, on)
	}
}

func benchmarkCall(b *testing.B, name string, on func(*hub)) {
	for _, inFlight := range []int{1, 16, 256} {
		b.Run(fmt.Sprint(name, " ", inFlight, " in flight"), func(b *testing.B) {
			h := open(b, on)
			var next atomic.Int64
			b.ResetTimer()
			var wg sync.WaitGroup
			for range inFlight {
				wg.Go(func() {
					for {
						n := next.Add(1)
						if n > int64(b.N) {
							return
						}
						id := fmt.Sprint("b", n)
						if a := h.send(h.clinic, id, order(id, oldBridgeNPI, "Amoxicillin")); a.Status != 201 {
							b.Errorf("answer: %+v", a)
							return
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "prescriptions/s")
		})
	}
}
