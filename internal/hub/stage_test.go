package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// diary is what stages did, in order, with seconds since the start of the bubble.
type diary struct {
	mu    sync.Mutex
	began time.Time
	lines []string
}

func (d *diary) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf("%g ", time.Since(d.began).Seconds())+fmt.Sprintf(format, args...))
}

// worker is a stage that takes opening to open and finishing to finish.
func (d *diary) worker(name string, opening, finishing, grace time.Duration) stage {
	return stage{name: name, grace: grace,
		open: func(ctx context.Context) error {
			time.Sleep(opening) // fake time
			d.note("%s open", name)
			return ctx.Err()
		},
		run: func(ctx context.Context) error {
			<-ctx.Done()
			d.note("%s told", name)
			time.Sleep(finishing) // fake time
			d.note("%s done", name)
			return nil
		},
		close: func() error { d.note("%s closed", name); return nil },
	}
}

// play runs stages in a bubble and stops them after the given time.
func play(t *testing.T, after time.Duration, stages func(*diary) []stage) (lines []string, err error) {
	synctest.Test(t, func(t *testing.T) {
		d := &diary{began: time.Now()}
		ctx, cancel := context.WithTimeout(t.Context(), after)
		defer cancel()
		err = runStages(ctx, slog.New(slog.DiscardHandler), stages(d), func() { d.note("ready") })
		d.mu.Lock()
		lines = slices.Clone(d.lines)
		d.mu.Unlock()
		time.Sleep(time.Hour) // let those that were given up end
	})
	return lines, err
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestStagesStopFromTheOutsideInwards(t *testing.T) {
	lines, err := play(t, 10*time.Second, func(d *diary) []stage {
		return []stage{d.worker("store", 1*time.Second, 0, 0), d.worker("recorder", 2*time.Second, 3*time.Second, 5*time.Second), d.worker("http", 0, 4*time.Second, 5*time.Second)}
	})
	if err != nil {
		t.Error(err)
	}
	expect(t, lines, "1 store open", "3 recorder open", "3 http open", "3 ready",
		"10 http told", "14 http done", "14 http closed",
		"14 recorder told", "17 recorder done", "17 recorder closed",
		"17 store told", "17 store done", "17 store closed")
}

func TestStageBeyondItsGraceIsLeftBehind(t *testing.T) {
	lines, err := play(t, 10*time.Second, func(d *diary) []stage {
		return []stage{d.worker("store", 0, 0, 0), d.worker("http", 0, time.Minute, 5*time.Second)}
	})
	if !errors.Is(err, errGrace) || !strings.Contains(err.Error(), "hub: http:") {
		t.Errorf("err = %v, want errGrace of http", err)
	}
	expect(t, lines, "0 store open", "0 http open", "0 ready", "10 http told", "16 http closed",
		"16 store told", "16 store done", "16 store closed")
}

func TestStageThatEndsByItselfEndsTheHub(t *testing.T) {
	broken := errors.New("broken")
	for name, row := range map[string]struct{ end, want error }{"with an error": {broken, broken}, "without one": {nil, errEnded}} {
		t.Run(name, func(t *testing.T) {
			lines, err := play(t, time.Hour, func(d *diary) []stage {
				failing := stage{name: "recorder", run: func(context.Context) error {
					time.Sleep(7 * time.Second) // fake time
					return row.end
				}}
				return []stage{d.worker("store", 0, 0, 0), failing, d.worker("http", 0, time.Second, time.Second)}
			})
			if !errors.Is(err, row.want) || strings.Count(err.Error(), "recorder") != 1 {
				t.Errorf("err = %v, want %v once", err, row.want)
			}
			expect(t, lines, "0 store open", "0 http open", "0 ready", "7 http told", "8 http done", "8 http closed",
				"8 store told", "8 store done", "8 store closed")
		})
	}
}

func TestStageThatCannotOpenStopsWhatIsInside(t *testing.T) {
	broken := errors.New("broken")
	lines, err := play(t, time.Hour, func(d *diary) []stage {
		failing := stage{name: "broker", open: func(context.Context) error { return broken }, close: func() error { d.note("broker closed"); return nil }}
		return []stage{d.worker("store", 0, 0, 0), failing, d.worker("http", 0, 0, 0)}
	})
	if !errors.Is(err, broken) {
		t.Errorf("err = %v", err)
	}
	expect(t, lines, "0 store open", "0 broker closed", "0 store told", "0 store done", "0 store closed")
}

func TestStopWhileStarting(t *testing.T) {
	lines, err := play(t, 2*time.Second, func(d *diary) []stage {
		standby := stage{name: "recorder", open: func(ctx context.Context) error { <-ctx.Done(); return fmt.Errorf("standing by: %w", ctx.Err()) }}
		return []stage{d.worker("store", 0, 0, 0), standby, d.worker("http", 0, 0, 0)}
	})
	if err != nil {
		t.Errorf("err = %v, want nil: stopping a standby is no failure", err)
	}
	expect(t, lines, "0 store open", "2 store told", "2 store done", "2 store closed")
}
