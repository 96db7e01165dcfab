// Package signature judges prescribers' signatures: detached JWS (RFC 7515 appendix F) over bytes
// exactly as received, and the certificates that came with them.
//
//	<protected header>..<signature>       compact serialisation, at most 16 KiB
//	{"alg":"ES256","x5c":[leaf, …]}       ES256 (P-256) or EdDSA (Ed25519); b64=false (RFC 7797) is taken
//
// Promises:
//   - One key. The signature is checked with the key of the first certificate in x5c and no other:
//     jwk, jku, x5u and critical parameters that are not known are refused, nothing is fetched, and
//     the algorithm must be the one of that key.
//   - One trust. The certificate must lead to an anchor that the organisation was given, by
//     certificates in x5c, all valid at the time given; the system's roots count for nothing.
//   - One reading. A property given twice, a name in other case, padding, spaces and other second
//     spellings are refused, not interpreted.
//   - Every refusal is a [Reason], by which it is stored, and has a code of the catalogue.
//   - Bounded: length, number of certificates and of anchors, and so the work.
//   - Pure: no clock, no I/O; signing alone draws random numbers. Everything is safe for concurrent
//     use.
//
// It does not ask whether a certificate was revoked (no OCSP, no CRL is fetched): the [Evidence] holds
// what somebody who can ask needs. It does not know what the bytes mean.
package signature
