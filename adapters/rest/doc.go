// Package rest is the FHIR REST that clinics and pharmacies have in common: taking a message, turning
// the recorder's answer into HTTP, reading a resource, pulling deliveries, validating.
//
// Promises:
//   - A body that does not decode, validate or read is answered here and never enters the stream.
//   - 201 is written only after the recorder has answered: committed in the database and the ledger.
//     While the recorder cannot commit, 503 RX_UNAVAILABLE is answered and nothing is published.
//   - The same request, sent again, fetches the same decision with the present state beside it
//     (Idempotent-Replayed: true; 200 where the first answer was 201).
//   - What is asked for and not done here (a parameter, a header) is refused, never ignored; only
//     Prefer is a wish.
//   - $validate judges by base R4 alone, and neither records nor publishes. It answers 200 whatever was
//     found, also while the recorder cannot commit.
//   - Bodies in flight and pages of deliveries are bounded together, so that large messages cannot
//     exhaust the memory: who finds no room within 5 s gets 503 RX_BUSY.
//   - What an organisation may not know is 404, as if it did not exist, to the byte; a search does not find it.
//   - A Task says how a prescription stands, without clinical content: one for each, under its id, written by
//     nobody but the hub. It names the holder and the dispenses only to whom they concern.
//   - Of a prescription's versions a pharmacy sees those since it was sent it, without what was another's.
//   - A collect code comes in a header and goes no further: the stream gets a proof that is good for one body.
//   - Every disclosure has its access row before bytes leave: one for a read, one for a page.
//   - Deliveries come in the order of their numbers, at least once, each byte for byte.
//
// It keeps no state of its own; a Service is safe for concurrent use. It searches Tasks alone,
// and does not patch or delete.
package rest
