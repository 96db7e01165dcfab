// Package streams is the transport: which streams and subjects exist, how messages get into them,
// and how they are read.
//
// # Streams
//
//	stream       subjects                                              keeps
//	RX_INTAKE    rx.intake.<org>.{MedicationRequest,MedicationDispense,Bundle}
//	             rx.fact.<kind>                                        until the hub purges it (24 h after it was recorded)
//	RX_DELIVERY  rx.deliver.<org>.<Type>.<record>                      until acknowledged, 30 days at most
//	PUSH         push.<transport>.<device>                             until taken; the newest of each device
//	RX_DEAD      consumer advisories of RX_DELIVERY and PUSH           90 days; pointers, never bodies
//
// Beside them, core subjects that no stream keeps: live.<patient> says that something changed, and
// _INBOX.hub.> is where the hub waits for PubAcks and answers.
//
// # Headers
//
//	Nats-Msg-Id   identity of the message; in RX_INTAKE it begins with the sender's organisation id
//	traceparent   W3C trace context, with tracestate
//	Rx-Reply      where a [Caller] waits: "<inbox> <correlation>"; believed only under _INBOX.hub.
//	Rx-Delivery   number of the delivery: the cursor of GET /fhir/$deliveries
//	Rx-Cause      intake sequence (PubAck.seq) of the message that brought a delivery; absent when it had none
//	Rx-Index      ledger index of the entry behind a delivery; absent for refusals
//	Rx-Leaf       its leaf hash, hex
//	Rx-Id         prescription id, when the message concerns exactly one
//	Rx-Claim      claim number: the fence
//	Rx-If-Match   version of the prescription (Rx-Id) that an order amends; a precondition, so anybody may state it
//	Rx-Collect    collect code that a pharmacy shows with a dispense: locator.HMAC-SHA-256(secret, SHA-256(body)), hex
//	Rx-If-None-Exist  keyed hash of the identifier of a conditional create, made by the hub's REST
//	Rx-Urgent     on a wake: quiet hours do not hold it back
//	Rx-State      the prescription's state after the decision
//	Rx-Signature  the sender's detached JWS (RFC 7515 appendix F) of the body, at most 16 KiB; data that
//	              the recorder verifies, and nothing here looks at
//	Rx-Signature-Verdict  on a delivery: what the recorder found, "verified", "absent" or
//	              "failed;reason=<reason>"; absent where the sender's policy is off
//	Rx-Safety     on an order's delivery to a pharmacy: by what doubles and allergies were looked for, and by
//	              what not and why (docs/safety.md); one value for each order in it
//
// Nats-Batch-Id, Nats-Batch-Sequence and Nats-Batch-Commit stay on deliveries that were stored in an
// atomic batch, and Nats-Expected-Last-* on all of them. They mean nothing to a reader.
//
// # Parcels
//
// What the hub's own [Publisher] is given at the same time shares one message of RX_INTAKE, a parcel.
// [Reader] takes it apart: its messages have one sequence, and Part tells them apart. Whoever stops in
// the middle of one reads all of it again ([Message.Ends]).
//
// # Past the stream
//
// A [Caller] waits for the recorder's answer, which comes after the commit. Where a [Reader] of the same
// process takes what its [Callers] bring, a message of an organisation is offered to it and never stored
// here; it is stored when the Reader has no room, is late with the stream, or ends before the answer has come.
//
// # Promises
//
//   - Durability: [Publisher.Publish] and [DeliveryPublisher.Publish] return nil only when the server
//     has said that the message is on disk. [Ensure] refuses streams whose settings would weaken this.
//   - Order: [Reader] yields a stream's messages in stream order without omissions, over reconnects
//     and consumer resets, and what was offered to it in between as it came. Deliveries are stored in the
//     order given. Concurrent calls of [Publisher.Publish] have no order among themselves.
//   - Repeats: every message may be stored twice in RX_INTAKE and delivered twice from RX_DELIVERY,
//     always with the same Nats-Msg-Id. The database decides what is a repeat.
//   - Fence: [DeliveryPublisher] stores nothing behind a message that it does not know of.
//   - Memory: readers and consumers hold a bounded number of bytes, whatever the backlog.
//   - Concurrency: everything is safe for concurrent use except [Reader] (but for Offer and Close) and
//     [DeliveryPublisher], which belong to one goroutine each.
//   - Bodies are opaque here. No error, span or log of this package carries one, nor a subject, nor a
//     message id.
//
// # What it does not do
//
// It starts no server (see streams/embedded), decides nothing about a message, and does not know
// whether an organisation exists. A permission limits the subject of a message, not its reply subject: a
// stock server answers wherever the publisher asks it to, with rights of its own. So each organisation has
// an account of its own ([Permissions]), and RX_DELIVERY and PUSH listen behind an entrance besides, which
// only the hub knows. Whoever reads RX_INTAKE still refuses a fact whose Nats-Msg-Id does not begin with
// "hub.", and a message whose Nats-Msg-Id begins with anything but its subject's organisation.
package streams
