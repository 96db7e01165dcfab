package rx

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// start is a moment in the tests' time.
var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func at(d time.Duration) int64 { return start.Add(d).UnixMilli() }

const year = 365 * 24 * time.Hour

// order is the event of a two-fill order for pharmacy a, valid for a year.
func order() Event {
	return Event{Kind: Issue, Org: "clinic", Record: "r1", Pharmacy: "a", FillsAllowed: 2, Frozen: "f",
		ValidFrom: at(-time.Hour), ValidTo: at(year)}
}

// memo is what a recorder remembers of a dispense.
type memo struct {
	status string
	claim  uint64
}

// machine is Decide, or what a test puts in its place.
type machine func(State, Event, time.Time) (State, []Effect, Answer)

// world drives one prescription as a recorder does: it remembers dispenses and who was sent it, and
// drops what a refusal returns.
type world struct {
	t     testing.TB
	m     machine
	s     State
	now   time.Time
	sent  map[string]bool
	memos map[string]memo
	fills []string // who handed over fill 1, 2, …
}

func newWorld(t testing.TB) *world {
	return &world{t: t, m: Decide, now: start, sent: map[string]bool{}, memos: map[string]memo{}}
}

// do decides e and returns what happened in words.
func (w *world) do(e Event) string {
	effects, answer := w.decide(e)
	return told(w.s, effects, answer)
}

func (w *world) decide(e Event) ([]Effect, Answer) {
	w.t.Helper()
	s, effects, answer := w.m(w.s, e, w.now)
	if answer.Counted {
		w.s = s
	}
	if answer.Refused {
		return nil, answer
	}
	w.s = s
	for _, f := range effects {
		switch f.Kind {
		case Offer:
			w.sent[f.Org] = true
		case TakeFill:
			w.fills = append(w.fills, f.Org)
			if f.Number != len(w.fills) {
				w.t.Errorf("fill number %d after %d fills", f.Number, len(w.fills)-1)
			}
		}
	}
	return effects, answer
}

// md decides a dispense message given by its FHIR status; a partial hand-over is "completed/part".
func (w *world) md(org, dispense, status string) string { return w.stated(org, dispense, status, 0) }

func (w *world) stated(org, dispense, status string, claim uint64) string {
	w.t.Helper()
	e := w.message(org, dispense, status, claim)
	effects, answer := w.decide(e)
	w.remember(e, status, answer)
	return told(w.s, effects, answer)
}

// said decides a dispense message that says more.
func (w *world) said(org, dispense, status string, more func(*Event)) string {
	w.t.Helper()
	e := w.message(org, dispense, status, 0)
	more(&e)
	effects, answer := w.decide(e)
	w.remember(e, status, answer)
	return told(w.s, effects, answer)
}

func (w *world) message(org, dispense, status string, claim uint64) Event {
	status, part := strings.CutSuffix(status, "/part")
	known := w.memos[org+"/"+dispense]
	return Event{Kind: meaning(status), Org: org, Record: "m", Dispense: dispense, Stated: claim, Partial: part,
		WasSent: w.sent[org], EverHeld: known.claim > 0, OldStatus: known.status, OldClaim: known.claim}
}

func (w *world) remember(e Event, status string, a Answer) {
	if a.Refused || a.NoOp {
		return
	}
	key := e.Org + "/" + e.Dispense
	known := w.memos[key]
	known.status = strings.TrimSuffix(status, "/part")
	switch e.Kind {
	case Claim, Prepare, Query:
		known.claim = w.s.Claim
	case HandOver:
		if known.claim == 0 {
			known.claim = w.s.Claim
		}
	}
	w.memos[key] = known
}

// pass lets time go by and ticks.
func (w *world) pass(d time.Duration) string {
	w.t.Helper()
	w.now = w.now.Add(d)
	return w.do(Event{Kind: Tick})
}

// told is a decision in one line: "ready: forward clinic, wake accepted".
func told(s State, effects []Effect, a Answer) string {
	if a.Refused {
		return "refused " + string(a.Code)
	}
	if a.NoOp {
		return "no-op"
	}
	out := s.Status()
	if a.Pending {
		out += " pending"
	} else if a.Code != "" {
		out += " " + string(a.Code)
	}
	if len(a.Flags) > 0 {
		out += " " + strings.Join(a.Flags, "+")
	}
	var parts []string
	for _, f := range effects {
		parts = append(parts, f.words())
	}
	return out + ": " + strings.Join(parts, ", ")
}

func (f Effect) words() string {
	switch f.Kind {
	case Tell:
		return fmt.Sprintf("tell %s %s", f.Org, f.Code)
	case Wake:
		return "wake " + f.What
	case TakeFill:
		return fmt.Sprintf("fill %d %s", f.Number, f.Org)
	}
	return string(f.Kind) + " " + f.Org
}
