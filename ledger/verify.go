package ledger

import (
	"context"
	"crypto/sha256"
	"iter"

	"github.com/dosewire/dosewire/internal/fault"
)

// Chain is what a verifier reads. Every Reader is one; it needs no write rights and no key.
type Chain interface {
	Head(ctx context.Context) (Head, error)
	Rows(ctx context.Context, from uint64) iter.Seq2[Row, error]
}

// Errors of a verification beside ErrEntry, ErrChain and ErrDigest.
var (
	ErrMissing = fault.New(fault.Tampered, "ledger: the row of this entry is missing")
	ErrErasure = fault.New(fault.Tampered, "ledger: a record was emptied without an erasure entry")
	ErrHead    = fault.New(fault.Tampered, "ledger: the head is not the end of the chain")
)

// Verdict counts what a verification has seen. On an error it counts what was good before it.
type Verdict struct {
	Entries    uint64 // walked, all links good
	Records    uint64 // whose digest fits
	Erased     uint64 // shells of erased records, explained by an erasure entry
	Accesses   uint64
	Statements uint64
}

// progressEvery is how many entries pass between two calls of progress.
const progressEvery = 1024

// Verify walks the chain after from to its end and checks every link, every row against its entry,
// and the end against the stored head. It stops at the first thing that is wrong, as a *BadEntry
// that names it: ErrEntry, ErrChain, ErrDigest, ErrMissing, ErrErasure, ErrHead. Other errors mean
// that it could not read.
//
// from is a head that the caller trusts: one from an earlier run, from a signed checkpoint, or
// Head{Leaf: Origin(origin)} for the whole chain. The zero Head takes entry 0's word for the origin.
// It returns the head it has reached, which serves as the next from. progress, if not nil, is called
// now and then with the number of entries walked. The chain may grow meanwhile.
//
// An emptied record counts as erased when the erasure entry that it names comes after it, and when
// that erasure states as many records as name it (the count needs a walk from entry 0).
func Verify(ctx context.Context, c Chain, from Head, progress func(n uint64)) (Head, Verdict, error) {
	stored, err := c.Head(ctx)
	if err != nil {
		return from, Verdict{}, err
	}
	v := newVerifier(from, stored)
	if err := v.start(); err != nil {
		return v.at, v.seen, err
	}
	for row, err := range c.Rows(ctx, from.Size) {
		if err != nil {
			return v.at, v.seen, err
		}
		if err := v.step(row, row.Entry.Leaf(), row.digest()); err != nil {
			return v.at, v.seen, err
		}
		if progress != nil && v.seen.Entries%progressEvery == 0 {
			progress(v.seen.Entries)
		}
	}
	if progress != nil {
		progress(v.seen.Entries)
	}
	last, err := c.Head(ctx)
	if err != nil {
		return v.at, v.seen, err
	}
	return v.at, v.seen, v.end(last)
}

// verifier is one walk.
type verifier struct {
	at     Head // after the last good entry
	stored Head // as it was when the walk began
	seen   Verdict

	whole   bool                // the walk began at entry 0, so counts can be checked
	emptied map[uint64]*emptied // by the erasure entry that they name, until it is met
}

func newVerifier(from, stored Head) *verifier {
	return &verifier{at: from, stored: stored, whole: from.Size == 0, emptied: map[uint64]*emptied{}}
}

// emptied are records that name one erasure.
type emptied struct {
	first uint64 // index of the first
	count uint64
}

// bad names the entry that was expected next.
func (v *verifier) bad(err error) error { return &BadEntry{Index: v.at.Size, Err: err} }

// start compares the trusted head with the stored one: a shorter chain was rolled back.
func (v *verifier) start() error {
	if v.stored.Size < v.at.Size {
		return &BadEntry{Index: v.stored.Size, Err: ErrHead}
	}
	if v.at == (Head{}) {
		return nil
	}
	return v.meet()
}

