package postgres

import (
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// statement is one prepared statement with its parameters in binary form.
type statement struct {
	name   string // of the prepared statement; stands for its text
	text   string
	params [][]byte
}

// statements are sent in one round trip and are one transaction.
type statements []statement

func (q *statements) add(name, text string, params ...[]byte) {
	*q = append(*q, statement{name, text, params})
}

// insert adds an INSERT … SELECT * FROM unnest(…), whose parameters are columns. Of a single row they are its values:
// PostgreSQL reads each column of unnest through a buffer of its own, which costs more than the row does.
func (q *statements) insert(name, text string, columns ...[]byte) {
	if elements(columns[0]) == 1 {
		for i, c := range columns {
			columns[i] = only(c)
		}
		name, text = name+"-one", oneRow.Replace(text)
	}
	q.add(name, text, columns...)
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

// run sends q as one implicit transaction. Statements that the connection does not know yet are
// prepared before.
func (d db) run(ctx context.Context, q statements, what string) error {
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return refuse(err, what)
	}
	defer conn.Release()
	for _, s := range q {
		if _, err := conn.Conn().Prepare(ctx, s.name, s.text); err != nil {
			return refuse(err, what)
		}
	}
	pipeline := conn.Conn().PgConn().StartPipeline(ctx)
	conn.Conn().PgConn().Frontend().Send(room(q.size()))
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
			_, err = r.Close()
		}
	}
	if closed := pipeline.Close(); err == nil {
		err = closed
	}
	return refuse(err, what)
}
