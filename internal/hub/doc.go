// Package hub is the whole program, wired: it opens databases, broker, recorder and adapters by one
// configuration, starts them in order and stops them from the outside inwards.
//
// Promises:
//   - Configuration ([Config]) is read strictly and refused with all its mistakes at once.
//   - Order of life: a stage starts when the one before is ready; stopping goes strictly backwards,
//     each stage with its own grace, so that nothing loses what it stands on. A signal stops the
//     outermost stage first: readiness, then HTTP, adapters, recorder, broker, databases.
//   - A stage that ends by itself, and a health error of the embedded NATS server, end the hub with
//     that error: whoever started it starts it again.
//   - /livez says that the process serves; /readyz names each component that does not; /metrics is
//     Prometheus text. None of them shows patient data.
//   - [Records] stores the disclosure before plaintext leaves it.
//   - Operators speak to a running hub over a Unix socket in the data folder that only its owner may
//     open (package admin). There is no other way in for them.
//
// open.go is the only place that knows embedded mode from cluster mode, and this package the only one
// that imports stores, broker and recorder. It decides nothing about prescriptions.
package hub