// meet compares the two heads where they are at the same place.
func (v *verifier) meet() error {
	if v.at.Size != v.stored.Size || v.at.Leaf == v.stored.Leaf {
		return nil
	}
	return &BadEntry{Index: max(v.at.Size, 1) - 1, Err: ErrHead}
}

// digest is what the entry of a row must say about it; zero when there is nothing to compare.
func (r Row) digest() Hash {
	switch {
	case r.Record != nil && r.Record.Sealed != nil:
		return r.Record.Digest()
	case r.Record == nil && r.Access != nil:
		return sha256.Sum256(r.Access.Bytes())
	case r.Record == nil && r.Statement != nil:
		return sha256.Sum256([]byte(r.Statement.Text))
	}
	return Hash{}
}

// step follows one row, of which leaf and digest are computed.
func (v *verifier) step(row Row, leaf, digest Hash) error {
	if v.at == (Head{}) {
		v.at.Leaf = row.Entry.Prev
	}
	if (row.Entry.Kind == KindGenesis) != (row.Entry.Index == 0) {
		return v.bad(ErrChain)
	}
	next, err := follow(v.at, row.Entry, leaf)
	if err != nil {
		return v.bad(err)
	}
	if err := v.covers(row, digest); err != nil {
		return v.bad(err)
	}
	v.at = next
	v.seen.Entries++
	return v.meet()
}

// covers checks the row that an entry stands for.
func (v *verifier) covers(row Row, digest Hash) error {
	e := row.Entry
	switch {
	case e.Kind == KindErasure && (row.Record != nil || row.Statement != nil):
		if err := v.explains(row); err != nil {
			return err
		}
	case e.Kind == KindRecord && row.Record != nil:
	case e.Kind == KindAccess && row.Access != nil:
	case (e.Kind == KindGenesis || e.Kind == KindStatement) && row.Statement != nil:
	default:
		return ErrMissing
	}
	if row.Record == nil && e.Commitment != (Hash{}) {
		return ErrDigest
	}
	switch {
	case row.Record != nil && row.Record.Sealed == nil:
		return v.empty(row.Record.ErasedBy)
	case row.Record != nil:
		v.seen.Records++
		return fits(e, digest)
	case row.Access != nil:
		v.seen.Accesses++
		return fits(e, digest)
	default:
		v.seen.Statements++
		return fits(e, digest)
	}
}

// empty counts a record that was emptied by the erasure at this entry, which is still to come.
func (v *verifier) empty(by uint64) error {
	if by <= v.at.Size {
		return ErrErasure
	}
	v.seen.Erased++
	if v.emptied[by] == nil {
		v.emptied[by] = &emptied{first: v.at.Size}
	}
	v.emptied[by].count++
	return nil
}

// explains compares an erasure with the records that name it.
func (v *verifier) explains(row Row) error {
	var count uint64
	if e := v.emptied[row.Entry.Index]; e != nil {
		count = e.count
		delete(v.emptied, row.Entry.Index)
	}
	// records that were passed before they were emptied are not counted: an erasure during the walk
	if v.whole && row.Entry.Index < v.stored.Size && row.Record != nil && row.Record.Type == TypeErasure && uint64(row.Record.Version) != count+1 {
		return ErrErasure
	}
	return nil
}

func fits(e Entry, digest Hash) error {
	if e.Digest != digest {
		return ErrDigest
	}
	return nil
}

// end compares the end of the walk with the heads stored before and after it: the chain reaches the
// first and does not pass the second.
func (v *verifier) end(last Head) error {
	if v.at.Size < v.stored.Size {
		return v.bad(ErrHead)
	}
	if v.at.Size > last.Size {
		return &BadEntry{Index: last.Size, Err: ErrHead}
	}
	first, unexplained := uint64(0), false
	for _, e := range v.emptied {
		if !unexplained || e.first < first {
			first, unexplained = e.first, true
		}
	}
	if unexplained {
		return &BadEntry{Index: first, Err: ErrErasure}
	}
	return nil
}
