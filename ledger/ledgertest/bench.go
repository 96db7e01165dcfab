package ledgertest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/dosewire/dosewire/ledger"
)

// BenchmarkCommit measures full messages of 2 kB committed by one recorder (record, entry, message,
// prescription and two effects each) in batches of 1, 100 and 1000.
func BenchmarkCommit(b *testing.B, open func(testing.TB) Backend) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("batch=%d", n), func(b *testing.B) {
			s := open(b)
			h := begin(b, s)
			b.SetBytes(int64(n) * 2048)
			for b.Loop() {
				b.StopTimer()
				x := newBatch(h)
				full(x, n, 2048)
				b.StartTimer()
				if err := s.Commit(b.Context(), &x.Batch); err != nil {
					b.Fatalf("Commit: %v", err)
				}
				h = x.To
			}
			b.ReportMetric(float64(b.N)*float64(n)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// BenchmarkSmall measures Load and Commit of one order at a time, which every order asks for while little is going on,
// and of more, after a few thousand. spent is what the database's side of the connection has used of a processor.
// All is told for one order.
func BenchmarkSmall(b *testing.B, s Store, spent func() time.Duration) {
	h := begin(b, s)
	x := newBatch(h)
	full(x, 5000, 500)
	h = commit(b, s, x)
	var who []ledger.ID
	for range 100 {
		who = append(who, newID())
	}
	for _, orders := range []int{1, 8, 64, 500} {
		b.Run(strconv.Itoa(orders), func(b *testing.B) {
			var loading, committing, loadSpent, commitSpent time.Duration
			for b.Loop() {
				x := newBatch(h)
				var w ledger.Want
				for n := range orders {
					patient, tokens := who[n%len(who)], slices.Concat(token(), token(), token())
					p, m := issue(x, patient, tokens)
					w.Messages = append(w.Messages, m.Key)
					w.Identities = append(w.Identities, ledger.Key{Org: p.Clinic, Hash: p.Identity})
					if n < len(who) {
						w.Patients, w.Therapies = append(w.Patients, patient), append(w.Therapies, ledger.Taking{Patient: patient, Tokens: tokens})
					}
				}
				began, used := time.Now(), spent()
				load(b, s, w)
				middle, usedThen := time.Now(), spent()
				h = commit(b, s, x)
				loading, committing = loading+middle.Sub(began), committing+time.Since(middle)
				loadSpent, commitSpent = loadSpent+usedThen-used, commitSpent+spent()-usedThen
			}
			per := func(d time.Duration, what string) {
				b.ReportMetric(float64(d.Microseconds())/float64(b.N*orders), what)
			}
			per(loading, "load-us")
			per(committing, "commit-us")
			per(loadSpent, "load-cpu-us")
			per(commitSpent, "commit-cpu-us")
		})
	}
}

// issue adds one order, as the recorder writes it.
func issue(x *batch, patient ledger.ID, tokens []byte) (ledger.Prescription, ledger.Message) {
	r := x.record(2048, func(r *ledger.Record) { r.Sub = len(x.Records) << 20 })
	p := x.prescription(r, func(p *ledger.Prescription) { p.Patient, p.Therapy, p.State = patient, tokens, randomBytes(1000) })
	m := ledger.Message{Key: key(r.Org), Body: randomHash(), Record: r.ID, Answer: randomBytes(600), Seq: x.To.Seq}
	x.Messages = append(x.Messages, m)
	x.Delivered = append(x.Delivered, ledger.Delivered{Pharmacy: p.Pharmacy, Prescription: p.ID, Identifier: randomHash()})
	x.effect(ledger.Effect{Kind: ledger.EffectDeliver, Org: p.Pharmacy, Type: "MedicationRequest", Record: r.ID,
		Prescription: p.ID, State: p.Status, Seq: x.To.Seq, Index: r.Index, Time: x.To.Time})
	x.effect(ledger.Effect{Kind: ledger.EffectWake, Patient: p.Patient, Type: "issued", Prescription: p.ID, State: p.Status,
		Seq: x.To.Seq, Index: r.Index, Time: x.To.Time})
	return p, m
}

// BenchmarkAppend compares a recorder's commit, its hashing and linking included, with the same rows
// written by bare without digests, entries and head, on a store of its own, turn by turn. ratio is how
// much of bare's speed is left.
func BenchmarkAppend(b *testing.B, open func(testing.TB) Backend, bare func(ctx context.Context, s Store, x *ledger.Batch) error) {
	const n = 1000
	with, without := open(b), open(b)
	h := begin(b, with)
	begin(b, without)
	var took, bareTook time.Duration
	for b.Loop() {
		x, y := newBatch(h), newBatch(h)
		full(x, n, 2048)
		full(y, n, 2048)
		began := time.Now()
		relink(&x.Batch)
		if err := with.Commit(b.Context(), &x.Batch); err != nil {
			b.Fatalf("Commit: %v", err)
		}
		middle := time.Now()
		if err := bare(b.Context(), without, &y.Batch); err != nil {
			b.Fatalf("bare: %v", err)
		}
		took, bareTook = took+middle.Sub(began), bareTook+time.Since(middle)
		h = x.To
	}
	b.ReportMetric(float64(b.N)*n/took.Seconds(), "records/s")
	b.ReportMetric(float64(b.N)*n/bareTook.Seconds(), "bare-records/s")
	b.ReportMetric(bareTook.Seconds()/took.Seconds(), "ratio")
}

// relink computes every digest and link again, as the recorder does.
func relink(b *ledger.Batch) {
	at := b.From
	for i, r := range b.Records {
		e := b.Entries[i]
		b.Entries[i], at = ledger.Link(at, e.Kind, time.UnixMilli(e.Time), r.Digest(), e.Commitment)
	}
	b.To.Leaf = at.Leaf
}

// BenchmarkTherapies measures what a safety check adds to Load for a batch of 128 orders of as many of 1000
// patients, each of whom has 30 active prescriptions of a medicine with one code, when none of them is a double of
// an order of one code or of three, when one is, by a class of 300 codes, and when all are, which reads all of
// them. added-ns is of one order.
func BenchmarkTherapies(b *testing.B, open func(testing.TB) Backend) {
	const patients, each, size = 1000, 30, 128
	s := open(b)
	h := begin(b, s)
	tokens := make(map[ledger.ID][][]byte, patients)
	var who []ledger.ID
	for range patients {
		who = append(who, newID())
	}
	for range each { // time passes between two of one patient
		x := newBatch(h)
		r := x.record(50)
		for _, p := range who {
			t := token()
			tokens[p] = append(tokens[p], t)
			x.prescription(r, func(rx *ledger.Prescription) { rx.Patient, rx.Therapy, rx.State = p, t, randomBytes(1500) })
		}
		h = commit(b, s, x)
	}
	for _, c := range []struct {
		name  string
		found int // of each patient
		taken func(ledger.ID) [][]byte
	}{
		{"none", 0, func(ledger.ID) [][]byte { return [][]byte{token()} }},
		{"none-of-three", 0, func(ledger.ID) [][]byte { return [][]byte{token(), token(), token()} }},
		{"one", 1, func(p ledger.ID) [][]byte { return [][]byte{token(), tokens[p][7]} }},
		{"class", 0, func(ledger.ID) [][]byte { return [][]byte{randomBytes(300 * ledger.TherapyToken)} }},
		{"all", each, func(p ledger.ID) [][]byte { return tokens[p] }},
	} {
		b.Run(c.name, func(b *testing.B) {
			var with, without time.Duration
			n := 0
			for b.Loop() {
				w := ledger.Want{}
				for range size {
					p := who[n*7%patients]
					n++
					w.Messages, w.Identities, w.Patients = append(w.Messages, key(p)), append(w.Identities, key(p)), append(w.Patients, p)
				}
				began := time.Now()
				load(b, s, w)
				middle := time.Now()
				for _, p := range w.Patients {
					w.Therapies = append(w.Therapies, ledger.Taking{Patient: p, Tokens: slices.Concat(c.taken(p)...)})
				}
				again := time.Now()
				have := load(b, s, w)
				if len(have.Prescriptions) != c.found*size {
					b.Fatalf("%d were loaded", len(have.Prescriptions))
				}
				without, with = without+middle.Sub(began), with+time.Since(again)
			}
			b.ReportMetric(float64(without.Nanoseconds())/float64(b.N*size), "without-ns")
			b.ReportMetric(float64((with-without).Nanoseconds())/float64(b.N*size), "added-ns")
		})
	}
}

// BenchmarkVerify measures a verification of the whole store over records of 2 kB (every link, every
// row digest), one of the chain alone as a notary reads it, and beside them what this machine hashes
// just now.
func BenchmarkVerify(b *testing.B, s Store) {
	const n, size = 20, 2048
	h := begin(b, s)
	for range n {
		x := newBatch(h)
		full(x, 1000, size)
		h = commit(b, s, x)
	}
	per := func(b *testing.B, what string) {
		b.ReportMetric(float64(b.N)*float64(h.Size)/b.Elapsed().Seconds(), what)
	}
	b.Run("rows", func(b *testing.B) {
		for b.Loop() {
			if end, _, err := (ledger.Walk{}).Verify(b.Context(), s); err != nil || end.Size != h.Size {
				b.Fatalf("%d: %v", end.Size, err)
			}
		}
		per(b, "entries/s")
	})
	b.Run("chain", func(b *testing.B) {
		for b.Loop() {
			if end := chainAlone(b, s); end.Size != h.Size || end.Leaf != h.Leaf {
				b.Fatalf("reached %d of %d", end.Size, h.Size)
			}
		}
		per(b, "entries/s")
	})
	b.Run("reference", func(b *testing.B) { // SHA-256 of as many bytes on one core
		body := make([]byte, size)
		for b.Loop() {
			for range h.Size {
				sha256.Sum256(body)
			}
		}
		per(b, "bodies/s")
	})
}

// chainAlone follows the entries without what they cover.
func chainAlone(b *testing.B, s Store) ledger.Head {
	at := ledger.Head{Leaf: ledger.Origin(origin)}
	for {
		page, err := s.Entries(b.Context(), at.Size, 8192)
		if err != nil {
			b.Fatalf("Entries: %v", err)
		}
		for _, e := range page {
			if at, err = ledger.Check(at, e); err != nil {
				b.Fatal(err)
			}
		}
		if len(page) == 0 {
			return at
		}
	}
}
