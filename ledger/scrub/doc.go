// Package scrub watches the stored ledger from inside: every row is checked again and again, every
// message of the intake must have left something behind, every disclosure must get its entry.
//
//	head        every second    is the last entry, and continues every head seen before
//	intake      every second    each sequence up to the head has its record, refusal or note of a repeat
//	disclosures every second    none waits longer than 5 s for its entry
//	rows        rolling         entry, link, digest, missing rows, rows without an entry, emptied records,
//	                            states of prescriptions
//
// Promises:
//   - Every row is checked at least once in 24 h, up to 350 million of them; more slowly than that,
//     and it says so. The rate follows from the ledger's size, between a floor and a ceiling.
//   - It goes on behind damage, and tells each damaged row once: one error in the log, and counted as
//     long as it is damaged.
//   - Where it was is kept outside of the database, in one small file: a restart goes on from there,
//     and a database that was set back meanwhile is found before anything is appended to it.
//   - [Scrubber.Healthy] is an error only for the head. A damaged row is fenced off by its readers;
//     everything else is served.
//   - It writes nothing to the database and needs no key.
//   - Concurrency: one goroutine calls [Scrubber.Tick] or [Scrubber.Run]; Status, Healthy and Report
//     may be called by all.
//
// It trusts its own file: whoever can write there and in the database is found by the notary and its
// witnesses alone.
package scrub
