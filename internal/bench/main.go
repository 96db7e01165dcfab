package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) == 4 && os.Args[1] == "bare" {
		exit(bare(context.Background(), os.Args[2], os.Args[3]))
		return
	}
	if len(os.Args) == 4 && os.Args[1] == "copy" {
		exit(copies(context.Background(), os.Args[2], os.Args[3]))
		return
	}
	stores := flag.String("stores", "postgres,sqlite", "which `stores`, separated by commas")
	seconds := flag.Int("seconds", 5, "how long each load runs")
	backlog := flag.Int("backlog", 20000, "messages of each backlog that is drained")
	loads := flag.String("loads", "1,16,256,paced,claims,large,drain", "which `loads`: requests in flight, paced, claims, large, drain")
	against := flag.String("against", "", "compare with this dosewire `binary`, in turns, instead of with the references")
	rounds := flag.Int("rounds", 9, "turns of each load with -against")
	out := flag.String("json", "", "write the figures to this `file` too")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	p := plan{loads: strings.Split(*loads, ","), each: time.Duration(*seconds) * time.Second, backlog: *backlog}
	if *against != "" {
		if *out != "" || *rounds < 1 {
			exit(errors.New("-against writes no -json, and needs one of -rounds at least"))
		}
		exit(compare(ctx, strings.Split(*stores, ","), p, *against, *rounds))
		return
	}
	exit(run(ctx, strings.Split(*stores, ","), p, *out))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// plan says what is measured on each store.
type plan struct {
	loads   []string // numbers of requests in flight, "paced", "claims", "large", "drain"
	each    time.Duration
	backlog int
}

func (p plan) has(load string) bool { return slices.Contains(p.loads, load) }

// figure is one line of the report. Ratio is against the reference in the same run; 0 = none.
type figure struct {
	Store     string  `json:"store"`
	What      string  `json:"what"`
	Value     float64 `json:"value"`
	Unit      string  `json:"unit"`
	Reference float64 `json:"reference,omitempty"`
	Ratio     float64 `json:"ratio,omitempty"`
}

// report collects and prints.
type report struct{ figures []figure }

func (r *report) add(store, what string, value float64, unit string, reference float64) {
	f := figure{Store: store, What: what, Value: value, Unit: unit, Reference: reference}
	line := fmt.Sprintf("  %-9s %-44s %10.1f %-4s", store, what, value, unit)
	if reference > 0 {
		f.Ratio = value / reference
		line += fmt.Sprintf("  reference %10.1f  ratio %.2f", reference, f.Ratio)
	}
	r.figures = append(r.figures, f)
	fmt.Println(line)
}

// paced adds the latencies of a load at a fixed rate, beside those of the reference: of all requests, and of those
// during which the disk answered.
func (r *report) paced(store, what string, ours, theirs sample) error {
	if ours.Failed > 0 {
		return fmt.Errorf("%s: %d requests failed", what, ours.Failed)
	}
	r.add(store, what+", p50", ms(ours.quantile(0.50)), "ms", ms(theirs.quantile(0.50)))
	r.add(store, what+", p99", ms(ours.quantile(0.99)), "ms", ms(theirs.quantile(0.99)))
	calm, theirsCalm := ours.answered(), theirs.answered()
	r.add(store, what+", p99 while the disk answers", ms(quantile(calm, 0.99)), "ms", ms(quantile(theirsCalm, 0.99)))
	r.add(store, what+", met a stall of the disk", 100*(1-share(calm, ours.latencies)), "%", 100*(1-share(theirsCalm, theirs.latencies)))
	return nil
}

func share[T any](some, all []T) float64 { return float64(len(some)) / float64(max(len(all), 1)) }

// folder makes one for a run, which the database's user can reach too.
func folder() (string, error) {
	dir, err := os.MkdirTemp("", "dosewire-bench-")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o755)
}

func run(ctx context.Context, stores []string, p plan, out string) error {
	dir, err := folder()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Printf("dosewire bench: %s, %d cores, prescription of %d bytes, %d patients, %v a load\n",
		runtime.Version(), runtime.NumCPU(), len(order("x", 1)), patients, p.each)
	r := &report{}
	for _, store := range stores {
		if err := benchStore(ctx, r, store, filepath.Join(dir, store), p); err != nil {
			return fmt.Errorf("%s: %w", store, err)
		}
	}
	if out == "" {
		return nil
	}
	text, err := json.MarshalIndent(r.figures, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(out, append(text, '\n'), 0o644)
}

// benchStore measures one kind of store: the loads beside the bare handler, then the drain.
func benchStore(ctx context.Context, r *report, store, dir string, p plan) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	db, err := openDatabases(ctx, store, dir)
	if err != nil {
		return err
	}
	defer db.close()
	if err := benchHub(ctx, r, store, dir, db, p); err != nil || !p.has("drain") {
		return err
	}
	return drain(ctx, r, store, dir, db, p.backlog)
}

