package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// progress shows one changing line on a terminal, and nothing elsewhere. Not safe for concurrent use.
type progress struct {
	w     io.Writer // nil = not a terminal
	began time.Time
	shown time.Time
}

// newProgress draws on w if that is a terminal.
func newProgress(w io.Writer, quiet bool) *progress {
	p := &progress{began: time.Now()}
	if f, ok := w.(*os.File); ok && !quiet && term.IsTerminal(int(f.Fd())) {
		p.w = w
	}
	return p
}

// show redraws at most ten times a second. total 0 means unknown.
func (p *progress) show(what string, n, total uint64) {
	now := time.Now()
	if p.w == nil || now.Sub(p.shown) < 100*time.Millisecond {
		return
	}
	p.shown = now
	of := ""
	if total > 0 {
		of = fmt.Sprintf(" of %d (%d %%)", total, 100*n/total)
	}
	fmt.Fprintf(p.w, "\r\033[K%s %d%s, %.0f/s", what, n, of, rate(n, now.Sub(p.began)))
}

// clear removes the line.
func (p *progress) clear() {
	if p.w != nil && !p.shown.IsZero() {
		fmt.Fprint(p.w, "\r\033[K")
	}
}

func rate(n uint64, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}
