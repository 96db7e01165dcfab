// Package admin is what an operator can ask of a running hub: JSON over HTTP on a Unix socket.
//
// Promises:
//   - Whoever may open the socket is the operator: the file mode is the only lock.
//   - The types below are the interface; unknown properties in a request are refused.
//   - A refusal carries kind, code and text of internal/fault and arrives at the [Client] as such an
//     error. No answer shows patient data; an invitation's link is a secret and is shown once.
//
// It does nothing itself: a [Service] does, which is the hub.
package admin
