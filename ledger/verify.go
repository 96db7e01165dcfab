package ledger

import (
	"context"
	"crypto/sha256"
	"errors"
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
	ErrErasure = fault.New(fault.Tampered, "ledger: a record was emptied without an erasure of it")
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
// that names it: ErrEntry, ErrChain, ErrDigest, ErrMissing, ErrErasure, ErrReturned, ErrHead. Other
// errors mean that it could not read.
//
// from is a head that the caller trusts: one from an earlier run, from a signed checkpoint, or
// Head{Leaf: Origin(origin)} for the whole chain. The zero Head takes entry 0's word for the origin.
// It returns the head it has reached, which serves as the next from. progress, if not nil, is called
// now and then with the number of entries walked. The chain may grow meanwhile.
//
// An emptied record counts as erased when the erasure that it names comes after it and has it in its
// list. An erasure of an earlier program states only how many records it emptied: then as many must
// name it (which needs a walk from entry 0).
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

	from    uint64               // where the walk began
	emptied map[uint64][]Emptied // by the erasure that they name, until it is met
}

func newVerifier(from, stored Head) *verifier {
	return &verifier{at: from, stored: stored, from: from.Size, emptied: map[uint64][]Emptied{}}
}

// bad names the entry that was expected next, unless the error names one itself.
func (v *verifier) bad(err error) error {
	if _, named := errors.AsType[*BadEntry](err); named {
		return err
	}
	return &BadEntry{Index: v.at.Size, Err: err}
}

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
	if v.at.Size != v.stored.Size {
		return nil
	}
	untimed := v.seen.Entries == 0 && v.at.Size > 0 && v.at.Time == 0 // a head from a checkpoint
	if v.at.Leaf == v.stored.Leaf && (v.at.Time == v.stored.Time || untimed) {
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
		return v.empty(row.Record)
	case row.Record != nil:
		v.seen.Records++
		if err := fits(e, digest); err != nil || e.Kind != KindErasure {
			return err
		}
		return v.explains(row)
	case row.Access != nil:
		v.seen.Accesses++
		return fits(e, digest)
	default:
		v.seen.Statements++
		return fits(e, digest)
	}
}

// empty counts a record that was emptied by the erasure that it names, which is still to come.
func (v *verifier) empty(r *Record) error {
	if r.ErasedBy <= v.at.Size {
		return ErrErasure
	}
	v.seen.Erased++
	v.emptied[r.ErasedBy] = append(v.emptied[r.ErasedBy], Emptied{Index: v.at.Size, Record: r.ID})
	return nil
}

// explains compares an erasure with the records that name it.
func (v *verifier) explains(row Row) error {
	named := v.emptied[row.Entry.Index]
	delete(v.emptied, row.Entry.Index)
	if row.Record.Type != TypeErasure {
		return nil
	}
	// records that were passed before they were emptied are not counted: an erasure during the walk
	before := row.Entry.Index < v.stored.Size
	stated, ok, err := row.Record.Stated()
	switch {
	case err != nil || len(stated) > 0 && stated[len(stated)-1].Index >= row.Entry.Index:
		return ErrErasure
	case ok:
		return v.same(stated, named, before)
	case v.from == 0 && before && uint64(row.Record.Version) != uint64(len(named))+1:
		return ErrErasure
	}
	return nil
}

// same demands that the records which name an erasure are those that it states. Both are in the order of
// the ledger.
func (v *verifier) same(stated, named []Emptied, all bool) error {
	for len(stated) > 0 && stated[0].Index < v.from { // not on this walk
		stated = stated[1:]
	}
	for len(stated) > 0 || len(named) > 0 {
		switch {
		case len(stated) == 0 || len(named) > 0 && named[0].Index < stated[0].Index:
			return &BadEntry{Index: named[0].Index, Err: ErrErasure}
		case len(named) == 0 || stated[0].Index < named[0].Index:
			if all {
				return &BadEntry{Index: stated[0].Index, Err: ErrReturned}
			}
			stated = stated[1:]
			continue
		case stated[0].Record != named[0].Record:
			return &BadEntry{Index: named[0].Index, Err: ErrErasure}
		}
		stated, named = stated[1:], named[1:]
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
	v.stored = last
	if err := v.meet(); err != nil {
		return err
	}
	first, unexplained := uint64(0), false
	for _, e := range v.emptied {
		if !unexplained || e[0].Index < first {
			first, unexplained = e[0].Index, true
		}
	}
	if unexplained {
		return &BadEntry{Index: first, Err: ErrErasure}
	}
	return nil
}
