// Package filekey protects the deployment key with a key in a file.
//
// Promises:
//   - The file holds 32 random bytes, has mode 0600 and lies in a folder of mode 0700. It is made
//     once, whole, and never replaced: a process that comes second uses what the first one made, and
//     a deployment that has begun opens it with [OpenExisting], which makes none.
//   - A file or folder that others may enter, or a file of another size, is refused with an error
//     that says what to do. Nothing is repaired silently.
//   - Durability: a new key is synced, with its folder, before it is used.
//   - Concurrency: a [Wrapper] is immutable and safe for concurrent use.
//
// It is for evaluation and for one clinic. It does not hide the key from whoever can read the file,
// makes no backup of it, and does not rotate it: who loses the file loses every record.
package filekey
