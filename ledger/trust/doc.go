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
//   - Strict: what the specifications forbid is refused, in a policy with the line, and never guessed
//     at. A key whose key id does not fit its name and bytes is refused.
//   - A checkpoint is believed only when a log of the policy has signed it under its own origin, and
//     the quorum has cosigned it. A policy without a log is refused: it would believe nobody.
//   - Signatures of strangers are ignored; one that claims a key of the policy and is wrong is an error.
//   - Pure: no files, no network, no clock. Everything is immutable and safe for concurrent use.
//
// It does not fetch anything and knows nothing about entries, tiles or receipts. Who publishes
// (ledger/notary) and who judges (ledger/receipt, the verifiers) read the same bytes with it; they are
// specified in docs/ledger-format.md, with test vectors.
package trust
