package rx

import (
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestEveryCellMatters puts every function of the table into every cell of it, one at a time. Each such machine
// must be told from the right one by what the cells, the overlays or a story expect, but for those of which
// testdata/survivors_cells.txt says why they are the same.
func TestEveryCellMatters(t *testing.T) {
	book := expectations{cells: cells(t), overlays: outcomes(t), stories: everyStory()}
	if wrong := book.broken(Decide, "", 0); wrong != "" {
		t.Fatalf("the machine itself does not pass: %s", wrong)
	}
	same, by, made := sameCells(t), map[string]int{}, 0
	for _, k := range kinds() {
		row, _ := rules(k)
		for i, p := range phases() {
			for _, f := range cellFunctions() {
				if cellName(f) == cellName(row[i]) {
					continue
				}
				made++
				swap := fmt.Sprintf("%s in %s as %s", name(k), heading(p), cellName(f))
				wrong := book.broken(swapped(k, i, f), k, i)
				how, _, _ := strings.Cut(wrong, ":")
				by[how]++
				if (wrong == "") != same[swap] {
					t.Errorf("%s: told apart by %q, listed as the same: %v", swap, wrong, same[swap])
				}
				delete(same, swap)
			}
		}
	}
	for swap := range same {
		t.Errorf("survivors_cells.txt: there is no %s", swap)
	}
	if made < 5000 {
		t.Errorf("only %d machines were tried", made)
	}
	t.Logf("%d machines with one other cell: %d told apart by their cell, %d by an overlay, %d by a story, %d by a panic; %d do the same",
		made, by["cell"], by["overlay"], by["story"], by["panic"], by[""])
}

// sameCells reads testdata/survivors_cells.txt.
func sameCells(t *testing.T) map[string]bool {
	t.Helper()
	same := map[string]bool{}
	for _, l := range lines(t, "survivors_cells.txt") {
		swaps, why := columns(t, l)
		kind, rest, ok := strings.Cut(swaps, " in ")
		in, as, ok2 := strings.Cut(rest, " as ")
		if !ok || !ok2 || why == "" {
			t.Fatalf("survivors_cells.txt: %q", l)
		}
		for phase := range strings.SplitSeq(in, ", ") {
			for f := range strings.SplitSeq(as, ", ") {
				same[kind+" in "+phase+" as "+f] = true
			}
		}
	}
	return same
}

// expectations are what a machine is held against.
type expectations struct {
	cells    map[Kind][8]string
	overlays map[string]string
	stories  map[string]story
}

// broken names the first expectation that m does not meet, "" for none. The cell of kind k and phase i, where
// the machine was changed, is looked at before the others. A panic is a failure too.
func (x expectations) broken(m machine, k Kind, i int) (wrong string) {
	defer func() {
		if r := recover(); r != nil {
			wrong = fmt.Sprintf("panic: %v", r)
		}
	}()
	if k != "" {
		for _, got := range append(happensAnyway(m, k, phases()[i]), happens(m, k, phases()[i])) {
			if got != x.cells[k][i] {
				return "cell: its own"
			}
		}
	}
	for _, c := range overlaid() {
		if c.happens(m) != x.overlays[c.name] {
			return "overlay: " + c.name
		}
	}
	for name, lines := range x.stories {
		if err := lines.run(m); err != nil {
			return "story: " + name
		}
	}
	return ""
}

// everyStory is all that is told of whole lives.
func everyStory() map[string]story {
	all := map[string]story{}
	for _, some := range []map[string]story{stories(), terms(), routes()} {
		for name, lines := range some {
			all[name] = lines
		}
	}
	return all
}

// swapped is a machine that differs in one cell.
func swapped(k Kind, column int, f func(*step)) machine {
	by := func(of Kind) (line, bool) {
		cells, ok := rules(of)
		if of == k {
			cells[column] = f
		}
		return cells, ok
	}
	return func(s State, e Event, now time.Time) (State, []Effect, Answer) { return decide(by, s, e, now) }
}

// cellFunctions are the functions of the table, each once.
func cellFunctions() (fs []func(*step)) {
	seen := map[string]bool{}
	for _, k := range kinds() {
		cells, _ := rules(k)
		for _, f := range cells {
			if n := cellName(f); !seen[n] {
				seen[n] = true
				fs = append(fs, f)
			}
		}
	}
	return fs
}

func cellName(f func(*step)) string {
	full := runtime.FuncForPC(reflect.ValueOf(f).Pointer()).Name()
	return full[strings.LastIndexByte(full, '.')+1:]
}
