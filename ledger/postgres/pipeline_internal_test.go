package postgres

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"
	"testing/iotest"
)

// TestRows: COPY gets every element as it stands in its array, row by row, however they fall into chunks and whatever
// the space was used for before.
func TestRows(t *testing.T) {
	type row struct {
		number uint64
		body   []byte
		text   string
		list   []int
	}
	var space []byte
	for _, n := range []int{1, 2, manyRows - 1, manyRows, 500, 3} {
		rs := make([]row, n)
		for i := range rs {
			rs[i] = row{number: uint64(i), text: string(bytes.Repeat([]byte("é"), i%5))}
			if i%3 > 0 {
				rs[i].body, rs[i].list = bytes.Repeat([]byte{byte(i)}, i*i%3000), make([]int, i%20)
			}
			if i == 2 {
				rs[i].body = bytes.Repeat([]byte("large"), copyChunk)
			}
		}
		columns := []array{
			bigints(rs, func(r *row) uint64 { return r.number }),
			maybeBlobs(rs, func(r *row) []byte { return r.body }),
			blobs(rs, func(r *row) []byte { return r.body }),
			texts(rs, func(r *row) string { return r.text }),
			lists(rs, func(r *row) []int { return r.list }),
			maybeBigints(rs, func(r *row) (uint64, bool) { return r.number, r.number%2 == 0 }),
		}
		arrays := make([][]byte, len(columns))
		for i, c := range columns {
			arrays[i] = c.whole()[arrayHeader:]
		}
		want := []byte(copyHeader)
		for i := range n {
			want = binary.BigEndian.AppendUint16(want, uint16(len(columns)))
			for k, a := range arrays {
				size := 4
				if length := binary.BigEndian.Uint32(a); length != null {
					size += int(length)
				}
				if only := columns[k].only(); i == 0 && !bytes.Equal(only, a[4:size]) {
					t.Errorf("%d rows: the only element of column %d is %x, want %x", n, k, only, a[4:size])
				}
				want, arrays[k] = append(want, a[:size]...), a[size:]
			}
		}
		want = append(want, copyTrailer...)
		for _, whole := range []bool{true, false} {
			r := newRows(columns, space)
			var in io.Reader = r
			if !whole {
				in = iotest.HalfReader(r)
			}
			got, err := io.ReadAll(in)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d rows: read %d bytes, want %d: %v", n, len(got), len(want), err)
			}
			space = r.space
		}
	}
}
