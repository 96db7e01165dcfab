// Package ledger is the hash-chained record of everything that was decided, and the encryption of
// what it records.
//
// An [Entry] is 114 bytes. The leaf of an entry is SHA-256(0x00 ‖ entry), the leaf hash of RFC 6962,
// and the next entry carries it as prev: the hash chain and the Merkle tree cover the same bytes.
//
//	entry n      1 kind  index n    time   prev ─┐  digest ─────────────┐  commitment ───────────────┐
//	entry n+1    1 kind  index n+1  time   SHA-256(0x00 ‖ entry n)      │                            │
//	stored row   header ‖ ciphertext   ◀── SHA-256 of it ───────────────┘                            │
//	ciphertext   AES-256-GCM(opening ‖ received bytes)   ◀── SHA-256(opening ‖ received bytes) ──────┘
//
// A record may hold evidence beside the received bytes ([SealWith]); then the opening is made from it.
//
// Promises:
//   - Order: entries have the indexes 0, 1, 2 … without gaps; their times never go back.
//   - Durability: what [Store.Commit] returned nil for is on disk, whole, in one transaction with
//     the head; a commit that returned an error left nothing.
//   - One writer: a commit is fenced by the whole head, so of two writers one gets [ErrHeadMoved].
//   - Keyless proof: [Verify] needs no key. It walks every entry and the digest of every row.
//   - Erasure: the opening lives inside the ciphertext; once the patient's key is gone, neither hash
//     of an entry can be guessed from a list of likely prescriptions.
//   - Concurrency: [Entry], [Head] and the functions on them are values and pure; [Keyring], [Store],
//     [Reader], [KeyStore] and [KeyWrapper] are safe for concurrent use.
//   - No patient data in errors: they name the rule that was broken and the entry's index.
//
// It does not decide anything about prescriptions, does not talk to streams, signs nothing (that is
// the notary's work), and cannot prove that what was received is true. The bytes are specified in
// docs/ledger-format.md, with test vectors.
package ledger
