// Command bench measures a user's unit, the recorded prescription, beside references in the same run:
// a bare Go handler that does one committed INSERT of the same bytes, and COPY of the same rows into
// the same tables. It prints ratios, because machines differ and are shared.
//
//	go run ./internal/bench -stores postgres,sqlite -seconds 5
//
// With -against it compares this tree with a binary made before a change, in turns, and prints the median
// ratio of the turns:
//
//	go run ./internal/bench -stores postgres -loads 16,256,claims -seconds 2 -against ./dosewire-before
//
// PostgreSQL is given segments of its write-ahead log before, as a server in use has them.
//
// Of the loads at a fixed rate it says what the disk did meanwhile, too: a disk that is shared may stop answering
// for a tenth of a second, and then so does whoever makes anything durable, the bare handler as well. So the 99th
// percentile stands there twice: of all requests, and of those during which no sync of 8 kB took more than 10 ms.
//
// The hub runs as a process of its own, with validation, sealing, ledger and announcing on, so that
// its resident memory can be read; so does the bare handler, and COPY. All traffic is on loopback and every
// loop is bounded.
package main
