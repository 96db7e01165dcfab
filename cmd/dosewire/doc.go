// Package main is the program dosewire: a hub that carries prescriptions, and the commands around it.
//
// Promises:
//   - Every command has --help with examples, --json for programs, and the exit codes of exit.go,
//     which are listed in docs/cli.md.
//   - Results go to standard output, everything else to standard error; progress is shown on a
//     terminal only.
//   - A command that is interrupted finishes what it began and says what it did.
//   - No patient data is printed but by receive, whose work that is.
//
// Commands for operators talk to a running hub over its admin socket, and open a database themselves
// only when none runs. send and receive are clients like any other: REST or NATS with a credential.
package main
