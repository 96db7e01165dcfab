// Package push wakes patients' phones: it takes wakes from the PUSH stream and sends them by Web Push.
//
// Promises:
//   - A push is a wake. Its text is fixed, its length is one for all, it names nobody and nothing; the
//     phone fetches the rest from the inbox after sign-in.
//   - At least once while the push service is reachable: a wake stays in its stream until a push
//     service has taken it, the device has ended, or it is three days old. The stream keeps the newest
//     wake of a device only, which is urgent if the one that it replaced was; topic and tag make several
//     wakes one notification.
//   - A patient's quiet hours hold a wake back until they end, unless it says that a medicine must not be
//     collected or waited for any more.
//   - A device ends only by the push service's own word (404, 410), by an endpoint that may not be
//     contacted, or when its keys are gone. When a push service refuses our credentials nothing is
//     dropped: that service is paused and an alarm is logged.
//   - One patient's device cannot stop the others': a service is paused only after two devices in a
//     row were refused.
//   - Endpoints and keys are opened for one attempt and appear in no log, metric or error.
//
// It does not decide who is woken or when (ledger/recorder), hold the subscription form
// (adapters/inbox), or send SMS.
package push
