package rx

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
)

// TestWalk sends random messages of three pharmacies, a clinic, a patient and the clock, and holds
// every step against the package's promises.
func TestWalk(t *testing.T) {
	for seed := range uint64(400) {
		w := &walker{world: newWorld(t), r: rand.New(rand.NewPCG(seed, 1)), holders: map[uint64]string{}}
		first := order()
		first.Terms = Terms{Amount: 20, First: pick(w.r, int64(0), 10), Unit: "ucum|1", NoSubstitution: seed%3 == 0, Interval: int64(seed%2) * (50 * time.Hour).Milliseconds()}
		first.Directed = seed%5 == 0
		w.check(first)
		for range 150 {
			w.step()
			if t.Failed() {
				t.Fatalf("seed %d, state %+v", seed, w.s)
			}
		}
	}
}

type walker struct {
	*world
	r       *rand.Rand
	holders map[uint64]string // who held a claim
	excess  bool              // a hand-over was flagged over-amount
	over    bool              // a hand-over was flagged over-fills, or the fills' count was passed by one
	waiting bool              // a cancel waits for its final word
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

func (w *walker) step() {
	switch n := w.r.IntN(20); {
	case n < 12:
		status := pick(w.r, "preparation", "in-progress", "completed", "completed/part", "on-hold", "cancelled", "declined", "entered-in-error")
		org, dispense := pick(w.r, "a", "a", "b", "c"), pick(w.r, "1", "2", "3", "4", "5", "6")
		e := w.message(org, dispense, status, pick(w.r, 0, 0, 0, w.s.Claim))
		e.Amount, e.Unit = pick(w.r, int64(0), 5, 10, 20), "ucum|1"
		e.Substituted, e.Mitigated, e.Whole = w.r.IntN(8) == 0, w.r.IntN(8) == 0, w.r.IntN(8) == 0 && !e.Partial
		if w.r.IntN(4) == 0 {
			e.Code, e.CodeOK = pick(w.r, "L1", "L2"), w.r.IntN(3) > 0
		}
		w.remember(e, status, w.check(e))
	case n < 14:
		pharmacy := pick(w.r, "a", "b", "c")
		w.check(pick(w.r, Event{Kind: Nominate, Pharmacy: pharmacy}, Event{Kind: Open, Code: pick(w.r, "L1", "L2")},
			Event{Kind: Silent, Pharmacy: pharmacy}, Event{Kind: Renew, Org: pharmacy, WasSent: w.sent[pharmacy]}, amended(pick(w.r, "f", "g"))))
	case n < 15:
		w.check(pick(w.r, order(), Event{Kind: Cancel, Org: "clinic"}, Event{Kind: End, Org: "clinic"},
			Event{Kind: Replace, Org: "clinic", By: "newer"}))
	case n < 17:
		w.check(pick(w.r, order(), Event{Kind: Hold, Org: "clinic"}))
	default:
		w.now = w.now.Add(time.Duration(w.r.Int64N(int64(30 * time.Hour))))
		w.check(Event{Kind: Tick})
	}
}

// check decides e and holds the decision against the promises.
func (w *walker) check(e Event) Answer {
	w.t.Helper()
	before, kept := w.s, text(w.s)
	timed, _, _ := Decide(before, Event{Kind: Tick}, w.now)

	s1, effects1, a1 := Decide(before, e, w.now)
	s2, effects2, a2 := Decide(before, e, w.now)
	w.must(text(s1) == text(s2) && text(effects1) == text(effects2) && text(a1) == text(a2), e, "deterministic")
	w.must(text(before) == kept, e, "the caller's state is not touched")
	if (a1.Refused || a1.NoOp) && !a1.Counted {
		w.must(text(s1) == text(timed), e, "a refusal or repeat changes time alone")
	}
	w.must(!a1.Refused || a1.Code != "", e, "a refusal says why")

	effects, a := w.decide(e)
	w.holding(e, before)
	w.must(!w.s.held() || !slices.Contains([]Kind{Claim, Prepare, Query, Release}, e.Kind) || a.Refused || e.Org == w.s.Holder, e, "the loser hears that it lost")
	w.counting(e, before, timed, a)
	w.ending(e, timed)
	w.finalWord(e, effects, a)
	return a
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func (w *walker) must(ok bool, e Event, promise string) {
	w.t.Helper()
	if !ok {
		w.t.Errorf("broken after %+v: %s", e, promise)
	}
}

func (w *walker) holding(e Event, before State) {
	s := w.s
	w.must(s.held() == (s.Holder != ""), e, "a holder if and only if held")
	w.must(s.held() == (s.LeaseEnd != 0), e, "a lease if and only if held")
	w.must(s.Claim >= before.Claim, e, "claim numbers only rise")
	w.must(!s.CancelPending || s.held(), e, "only what is held waits for its cancel")
	w.must(s.DueAt() == 0 || s.DueAt() > w.now.UnixMilli(), e, "what is due is done")
	w.must(s.live() || !s.OnHold, e, "what is over is not on hold")
	w.must(!s.held() || !s.declinedBy(s.Holder), e, "who declined does not hold")
	if s.held() {
		first, known := w.holders[s.Claim]
		w.must(!known || first == s.Holder, e, "a claim has one holder")
		w.holders[s.Claim] = s.Holder
	}
}

func (w *walker) counting(e Event, before, timed State, a Answer) {
	s := w.s
	w.over = w.over || slices.Contains(a.Flags, FlagOverFills)
	w.must(s.FillsDone <= s.FillsAllowed || w.over, e, "no more fills than allowed without a flag")
	w.must(!s.live() || s.FillsDone < s.FillsAllowed, e, "what lives has a fill left")
	w.must(s.FillsDone >= 0 && s.FillsDone <= s.Numbered, e, "every fill has a number")
	w.must(s.Numbered == len(w.fills), e, "every number is a fill taken once")
	if e.Kind == HandOver {
		w.must(!a.Refused || !e.WasSent || before.buried() || before.Phase == None, e, "a hand-over is a fact")
		d := step{State: timed, e: e}
		w.must(a.Refused || a.NoOp || d.partial() || s.Numbered == before.Numbered+1, e, "a hand-over takes a fill")
		w.must(d.amount() == 0 || d.given() <= max(d.amount(), 20) || w.excess, e, "no more of a fill than it holds without a flag")
		w.excess = w.excess || slices.Contains(a.Flags, FlagOverAmount)
	} else {
		w.must(s.Numbered == before.Numbered, e, "only a hand-over takes a fill")
	}
}

// ending: terminal phases stay, but for a completed one whose last hand-over is withdrawn.
func (w *walker) ending(e Event, timed State) {
	reopened := e.Kind == Withdraw && timed.Phase == Completed && w.s.Phase == Ready ||
		e.Kind == Withdraw && timed.Phase == Completed && w.s.Phase == Expired
	w.must(timed.live() || timed.Phase == None || w.s.Phase == timed.Phase || reopened, e, "what is over stays over")
}

func (w *walker) finalWord(e Event, effects []Effect, a Answer) {
	finals := 0
	for _, f := range effects {
		if f.Kind == Tell && f.Org == "clinic" && slices.Contains([]fault.Code{fault.CodeCancelled, fault.CodeReplaced, fault.CodeCompleted}, f.Code) {
			finals++
		}
	}
	waited := w.waiting
	w.waiting = w.s.CancelPending
	if waited && !w.waiting {
		w.must(finals == 1, e, "one final word")
		return
	}
	w.must(finals == 0, e, "no final word before its time")
	w.must(w.waiting == waited || a.Pending, e, "pending is answered at once")
}

// FuzzDecide lets any state meet any event: no panic, the same result twice, time never reopens.
func FuzzDecide(f *testing.F) {
	for _, k := range kinds() {
		for _, p := range phases() {
			s := example(p)
			f.Add([]byte(text(s)), []byte(text(said(k, s))), start.UnixMilli())
		}
	}
	f.Add([]byte(`{"phase":"held"}`), []byte(`{"Kind":"handover","Org":"a","WasSent":true}`), int64(1)<<62)
	f.Fuzz(func(t *testing.T, state, event []byte, now int64) {
		var s State
		var e Event
		if json.Unmarshal(state, &s) != nil || json.Unmarshal(event, &e) != nil {
			return
		}
		kept := text(s)
		s1, effects1, a1 := Decide(s, e, time.UnixMilli(now))
		s2, effects2, a2 := Decide(s, e, time.UnixMilli(now))
		if text(s1)+text(effects1)+text(a1) != text(s2)+text(effects2)+text(a2) {
			t.Error("two results")
		}
		if text(s) != kept {
			t.Error("the caller's state was touched")
		}
		if a1.Code != "" {
			if _, ok := fault.Lookup(a1.Code); !ok {
				t.Errorf("%s is not in the catalogue", a1.Code)
			}
		}
		if s1.Status() == "" {
			t.Error("no status")
		}
		for _, x := range effects1 {
			if (x.Kind == Offer || x.Kind == Forward || x.Kind == Tell || x.Kind == TakeFill) && x.Org == "" {
				t.Errorf("%s to nobody", x.Kind)
			}
		}
	})
}

func BenchmarkDecide(b *testing.B) {
	held := example(Held)
	for name, c := range map[string]struct {
		s State
		e Event
	}{
		"issue":           {State{}, order()},
		"claim":           {example(Ready), said(Claim, example(Ready))},
		"direct-handover": {example(Ready), said(HandOver, example(Ready))},
		"handover":        {held, said(HandOver, held)},
		"refused":         {example(Completed), said(Claim, example(Completed))},
		"repeat":          {example(Ready), said(Issue, example(Ready))},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Decide(c.s, c.e, start)
			}
		})
	}
}
