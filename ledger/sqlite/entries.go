package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"os"

	"github.com/dosewire/dosewire/ledger"
)

// Chain is the ledger alone, for those who only read it.
type Chain struct{ s Store }

// OpenChain opens a migrated records database for reading, beside a hub that may run.
func OpenChain(ctx context.Context, path string) (*Chain, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, ErrSchema.Wrap(err)
	}
	read, err := sql.Open("sqlite", dsn(path, "deferred", "query_only(1)"))
	if err != nil {
		return nil, refuse(err, "open")
	}
	keep(read, 1)
	if err := checkSchema(ctx, read, migrations, "migrations"); err != nil {
		return nil, errors.Join(err, read.Close())
	}
	return &Chain{Store{file: file{read: read}}}, nil
}

// Head returns the chain's end.
func (c *Chain) Head(ctx context.Context) (ledger.Head, error) { return c.s.Head(ctx) }

// Entries is Store.Entries.
func (c *Chain) Entries(ctx context.Context, from uint64, limit int) ([]ledger.Entry, error) {
	return c.s.Entries(ctx, from, limit)
}

// Close ends the connection.
func (c *Chain) Close() error {
	if err := c.s.read.Close(); err != nil {
		return errUnavailable.Wrap(err)
	}
	return nil
}

// Entries returns the entries that are stored from index from on, in order, at most limit. What is
// missing is left out; what is no entry is a *ledger.BadEntry.
func (s *Store) Entries(ctx context.Context, from uint64, limit int) (all []ledger.Entry, err error) {
	err = scan(ctx, s.read, func(rows *sql.Rows) error {
		var index int64
		var raw []byte
		if err := rows.Scan(&index, &raw); err != nil {
			return err
		}
		e, err := ledger.Parse(raw)
		if err != nil {
			return &ledger.BadEntry{Index: uint64(index), Err: err}
		}
		all = append(all, e)
		return nil
	}, `SELECT idx, entry FROM ledger WHERE idx >= ? ORDER BY idx LIMIT ?`, int64(min(from, 1<<63-1)), max(limit, 0))
	return all, refuse(err, "read entries")
}
