// Package embedded runs a nats-server inside this process. It is the only room that imports it.
//
// Promises:
//   - Durability: every message is synced to disk before it is acknowledged (SyncAlways). There is no
//     switch to turn this off. What a kill left half made is put in order before the server looks at it: for a
//     block that was begun and has no key yet it would remove the whole stream.
//   - The store is encrypted with AES under the key given; its folder is 0700 and belongs to one
//     process at a time (a file lock, released by the system when the process dies).
//   - Start returns when JetStream serves, or with the reason why not. Nothing in here ends the process
//     or handles signals.
//   - Health: Healthy asks the server; Failed gives the one error that only a restart mends. A stream
//     that once failed to write stays frozen until then, even when the disk has room again. A stream that
//     is being made is given time: a slow disk ends nothing.
//   - Close returns when everything is on disk and every goroutine has ended. It may be called twice.
//   - Clients are let in by the Authenticator alone. The hub's own in-process connection uses a random
//     secret that never leaves the process.
//   - The log carries no subject, user name or connection name that a client chose.
//
// What it does not do: the blocks on disk are encrypted, not authenticated, so put the folder on an
// encrypted volume too; there is no cluster; it does not decide whether listening without TLS is
// wise (internal/hub does).
package embedded
