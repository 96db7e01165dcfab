// Package fhir reads FHIR R4 JSON as the hub needs it: a strict decoder, a validator, the fields of
// a prescription, byte slices of a Bundle, and OperationOutcomes.
//
// [Decode] reads a body once into an index over the received bytes. [Validate] judges it against all of
// base R4 (the tables of package definitions, and constraints as functions by their keys), [Read] and
// [Complete] pick what a decision depends on, [Split], [Slice] and [Splice] cut and mend text, and
// [ViewOf] is what a patient is shown.
//
// Promises:
//   - Received bytes are the record. A clinical resource is never marshalled again: what is handed
//     on is the body itself or untouched slices of it.
//   - One reader. Everything the hub knows of a body comes from the same index, so that what was
//     validated is what is acted upon: a property given twice, a name in other case, an escape that
//     hides a name, bytes after the end are refused, not interpreted.
//   - Linear. Every function takes time and memory in proportion to the body, whatever is in it,
//     within [MaxBytes], [MaxDepth] and [MaxNodes].
//   - No values in errors. An [Issue] names an element by its path and its place in the text; it
//     never shows what stands there. A [Document] logs as its type and size.
//   - Pure: no clock, no I/O, no state that changes. A Document is immutable; all functions are safe
//     for concurrent use.
//
// It does not resolve anything outside the message, knows no profiles and no terminologies beyond
// the required code sets of R4, and decides nothing about a prescription's life (package rx does).
// The rules beyond R4 are in docs/hub-rules.md.
package fhir
