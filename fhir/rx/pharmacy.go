package rx

import (
	"slices"

	"github.com/dosewire/dosewire/internal/fault"
)

// free fills can be claimed by the pharmacy where the prescription is routed, or, while it is routed
// nowhere, by any that was sent it; and by whoever the patient showed the collect code.
func claimable(d *step) bool {
	if d.e.Code != "" && !d.opened() {
		return false
	}
	return d.allowed(newClaim, routedHere, notDeclined, notOnHold, begun, rested, asOrdered)
}

func claim(d *step) {
	if !claimable(d) {
		return
	}
	d.take(Held, LeaseHeld)
	d.forward(d.Clinic)
	d.wake(WakeAccepted)
}

// claimReady is claim and ready in one decision.
func claimReady(d *step) {
	if !claimable(d) {
		return
	}
	d.take(Collect, LeaseCollect)
	d.Short = d.short()
	d.forward(d.Clinic)
	d.wake(WakeCollect)
}

// reclaim is preparation of what is held: news only after a query, when work goes on. What is ready
// already stays ready, because a preparation that comes after ready was overtaken on its way.
func reclaim(d *step) {
	if !d.allowed(wins, fenced) {
		return
	}
	if d.Phase == Collect || meaning(d.e.OldStatus) != Query {
		repeat(d)
		return
	}
	if !d.allowed(notPending, notOnHold) {
		return
	}
	d.extend(LeaseHeld)
	d.forward(d.Clinic)
	d.wake(WakeAccepted)
}

func ready(d *step) {
	if !d.allowed(wins, fenced, notPending, notOnHold, asOrdered) {
		return
	}
	d.Phase, d.Short = Collect, d.short()
	d.extend(LeaseCollect)
	d.forward(d.Clinic)
	d.wake(WakeCollect)
}

// query keeps claim and lease. What was ready is in preparation again: the patient need not come.
func query(d *step) {
	if !d.allowed(holds, fenced) {
		return
	}
	d.Phase, d.Short = Held, ""
	d.extend(LeaseHeld)
	d.forward(d.Clinic)
	d.wake(WakeHeld)
}

func notHeld(d *step) { d.refuse(fault.CodeNotHolder) }

func release(d *step) {
	if d.allowed(holds, fenced) {
		d.giveBack(WakeReleased)
	}
}

// giveBack ends the sender's hold. For a cancel that waited this is the final word.
func (d *step) giveBack(what string) {
	pending := d.CancelPending
	d.free()
	d.forward(d.Clinic)
	if pending {
		d.tell(d.Clinic, d.word())
		what = WakeCancelled
	}
	d.wake(what)
}

// decline refuses what was offered. The prescription waits for another pharmacy.
func decline(d *step) {
	if !d.allowed(routedHere, notDeclined) {
		return
	}
	d.turnDown()
	d.forward(d.Clinic)
	d.wake(WakeRefused)
}

// giveUp refuses what the sender holds: release and decline in one decision.
func giveUp(d *step) {
	if !d.allowed(wins, fenced) {
		return
	}
	d.turnDown()
	d.giveBack(WakeRefused)
}

// turnDown notes that the sender is not to be offered this prescription again.
func (d *step) turnDown() {
	if !d.declinedBy(d.e.Org) {
		d.Declined = append(slices.Clip(d.Declined), d.e.Org) // a copy: the caller keeps its own
	}
	if d.Pharmacy == d.e.Org {
		d.Pharmacy = ""
	}
}

// nominate routes a free prescription. The pharmacy that had it is told that the fill is another's,
// which is what a claim would tell it from now on.
func nominate(d *step) {
	switch {
	case d.e.Pharmacy == "":
		d.refuse(fault.CodeOrganization)
		return
	case d.e.Pharmacy == d.Pharmacy:
		repeat(d)
		return
	case d.RecordOnly:
		d.refuse(fault.CodeControlled)
		return
	case d.Directed && d.Pharmacy != "":
		d.refuse(fault.CodeDirected)
		return
	case d.declinedBy(d.e.Pharmacy):
		d.refuse(fault.CodeForbidden)
		return
	}
	d.tell(d.Pharmacy, fault.CodeHeldByOther)
	d.Pharmacy = d.e.Pharmacy
	d.offer(d.Pharmacy)
	d.wake(WakeIssued)
}

// open gives the free fill a collect code; the one before it dies.
func open(d *step) {
	switch {
	case d.e.Code == "":
		d.refuse(fault.CodeCollectCode)
	case d.e.Code == d.Code:
		repeat(d)
	case d.RecordOnly:
		d.refuse(fault.CodeControlled)
	case d.Directed:
		d.refuse(fault.CodeDirected)
	default:
		d.Code, d.CodeTries = d.e.Code, 0
	}
}

// opened judges the collect code that was shown. A right one routes the prescription to who shows it:
// the pharmacy that had it is told. A wrong secret is counted, and the code dies of too many.
func (d *step) opened() bool {
	switch {
	case d.Code == "" || d.e.Code != d.Code:
		d.refuse(fault.CodeCollectCode)
		return false
	case !d.e.CodeOK:
		if d.CodeTries++; d.CodeTries >= MaxCodeTries {
			d.Code, d.CodeTries = "", 0
		}
		d.answer = Answer{Code: fault.CodeCollectCode, Refused: true, Counted: true}
		return false
	}
	if d.Pharmacy != d.e.Org {
		d.tell(d.Pharmacy, fault.CodeHeldByOther)
		d.Pharmacy = d.e.Org
		d.offer(d.Pharmacy)
	}
	return true
}

// silent is said when the pharmacy has not fetched the prescription in time: the patient may send it
// elsewhere.
func silent(d *step) {
	if d.Pharmacy == "" || d.e.Pharmacy != d.Pharmacy || d.SilentAt() == 0 || d.now < d.SilentAt() {
		repeat(d)
		return
	}
	d.Alarmed = true
	d.tell(d.Clinic, fault.CodeUndelivered)
	d.wake(WakeSilent)
}

// renew asks the clinic for another prescription; it answers with one, or with a reason.
func renew(d *step) {
	d.forward(d.Clinic)
	d.wake(WakeRenewal)
}

// taken is the patient's choice or code after a pharmacy has claimed the fill.
func taken(d *step) {
	if d.e.Kind == Nominate && d.e.Pharmacy == d.Holder {
		repeat(d)
		return
	}
	d.refuse(fault.CodeHeldByOther)
}
