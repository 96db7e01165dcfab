// Package demo plays a day between two clinics, two pharmacies and three patients against a running
// hub, and checks that every step was seen to happen.
//
// Promises:
//   - It is a client like any other: REST with a bearer token, NATS with stock nats.go, the inbox as a
//     browser without JavaScript, a phone that decrypts its own Web Push. Nothing inside the hub is
//     called.
//   - A step passes only when its effect was observed from outside; the first that is not ends the
//     play with an error that names it.
//   - Every wait is bounded.
//
// What is sent is in testdata/demo; the dispenses are written here as the answers of a pharmacy.
package demo
