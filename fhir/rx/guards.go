package rx

import "github.com/dosewire/dosewire/internal/fault"

// guard objects to an event with a code, or is content with "".
type guard func(*step) fault.Code

// sender: each kind of message has one kind of sender. Whether an organisation is a clinic or a
// pharmacy is the caller's to know; here the issuing clinic is one party and everybody else the other.
func sender(d *step) fault.Code {
	switch d.e.Kind {
	case Issue, Hold, Cancel, End, Replace, Amend:
		if d.e.Org == "" || d.Clinic != "" && d.e.Org != d.Clinic {
			return fault.CodeForbidden
		}
	case Nominate, Open, Silent, Tick:
		if d.e.Org != "" {
			return fault.CodeSender
		}
	default:
		if d.e.Org == "" || d.e.Org == d.Clinic {
			return fault.CodeSender
		}
	}
	return ""
}

// sent: a pharmacy speaks only about what was delivered to it, or what the patient's code opens.
func sent(d *step) fault.Code {
	if !d.e.Kind.dispense() && d.e.Kind != Renew {
		return ""
	}
	if d.stranger() && !d.shows() || d.buried() {
		return fault.CodeUnresolved
	}
	return ""
}

// stranger reports that the sender was never sent the prescription.
func (d *step) stranger() bool {
	return !d.e.WasSent && !d.e.EverHeld && d.e.Org != d.Holder && d.e.Org != d.Pharmacy
}

// shows reports that the sender names the present collect code with a message that takes a fill. Whether its
// secret is right is judged where the fill is taken.
func (d *step) shows() bool {
	takes := d.e.Kind == Claim || d.e.Kind == Prepare || d.e.Kind == HandOver
	return takes && d.Code != "" && d.e.Code == d.Code
}

// dispense reports whether k comes as a MedicationDispense.
func (k Kind) dispense() bool {
	switch k {
	case Claim, Prepare, HandOver, Query, Release, Decline, Withdraw:
		return true
	}
	return false
}

// unchanged: what an order says of the medicine, the number of fills and the validity does not
// change under the same identity (PROTOCOL §2).
func unchanged(d *step) fault.Code {
	if d.e.Frozen != d.Frozen || fills(d.e) != d.FillsAllowed || d.e.ValidFrom != d.ValidFrom || d.e.ValidTo != d.ValidTo || d.e.Terms != d.Terms {
		return fault.CodeIDReused
	}
	return ""
}

// fills is how many fills an order allows, at least one.
func fills(e Event) int { return max(1, e.FillsAllowed) }

func notPending(d *step) fault.Code {
	if d.CancelPending {
		return fault.CodeCancelPending
	}
	return ""
}

func notOnHold(d *step) fault.Code {
	if d.OnHold {
		return fault.CodeOnHold
	}
	return ""
}

func begun(d *step) fault.Code {
	if d.now < d.ValidFrom {
		return fault.CodeNotYetValid
	}
	return ""
}

// newClaim: a free fill has no current claim, so a claim number stated is not it, and a dispense
// identifier serves one claim only (PROTOCOL §2).
func newClaim(d *step) fault.Code {
	switch {
	case d.e.Stated != 0:
		return fault.CodeStaleClaim
	case d.e.OldClaim != 0:
		return fault.CodeDispenseUsed
	}
	return ""
}

// rested: between two fills lies the interval that the order asks for. The balance of a fill that was
// handed over in part need not wait.
func rested(d *step) fault.Code {
	wait := d.Terms.Interval
	if d.FillsDone == 1 && d.Terms.FirstInterval != 0 {
		wait = d.Terms.FirstInterval
	}
	if d.LastAt != 0 && len(d.Parts) == 0 && !d.e.Mitigated && d.now < d.LastAt+wait {
		return fault.CodeFillTooEarly
	}
	return ""
}

// asOrdered: another product only where the order allows it, or the pharmacist says why.
func asOrdered(d *step) fault.Code {
	if d.e.Substituted && d.Terms.NoSubstitution && !d.e.Mitigated {
		return fault.CodeSubstitution
	}
	return ""
}

// routedHere: what the patient or the clinic sent to another pharmacy is that pharmacy's. What became
// recorded only after it was sent is nobody's.
func routedHere(d *step) fault.Code {
	if d.RecordOnly {
		return fault.CodeControlled
	}
	if d.Pharmacy != "" && d.Pharmacy != d.e.Org {
		return fault.CodeHeldByOther
	}
	return ""
}

func notDeclined(d *step) fault.Code {
	if d.declinedBy(d.e.Org) {
		return fault.CodeForbidden
	}
	return ""
}

// wins: who comes second to claim, to prepare or to decline hears that another was first.
func wins(d *step) fault.Code {
	if d.e.Org != d.Holder {
		return fault.CodeHeldByOther
	}
	return ""
}

func holds(d *step) fault.Code {
	if d.e.Org != d.Holder {
		return fault.CodeNotHolder
	}
	return ""
}

// fenced: a holder's message must be about its current claim. It says so by number, or its dispense
// serves that claim. The balance of a fill that was handed over in part may come under a new
// identifier.
func fenced(d *step) fault.Code {
	switch {
	case d.e.OldClaim != 0 && d.e.OldClaim != d.Claim:
		return fault.CodeDispenseUsed
	case d.e.Stated != 0 && d.e.Stated != d.Claim:
		return fault.CodeStaleClaim
	case d.e.Stated != 0, d.e.OldClaim != 0, d.e.Dispense == d.Dispense, d.Part:
		return ""
	}
	return fault.CodeStaleClaim
}

// repeated reports a semantic repeat: the same dispense says again, for the same claim, what was
// decided before (PROTOCOL §2). A query is never one, because its reason may be new: it is forwarded,
// and it keeps the lease alive.
func (d *step) repeated() bool {
	if meaning(d.e.OldStatus) != d.e.Kind || d.e.Stated != 0 && d.e.Stated != d.e.OldClaim {
		return false
	}
	if part, ok := d.partOf(d.e); ok && d.e.Kind == HandOver && part.Amount != d.e.Amount {
		return false // the same dispense, of another amount
	}
	switch d.e.Kind {
	case Prepare: // the rest being ready too is news
		return d.e.Org == d.Holder && d.e.OldClaim == d.Claim && (d.Phase != Collect || d.Short == d.short())
	case HandOver:
		return !d.closesBalance()
	case Release, Decline, Withdraw:
		return true
	}
	return false
}

// closesBalance reports that a dispense that was handed over in part is now said to be complete.
func (d *step) closesBalance() bool {
	return d.Part && !d.partial() && d.e.Org == d.Holder && d.e.OldClaim == d.Claim
}

// meaning is the kind of message that a MedicationDispense.status stands for, "" for none.
func meaning(status string) Kind {
	switch status {
	case "preparation":
		return Claim
	case "in-progress":
		return Prepare
	case "completed":
		return HandOver
	case "on-hold":
		return Query
	case "cancelled", "stopped":
		return Release
	case "declined":
		return Decline
	case "entered-in-error":
		return Withdraw
	}
	return ""
}
