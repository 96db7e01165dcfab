package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// A disk that others use too may stop answering for a tenth of a second. Whoever makes anything durable on it waits
// that long, so a latency says something of a hub only beside what the disk did meanwhile.
const (
	diskEvery = 5 * time.Millisecond // between two syncs that look
	diskBytes = 8 << 10
	stalled   = 10 * time.Millisecond // a sync that takes longer is a stall; the usual one takes less than 1 ms
)

// span is a time from when until when.
type span struct{ from, to time.Time }

func (s span) overlaps(o span) bool { return s.from.Before(o.to) && o.from.Before(s.to) }

// disk writes a little and syncs it, again and again, and notes when that took long.
type disk struct {
	file   *os.File
	stop   chan struct{}
	done   chan struct{}
	stalls []span
	err    error
}

// watchDisk looks at the disk of dir until end.
func watchDisk(dir string) (*disk, error) {
	f, err := os.Create(filepath.Join(dir, "disk"))
	if err != nil {
		return nil, err
	}
	d := &disk{file: f, stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(d.done)
		d.err = d.look()
	}()
	return d, nil
}

func (d *disk) look() error {
	page := make([]byte, diskBytes)
	tick := time.NewTicker(diskEvery)
	defer tick.Stop()
	for {
		select {
		case <-d.stop:
			return nil
		case <-tick.C:
		}
		began := time.Now()
		if _, err := d.file.WriteAt(page, 0); err != nil {
			return err
		}
		if err := d.file.Sync(); err != nil {
			return err
		}
		if now := time.Now(); now.Sub(began) > stalled {
			d.stalls = append(d.stalls, span{began, now})
		}
	}
}

// end says when the disk stalled.
func (d *disk) end() ([]span, error) {
	close(d.stop)
	<-d.done
	if err := d.file.Close(); d.err == nil {
		d.err = err
	}
	if d.err != nil {
		return nil, fmt.Errorf("disk: %w", d.err)
	}
	return d.stalls, nil
}

// answered are the latencies of requests none of which met a stall.
func (s sample) answered() (latencies []time.Duration) {
	for i, l := range s.latencies {
		during := span{s.due[i], s.due[i].Add(l)}
		if !slices.ContainsFunc(s.stalls, during.overlaps) {
			latencies = append(latencies, l)
		}
	}
	return latencies
}
