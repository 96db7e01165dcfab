package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/postgres"
)

// copied are the tables that a prescription writes, each with its columns and how its rows belong to
// an entry, so that a chunk holds whole prescriptions.
func copied() []struct{ table, columns, from string } {
	return []struct{ table, columns, from string }{
		{"ledger", "idx, entry", "ledger t"},
		{"record", "idx, seq, epoch, version, id, org, of, key_id, type, sealed", "record t"},
		{"message", "org, hash, body, record, seq, answer", "message t JOIN record r ON r.id = t.record"},
		{"prescription", "id, clinic, patient, record, status, pharmacy, holder, claim, fills_allowed, fills_done, identity, group_id, due_at, version, therapy, state",
			"prescription t JOIN record r ON r.id = t.record"},
		{"delivered", "pharmacy, prescription, identifier, local", "delivered t JOIN prescription p ON p.id = t.prescription JOIN record r ON r.id = p.record"},
		{"effect", "number, kind, type, state, org, patient, record, prescription, claim, seq, idx, time, items, body", "effect t"},
	}
}

// copying is the reference of a drain: what it wrote, in a fresh schema.
type copying struct {
	from, to *pgx.Conn
	next     uint64 // first entry that is not copied
}

// copies is the child: it copies what is new whenever it reads a line, and prints how long that took, nanoseconds.
func copies(ctx context.Context, from, to string) error {
	c, err := openCopy(ctx, from, to)
	if err != nil {
		return err
	}
	defer c.close(ctx)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		took, err := c.rows(ctx)
		if err != nil {
			return fmt.Errorf("COPY: %w", err)
		}
		fmt.Println(took.Nanoseconds())
	}
	return lines.Err()
}

// copier is that child, seen from outside. It is a process of its own, because what it reads and writes would be
// garbage in the memory of the hub that is measured.
type copier struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// startCopies copies from the database of a drain into a fresh one.
func startCopies(ctx context.Context, db databases) (*copier, error) {
	target, err := db.server.Create(ctx, "copy_reference")
	if err != nil {
		return nil, err
	}
	if err := postgres.Migrate(ctx, target); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &copier{cmd: exec.CommandContext(ctx, self, "copy", db.server.DSN("drain_records"), target)}
	c.cmd.Stderr = os.Stderr
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = bufio.NewReader(out)
	return c, c.cmd.Start()
}

// rows is how long copying what is new took.
func (c *copier) rows() (took time.Duration, err error) {
	if _, err := fmt.Fprintln(c.in); err != nil {
		return 0, err
	}
	line, err := c.out.ReadString('\n')
	if err != nil {
		return 0, err
	}
	ns, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
	return time.Duration(ns), err
}

func (c *copier) close() {
	_ = c.in.Close()
	_ = c.cmd.Wait()
}

func openCopy(ctx context.Context, source, target string) (*copying, error) {
	from, err := pgx.Connect(ctx, source)
	if err != nil {
		return nil, err
	}
	c := &copying{from: from}
	if c.to, err = pgx.Connect(ctx, target); err != nil {
		return nil, errors.Join(err, from.Close(ctx))
	}
	if _, err := c.to.Exec(ctx, `UPDATE head SET origin = $1, leaf = $1`, originOf("dosewire.example/log")); err != nil {
		c.close(ctx)
		return nil, err
	}
	return c, nil
}

func (c *copying) close(ctx context.Context) {
	c.from.Close(ctx)
	c.to.Close(ctx)
}

// rows copies what was written since, 1000 entries a transaction. Only the copying is timed.
func (c *copying) rows(ctx context.Context) (took time.Duration, err error) {
	var size uint64
	if err := c.from.QueryRow(ctx, `SELECT size FROM head`).Scan(&size); err != nil {
		return 0, err
	}
	for ; c.next < size; c.next += 1000 {
		chunk := make([][][]any, len(copied()))
		for i, t := range copied() {
			if chunk[i], err = readChunk(ctx, c.from, t.columns, t.from, c.next); err != nil {
				return 0, fmt.Errorf("%s: %w", t.table, err)
			}
		}
		began := time.Now()
		err := pgx.BeginFunc(ctx, c.to, func(tx pgx.Tx) error {
			for i, t := range copied() {
				if _, err := tx.CopyFrom(ctx, pgx.Identifier{t.table}, strings.Split(t.columns, ", "), pgx.CopyFromRows(chunk[i])); err != nil {
					return fmt.Errorf("%s: %w", t.table, err)
				}
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
		took += time.Since(began)
	}
	c.next = size
	return took, nil
}

func originOf(origin string) []byte {
	h := ledger.Origin(origin)
	return h[:]
}

func readChunk(ctx context.Context, c *pgx.Conn, columns, from string, first uint64) ([][]any, error) {
	index := "t.idx"
	if strings.Contains(from, "JOIN") {
		index = "r.idx"
	}
	rows, err := c.Query(ctx, "SELECT t."+strings.ReplaceAll(columns, ", ", ", t.")+" FROM "+from+
		" WHERE "+index+" >= $1 AND "+index+" < $2 ORDER BY "+index, first, first+1000)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) ([]any, error) { return r.Values() })
}
