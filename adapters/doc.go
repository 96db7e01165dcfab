// Package adapters is how the hub speaks to outside parties: one folder for each kind of party, listed
// in adapters/all, opened with the same Deps.
//
// Promises:
//   - An adapter's options are decoded strictly: an unknown key is an error.
//   - Routes authenticates every organisation's request before a handler sees it, and selects the
//     handler by the caller's role, so that adapters share a path without knowing of each other.
//   - Every refusal under /fhir is an OperationOutcome. Logs, spans and metrics name the route's
//     pattern, never a URL or a body; a client's own request id is logged as a hash.
//   - What only an operator can mend (also a panic) is answered as RX_INTERNAL with a correlation id,
//     under which the log has it.
//   - Records stores an access row before any plaintext leaves.
//
// Adapters never import each other. What clinics' and pharmacies' REST has in common is in
// adapters/rest.
package adapters
