package rx

import (
	"time"

	"github.com/dosewire/dosewire/internal/fault"
)

// Decide applies one event to a prescription at stream time now. It is pure and total: s is not
// changed, and any event in any state gets an answer.
//
// The state is first advanced to now: an ended lease frees the fill (or lets a pending cancel take
// effect), and the end of validity expires a prescription that nobody holds. A refusal or a repeat
// returns that advanced state and the effects of the advance alone; a caller keeps both or neither. A
// refusal that is Counted has changed the state and must be kept.
func Decide(s State, e Event, now time.Time) (State, []Effect, Answer) {
	return decide(rules, s, e, now)
}

// table says what a kind of message does in each phase; ok is false for a kind that does not exist.
type table func(Kind) (cells line, ok bool)

// decide is Decide by any table: the tests show that another than rules does not pass them.
func decide(by table, s State, e Event, now time.Time) (State, []Effect, Answer) {
	d := step{State: s, e: e, now: now.UnixMilli()}
	moved := d.settle()
	before, told := d.State, len(d.effects)
	d.apply(by)
	if d.answer.Counted {
		return d.State, d.effects, d.answer
	}
	if d.answer.Refused || d.answer.NoOp {
		d.answer.Repeat = d.answer.NoOp
		d.answer.NoOp = d.answer.NoOp && !moved
		return before, d.effects[:told], d.answer
	}
	d.settle()
	return d.State, d.effects, d.answer
}

// step is one decision in the making.
type step struct {
	State   // as it becomes
	e       Event
	now     int64 // unix ms
	effects []Effect
	answer  Answer
}

// apply finds the cell of the table for the event and runs it.
func (d *step) apply(by table) {
	cells, ok := by(d.e.Kind)
	if !ok {
		d.refuse(fault.CodeStatus)
		return
	}
	i, ok := column(d.Phase)
	if !ok {
		d.refuse(fault.CodeInternal)
		return
	}
	if !d.allowed(sender, sent) {
		return
	}
	if d.repeated() {
		repeat(d)
		return
	}
	cells[i](d)
}

// allowed refuses with the word of the first guard that objects, and reports whether none did.
func (d *step) allowed(guards ...guard) bool {
	for _, g := range guards {
		if code := g(d); code != "" {
			d.refuse(code)
			return false
		}
	}
	return true
}

func (d *step) refuse(code fault.Code) { d.answer = Answer{Code: code, Refused: true} }

// offer delivers the prescription to a pharmacy.
func (d *step) offer(pharmacy string) {
	d.OfferedAt, d.Alarmed = d.now, false
	d.effects = append(d.effects, Effect{Kind: Offer, Org: pharmacy})
}

// forward delivers the event's message to an organisation; "" is nobody.
func (d *step) forward(org string) {
	if org != "" {
		d.effects = append(d.effects, Effect{Kind: Forward, Org: org})
	}
}

// tell delivers an OperationOutcome to an organisation; "" is nobody.
func (d *step) tell(org string, code fault.Code) {
	if org != "" {
		d.effects = append(d.effects, Effect{Kind: Tell, Org: org, Code: code})
	}
}

func (d *step) wake(what string) { d.effects = append(d.effects, Effect{Kind: Wake, What: what}) }

// repeat is the cell of what changes nothing: said before, or nothing but time.
func repeat(d *step) { d.answer = Answer{NoOp: true} }

// over is the cell of a prescription that has come to its end.
func over(d *step) { d.refuse(d.word()) }

// word is the catalogue's name for the end that the prescription came to.
func (d *step) word() fault.Code {
	switch d.Phase {
	case Cancelled:
		return fault.CodeCancelled
	case Replaced:
		return fault.CodeReplaced
	case Expired:
		return fault.CodeExpired
	}
	return fault.CodeCompleted
}

// unknown is the cell of the clinic's or patient's word on what was never issued.
func unknown(d *step) { d.refuse(fault.CodeNotFound) }

// unsent is the cell of a pharmacy's word on what was never issued.
func unsent(d *step) { d.refuse(fault.CodeUnresolved) }
