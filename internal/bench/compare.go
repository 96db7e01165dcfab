package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// compare measures this tree's hub beside another binary. Both run at once, each with databases of its own,
// and every load goes to one and then to the other, in turns: what else the machine does meets both, and the
// median ratio of the turns tells a few per cent apart where rates of whole runs differ by half.
func compare(ctx context.Context, stores []string, p plan, against string, rounds int) error {
	dir, err := folder()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	mine, err := program(ctx, dir)
	if err != nil {
		return err
	}
	fmt.Printf("medians of %d turns of %v: other, this, and this/other of each turn (quartiles)\n", rounds, p.each)
	for _, store := range stores {
		if err := compareOn(ctx, store, dir, p, [2]string{against, mine}, rounds); err != nil {
			return fmt.Errorf("%s: %w", store, err)
		}
	}
	return nil
}

// compareOn compares the two on one kind of store.
func compareOn(ctx context.Context, store, dir string, p plan, bins [2]string, rounds int) (err error) {
	var both [2]contender
	for i, bin := range bins {
		c := &both[i]
		c.client = client(1 << 12) // more than any load has in flight
		defer c.client.CloseIdleConnections()
		home := filepath.Join(dir, store+strconv.Itoa(i))
		if err := os.Mkdir(home, 0o755); err != nil {
			return err
		}
		if c.db, err = openDatabases(ctx, store, home); err != nil {
			return err
		}
		defer c.db.close()
		if c.hub, err = startHub(ctx, bin, filepath.Join(home, "data"), c.db); err != nil {
			return err
		}
		defer c.hub.stop()
		if err := acquaint(ctx, c.hub.target); err != nil {
			return err
		}
	}
	for _, load := range p.loads {
		if load == "large" || load == "drain" {
			continue // they have no turns
		}
		var samples [2][]sample
		for round := range rounds {
			for k := range both {
				i := (round + k) % 2 // nobody is always first
				s, err := both[i].turn(ctx, load, fmt.Sprintf("%s-%d", load, round), p.each)
				if err != nil {
					return fmt.Errorf("%s: %w", load, err)
				}
				samples[i] = append(samples[i], s)
			}
		}
		versus(store, load, samples)
	}
	fmt.Printf("  %-9s resident memory, highest: %.0f MB, %.0f MB\n", store, both[0].hub.resident(), both[1].hub.resident())
	return nil
}

// contender is one of the two.
type contender struct {
	hub    *process
	db     databases
	client *http.Client // its connections stay from turn to turn
}

// turn is one load, once. run is new each time.
func (c contender) turn(ctx context.Context, load, run string, each time.Duration) (s sample, err error) {
	work := func() sample { return pace(ctx, c.hub.target, run, order, 200, each) }
	switch load {
	case "paced":
	case "claims":
		if err := issue(ctx, c.hub.target, run, int(each.Seconds()*200)); err != nil {
			return s, err
		}
		settle()
		work = func() sample { return pace(ctx, c.hub.pharmacy, run, claim, 200, each) }
	default:
		inFlight, err := strconv.Atoi(load)
		if err != nil {
			return s, fmt.Errorf("no such load: %w", err)
		}
		work = func() sample { return saturate(ctx, c.client, c.hub.target, run, inFlight, each) }
	}
	if s = c.db.costing(c.hub, work); s.Failed > 0 {
		return s, fmt.Errorf("%d requests failed", s.Failed)
	}
	return s, nil
}

// versus prints what the turns of one load say.
func versus(store, load string, samples [2][]sample) {
	for _, m := range []struct {
		what string
		of   func(*sample) float64
	}{
		{"rate, /s", func(s *sample) float64 { return s.rate() }},
		{"processor, us", func(s *sample) float64 { return s.each(s.Process) }},
		{"database's, us", func(s *sample) float64 { return s.each(s.Database) }},
		{"p50, ms", func(s *sample) float64 { return ms(s.quantile(0.50)) }},
		{"p99, ms", func(s *sample) float64 { return ms(s.quantile(0.99)) }},
	} {
		var other, this, ratio []float64
		for i := range samples[0] {
			a, b := m.of(&samples[0][i]), m.of(&samples[1][i])
			other, this, ratio = append(other, a), append(this, b), append(ratio, b/a)
		}
		if quantile(other, 0.5) == 0 { // SQLite has no processes of its own
			continue
		}
		fmt.Printf("  %-9s %-7s %-15s %9.1f %9.1f   %.3f (%.3f-%.3f)\n", store, load, m.what,
			quantile(other, 0.5), quantile(this, 0.5), quantile(ratio, 0.5), quantile(ratio, 0.25), quantile(ratio, 0.75))
	}
}
