// Package sqlite keeps the ledger, its records and the state of prescriptions in one SQLite file, and
// the wrapped keys in a second one.
//
// Promises:
//   - Durability: WAL with synchronous=FULL; a commit that returned nil has been synced.
//   - Order and fencing: one connection writes, each commit is one immediate transaction that
//     compares and swaps the head; readers see whole commits only.
//   - The schema states the invariants: the chain is a foreign key, entries and records are
//     insert-only by trigger, uniqueness is in keys. Migrations are embedded and numbered, and there
//     is no way down.
//   - Privacy of the files: they are made with mode 0600, the write-ahead log with them.
//   - Concurrency: [Store] and [Keys] are safe for concurrent use, also by several processes; the
//     lease runs by this process's clock.
//
// It cannot compute SHA-256 in SQL, and whoever owns the file can drop a trigger: this store is
// tamper-evident (by verification), not tamper-resistant. It opens nothing that needs migrating, and
// it does not encrypt: what must be secret is sealed before it comes here.
package sqlite
