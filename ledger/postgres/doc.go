// Package postgres is the records and key databases on PostgreSQL (15 or newer), through pgx, which it
// alone imports.
//
// Promises:
//   - Commit is one transaction: the head is locked and compared, everything is written with one statement
//     for each kind of row (the values of a single one, UNNEST, or COPY of many), the head moves. It takes one
//     round trip, and with COPY a few. A miss writes nothing.
//   - The chain is a foreign key, and PostgreSQL computes the leaves: a fork, a gap or a forged entry is
//     refused by the database itself. The hub's role can neither update nor delete an entry.
//   - The lease runs by the database's clock.
//   - Every error has a kind: Unavailable for a database that does not answer, Invalid for data that
//     breaks a constraint, ErrHeadMoved for a writer that was overtaken. Texts of the server, which can
//     hold values, are dropped.
package postgres
