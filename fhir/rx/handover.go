package rx

import (
	"slices"

	"github.com/dosewire/dosewire/internal/fault"
)

// handOver records that a patient received a medicine. It is never refused here: what conflicts is
// flagged, and the clinic, the present pharmacy and the patient are told. Who was never sent the
// prescription must show that the patient opened it.
func handOver(d *step) {
	if d.stranger() && !d.opened() {
		return
	}
	flags, pending, present := d.conflicts(), d.CancelPending, d.receiver()
	number := d.dispensed()

	d.forward(d.Clinic)
	switch {
	case pending && !d.live():
		d.tell(d.Clinic, fault.CodeCompleted) // the cancel's final word: too late, dispensed
	case flags != nil:
		d.tell(d.Clinic, fault.CodeFlagged)
	}
	if flags != nil && present != d.e.Org {
		d.tell(present, fault.CodeFlagged)
	}
	if number > 0 {
		d.effects = append(d.effects, Effect{Kind: TakeFill, Org: d.e.Org, Number: number})
	}
	if flags == nil {
		d.wake(WakeDispensed)
		return
	}
	d.wake(WakeConflict)
	d.answer = Answer{Code: fault.CodeFlagged, Flags: flags}
}

// conflicts names all that is wrong with handing over now; nil is nothing.
func (d *step) conflicts() (flags []string) {
	for _, c := range [...]struct {
		flag string
		is   bool
	}{
		{FlagLate, d.late()},
		{FlagOverFills, d.FillsDone >= d.FillsAllowed},
		{FlagOverAmount, d.excess()},
		{FlagAfterExpiry, d.Phase == Expired},
		{FlagAfterCancel, d.afterCancel()},
		{FlagOtherHolder, d.Holder != "" && d.Holder != d.e.Org},
		{FlagOnHold, d.OnHold},
		{FlagTooEarly, d.now < d.ValidFrom || d.Holder != d.e.Org && rested(d) != ""},
		{FlagSubstituted, asOrdered(d) != ""},
		{FlagOtherPatient, d.e.OtherPatient},
	} {
		if c.is {
			flags = append(flags, c.flag)
		}
	}
	return flags
}

// late reports that the sender's right to the fill has ended: the claim it speaks of, by its own
// number or by its dispense, is not the current one; or it refused the prescription, or the fill that
// is free was sent to another pharmacy.
func (d *step) late() bool {
	if d.e.Org == d.Holder {
		return d.e.OldClaim != 0 && d.e.OldClaim != d.Claim || d.e.Stated != 0 && d.e.Stated != d.Claim
	}
	return d.e.OldClaim != 0 || d.e.Stated != 0 || d.declinedBy(d.e.Org) || d.Phase == Ready && routedHere(d) != ""
}

// afterCancel reports that the clinic did not want this hand-over any more.
func (d *step) afterCancel() bool {
	switch d.Phase {
	case Cancelled, Replaced:
		return true
	case Completed:
		return d.Ended && d.FillsDone < d.FillsAllowed
	}
	return d.CancelPending
}

// dispensed takes the hand-over into the state and returns the number of the fill that it closed, 0
// for a part of one.
func (d *step) dispensed() int {
	own, late := d.e.Org == d.Holder, d.late()
	if d.partial() {
		d.part(own, late)
		return 0
	}
	if d.Holder == "" && d.e.OldClaim == 0 {
		d.Claim++ // claim and hand-over in one decision
	}
	d.FillsDone++
	d.Numbered++
	d.LastPharmacy, d.LastDispense, d.LastParts = d.e.Org, d.e.Dispense, nil
	d.LastBefore, d.LastAt = d.LastAt, d.now
	if own || d.Holder == "" {
		d.LastParts, d.Parts = d.Parts, nil // this is the fill that they were part of
	}
	if d.live() && (own || d.Holder == "" || d.FillsDone >= d.FillsAllowed) {
		d.free() // another holder keeps its hold only while there is a fill for it
	}
	return d.Numbered
}

// part keeps the hold of its holder, and gives it to who hands over a part of a fill that is free. A
// part from anybody else is a fact without a consequence.
func (d *step) part(own, late bool) {
	switch {
	case own:
		d.Phase = Collect
		d.extend(LeaseCollect)
	case d.Phase == Ready && !late:
		d.take(Collect, LeaseCollect)
	default:
		return
	}
	d.Part, d.Short = true, ShortAll
	d.Parts = append(d.others(), Part{Org: d.e.Org, Dispense: d.e.Dispense, Amount: d.e.Amount})
}

// withdraw takes back what was entered in error: the sender's claim, or its hand-over.
func withdraw(d *step) {
	own := d.held() && d.e.Org == d.Holder
	_, part := d.partOf(d.e)
	switch {
	case own && fenced(d) == "":
		d.Parts = d.others() // what it handed over in part was not
		d.giveBack(WakeReleased)
	case d.lastFill():
		d.undo()
	case part:
		d.Parts = d.others()
		d.forward(d.Clinic)
		d.wake(WakeReleased)
	case own:
		d.refuse(fenced(d))
	case meaning(d.e.OldStatus) == HandOver:
		d.refuse(fault.CodeStaleClaim) // a later fill was handed over, or the window is over
	default:
		d.refuse(fault.CodeNotHolder)
	}
}

// lastFill reports whether the event's dispense is the latest hand-over, within the window.
func (d *step) lastFill() bool {
	return d.LastPharmacy != "" && d.LastPharmacy == d.e.Org && d.LastDispense == d.e.Dispense &&
		d.now < d.LastAt+WithdrawWindow.Milliseconds()
}

// undo restores the fill of the latest hand-over. What is completed opens again, unless the clinic
// has ended it; its next hand-over gets a new number.
func (d *step) undo() {
	d.FillsDone--
	d.LastPharmacy, d.LastDispense, d.LastAt = "", "", d.LastBefore
	d.Parts, d.LastParts = append(slices.Clip(d.LastParts), d.Parts...), nil // both are of the fill that is open now
	if d.Phase == Completed && !d.Ended && d.FillsDone < d.FillsAllowed {
		d.Phase = Ready
	}
	d.forward(d.Clinic)
	if other := d.receiver(); other != d.e.Org {
		d.tell(other, fault.CodeFlagged)
	}
	d.wake(WakeReleased)
}
