// Package adapters is how the hub speaks to outside parties: one folder for each kind of party, listed
// in adapters/all, opened with the same Deps.
//
// Promises:
//   - An adapter's options are decoded strictly: an unknown key is an error.
//   - Routes authenticates every organisation's request before a handler sees it, and selects the
//     handler by the caller's role, so that adapters share a path without knowing of each other.
//   - Every refusal under /fhir is an OperationOutcome. Logs name the route's pattern, never a URL or a
//     body. A panic is an internal error with a correlation id.
//   - Records stores an access row before any plaintext leaves.
//
// Adapters never import each other. What clinics' and pharmacies' REST has in common is in
// adapters/rest.
package adapters
