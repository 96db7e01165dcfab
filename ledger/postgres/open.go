package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/dosewire/dosewire/internal/directory"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

//go:embed migrations/*.sql
var migrations embed.FS

//go:embed keymigrations/*.sql
var keymigrations embed.FS

// Config names a database.
type Config struct {
	DSN string // postgres:// URL or key=value words
	// Conns is how many connections are kept at most. 0 means 6: the recorder's and some that read.
	Conns int32
	// RequireSynchronous refuses to open unless commits wait for a synchronous standby.
	RequireSynchronous bool
}

// Store is the records database. Make it with Open. Safe for concurrent use.
type Store struct{ db }

// Keys is the key database: wrapped keys and the patient index. Make it with OpenKeys.
type Keys struct{ db }

var (
	_ ledger.Store       = (*Store)(nil)
	_ ledger.Reader      = (*Store)(nil)
	_ directory.Store    = (*Store)(nil)
	_ ledger.Generations = (*Keys)(nil)
)

// db is a pool on a database of the right schema.
type db struct{ pool *pgxpool.Pool }

// Open opens a migrated records database. ErrSchema, or Unavailable.
func Open(ctx context.Context, c Config) (*Store, error) {
	d, err := open(ctx, c, migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return &Store{d}, nil
}

// OpenKeys opens a migrated key database.
func OpenKeys(ctx context.Context, c Config) (*Keys, error) {
	d, err := open(ctx, c, keymigrations, "keymigrations")
	if err != nil {
		return nil, err
	}
	return &Keys{d}, nil
}

func open(ctx context.Context, c Config, scripts fs.FS, dir string) (db, error) {
	config, err := pgxpool.ParseConfig(c.DSN)
	if err != nil {
		return db{}, fault.New(fault.Invalid, "postgres: the DSN cannot be read") // its text holds a password
	}
	config.MaxConns = 6
	if c.Conns > 0 {
		config.MaxConns = c.Conns
	}
	config.ConnConfig.RuntimeParams["application_name"] = "dosewire"
	// durable before acknowledged, whatever the server's default is
	config.ConnConfig.RuntimeParams["synchronous_commit"] = "on"
	byKey(config)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return db{}, refuse(err, "connect")
	}
	d := db{pool}
	if err := errors.Join(d.checkSchema(ctx, scripts, dir), d.checkStandby(ctx, c)); err != nil {
		pool.Close()
		if errors.Is(err, errRights) {
			name, role := config.ConnConfig.Database, "dosewire_hub, or to read dosewire_audit or dosewire_verify"
			if dir == "keymigrations" {
				role = "dosewire_keys"
			}
			err = errRights.Wrap(fmt.Errorf("database %s: grant the login %s: %w", name, role, err))
		}
		return db{}, err
	}
	return d, nil
}

// byKey sets how queries are planned.
func byKey(config *pgxpool.Config) {
	// Every query here asks for rows by key. Without statistics for a table that grows by the second,
	// the planner would now and then rather read all of it.
	for _, plan := range []string{"jit", "enable_hashjoin", "enable_mergejoin", "enable_seqscan"} {
		config.ConnConfig.RuntimeParams[plan] = "off"
	}
	config.ConnConfig.RuntimeParams["plan_cache_mode"] = "force_generic_plan" // by key: no value changes the plan
}

// Close ends the connections.
func (d db) Close() error {
	d.pool.Close()
	return nil
}

// MayRewrite tells whether the login may change or delete what is recorded: an owner or a superuser, not
// a login in dosewire_hub.
func (s *Store) MayRewrite(ctx context.Context) (may bool, err error) {
	err = s.pool.QueryRow(ctx, `SELECT bool_or(has_table_privilege(name, 'UPDATE, DELETE, TRUNCATE'))
		FROM unnest('{ledger, record, statement, access}'::text[]) name`).Scan(&may)
	return may, refuse(err, "read the login's rights")
}

func (d db) checkSchema(ctx context.Context, scripts fs.FS, dir string) error {
	var have int64
	err := d.pool.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&have)
	if err != nil {
		return refuse(err, "read the schema's version")
	}
	if want := newest(scripts, dir); have != want {
		return ErrSchema.Wrap(fmt.Errorf("postgres: schema %d, want %d", have, want))
	}
	return nil
}

// checkStandby: with a standby, a commit must be on both, or a lost primary loses acknowledged work.
func (d db) checkStandby(ctx context.Context, c Config) error {
	if !c.RequireSynchronous {
		return nil
	}
	var names string
	if err := d.pool.QueryRow(ctx, `SELECT current_setting('synchronous_standby_names')`).Scan(&names); err != nil {
		return refuse(err, "read the standby's setting")
	}
	if names == "" {
		return fault.New(fault.Invalid, "postgres: synchronous_standby_names is empty: commits do not wait for a standby")
	}
	return nil
}

// newest is the highest number among the scripts.
func newest(scripts fs.FS, dir string) (highest int64) {
	files, err := fs.ReadDir(scripts, dir)
	if err != nil {
		return 0
	}
	for _, f := range files {
		number, _, _ := strings.Cut(f.Name(), "_")
		if n, err := strconv.ParseInt(number, 10, 64); err == nil {
			highest = max(highest, n)
		}
	}
	return highest
}

// Migrate makes the records schema, or brings it to this program's. The role must own the database.
func Migrate(ctx context.Context, dsn string) error {
	return migrate(ctx, dsn, migrations, "migrations")
}

// MigrateKeys is Migrate for the key database.
func MigrateKeys(ctx context.Context, dsn string) error {
	return migrate(ctx, dsn, keymigrations, "keymigrations")
}

func migrate(ctx context.Context, dsn string, scripts fs.FS, dir string) (err error) {
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return fault.New(fault.Invalid, "postgres: the DSN cannot be read")
	}
	var conn *sql.DB = stdlib.OpenDB(*config.ConnConfig)
	defer func() {
		if errors.Is(err, errRights) {
			err = errRights.Wrap(fmt.Errorf("database %s: migrate as its owner, with CREATEROLE the first time: %w", config.ConnConfig.Database, err))
		}
		err = errors.Join(err, refuse(conn.Close(), "close"))
	}()
	sub, err := fs.Sub(scripts, dir)
	if err != nil {
		return errInternal.Wrap(err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, conn, sub, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return errInternal.Wrap(err)
	}
	have, err := p.GetDBVersion(ctx)
	if err != nil {
		return refuse(err, "read the schema's version")
	}
	if want := newest(scripts, dir); have > want {
		return ErrSchema.Wrap(fmt.Errorf("postgres: schema %d is newer than %d", have, want))
	}
	if _, err := p.Up(ctx); err != nil {
		return refuse(err, "migrate")
	}
	return nil
}
