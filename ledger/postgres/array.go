package postgres

import (
	"encoding/binary"

	"github.com/dosewire/dosewire/ledger"
)

// The parameters of an UNNEST statement are columns: one array for each, in PostgreSQL's binary form
// (src/backend/utils/adt/arrayfuncs.c, array_recv), written straight from the rows into one piece of
// memory of the right size. Bodies are most of what a commit sends, so they are copied once.

// Object ids of the element types (pg_type.dat).
const (
	oidInt4  = 23
	oidInt8  = 20
	oidBytea = 17
	oidText  = 25
	oidUUID  = 2950
)

const arrayHeader = 20 // dimensions, has NULLs, element type, length, lower bound

func array(oid uint32, elements, bytes int) []byte {
	b := make([]byte, 0, arrayHeader+4*elements+bytes)
	b = binary.BigEndian.AppendUint32(b, 1)
	b = binary.BigEndian.AppendUint32(b, 1) // there may be NULLs
	b = binary.BigEndian.AppendUint32(b, oid)
	b = binary.BigEndian.AppendUint32(b, uint32(elements))
	return binary.BigEndian.AppendUint32(b, 1)
}

// elements is how many an array has.
func elements(array []byte) uint32 { return binary.BigEndian.Uint32(array[12:]) }

// only is the one element of an array; nil is NULL.
func only(array []byte) []byte {
	if binary.BigEndian.Uint32(array[arrayHeader:]) == null {
		return nil
	}
	return array[arrayHeader+4:]
}

// null is the length of a NULL.
const null = ^uint32(0)

// bigints is a bigint[] that is never NULL.
func bigints[R any](rows []R, value func(*R) uint64) []byte {
	b := array(oidInt8, len(rows), 8*len(rows))
	for i := range rows {
		b = binary.BigEndian.AppendUint32(b, 8)
		b = binary.BigEndian.AppendUint64(b, value(&rows[i]))
	}
	return b
}

// maybeBigints is a bigint[]; value says whether there is one.
func maybeBigints[R any](rows []R, value func(*R) (n uint64, ok bool)) []byte {
	b := array(oidInt8, len(rows), 8*len(rows))
	for i := range rows {
		n, ok := value(&rows[i])
		if !ok {
			b = binary.BigEndian.AppendUint32(b, null)
			continue
		}
		b = binary.BigEndian.AppendUint32(b, 8)
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return b
}

// ints is an int[] that is never NULL.
func ints[R any](rows []R, value func(*R) int) []byte {
	b := array(oidInt4, len(rows), 4*len(rows))
	for i := range rows {
		b = binary.BigEndian.AppendUint32(b, 4)
		b = binary.BigEndian.AppendUint32(b, uint32(value(&rows[i])))
	}
	return b
}

// ids is a uuid[] that is never NULL.
func ids[R any](rows []R, value func(*R) *ledger.ID) []byte {
	b := array(oidUUID, len(rows), 16*len(rows))
	for i := range rows {
		b = binary.BigEndian.AppendUint32(b, 16)
		b = append(b, value(&rows[i])[:]...)
	}
	return b
}

// maybeIDs is a uuid[] in which the zero id is NULL.
func maybeIDs[R any](rows []R, value func(*R) *ledger.ID) []byte {
	b := array(oidUUID, len(rows), 16*len(rows))
	for i := range rows {
		v := value(&rows[i])
		if *v == (ledger.ID{}) {
			b = binary.BigEndian.AppendUint32(b, null)
			continue
		}
		b = binary.BigEndian.AppendUint32(b, 16)
		b = append(b, v[:]...)
	}
	return b
}

// blobs is a bytea[] in which nil is empty.
func blobs[R any](rows []R, value func(*R) []byte) []byte {
	return maybeBlobs(rows, func(r *R) []byte { return blob(value(r)) })
}

// maybeBlobs is a bytea[] in which nil is NULL.
func maybeBlobs[R any](rows []R, value func(*R) []byte) []byte {
	size := 0
	for i := range rows {
		size += len(value(&rows[i]))
	}
	b := array(oidBytea, len(rows), size)
	for i := range rows {
		b = appendElement(b, value(&rows[i]))
	}
	return b
}

func appendElement(b, v []byte) []byte {
	if v == nil {
		return binary.BigEndian.AppendUint32(b, null)
	}
	return append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
}

// texts is a text[] that is never NULL.
func texts[R any](rows []R, value func(*R) string) []byte {
	size := 0
	for i := range rows {
		size += len(value(&rows[i]))
	}
	b := array(oidText, len(rows), size)
	for i := range rows {
		v := value(&rows[i])
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
	}
	return b
}

// lists is a text[] of JSON arrays; NULL for nil.
func lists[R, V any](rows []R, value func(*R) []V) []byte {
	b := array(oidText, len(rows), 8*len(rows))
	for i := range rows {
		v := value(&rows[i])
		if v == nil {
			b = binary.BigEndian.AppendUint32(b, null)
			continue
		}
		b = appendElement(b, []byte(list(v).String))
	}
	return b
}

// bigint is one number.
func bigint(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
