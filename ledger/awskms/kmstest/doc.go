// Package kmstest is a KMS endpoint for tests: AWS's JSON 1.1 protocol with real cryptography.
//
// Promises:
//   - It speaks to the real SDK: Encrypt, Decrypt, GetPublicKey, Sign and DescribeKey, with the error
//     types, texts and status codes of KMS.
//   - Encrypt and Decrypt are AES-256-GCM with the encryption context as authenticated data; Sign is
//     Ed25519. A changed blob, another context or another key is refused as KMS refuses it.
//   - A request without a Signature Version 4 for the service kms is refused. The signature itself is
//     not recomputed: a client's credentials are not what is tested here.
//   - Key states and [Trouble] make it fail on purpose.
//   - Concurrency: a [Server] is safe for concurrent use.
//
// It has no policies, grants, aliases, quotas or key rotation, and keeps its keys in memory.
package kmstest