// benchHub measures what a client of the hub sees.
func benchHub(ctx context.Context, r *report, store, dir string, db databases, p plan) error {
	bin, err := program(ctx, dir)
	if err != nil {
		return err
	}
	h, err := startHub(ctx, bin, filepath.Join(dir, "data"), db)
	if err != nil {
		return err
	}
	defer h.stop()
	b, err := startBare(ctx, store, db.bare)
	if err != nil {
		return err
	}
	defer b.stop()

	for _, t := range []target{h.target, b.target} { // patients, prepared statements, page caches
		if err := acquaint(ctx, t); err != nil {
			return err
		}
	}
	for _, load := range p.loads {
		inFlight, err := strconv.Atoi(load)
		if err != nil {
			continue
		}
		var ours, theirs sample
		const rounds = 5          // short, for a stall of the disk is as long as many requests
		c := client(2 * inFlight) // of both, so that the connections stay
		for _, run := range turns("s"+load, rounds) {
			settle()
			theirs = theirs.plus(db.costing(b, func() sample { return saturate(ctx, c, b.target, run, inFlight, p.each/rounds) }))
			settle()
			ours = ours.plus(db.costing(h, func() sample { return saturate(ctx, c, h.target, run, inFlight, p.each/rounds) }))
		}
		c.CloseIdleConnections()
		what := fmt.Sprintf("POST to 201, %d in flight", inFlight)
		r.add(store, what, ours.rate(), "/s", theirs.rate())
		r.add(store, what+", p99", ms(ours.quantile(0.99)), "ms", 0)
		r.add(store, what+", processor", ours.each(ours.Process), "us", theirs.each(theirs.Process))
		if db.server != nil {
			r.add(store, what+", database's", ours.each(ours.Database), "us", theirs.each(theirs.Database))
		}
		if ours.Failed > 0 {
			return fmt.Errorf("%s: %d requests failed", what, ours.Failed)
		}
	}
	if p.has("paced") {
		ours, theirs, err := inTurns(dir, p.each, func(t target, run string, d time.Duration) sample { return pace(ctx, t, run, order, 200, d) },
			h.target, b.target, "p")
		if err == nil {
			err = r.paced(store, "at 200/s", ours, theirs)
		}
		if err != nil {
			return err
		}
	}
	if p.has("claims") {
		for _, run := range turns("c", 2) {
			if err := issue(ctx, h.target, run, int((p.each/2).Seconds()*200)); err != nil {
				return err
			}
		}
		ours, theirs, err := inTurns(dir, p.each, func(t target, run string, d time.Duration) sample { return pace(ctx, t, run, claim, 200, d) },
			h.pharmacy, b.target, "c")
		if err == nil {
			err = r.paced(store, "claims at 200/s", ours, theirs)
		}
		if err != nil {
			return err
		}
	}
	if p.has("large") {
		if err := large(ctx, h.target); err != nil {
			return err
		}
	}
	r.add(store, "resident memory of the hub, highest", h.resident(), "MB", 0)
	return nil
}

// turns are the names of n runs of a load that goes to one and then to the other, in turns, so that what else the
// machine does meets both.
func turns(load string, n int) (runs []string) {
	for i := range n {
		runs = append(runs, load+"-"+strconv.Itoa(i))
	}
	return runs
}

// inTurns measures a paced load and looks at the disk of dir meanwhile.
func inTurns(dir string, each time.Duration, load func(target, string, time.Duration) sample, our, their target, name string) (ours, theirs sample, err error) {
	for _, run := range turns(name, 2) {
		for _, side := range []struct {
			target target
			sum    *sample
		}{{their, &theirs}, {our, &ours}} {
			settle() // a stall of the disk that the loads before have caused is not this load's
			d, err := watchDisk(dir)
			if err != nil {
				return ours, theirs, err
			}
			s := load(side.target, run, each/2)
			if s.stalls, err = d.end(); err != nil {
				return ours, theirs, err
			}
			*side.sum = side.sum.plus(s)
		}
	}
	return ours, theirs, nil
}

// costing runs a load and says what processor time it took in the process and in the database server.
func (d databases) costing(p *process, load func() sample) sample {
	database := func() time.Duration {
		if d.server == nil {
			return 0
		}
		return processorBelow(d.server.Pid())
	}
	process, store := processor(p.cmd.Process.Pid), database()
	s := load()
	s.Process, s.Database = processor(p.cmd.Process.Pid)-process, database()-store
	return s
}

// settle lets the system write what it still holds of the loads before.
func settle() { syscall.Sync() }

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// plus joins two samples of the same load.
func (s sample) plus(o sample) sample {
	return sample{Done: s.Done + o.Done, Failed: s.Failed + o.Failed, Elapsed: s.Elapsed + o.Elapsed, latencies: append(s.latencies, o.latencies...),
		due: append(s.due, o.due...), stalls: append(s.stalls, o.stalls...),
		Process: s.Process + o.Process, Database: s.Database + o.Database}
}
