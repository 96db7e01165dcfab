package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/dosewire/dosewire/internal/directory"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

// readers is how many connections read beside the writer.
const readers = 4

// busyTimeout is how long a statement waits for another process's lock, milliseconds.
const busyTimeout = "5000"

// Store is the records database. Make it with Open.
type Store struct {
	file
	insert inserts
	now    func() time.Time // the lease's clock
}

var (
	_ ledger.Store    = (*Store)(nil)
	_ ledger.Reader   = (*Store)(nil)
	_ directory.Store = (*Store)(nil)
)

// Open opens a migrated records database. It refuses an absent file, and a schema that is older
// (run Migrate) or newer than this program with ErrSchema.
func Open(ctx context.Context, path string) (*Store, error) {
	f, err := openFile(ctx, path, migrations, "migrations")
	if err != nil {
		return nil, err
	}
	s := &Store{file: f, now: time.Now}
	if err := s.insert.prepare(ctx, f.write); err != nil {
		return nil, errors.Join(refuse(err, "prepare"), f.Close())
	}
	return s, nil
}

// file is one database file: one connection that writes and a few that read.
type file struct {
	write, read *sql.DB
}

// openFile opens what is there, with a schema of the right version.
func openFile(ctx context.Context, path string, scripts fs.FS, dir string) (file, error) {
	if _, err := os.Stat(path); err != nil {
		return file{}, ErrSchema.Wrap(fmt.Errorf("%w (run dosewire migrate)", err))
	}
	f, err := connect(path)
	if err != nil {
		return file{}, err
	}
	if err := checkSchema(ctx, f.read, scripts, dir); err != nil {
		return file{}, errors.Join(err, f.Close())
	}
	return f, nil
}

// connect makes the file if it is absent, readable by its owner alone.
func connect(path string) (file, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return file{}, fault.New(fault.Invalid, "sqlite: path").Wrap(err)
	}
	made, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return file{}, errUnavailable.Wrap(err)
	}
	if err := errors.Join(made.Chmod(0o600), made.Close()); err != nil {
		return file{}, errUnavailable.Wrap(err)
	}
	write, err := sql.Open("sqlite", dsn(path, "immediate", "query_only(0)"))
	if err != nil {
		return file{}, refuse(err, "open")
	}
	read, err := sql.Open("sqlite", dsn(path, "deferred", "query_only(1)"))
	if err != nil {
		return file{}, errors.Join(refuse(err, "open"), write.Close())
	}
	keep(write, 1)
	keep(read, readers)
	return file{write, read}, nil
}

// keep holds connections open, so that prepared statements and page caches stay.
func keep(db *sql.DB, n int) {
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	db.SetConnMaxIdleTime(0)
}

func dsn(path, lock, mode string) string {
	q := url.Values{"_txlock": {lock}, "_pragma": {
		"busy_timeout(" + busyTimeout + ")", // first: the next one may have to wait
		"journal_mode(WAL)",
		"synchronous(FULL)",
		"foreign_keys(1)",
		"secure_delete(1)", // an erasure leaves nothing in freed cells
		"trusted_schema(0)",
		"cache_size(-4000)", // 4 MB for each connection
		mode,
	}}
	u := url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}
	return u.String()
}

// Close ends the connections; the write-ahead log is folded into the file by the last one.
func (f file) Close() error {
	if err := errors.Join(f.read.Close(), f.write.Close()); err != nil {
		return errUnavailable.Wrap(err)
	}
	return nil
}

// change runs do in one immediate transaction that is durable when it returns nil.
func (f file) change(ctx context.Context, what string, do func(*sql.Tx) error) error {
	return transact(ctx, f.write, what, do)
}

// view runs do on one consistent snapshot.
func (f file) view(ctx context.Context, what string, do func(*sql.Tx) error) error {
	return transact(ctx, f.read, what, do)
}

func transact(ctx context.Context, db *sql.DB, what string, do func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return refuse(err, what)
	}
	defer tx.Rollback() // nothing after Commit
	if err := do(tx); err != nil {
		return refuse(err, what)
	}
	return refuse(tx.Commit(), what)
}
