// Package rx is the life of one prescription: a state machine that decides what a message means now.
//
// A prescription is a right to a number of fills (numberOfRepeatsAllowed + 1). A clinic issues it,
// one pharmacy at a time holds the fill that is free, and a hand-over uses the fill up. [Decide]
// takes the [State], one [Event] and the stream time, and returns the next State, the [Effect]s to
// announce in order, and the [Answer] to the sender. table.go is the whole machine at one glance:
// what each kind of message does in each phase. docs/prescription.md shows the same, rendered by
// running it.
//
// Promises:
//   - Pure and total: no clock, no I/O, no global state, no change to the State passed in; the same
//     arguments give the same result, and no argument panics. Safe for concurrent use.
//   - Time first: the state is brought to now before the event is looked at, so that a tick only
//     makes visible what is already true.
//   - One winner: at most one pharmacy holds a prescription, and claim numbers only rise.
//   - Intentions can be refused; a hand-over is a fact. Any pharmacy that was sent the prescription
//     has its hand-over recorded, in every phase, flagged when it conflicts.
//   - Fill numbers are never given twice, not even when a hand-over is withdrawn. They are given by
//     the hand-over that closes a fill, so that a released fill has none.
//   - A cancel that finds the prescription held is answered "pending", and then exactly one Tell to
//     the clinic is its final word: RX_CANCELLED (or RX_REPLACED), or RX_COMPLETED for "too late:
//     dispensed".
//   - A refusal, and a repeat (NoOp), changes nothing but what time changed. Its state and effects
//     are those of time alone: keep both or neither.
//
// It does not know organisations, messages or clinical content: the caller says whether a pharmacy
// was sent the prescription, and turns ids into deliveries.
package rx
