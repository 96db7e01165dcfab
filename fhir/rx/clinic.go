package rx

import "github.com/dosewire/dosewire/internal/fault"

// create issues a prescription. One whose validity has ended already reaches its pharmacy and is
// born expired: it is said, not dropped.
func create(d *step) {
	d.write()
	d.Phase = Ready
	if d.ValidTo != 0 && d.now >= d.ValidTo {
		d.Phase = Expired
		d.answer.Code = fault.CodeExpired
	}
	switch {
	case d.RecordOnly:
		d.answer.Code = fault.CodeNotRouted
		d.wake(WakeIssued)
	case d.Pharmacy != "":
		d.offer(d.Pharmacy)
		d.wake(WakeIssued)
	case d.Phase == Ready:
		d.wake(WakeChoose)
	default:
		d.wake(WakeExpired)
	}
}

// born issues under the identity of a tombstone: the prescription is recorded and cancelled, and
// nobody is sent it. Under that of a prescription that was issued and cancelled it is refused.
func born(d *step) {
	if !d.buried() {
		spent(d)
		return
	}
	d.write()
	d.answer.Code = fault.CodeCancelled
}

// write takes over what the order says.
func (d *step) write() {
	d.Clinic, d.Record, d.Pharmacy = d.e.Org, d.e.Record, d.e.Pharmacy
	d.FillsAllowed, d.Frozen = fills(d.e), d.e.Frozen
	d.ValidFrom, d.ValidTo = d.e.ValidFrom, d.e.ValidTo
	d.Terms, d.Urgent, d.Directed, d.RecordOnly = d.e.Terms, d.e.Urgent, d.e.Directed, d.e.RecordOnly
	if d.RecordOnly {
		d.Pharmacy, d.Code, d.CodeTries = "", "", 0
	}
	d.Named = d.Pharmacy
	d.ExpiryWarned = d.expiryStage() // who has just got it need not be told that it ends soon
}

// amend gives other content to what nobody has claimed. It is never a repeat: much that a pharmacist goes
// by (a note, the patient's name) is not in the state, and the same message has its first decision anyway.
func amend(d *step) {
	if d.FillsDone > 0 || len(d.Parts) > 0 {
		fixed(d)
		return
	}
	old, named := d.Pharmacy, d.Named
	d.write()
	d.OnHold = false // it is active, says the clinic
	switch {
	case d.RecordOnly:
		d.answer.Code = fault.CodeNotRouted
		d.tell(old, fault.CodeControlled)
	case d.Pharmacy == "", d.declinedBy(d.Pharmacy), d.Pharmacy == named && !d.Directed:
		d.Pharmacy = old // no new word of the pharmacy: it stays where the patient took it
	case d.Pharmacy != old:
		d.tell(old, fault.CodeHeldByOther)
	}
	if d.Pharmacy != "" {
		d.offer(d.Pharmacy)
	}
	d.wake(WakeAmended)
}

// fixed is the cell of an amendment that comes too late: a pharmacy works by what was ordered.
func fixed(d *step) { d.refuse(fault.CodeFrozen) }

// again is active under a known identity: it ends a hold, else it is a repeat. It does not take back
// a cancel, because nobody can tell it from the order sent late.
func again(d *step) {
	if !d.allowed(unchanged, notPending) {
		return
	}
	if !d.OnHold {
		repeat(d)
		return
	}
	d.OnHold = false
	d.forward(d.receiver())
	d.wake(WakeResumed)
}

// spent is active under the identity of a prescription that has come to its end.
func spent(d *step) {
	if d.allowed(unchanged) {
		over(d)
	}
}

func hold(d *step) {
	if !d.allowed(notPending) {
		return
	}
	if d.OnHold {
		repeat(d)
		return
	}
	d.OnHold = true
	d.forward(d.receiver())
	d.wake(WakeHeld)
}

// bury remembers the cancel of what was never issued, so that the order, when it comes late, is born
// cancelled.
func bury(d *step) {
	d.Phase, d.Clinic = Cancelled, d.e.Org
	d.answer.Code = fault.CodeTombstone
}

func cancel(d *step) {
	d.finish(Cancelled)
	d.forward(d.Pharmacy)
	d.wake(WakeCancelled)
}

// recall cancels what a pharmacy holds: it is asked for, and comes true when the pharmacy gives the
// fill back or stays silent.
func recall(d *step) {
	d.answer = Answer{Code: fault.CodeCancelPending, Pending: true, NoOp: d.CancelPending}
	if d.CancelPending {
		return
	}
	d.pend()
	d.forward(d.Holder)
	d.wake(WakeCancelled)
}

// pend asks the holder to stop, which shortens its lease.
func (d *step) pend() {
	d.CancelPending = true
	d.LeaseEnd = min(d.LeaseEnd, d.now+LeaseCancel.Milliseconds())
}

func end(d *step) {
	d.Ended = true
	d.finish(Completed)
	d.forward(d.Pharmacy)
	d.wake(WakeEnded)
}

// endLater lets the held fill be the last one.
func endLater(d *step) {
	if !d.allowed(notPending) {
		return
	}
	if d.Ended {
		repeat(d)
		return
	}
	d.Ended = true
	d.forward(d.Holder)
	d.wake(WakeEnded)
}

// closed is completed, said of what is completed: it only makes sure that a withdrawn hand-over does
// not reopen it.
func closed(d *step) {
	if d.Ended {
		repeat(d)
		return
	}
	d.Ended = true
}

// replace ends a prescription in favour of a newer one. The old pharmacy is told without the
// message, because the newer prescription may be another pharmacy's. The newer one wakes the patient.
func replace(d *step) {
	d.ReplacedBy = d.e.By
	d.finish(Replaced)
	d.tell(d.Pharmacy, fault.CodeReplaced)
}

// recallFor replaces what a pharmacy holds. The clinic is told, because the answer to its message is
// about the newer prescription.
func recallFor(d *step) {
	switch {
	case d.ReplacedBy != "" && d.ReplacedBy != d.e.By:
		d.refuse(fault.CodeReplaced)
		return
	case d.CancelPending && d.ReplacedBy == d.e.By:
		d.answer = Answer{Code: fault.CodeCancelPending, Pending: true, NoOp: true}
		return
	}
	d.answer = Answer{Code: fault.CodeCancelPending, Pending: true}
	d.ReplacedBy = d.e.By
	if d.CancelPending {
		return // everybody knows already
	}
	d.pend()
	d.tell(d.Clinic, fault.CodeCancelPending)
	d.tell(d.Holder, fault.CodeCancelPending)
	d.wake(WakeCancelled)
}

func replaced(d *step) {
	if d.ReplacedBy == d.e.By {
		repeat(d)
		return
	}
	over(d)
}
