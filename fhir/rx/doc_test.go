package rx

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"
	"time"
)

var update = flag.Bool("update", false, "rewrite docs/prescription.md")

// TestDoc renders docs/prescription.md by running the machine.
func TestDoc(t *testing.T) {
	page, err := template.New("prescription.md.tmpl").Funcs(template.FuncMap{
		"phases": phases, "kinds": kinds, "name": name, "heading": heading, "diagram": diagram,
		"row": row, "line": func(cells []string) string { return strings.Join(cells, " | ") }, "overlays": overlays, "consequences": consequences, "timely": timely, "days": days, "projection": projection, "nhsSystem": func() string { return NHSBusinessStatus },
	}).ParseFiles(filepath.Join("testdata", "prescription.md.tmpl"))
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := page.Execute(&got, nil); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("..", "..", "docs", "prescription.md")
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Error("docs/prescription.md is not what the machine does: run go test ./fhir/rx -run TestDoc -update and read the diff")
	}
}

func name(k Kind) string {
	switch k {
	case HandOver:
		return "hand over"
	case Tick:
		return "time passes"
	}
	return string(k)
}

func heading(p Phase) string {
	if p == None {
		return "not issued"
	}
	return strings.ReplaceAll(string(p), "-", " ")
}

// cell is a decision in a word.
func cell(s State, e Event) string {
	next, _, a := Decide(s, e, start)
	switch {
	case a.Refused:
		return "`" + string(a.Code) + "`"
	case a.NoOp:
		return "="
	}
	word := "✓"
	if next.Status() != s.Status() {
		word = "→ " + strings.ReplaceAll(next.Status(), "-", " ")
	}
	switch {
	case len(a.Flags) > 0:
		word += ", flagged `" + strings.Join(a.Flags, "`, `") + "`"
	case a.Code != "" && !a.Pending:
		word += ", `" + string(a.Code) + "`"
	}
	return word
}

func row(k Kind) (cells []string) {
	for _, p := range phases() {
		s := example(p)
		cells = append(cells, cell(s, said(k, s)))
	}
	return cells
}

func overlays(k Kind) (cells []string) {
	paused, stopped, pending := example(Ready), example(Held), example(Held)
	paused.OnHold, stopped.OnHold = true, true
	pending.CancelPending, pending.LeaseEnd = true, at(LeaseCancel)
	for _, s := range []State{paused, stopped, pending} {
		cells = append(cells, cell(s, said(k, s)))
	}
	held, e := example(Held), said(k, example(Held))
	if k.dispense() {
		e.Org, e.Dispense, e.OldStatus, e.OldClaim, e.EverHeld = "b", "y", "", 0, false
	}
	return append(cells, cell(held, e))
}

// diagram lists the moves between phases, for mermaid.
func diagram() []string {
	id := strings.NewReplacer("-", "_")
	by := map[string][]string{}
	var order []string
	move := func(from, to, why string) {
		edge := fmt.Sprintf("%s --> %s", id.Replace(from), id.Replace(to))
		if _, ok := by[edge]; !ok {
			order = append(order, edge)
		}
		by[edge] = append(by[edge], why)
	}
	for _, p := range phases() {
		for _, k := range kinds() {
			s := example(p)
			next, _, a := Decide(s, said(k, s), start)
			if a.Refused || next.Phase == p {
				continue
			}
			from := string(p)
			if p == None {
				from = "[*]"
			}
			move(from, string(next.Phase), name(k))
		}
		switch p { // what only the last fill, a pending cancel or time does
		case Ready:
			move("ready", "completed", "hand over the last fill")
			move("ready", "expired", "validity ends")
		case Held, Collect:
			move(string(p), "ready", "lease ends")
			move(string(p), "completed", "hand over the last fill")
			move(string(p), "cancelled", "cancel pending, then released or silent")
		}
	}
	var lines []string
	for _, edge := range order {
		lines = append(lines, edge+" : "+strings.Join(by[edge], ", "))
	}
	return lines
}

// consequences lists what follows from each accepted kind, phases with the same effects together.
func consequences() (lines []string) {
	for _, k := range kinds() {
		var order []string
		in := map[string][]string{}
		for _, p := range phases() {
			s := example(p)
			_, effects, a := Decide(s, said(k, s), start)
			if a.Refused || len(effects) == 0 {
				continue
			}
			words := inWords(effects)
			if in[words] == nil {
				order = append(order, words)
			}
			in[words] = append(in[words], heading(p))
		}
		for _, words := range order {
			lines = append(lines, fmt.Sprintf("%s | %s | %s", name(k), strings.Join(in[words], ", "), words))
		}
	}
	return lines
}

// inWords is what effects do, with the parties of example by their parts.
func inWords(effects []Effect) string {
	who := map[string]string{"clinic": "the clinic", "a": "the pharmacy", "b": "the new pharmacy"}
	var parts []string
	for _, f := range effects {
		switch f.Kind {
		case Tell:
			parts = append(parts, fmt.Sprintf("tell %s `%s`", who[f.Org], f.Code))
		case Wake:
			parts = append(parts, "wake ("+f.What+")")
		case TakeFill:
			parts = append(parts, "a fill is taken")
		default:
			parts = append(parts, fmt.Sprintf("%s to %s", f.Kind, who[f.Org]))
		}
	}
	return strings.Join(parts, ", ")
}

// projection is how each state is shown to others, by asking it.
func projection() (lines []string) {
	for _, c := range stands() {
		if c.phase == None || !slices.Contains(phases(), c.phase) {
			continue // never shown
		}
		s := c.state()
		status, reason := s.TaskStatus()
		words, nhs := s.Business().Text(), s.Business().NHS()
		if reason != "" {
			status += "` `" + string(reason)
		}
		if nhs != "" {
			nhs = "`" + nhs + "`"
		}
		lines = append(lines, fmt.Sprintf("%s | `%s` | `%s` | %s | `%s` | %s", c.name, s.Status(), status, words, s.Business(), nhs))
	}
	return lines
}

func timely(what string) string {
	s, now := example(Held), start.Add(LeaseHeld)
	switch what {
	case "pending":
		s.CancelPending = true
	case "validity":
		s, now = example(Ready), start.Add(year)
	}
	_, effects, _ := Decide(s, Event{Kind: Tick}, now)
	return inWords(effects)
}

func days(what string) string {
	d := map[string]time.Duration{"held": LeaseHeld, "collect": LeaseCollect, "cancel": LeaseCancel, "withdraw": WithdrawWindow,
		"lease": WarnLease, "expiry": WarnExpiry, "expiring": WarnExpiring}[what]
	if h := int(d / time.Hour); h < 7*24 {
		return fmt.Sprintf("%d hours", h)
	}
	return fmt.Sprintf("%d days", int(d/(24*time.Hour)))
}
