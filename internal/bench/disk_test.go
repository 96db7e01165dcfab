package main

import (
	"slices"
	"testing"
	"time"
)

// TestAnswered: a request that began before a stall and ended behind its beginning met it, as did one that began in it.
func TestAnswered(t *testing.T) {
	at := func(ms int) time.Time { return time.UnixMilli(int64(ms)) }
	s := sample{stalls: []span{{at(100), at(200)}, {at(500), at(520)}}}
	for _, r := range []struct{ from, to int }{{80, 99}, {90, 110}, {110, 120}, {190, 230}, {200, 203}, {499, 521}, {600, 607}} {
		s.due = append(s.due, at(r.from))
		s.latencies = append(s.latencies, time.Duration(r.to-r.from)*time.Millisecond)
	}
	if got, want := s.answered(), []time.Duration{19 * time.Millisecond, 3 * time.Millisecond, 7 * time.Millisecond}; !slices.Equal(got, want) {
		t.Errorf("answered %v, want %v", got, want)
	}
}

// TestWatchDisk: what cannot be written is no calm disk.
func TestWatchDisk(t *testing.T) {
	d, err := watchDisk(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.end(); err != nil {
		t.Error(err)
	}
	if d, err = watchDisk(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	d.file.Close()
	<-d.done
	if _, err := d.end(); err == nil {
		t.Error("a disk that cannot be written has no error")
	}
}
