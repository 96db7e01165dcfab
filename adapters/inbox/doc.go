// Package inbox is the patient's prescription inbox: a list, a page for each prescription, live
// status, the choice of a pharmacy, the collect code and the switch for notifications.
//
// Promises:
//   - Every page is made by the server and can be read without JavaScript; a policy without inline
//     code, frames or foreign origins goes with every answer, and no page is kept by a cache.
//   - A session sees its own patient's prescriptions, and those of all whom the person has joined and not
//     parted, as it is at the moment of the request; those of another patient are not found. Every page of
//     them is one access row for each patient before plaintext leaves.
//   - Nothing is joined but by a signed-in person who accepts another organisation's link.
//   - A one-time link is used by a button press, so that a program that previews links does not use
//     it up. Tokens and sessions are stored as hashes and live in no log or later URL.
//   - Every change is refused unless it comes from a page of this origin.
//   - A choice of pharmacy is a fact through the recorder: the page shows the recorder's word, never
//     a hope.
//   - A collect code is made for its page and stored nowhere; it is in no URL and no log.
//   - Live streams end with their session, with the hub, and at a bound per patient.
//
// It does not decide, does not send pushes (adapters/push) and holds no state of its own.
package inbox
