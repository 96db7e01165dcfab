// Package trust says which checkpoints to believe: the text of a C2SP checkpoint, and C2SP trust
// policies (tlog-policy) over its signatures and cosignatures.
//
//	example.org/log                    origin
//	20852163                           size of the tree
//	CsUYapGGPo4dkMgIAUqom/Xajj7h2…     root, base64
//
//	— example.org/log Az3grlgtzPIC…    the log's signature
//	— witness.example/w1 jWbPPwAAAA…   cosignature/v1 of a witness, with its time
//
// Promises:
//   - Strict: what the specifications forbid is refused with the line, never guessed at. A key whose
//     key id does not fit its name and bytes is refused.
//   - A checkpoint is believed only when a log of the policy has signed it under its own origin, and
//     the quorum has cosigned exactly these bytes.
//   - Pure: no files, no network, no clock. Everything is immutable and safe for concurrent use.
//
// It does not fetch anything and knows nothing about entries or tiles.
package trust
