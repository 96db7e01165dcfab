// Package localkms lets our KMS client meet an endpoint that others wrote: nsmithuk/local-kms.
//
// Promises:
//   - It is a Go module of its own: what local-kms depends on reaches neither the program nor its tests.
//   - Its test builds and runs the pinned local-kms as a tool and wraps and unwraps with it: contexts,
//     changed blobs, another key, an absent, a disabled and a dying one.
//
// local-kms knows no Ed25519, so the checkpoint signer is not tried here; it listens on all interfaces
// of the machine while the test runs.
package localkms
