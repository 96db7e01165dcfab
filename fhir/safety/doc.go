// Package safety compares a new order with what else a patient takes and with the allergies stated
// beside it: doubles and exact matches, nothing more.
//
// Two medicines are one when they have a code in common, an active ingredient in common, or a class in
// common by a code map that the operator has loaded ([ParseMap]). [Check.Against] compares an order with
// another one, of which keyed hashes of the codings are enough ([Tokens]); [Check.Allergies] with the
// allergies of its own message. [Inputs] says by what could be looked and by what not, and why, so that
// silence is never taken for an all-clear. [Issue] says what was found as a FHIR DetectedIssue that names
// no medicine, no code, no organisation and no patient.
//
// Promises:
//   - Pure: no clock, no I/O, no state; the same arguments give the same result. Safe for concurrent use.
//   - Bounded: work grows with the order and with [maxKin], not with the size of the map.
//   - Exact: no match by text, by similarity or by a code without a system.
//   - It refuses nothing: what it has to say is a signal to people.
//
// It is no interaction checker and knows no medicine: an incomplete one that looks complete would be worse
// than none.
package safety
