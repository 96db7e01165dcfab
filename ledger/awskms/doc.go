// Package awskms protects the deployment key with a key in AWS KMS, and signs checkpoints with one.
//
// Promises:
//   - The wrapping key never leaves KMS. What KMS sees of ours is the deployment key itself (32 bytes,
//     in Encrypt and Decrypt) and a context with random ids, which CloudTrail shows: never anything
//     about a patient or an organisation.
//   - A blob opens only for the purpose it was wrapped for: the aad is KMS's encryption context.
//   - Every call ends: each attempt after 5 seconds, all of them after 30. Throttling, lost connections
//     and faults of KMS are tried again, at most five times, with growing random pauses.
//   - Errors have a kind and say what to do: Unavailable for what passes by itself, Denied for what an
//     operator must allow, Tampered for a blob that this key and context did not make.
//   - [Signer] is a note.Signer (C2SP signed-note, plain Ed25519). It checks each signature before it
//     hands it out. Its private key cannot be exported, not even by us.
//   - Concurrency: [Wrapper] and [Signer] are immutable and safe for concurrent use.
//
// It holds no key and caches nothing: the keyring unwraps the deployment key once and holds it for the
// process's life. It makes no keys, sets no policy and rotates nothing in KMS.
package awskms
