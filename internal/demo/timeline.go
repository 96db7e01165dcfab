package demo

import (
	"fmt"
	"io"
	"time"

	"github.com/fatih/color"
)

// timeline prints the play as it happens: one line a step, colours on a terminal only.
type timeline struct {
	w     io.Writer
	began time.Time
	steps int
}

func (t *timeline) act(title string) {
	fmt.Fprintf(t.w, "\n%s\n", color.New(color.Bold).Sprint(title))
}

// step prints what was seen to happen. who is an organisation, a patient or the hub.
func (t *timeline) step(who, format string, args ...any) {
	t.steps++
	mark := color.New(color.FgGreen).Sprint("✓")
	fmt.Fprintf(t.w, "  %s %6.2fs  %s %s\n", mark, time.Since(t.began).Seconds(),
		color.New(color.FgCyan).Sprintf("%-24s", who), fmt.Sprintf(format, args...))
}
