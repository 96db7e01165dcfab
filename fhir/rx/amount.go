package rx

import (
	"math"
	"slices"
)

// When is a fill complete (PROTOCOL §4): what the dispense's type says; else its quantity, where it is in
// the unit of the order; else a hand-over closes its fill, because packs and tablets differ.

// partial reports whether the event's hand-over leaves a balance.
func (d *step) partial() bool {
	switch {
	case d.e.Partial, d.e.Whole:
		return d.e.Partial
	case d.comparable():
		return d.given()+d.e.Amount < d.amount()
	}
	return false
}

// short is how much of what is left of the fill is not ready when its holder says that it is.
func (d *step) short() string {
	switch {
	case d.e.Partial:
		return ShortPart
	case !d.e.Whole && d.comparable() && sum(d.Parts)+d.e.Amount < d.amount():
		return ShortPart
	}
	return ""
}

// excess reports whether more was handed over than the fill that is open held. Of another's fill nothing
// is said.
func (d *step) excess() bool {
	return d.comparable() && (d.Holder == "" || d.Holder == d.e.Org) && d.given()+d.e.Amount > d.amount()
}

func (d *step) comparable() bool {
	return d.e.Amount > 0 && d.amount() > 0 && d.e.Unit == d.Terms.Unit && d.e.Amount <= math.MaxInt64/4
}

// amount is what the next fill holds, 0 if the order does not say.
func (d *step) amount() int64 {
	if d.FillsDone == 0 && d.Terms.First > 0 {
		return d.Terms.First
	}
	return d.Terms.Amount
}

// given is what was handed over of the open fill by other dispenses than the event's.
func (d *step) given() int64 { return sum(d.others()) }

func sum(parts []Part) (total int64) {
	for _, p := range parts {
		if p.Amount > 0 && total <= math.MaxInt64/4-min(p.Amount, math.MaxInt64/4) {
			total += p.Amount
		}
	}
	return total
}

// partOf is what the event's dispense handed over of the open fill before.
func (s State) partOf(e Event) (Part, bool) {
	i := slices.IndexFunc(s.Parts, func(p Part) bool { return p.is(e) })
	if i < 0 {
		return Part{}, false
	}
	return s.Parts[i], true
}

// others are the parts of other dispenses than the event's, in memory of their own.
func (d *step) others() []Part {
	return slices.DeleteFunc(slices.Clone(d.Parts), func(p Part) bool { return p.is(d.e) })
}

func (p Part) is(e Event) bool { return p.Org == e.Org && p.Dispense == e.Dispense }

// Balance is what is left of the open fill, in millionths of Terms.Unit; 0 = nothing was handed over of it,
// or the order does not say how much it holds.
func (s State) Balance() int64 {
	d := step{State: s}
	if given := d.given(); len(s.Parts) > 0 && d.amount() > given {
		return d.amount() - given
	}
	return 0
}
