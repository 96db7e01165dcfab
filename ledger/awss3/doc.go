// Package awss3 keeps a published log in an S3 bucket that nobody can rewrite.
//
// Promises:
//   - What is created is never replaced: each write is conditional (If-None-Match: * to create,
//     If-Match to replace what was read), so of two writers one is told ErrExists or ErrChanged.
//   - With [Config].Retain, every object is written under Object Lock in compliance mode until then:
//     not even the account's owner can shorten that. Replacing an object adds a version; the older
//     ones stay under their own locks.
//   - Durability: Put returns nil when S3 has the object. The SDK's CRC-32 of the body travels with it.
//   - Every call ends, after 30 seconds at most, after at most five attempts. A lost answer to a create
//     is settled by reading: the same bytes are success.
//   - Concurrency: a [Bucket] is safe for concurrent use.
//
// It makes no bucket and sets no policy; the bucket must have versioning and Object Lock switched on
// when Retain is set. It lists nothing, deletes nothing, and knows nothing about tiles.
package awss3
