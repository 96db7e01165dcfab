package postgres

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

// Chain is the ledger alone, for those who only read it: every session is read-only, whatever its
// role may do. The role dosewire_audit suffices.
type Chain struct{ *Store }

// OpenChain opens a migrated records database for reading.
func OpenChain(ctx context.Context, dsn string) (*Chain, error) {
	if _, err := pgx.ParseConfig(dsn); err != nil {
		return nil, fault.New(fault.Invalid, "postgres: the DSN cannot be read") // its text holds a password
	}
	s, err := Open(ctx, Config{DSN: readOnly(dsn), Conns: 2})
	if err != nil {
		return nil, err
	}
	return &Chain{s}, nil
}

// readOnly asks the server to refuse writes of these sessions.
func readOnly(dsn string) string {
	const setting = "default_transaction_read_only=on"
	switch {
	case !strings.Contains(dsn, "://"):
		return dsn + " " + setting
	case strings.Contains(dsn, "?"):
		return dsn + "&" + setting
	}
	return dsn + "?" + setting
}

// Entries returns the entries that are stored from index from on, in order, at most limit. What is
// missing is left out; what is no entry is a *ledger.BadEntry.
func (s *Store) Entries(ctx context.Context, from uint64, limit int) ([]ledger.Entry, error) {
	rows, err := s.pool.Query(ctx, `SELECT idx, entry FROM ledger WHERE idx >= $1 ORDER BY idx LIMIT $2`, int64(min(from, 1<<63-1)), max(limit, 0))
	all, err := collect(rows, err, scanEntry)
	return all, refuse(err, "read entries")
}

func scanEntry(rows pgx.Rows) (ledger.Entry, error) {
	var index int64
	var raw []byte
	if err := rows.Scan(&index, &raw); err != nil {
		return ledger.Entry{}, err
	}
	e, err := ledger.Parse(raw)
	if err != nil {
		return e, &ledger.BadEntry{Index: uint64(index), Err: err}
	}
	return e, nil
}
