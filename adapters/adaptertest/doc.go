// Package adaptertest is the suite that every adapter passes, and an in-memory hub for adapters' own
// tests.
//
// Promises:
//   - Run opens an adapter on a World and checks what package adapters promises of each: strict options,
//     an end within the grace, nothing published for bad input, a canary name in no log, error or
//     header, no goroutine left.
//   - A World has real Routes, Verifier and Directory; recording and reading are answered by the test.
//
// Only tests import it. It proves nothing about the recorder or the stores: their own suites do.
package adaptertest
