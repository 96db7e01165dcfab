// Package fault says what went wrong in seven kinds, and what each border does about it.
//
// Promises:
//   - Every error that crosses a border (HTTP, NATS, the command line) has a [Kind]; an error
//     without one is [Internal].
//   - One table ([Kind.Row]) maps a kind to the HTTP status, the FHIR issue code, what a consumer
//     does with the message, and what an operator does.
//   - Every code that a client can see is listed once, in the catalogue ([Codes]), with its status,
//     whether a retry helps and what to do; docs/errors.md is generated from it.
//   - No text in this package carries patient data: codes and FHIRPath expressions only.
//
// It imports the standard library alone, so that every room may use it.
package fault
