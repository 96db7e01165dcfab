package postgres

import (
	"encoding/binary"

	"github.com/dosewire/dosewire/ledger"
)

// Object ids of the element types (pg_type.dat).
const (
	oidInt4  = 23
	oidInt8  = 20
	oidBytea = 17
	oidText  = 25
	oidUUID  = 2950
)

const arrayHeader = 20 // dimensions, has NULLs, element type, length, lower bound

// array is one column of some rows, in PostgreSQL's binary form: whole it is the parameter of an UNNEST statement, and
// COPY takes it element by element. It is written straight from the rows, which must not change any more, not even
// after a commit has failed: bodies are most of what a commit sends.
type array struct {
	oid     uint32                       // of the elements
	rows    int                          // how many elements
	size    int                          // of an element, bytes, or about; see length
	length  func(i int) int              // of element i, bytes; nil = all are of one size
	element func(b []byte, i int) []byte // appends element i behind its length; minus one alone is NULL
}

// whole is a as one parameter (src/backend/utils/adt/arrayfuncs.c, array_recv).
func (a array) whole() []byte {
	size := a.rows * a.size
	if a.length != nil {
		for i := range a.rows {
			size += a.length(i)
		}
	}
	b := make([]byte, 0, arrayHeader+4*a.rows+size)
	b = binary.BigEndian.AppendUint32(b, 1)
	b = binary.BigEndian.AppendUint32(b, 1) // there may be NULLs
	b = binary.BigEndian.AppendUint32(b, a.oid)
	b = binary.BigEndian.AppendUint32(b, uint32(a.rows))
	b = binary.BigEndian.AppendUint32(b, 1)
	for i := range a.rows {
		b = a.element(b, i)
	}
	return b
}

// only is the one element of a; nil is NULL.
func (a array) only() []byte {
	e := a.element(nil, 0)
	if binary.BigEndian.Uint32(e) == null {
		return nil
	}
	return e[4:]
}

// null is the length of a NULL.
const null = ^uint32(0)

func appendNull(b []byte) []byte { return binary.BigEndian.AppendUint32(b, null) }

// appendElement appends v; nil is NULL.
func appendElement(b, v []byte) []byte {
	if v == nil {
		return appendNull(b)
	}
	return append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
}

func appendBigint(b []byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(b, 8), n)
}

// bigints is a bigint[] that is never NULL.
func bigints[R any](rows []R, value func(*R) uint64) array {
	return array{oid: oidInt8, rows: len(rows), size: 8, element: func(b []byte, i int) []byte {
		return appendBigint(b, value(&rows[i]))
	}}
}

// maybeBigints is a bigint[]; value says whether there is one.
func maybeBigints[R any](rows []R, value func(*R) (n uint64, ok bool)) array {
	return array{oid: oidInt8, rows: len(rows), size: 8, element: func(b []byte, i int) []byte {
		n, ok := value(&rows[i])
		if !ok {
			return appendNull(b)
		}
		return appendBigint(b, n)
	}}
}

// ints is an int[] that is never NULL.
func ints[R any](rows []R, value func(*R) int) array {
	return array{oid: oidInt4, rows: len(rows), size: 4, element: func(b []byte, i int) []byte {
		return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, 4), uint32(value(&rows[i])))
	}}
}

// ids is a uuid[] that is never NULL.
func ids[R any](rows []R, value func(*R) *ledger.ID) array {
	return array{oid: oidUUID, rows: len(rows), size: 16, element: func(b []byte, i int) []byte {
		return appendElement(b, value(&rows[i])[:])
	}}
}

// maybeIDs is a uuid[] in which the zero id is NULL.
func maybeIDs[R any](rows []R, value func(*R) *ledger.ID) array {
	return array{oid: oidUUID, rows: len(rows), size: 16, element: func(b []byte, i int) []byte {
		v := value(&rows[i])
		if *v == (ledger.ID{}) {
			return appendNull(b)
		}
		return appendElement(b, v[:])
	}}
}

// blobs is a bytea[] in which nil is empty.
func blobs[R any](rows []R, value func(*R) []byte) array {
	return maybeBlobs(rows, func(r *R) []byte { return blob(value(r)) })
}

// maybeBlobs is a bytea[] in which nil is NULL.
func maybeBlobs[R any](rows []R, value func(*R) []byte) array {
	return array{oid: oidBytea, rows: len(rows),
		length:  func(i int) int { return len(value(&rows[i])) },
		element: func(b []byte, i int) []byte { return appendElement(b, value(&rows[i])) }}
}

// texts is a text[] that is never NULL.
func texts[R any](rows []R, value func(*R) string) array {
	return array{oid: oidText, rows: len(rows),
		length: func(i int) int { return len(value(&rows[i])) },
		element: func(b []byte, i int) []byte {
			v := value(&rows[i])
			return append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
		}}
}

// lists is a text[] of JSON arrays; NULL for nil. Few rows have one, and a short one.
func lists[R, V any](rows []R, value func(*R) []V) array {
	return array{oid: oidText, rows: len(rows), size: 8, element: func(b []byte, i int) []byte {
		v := value(&rows[i])
		if v == nil {
			return appendNull(b)
		}
		return appendElement(b, []byte(list(v).String))
	}}
}

// bigint is one number.
func bigint(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
