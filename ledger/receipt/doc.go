// Package receipt proves to somebody outside that an entry is in the ledger, and judges what the
// ledger publishes: receipts and exported tiles.
//
// A receipt is a C2SP tlog-proof (v1): the entry, its inclusion proof and a checkpoint, in one text.
// Its extra line is base64 of entry ‖ opening, so that whoever has the message's bytes can check
//
//	commitment in the entry = SHA-256(opening ‖ bytes)
//
// without a key, a network or the hub.
//
// Promises:
//   - Nothing is believed unsigned: [Verify] and [Walker] begin at a checkpoint that the reader's own
//     [Policy] accepts (C2SP tlog-policy), and everything else must hash up to it.
//   - One spelling: what [Parse] accepts, [Receipt.Bytes] writes back byte for byte.
//   - A verdict is quick and names the place: the first bad entry ([ledger.BadEntry]) or tile
//     ([*BadTile]); a missing tile is an error, never a wait.
//   - Policies, receipts and verdicts are values and safe for concurrent use. A [Walker] is not.
//
// It signs nothing and writes no tiles: that is the notary's work. It cannot tell that what was
// recorded is true. The formats are in docs/ledger-format.md, with test vectors.
package receipt
