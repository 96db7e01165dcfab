// Package testenv starts real servers for tests and measurements. Only tests and internal/bench import
// it.
//
// Promises:
//   - PostgreSQL runs with fsync on, as a user that is not root, on loopback and a port of its own, in a
//     folder of its own, and ends with the test binary.
//   - A missing program fails the test and names the command that installs it. Nothing is skipped.
//   - Each test gets databases of its own.
package testenv
