// Package ledgertest is the suite that every store, key store and key wrapper of the ledger passes.
//
// A store is what passes [TestStore]; a key database is what passes [TestKeyStore]; a protector of
// the deployment key is what passes [TestKeyWrapper]. Where the interfaces' comments are silent, the
// suite decides.
//
// Promises:
//   - Order: lists that an interface calls ordered are compared in order; all others are sorted first.
//   - Durability is tested as far as one process can: what a commit returned nil for is read back
//     through the store; crash tests are the stores' own.
//   - Concurrency: subtests run in parallel, each on a store of its own; open must allow that.
//   - Every wait is bounded.
//
// Only tests import it.
package ledgertest
