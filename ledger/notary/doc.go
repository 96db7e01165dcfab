// Package notary watches the ledger from outside: it builds the Merkle tree over the entries, signs
// C2SP checkpoints of it, has witnesses cosign them, and publishes C2SP tiles.
//
//	entries ──▶ check against the last one seen ──▶ tree ──▶ tiles ──▶ sign ──▶ state ──▶ witnesses ──▶ checkpoint
//
//	<tiles>/checkpoint                    the last checkpoint that has its quorum of cosignatures
//	<tiles>/tile/<L>/<N>[.p/<W>]          256 hashes of level L, or W of them at the right edge
//	<tiles>/tile/entries/<N>[.p/<W>]      the entries of tile N of level 0, each with a uint16 length
//
// Promises:
//   - It believes nobody: it computes every leaf itself and demands that index, prev and time follow
//     the last entry it has seen. It refuses with [ErrRollback], [ErrRewrite], [ErrGap], [ErrClock] or
//     [ErrFork], signs nothing from then on, and looks again at every tick.
//   - Cost: a tick reads the new entries and one old one. A chain that was recomputed from any place
//     on shows at the next tick, because that one old entry is no longer there.
//   - Order: tiles are durable before the checkpoint that covers them is signed; the state moves, by
//     compare and swap, before the signature leaves the process; `checkpoint` is replaced last. A crash
//     between any two leaves nothing that the next tick does not finish.
//   - Never two: of two notaries with one state, one gets [ErrMoved] and looks again; so a standby may
//     run beside the first.
//   - Published objects never change, `checkpoint` excepted. Partial tiles go when the full one is there.
//   - Without its quorum, `checkpoint` stays what it was, and [Status] says so.
//   - Concurrency: one goroutine calls [Notary.Tick] or [Notary.Run]; [Notary.Status] and
//     [Notary.Healthy] may be called by all.
//
// It reads entries alone, never what they stand for: that a record is missing or changed is found by
// package ledger's Verify. It cannot say what happened before it was first started.
package notary
