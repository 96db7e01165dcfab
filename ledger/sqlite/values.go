package sqlite

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/dosewire/dosewire/ledger"
)

// Absent values are NULL in the schema and zero in the rows. These functions translate, in both
// directions.

func idOrNull(id ledger.ID) any {
	if id == (ledger.ID{}) {
		return nil
	}
	return id[:]
}

func hashOrNull(h ledger.Hash) any {
	if h == (ledger.Hash{}) {
		return nil
	}
	return h[:]
}

func intOrNull(n int64) any {
	if n == 0 {
		return nil
	}
	return n
}

func indexOrNull(i uint64) any {
	if i == ledger.NoIndex {
		return nil
	}
	return i
}

// blob keeps an empty value apart from an absent one.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func blobOrNull(b []byte) any {
	if b == nil {
		return nil
	}
	return b
}

// listOrNull writes a list as JSON, nil as NULL.
func listOrNull[T any](list []T) (any, error) {
	if list == nil {
		return nil, nil
	}
	b, err := json.Marshal(list)
	return string(b), err
}

func readList[T any](text *string) (list []T, err error) {
	if text == nil {
		return nil, nil
	}
	err = json.Unmarshal([]byte(*text), &list)
	return list, err
}

// hashInto scans 32 bytes; NULL leaves zero.
type hashInto struct{ h *ledger.Hash }

func (s hashInto) Scan(src any) error {
	switch b := src.(type) {
	case nil:
		*s.h = ledger.Hash{}
		return nil
	case []byte:
		if len(b) == len(s.h) {
			copy(s.h[:], b)
			return nil
		}
	}
	return fmt.Errorf("not a hash: %T", src)
}

// indexInto scans an entry's index; NULL is ledger.NoIndex.
type indexInto struct{ i *uint64 }

func (s indexInto) Scan(src any) error {
	switch n := src.(type) {
	case nil:
		*s.i = ledger.NoIndex
		return nil
	case int64:
		*s.i = uint64(n)
		return nil
	}
	return fmt.Errorf("not an index: %T", src)
}

// joinIDs writes ids one after another.
func joinIDs(ids []ledger.ID) []byte {
	b := make([]byte, 0, 16*len(ids))
	for i := range ids {
		b = append(b, ids[i][:]...)
	}
	return b
}

func splitIDs(b []byte) (ids []ledger.ID) {
	for ; len(b) >= 16; b = b[16:] {
		ids = append(ids, ledger.ID(b[:16]))
	}
	return ids
}

// joinKeys writes keys one after another, 48 bytes each.
func joinKeys(keys []ledger.Key) []byte {
	b := make([]byte, 0, 48*len(keys))
	for i := range keys {
		b = append(b, keys[i].Org[:]...)
		b = append(b, keys[i].Hash[:]...)
	}
	return b
}

// Keys and ids are given to a query as one blob, so that one prepared statement serves any number
// of them. ?1 is the blob and ?2 its number of elements. What is found by them is joined by CROSS JOIN, which keeps
// that order: the planner knows nothing of how much is asked, and would rather look through a whole table.
const (
	asked     = `WITH RECURSIVE n(i) AS (SELECT 0 WHERE ?2 > 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?2), `
	askedKeys = asked + `asked(org, hash) AS MATERIALIZED (SELECT DISTINCT substr(?1, i*48+1, 16), substr(?1, i*48+17, 32) FROM n) `
	askedIDs  = asked + `asked(id) AS MATERIALIZED (SELECT DISTINCT substr(?1, i*16+1, 16) FROM n) `
)

// entryOf reads a stored entry; what cannot be read is tampered with, and names its place.
func entryOf(idx int64, b []byte) (ledger.Entry, error) {
	e, err := ledger.Parse(b)
	if err != nil {
		return e, &ledger.BadEntry{Index: uint64(idx), Err: err}
	}
	if binary.BigEndian.Uint64(b[2:]) != uint64(idx) {
		return e, &ledger.BadEntry{Index: uint64(idx), Err: ledger.ErrChain}
	}
	return e, nil
}
