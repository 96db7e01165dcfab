// Package witness is a small C2SP tlog-witness: it cosigns the checkpoints of the logs in its policy,
// each only when it continues the one before.
//
//	POST /add-checkpoint   old size, consistency proof, signed checkpoint   ──▶   cosignature/v1
//
// Promises:
//   - Of two checkpoints that do not fit together it cosigns at most one, whoever signed them: the
//     one that it saw first. It answers 409 or 422 to the other.
//   - Durability: what it has cosigned is stored, by compare and swap, before the answer leaves. A
//     crash may forget an answer, never a cosignature. Two processes may share one store.
//   - Evidence: when a log signs something that does not fit, both signed notes are kept, and the log
//     line says so.
//   - Bounds: a request is 64 kB at most; only logs of the policy can make it store anything, 100
//     pieces of evidence for each.
//   - Concurrency: a [Witness] is safe for concurrent use.
//
// It sees no entries, and so cannot say whether what a log holds is true.
package witness
