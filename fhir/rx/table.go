package rx

// line is one row of the table: what a kind of message does in each phase, in the order of phases.
type line [8]func(*step)

// rules is the machine. Its rows are kinds of message, its columns phases; each cell is a function
// of this package that checks its guards, then changes the state and says what follows. over refuses
// with the word for the phase itself (RX_COMPLETED, RX_CANCELLED, RX_REPLACED, RX_EXPIRED).
//
// Before a cell is asked, sent refuses strangers and repeated catches semantic repeats.
func rules(k Kind) (line, bool) {
	switch k { //        none     ready      held       collect    completed cancelled replaced  expired
	// the clinic's
	case Issue:
		return line{create, again, again, again, spent, born, spent, spent}, true
	case Hold:
		return line{unknown, hold, hold, hold, over, over, over, over}, true
	case Cancel:
		return line{bury, cancel, recall, recall, over, repeat, over, over}, true
	case End:
		return line{unknown, end, endLater, endLater, closed, over, over, over}, true
	case Replace:
		return line{unknown, replace, recallFor, recallFor, over, over, replaced, over}, true
	case Amend:
		return line{unknown, amend, fixed, fixed, over, over, over, over}, true

	// the pharmacy's
	case Claim:
		return line{unsent, claim, reclaim, reclaim, over, over, over, over}, true
	case Prepare:
		return line{unsent, claimReady, ready, ready, over, over, over, over}, true
	case HandOver:
		return line{unsent, handOver, handOver, handOver, handOver, handOver, handOver, handOver}, true
	case Query:
		return line{unsent, notHeld, query, query, over, over, over, over}, true
	case Release:
		return line{unsent, notHeld, release, release, over, over, over, over}, true
	case Decline:
		return line{unsent, decline, giveUp, giveUp, over, over, over, over}, true
	case Withdraw:
		return line{unsent, withdraw, withdraw, withdraw, withdraw, withdraw, withdraw, withdraw}, true
	case Renew:
		return line{unsent, renew, renew, renew, renew, renew, over, renew}, true

	// the patient's and the hub's
	case Nominate:
		return line{unknown, nominate, taken, taken, over, over, over, over}, true
	case Open:
		return line{unknown, open, taken, taken, over, over, over, over}, true
	case Silent:
		return line{unknown, silent, repeat, repeat, repeat, repeat, repeat, repeat}, true
	case Tick:
		return line{repeat, repeat, repeat, repeat, repeat, repeat, repeat, repeat}, true
	}
	return line{}, false
}

// column is a phase's place in a line. ok is false for a phase that does not exist.
func column(p Phase) (i int, ok bool) {
	for i, q := range [...]Phase{None, Ready, Held, Collect, Completed, Cancelled, Replaced, Expired} {
		if p == q {
			return i, true
		}
	}
	return 0, false
}
