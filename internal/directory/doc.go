// Package directory is who takes part: organisations and their clients, in memory, and the plain
// tables of invitations, sessions and devices.
//
// Promises:
//   - Reads never block and never touch the database: a change puts a new snapshot in place.
//   - Organisations and clients are made by facts through the recorder, which applies them here after
//     its commit.
//
// The tables behind Store are not rebuilt from the ledger (sessions, invitations, devices, receipts).
package directory
