package streams_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/dosewire/dosewire/streams"
)

// body is a prescription's worth of bytes.
var body = bytes.Repeat([]byte("dosewire"), 256)

// BenchmarkPublisher measures messages on disk for callers that wait each for their own, beside the
// same bytes written and synced to a plain file. CPU is that of client and server together.
func BenchmarkPublisher(b *testing.B) {
	for _, callers := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			h := startHub(b)
			publishAll(b, h.publisher(b), callers)
		})
	}
	b.Run("reference=write+fsync", func(b *testing.B) {
		f, err := os.Create(filepath.Join(b.TempDir(), "f"))
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		for b.Loop() {
			if _, err := f.Write(body); err != nil {
				b.Fatal(err)
			}
			if err := f.Sync(); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
	})
}

// BenchmarkBreakEven compares what the publisher does for n callers with the same messages each by
// itself, all of them on their way at once.
func BenchmarkBreakEven(b *testing.B) {
	for _, n := range []int{4, 8, 16, 32, 64, 128, 256} {
		b.Run(fmt.Sprintf("n=%d/alone", n), func(b *testing.B) {
			p, err := streams.NewAlonePublisher(startHub(b).nc, n)
			if err != nil {
				b.Fatal(err)
			}
			publishAll(b, p, n)
		})
		b.Run(fmt.Sprintf("n=%d/grouped", n), func(b *testing.B) {
			publishAll(b, startHub(b).publisher(b), n)
		})
	}
}

func publishAll(b *testing.B, p *streams.Publisher, callers int) {
	time.Sleep(50 * time.Millisecond) // until the staging folder is linked: the case of a running hub
	var next atomic.Int64
	var wg sync.WaitGroup
	cpu := cpuTime(b)
	b.ResetTimer()
	for range callers {
		wg.Go(func() {
			for {
				i := next.Add(1)
				if i > int64(b.N) {
					return
				}
				if err := p.Publish(context.Background(), intake("org."+strconv.FormatInt(i, 36), body)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
	b.ReportMetric(float64((cpuTime(b)-cpu).Microseconds())/float64(b.N), "cpu-µs/msg")
}

func BenchmarkReader(b *testing.B) {
	h := startHub(b)
	const stored = 10_000
	p := h.publisher(b)
	var wg sync.WaitGroup
	for c := range 500 {
		wg.Go(func() {
			for i := range stored / 500 {
				if err := p.Publish(context.Background(), intake(fmt.Sprintf("org.%d.%d", c, i), body)); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	cpu := cpuTime(b)
	for b.Loop() {
		r, err := streams.OpenReader(context.Background(), h.js, streams.Intake, 1)
		if err != nil {
			b.Fatal(err)
		}
		for n := 0; n < stored; {
			batch, err := r.Batch(context.Background(), 1000, 8<<20, time.Second)
			if err != nil {
				b.Fatal(err)
			}
			n += len(batch)
		}
		r.Close()
	}
	n := float64(b.N * stored)
	b.ReportMetric(n/b.Elapsed().Seconds(), "msgs/s")
	b.ReportMetric(float64((cpuTime(b)-cpu).Microseconds())/n, "cpu-µs/msg")
}

// cpuTime is what this process has used so far, user and system.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
