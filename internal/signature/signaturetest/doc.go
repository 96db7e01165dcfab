// Package signaturetest makes authorities, certificates and signatures for tests, good ones and such
// as nobody should make.
//
// Promises:
//   - What it makes is real: keys of the curves in use, certificates that openssl reads, JWS made by
//     hand from the specification and not by the code under test.
//   - Certificates hold from an hour before to a day after the time they were asked for, unless
//     edited.
//
// It is for tests alone.
package signaturetest
