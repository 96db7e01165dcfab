package directory

import (
	"errors"
	"testing"
	"time"
)

func TestQuiet(t *testing.T) {
	night := Quiet{From: "22:00", Until: "07:00", Zone: "Europe/Berlin"}
	noon := Quiet{From: "12:30", Until: "14:00", Zone: "America/New_York"}
	for _, c := range []struct {
		q    Quiet
		now  string
		want time.Duration
	}{
		{Quiet{}, "2026-03-02T23:00:00Z", 0},
		{night, "2026-03-02T20:59:59Z", 0}, // 21:59:59 there
		{night, "2026-03-02T21:00:00Z", 9 * time.Hour},
		{night, "2026-03-03T05:59:00Z", time.Minute},
		{night, "2026-03-03T06:00:00Z", 0},
		{night, "2026-03-28T22:00:00Z", 7 * time.Hour}, // the clock goes forward at night
		{noon, "2026-07-01T17:00:00Z", time.Hour},
		{noon, "2026-07-01T18:00:00Z", 0},
	} {
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.q.Left(now); got != c.want {
			t.Errorf("%v at %s: %s, want %s", c.q, c.now, got, c.want)
		}
		if err := c.q.Check(); err != nil {
			t.Error(err)
		}
	}
	for _, q := range []Quiet{{From: "22", Until: "07:00", Zone: "UTC"}, {From: "22:00", Until: "22:00", Zone: "UTC"}, {From: "22:00", Until: "07:00", Zone: "Nowhere/None"}, {Zone: "UTC"},
		{From: "22:00", Until: "07:00"}, {From: "22:00", Until: "07:00", Zone: "Local"}} {
		if err := q.Check(); !errors.Is(err, ErrQuiet) || q.Left(time.Now()) != 0 {
			t.Errorf("%v: %v", q, err)
		}
	}
}
