package postgres

import (
	"context"
	"encoding/binary"
	"io"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// manyRows is from how many rows on they are copied: COPY takes round trips of its own, which few rows do not repay.
const manyRows = 64

// copyChunk is how much is handed to COPY at once, bytes; one row may exceed it.
const copyChunk = 32 << 10

// statement is one prepared statement with its parameters in binary form.
type statement struct {
	name   string // of the prepared statement; stands for its text
	text   string
	params [][]byte
	copied string  // COPY of the same rows; "" = they are not copied
	rows   []array // that are copied, by column
}

// statements are sent in one round trip and are one transaction.
type statements []statement

func (q *statements) add(name, text string, params ...[]byte) {
	*q = append(*q, statement{name: name, text: text, params: params})
}

// insert adds an INSERT … SELECT * FROM unnest(…), whose parameters are columns. Of a single row they are its values:
// PostgreSQL reads each column of unnest through a buffer of its own, which costs more than the row does. Many rows
// are copied, when it is certain that they are new: COPY writes a page of them at once.
func (q *statements) insert(name, text string, columns ...array) {
	rows := columns[0].rows
	if rows >= manyRows && !strings.Contains(text, "ON CONFLICT") {
		into, _, _ := strings.Cut(strings.TrimPrefix(text, "INSERT INTO "), ")")
		*q = append(*q, statement{rows: columns, copied: "COPY " + into + ") FROM STDIN (FORMAT binary)"})
		return
	}
	param := array.whole
	if rows == 1 {
		name, text, param = name+"-one", oneRow.Replace(text), array.only
	}
	params := make([][]byte, len(columns))
	for i, c := range columns {
		params[i] = param(c)
	}
	q.add(name, text, params...)
}

// oneRow makes of such a text that of the same statement for the values of one row.
var oneRow = strings.NewReplacer("SELECT * FROM unnest(", "VALUES (", "[]", "")

// size is about what q takes on the wire, bytes.
func (q statements) size() (n int) {
	for _, s := range q {
		n += 64 + len(s.name)
		for _, p := range s.params {
			n += 4 + len(p)
		}
	}
	return n
}

// room is a message of nothing: it gives the connection's buffer the capacity for what follows, which is
// else found by doubling from 1 kB for each commit.
type room int

func (r room) Frontend()                         {}
func (r room) Decode([]byte) error               { return nil }
func (r room) Encode(dst []byte) ([]byte, error) { return slices.Grow(dst, int(r)), nil }

// binaryFormat says that every parameter is in binary form.
func binaryFormat() []int16 { return []int16{1} }

// run sends q as one transaction.
func (d db) run(ctx context.Context, q statements, what string) error {
	_, err := d.exec(ctx, q)
	return refuse(err, what)
}

// exec sends q as one transaction: an implicit one in one round trip, unless rows are copied. Statements that the
// connection does not know yet are prepared before. affected is of the last statement, 0 when rows are copied.
func (d db) exec(ctx context.Context, q statements) (affected int64, err error) {
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Release()
	for _, s := range q {
		if s.copied != "" {
			continue
		}
		if _, err := conn.Conn().Prepare(ctx, s.name, s.text); err != nil {
			return 0, err
		}
	}
	if slices.ContainsFunc(q, func(s statement) bool { return s.copied != "" }) {
		return 0, pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return q.inParts(ctx, tx.Conn().PgConn()) })
	}
	return q.send(ctx, conn.Conn().PgConn())
}

// inParts sends q in its order: what is copied alone, what lies between in one round trip.
func (q statements) inParts(ctx context.Context, conn *pgconn.PgConn) error {
	space := make([]byte, 0, 2*copyChunk)
	for len(q) > 0 {
		n := slices.IndexFunc(q, func(s statement) bool { return s.copied != "" })
		if n < 0 {
			n = len(q)
		}
		if n > 0 {
			if _, err := q[:n].send(ctx, conn); err != nil {
				return err
			}
		} else {
			rows := newRows(q[0].rows, space)
			if _, err := conn.CopyFrom(ctx, rows, q[0].copied); err != nil {
				return err
			}
			n, space = 1, rows.space
		}
		q = q[n:]
	}
	return nil
}

// send sends q in one round trip; outside a transaction it is one. affected is of the last statement.
func (q statements) send(ctx context.Context, conn *pgconn.PgConn) (affected int64, err error) {
	pipeline := conn.StartPipeline(ctx)
	conn.Frontend().Send(room(q.size()))
	for _, s := range q {
		pipeline.SendQueryPrepared(s.name, s.params, binaryFormat(), nil)
	}
	err = pipeline.Sync()
	for err == nil {
		var results any
		if results, err = pipeline.GetResults(); err != nil || results == nil {
			break
		}
		if r, ok := results.(*pgconn.ResultReader); ok {
			var tag pgconn.CommandTag
			tag, err = r.Close()
			affected = tag.RowsAffected()
		}
	}
	if closed := pipeline.Close(); err == nil {
		err = closed
	}
	return affected, err
}

// rows reads columns as COPY takes them in binary format: row by row.
type rows struct {
	columns []array
	next    int    // row
	ended   bool   // by the trailer
	chunk   []byte // read and not handed out
	space   []byte // of chunk
}

// Beginning and end of what COPY takes (PostgreSQL, COPY, Binary Format): signature, flags and length of the
// header's extension; minus one where a row would say how many fields it has.
const (
	copyHeader  = "PGCOPY\n\xff\r\n\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00"
	copyTrailer = "\xff\xff"
)

// newRows reads columns through space, whose capacity is used.
func newRows(columns []array, space []byte) *rows {
	return &rows{columns: columns, chunk: []byte(copyHeader), space: space}
}

func (r *rows) Read(p []byte) (n int, err error) {
	if len(r.chunk) == 0 && !r.fill() {
		return 0, io.EOF
	}
	n = copy(p, r.chunk)
	r.chunk = r.chunk[n:]
	return n, nil
}

// fill reads some rows; behind the last stands the trailer.
func (r *rows) fill() (more bool) {
	if r.ended {
		return false
	}
	r.space = r.space[:0]
	for ; r.next < r.columns[0].rows && len(r.space) < copyChunk; r.next++ {
		r.space = binary.BigEndian.AppendUint16(r.space, uint16(len(r.columns)))
		for _, c := range r.columns {
			r.space = c.element(r.space, r.next)
		}
	}
	if r.ended = r.next == r.columns[0].rows; r.ended {
		r.space = append(r.space, copyTrailer...)
	}
	r.chunk = r.space
	return true
}
