package rx

import (
	"slices"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
)

// Status is the state in one word, as the ledger's status column and the rx-state tag carry it: the
// phase, or "cancel-pending" or "on-hold" (in this order) which cover the phase beneath them while
// the prescription lives. Nothing issued is "none".
func (s State) Status() string {
	switch {
	case s.Phase == None:
		return "none"
	case s.live() && s.CancelPending:
		return "cancel-pending"
	case s.live() && s.OnHold:
		return "on-hold"
	}
	return string(s.Phase)
}

// DueAt is when time next changes s or says something about it, unix ms; 0 = never. A lease counts
// while a pharmacy holds the prescription, the end of validity while nobody does.
func (s State) DueAt() int64 {
	switch {
	case s.held() && !s.CancelPending && !s.LeaseWarned:
		return s.LeaseEnd - WarnLease.Milliseconds()
	case s.held():
		return s.LeaseEnd
	case s.Phase == Ready && s.ValidTo != 0:
		if warnings := expiryWarnings(); s.ExpiryWarned < len(warnings) {
			return s.ValidTo - warnings[s.ExpiryWarned].Milliseconds()
		}
		return s.ValidTo
	}
	return 0
}

// SilentAt is from when on the pharmacy counts as silent if it has not fetched the prescription, unix ms;
// 0 = never, or it was said.
func (s State) SilentAt() int64 {
	switch {
	case s.Phase != Ready || s.Pharmacy == "" || s.OfferedAt == 0 || s.Alarmed:
		return 0
	case s.Urgent:
		return s.OfferedAt + SilenceUrgent.Milliseconds()
	}
	return s.OfferedAt + Silence.Milliseconds()
}

// expiryWarnings are how long before the end of validity the patient is warned, in order.
func expiryWarnings() []time.Duration { return []time.Duration{WarnExpiry, WarnExpiring} }

// live reports whether a fill is free or held.
func (s State) live() bool { return s.Phase == Ready || s.held() }

func (s State) held() bool { return s.Phase == Held || s.Phase == Collect }

// buried reports whether s is a tombstone: cancelled before it was issued.
func (s State) buried() bool { return s.Phase == Cancelled && s.Record == "" }

func (s State) declinedBy(org string) bool { return slices.Contains(s.Declined, org) }

// receiver is who a message about the prescription concerns now: the holder, else the pharmacy where
// it is routed, else nobody.
func (s State) receiver() string {
	if s.Holder != "" {
		return s.Holder
	}
	return s.Pharmacy
}

// With is the pharmacy that has the prescription now: the holder, else where it is routed; "" = none.
func (s State) With() string { return s.receiver() }

// take gives the free fill to org under the next claim number.
func (d *step) take(phase Phase, lease time.Duration) {
	d.Phase, d.Holder, d.Dispense, d.Part = phase, d.e.Org, d.e.Dispense, false
	d.Code, d.CodeTries, d.Short = "", 0, ""
	d.Claim++
	d.extend(lease)
}

// extend lets the hold last for at least lease from now. A holder that is asked to stop gets
// LeaseCancel, and no message of it shortens what it has.
func (d *step) extend(lease time.Duration) {
	if d.CancelPending {
		lease = LeaseCancel
	}
	if end := d.now + lease.Milliseconds(); end > d.LeaseEnd {
		d.LeaseEnd, d.LeaseWarned = end, false
	}
}

// free ends the hold; what was handed over of the open fill stays known, whoever goes on with it. What is left to be done with the prescription decides its phase: no fills, a
// cancel that waited, or the next fill.
func (d *step) free() {
	pending := d.CancelPending
	d.Holder, d.Dispense, d.LeaseEnd, d.LeaseWarned, d.Part, d.Short = "", "", 0, false, false, ""
	switch {
	case d.FillsDone >= d.FillsAllowed:
		d.Ended = d.Ended || pending // a withdrawn hand-over does not bring back what was cancelled
		d.finish(Completed)
	case pending && d.ReplacedBy != "":
		d.finish(Replaced)
	case pending:
		d.finish(Cancelled)
	case d.Ended:
		d.finish(Completed)
	default:
		d.Phase = Ready
	}
}

// finish brings a prescription that nobody holds to its end.
func (d *step) finish(p Phase) {
	d.Phase, d.OnHold, d.CancelPending, d.Code, d.CodeTries = p, false, false, "", 0
}

// settle makes visible what time has done by now, and reports whether it did anything.
func (d *step) settle() bool {
	moved := false
	if d.held() && d.now >= d.LeaseEnd {
		d.lapse()
		moved = true
	}
	if d.Phase == Ready && d.ValidTo != 0 && d.now >= d.ValidTo {
		d.expire()
		moved = true
	}
	return d.warn() || moved
}

// warn says once what is about to end: the holder's lease, the validity of what nobody holds.
func (d *step) warn() bool {
	switch {
	case d.held() && !d.CancelPending && !d.LeaseWarned && d.now >= d.DueAt():
		d.LeaseWarned = true
		d.tell(d.Holder, fault.CodeLeaseEnding)
		return true
	case d.Phase == Ready && d.ExpiryWarned < d.expiryStage():
		d.ExpiryWarned = d.expiryStage()
		d.wake(WakeExpiring)
		return true
	}
	return false
}

// expiryStage is how many of the warnings are due.
func (d *step) expiryStage() (n int) {
	for _, before := range expiryWarnings() {
		if d.ValidTo != 0 && d.now >= d.ValidTo-before.Milliseconds() {
			n++
		}
	}
	return n
}

// lapse ends a hold whose lease ran out.
func (d *step) lapse() {
	holder, pending := d.Holder, d.CancelPending
	d.free()
	if pending {
		d.tell(d.Clinic, d.word())
		d.tell(holder, d.word())
		d.wake(WakeCancelled)
		return
	}
	d.tell(d.Clinic, fault.CodeStaleClaim)
	d.tell(holder, fault.CodeStaleClaim)
	d.wake(WakeReleased)
}

func (d *step) expire() {
	d.finish(Expired)
	d.tell(d.Clinic, fault.CodeExpired)
	d.tell(d.Pharmacy, fault.CodeExpired)
	d.wake(WakeExpired)
}
