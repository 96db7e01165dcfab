// Package auth says who is calling: it turns a request's credentials into a Subject.
//
// Promises:
//   - A wrong secret, an unknown client and a disabled one are refused alike, at the same cost.
//   - Secrets are compared in constant time and never logged; only their SHA-256 is known here.
//
// What a Subject may do is decided where the noun lives: in streams (subjects), in the adapters
// (routes, visibility), in the recorder (messages).
package auth
