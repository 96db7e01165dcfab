// Package s3test is an S3 endpoint for tests: objects with versions, conditions and Object Lock.
//
// Promises:
//   - It speaks to the real SDK, path style: PutObject, GetObject, HeadObject and DeleteObject, with S3's
//     codes, XML and ETags. Checksums that travel with a body are checked.
//   - If-None-Match: * and If-Match are decided and written as one step, as S3 does.
//   - Every write adds a version. A locked version cannot be deleted before its date; a plain delete
//     leaves a marker and the versions behind it.
//   - A request without a Signature Version 4 for the service s3 is refused; the signature itself is not
//     recomputed.
//   - [Trouble] makes it fail on purpose, before or after a write was done.
//   - Concurrency: a [Server] is safe for concurrent use.
//
// It knows one bucket, keeps it in memory, and lists nothing.
package s3test
