// Package webpushtest is a browser's side of Web Push for tests: a subscription's keys and the
// decryption of what a sender made (RFC 8188, RFC 8291 §3).
//
// It promises to share no code with package webpush, so that a test judges the sender by another
// reading of the RFCs. It is for tests only and contacts nobody.
package webpushtest
