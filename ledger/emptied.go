package ledger

import (
	"encoding/binary"
	"slices"

	"github.com/dosewire/dosewire/internal/fault"
)

// Emptied names one record that an erasure emptied.
type Emptied struct {
	Index  uint64
	Record ID
}

const (
	sealedErasureVersion = 3
	emptiedPrefix        = 1 + 4 // version and count
	emptiedSize          = 8 + 16
)

// ErrReturned: what an erasure emptied is there again.
var ErrReturned = fault.New(fault.Tampered, "ledger: a record that was erased is there again")

// State puts in front of a sealed erasure the records that it empties, in any order: r's row digest
// covers them, and whoever has the row can read them without a key. The form has version 3:
//
//	version=3 ‖ count (4) ‖ count × (index (8) ‖ record id (16)), indexes rising ‖ the sealed form of version 1 or 2
//
// A record is erased only if the erasure that it names has it in its list.
func (r *Record) State(emptied []Emptied) {
	list := slices.SortedFunc(slices.Values(emptied), func(a, b Emptied) int { return compareIndex(a.Index, b.Index) })
	b := make([]byte, 0, emptiedPrefix+emptiedSize*len(list)+len(r.Sealed))
	b = append(b, sealedErasureVersion)
	b = binary.BigEndian.AppendUint32(b, uint32(len(list)))
	for _, e := range list {
		b = binary.BigEndian.AppendUint64(b, e.Index)
		b = append(b, e.Record[:]...)
	}
	r.Sealed = append(b, r.Sealed...)
}

func compareIndex(a, b uint64) int {
	if a < b {
		return -1
	}
	return 1
}

// Stated returns the records that an erasure empties, by rising index. An erasure of an earlier program
// states none, only their number: ok is false. ErrSealed for a list that cannot be read.
func (r Record) Stated() (list []Emptied, ok bool, err error) {
	if len(r.Sealed) == 0 || r.Sealed[0] != sealedErasureVersion {
		return nil, false, nil
	}
	n, rest, err := r.statement()
	if err != nil {
		return nil, true, err
	}
	b := r.Sealed[emptiedPrefix : len(r.Sealed)-len(rest)]
	list = make([]Emptied, n)
	for i := range list {
		list[i] = Emptied{Index: binary.BigEndian.Uint64(b), Record: ID(b[8:emptiedSize])}
		if i > 0 && list[i].Index <= list[i-1].Index {
			return nil, true, ErrSealed
		}
		b = b[emptiedSize:]
	}
	return list, true, nil
}

// statement divides a sealed erasure of version 3: how many records, and the sealed form behind them.
func (r Record) statement() (n int, rest []byte, err error) {
	if r.Type != TypeErasure || len(r.Sealed) < emptiedPrefix {
		return 0, nil, ErrSealed
	}
	count := uint64(binary.BigEndian.Uint32(r.Sealed[1:]))
	if uint64(r.Version) != count+1 || uint64(len(r.Sealed)-emptiedPrefix) < count*emptiedSize {
		return 0, nil, ErrSealed
	}
	return int(count), r.Sealed[emptiedPrefix+int(count)*emptiedSize:], nil
}

// Erases says whether the erasure of this row, which must fit its entry, emptied a record: nil, or
// ErrErasure. An erasure of an earlier program is believed.
func (r Row) Erases(index uint64, record ID) error {
	if r.Entry.Kind != KindErasure || r.Entry.Index <= index || r.Covers() != nil {
		return ErrErasure
	}
	if r.Record == nil {
		return nil
	}
	list, ok, err := r.Record.Stated()
	if err != nil || r.Record.Sealed == nil { // nothing erases an erasure
		return ErrErasure
	}
	if !ok {
		return nil
	}
	at, found := slices.BinarySearchFunc(list, index, func(e Emptied, index uint64) int {
		if e.Index == index {
			return 0
		}
		return compareIndex(e.Index, index)
	})
	if !found || list[at].Record != record {
		return ErrErasure
	}
	return nil
}
