// Package rest is the FHIR REST that clinics and pharmacies have in common: taking a message, turning
// the recorder's answer into HTTP, reading a resource, pulling deliveries.
//
// Promises:
//   - A body that does not decode, validate or read is answered here and never enters the stream.
//   - 201 is written only after the recorder has answered: committed in the database and the ledger.
//   - The same request, sent again, fetches the same decision with the present state beside it.
//   - Bodies in flight are bounded together, so that large messages cannot exhaust the memory.
//   - What an organisation may not know is 404.
package rest
