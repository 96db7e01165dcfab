// Package recorder is the persisting consumer of RX_INTAKE: it validates, decides, seals, links and
// commits every message in stream order, then announces what was decided. Callers of its own process may
// hand it messages directly ([Config].Direct): they take their turn among those of the stream.
//
// Promises:
//   - The ledger is the cursor. Head (sequence, chain end, term) is compared and swapped in the
//     transaction that writes everything else, so a message is recorded exactly once whatever
//     crashes, and two recorders can never both write.
//   - Order: decisions are made in stream order with stream time, never before the predecessor's. A
//     direct message stands where it came, with the time at which it came.
//   - Durable before acknowledged: an answer or a delivery leaves only after the commit that holds it.
//   - Nothing stops the line but a damaged head or stream position: what cannot be recorded, and what
//     needs damaged data ([ledger.ErrDamaged]), is quarantined alone, answered, and the next message is
//     decided. It leads from no head that is not the end of the chain or is behind one that it knew.
//   - States of prescriptions carry a mark of the recorder ([Intact]): no other's is decided by.
//   - Every delivery is announced at least once, in order, with a stable id, also after the loss of
//     all of NATS.
//   - A deposed recorder can neither commit (the head moved) nor announce (RX_DELIVERY moved).
//
// It joins fhir, streams and ledger; no other package may. What it decides about one prescription is
// in fhir/rx; what it does not do: authenticate (the broker and the adapters did), talk to phones
// (adapters/push), sign checkpoints (ledger/notary).
package recorder
