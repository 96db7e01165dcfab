// Package collect is the collect code: what a patient shows at a pharmacy to have a prescription filled
// there, without having chosen the pharmacy before.
//
// A code is locator.secret. The locator says which prescription and which of its codes it is, so that
// nothing must be looked up; the secret is made from the hub's index key and the locator.
//
// Promises:
//   - Nothing is stored of a secret, so there is nothing to steal from a database or a backup: the
//     prescription's state holds the locator of the present code alone, and the hub makes the secret
//     again when the patient wants to see it or a pharmacy shows it.
//   - A secret tells nothing about any other: 128 bits of HMAC-SHA-256 under a key of its own length.
//   - No secret enters a stream. There travels a [Proof], which is good for the one body that it was
//     made with.
//   - People type codes: [Parse] takes capitals, spaces and hyphens, and nothing else is forgiven.
//
// It decides nothing: which code is the present one, and how many wrong ones it survives, is fhir/rx's.
package collect
