package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

//go:embed keymigrations/*.sql
var keymigrations embed.FS

// Migrate makes the records database at path, or brings it to this program's schema. It does nothing
// when that is what it has, and refuses a newer one with ErrSchema.
func Migrate(ctx context.Context, path string) error {
	return migrate(ctx, path, migrations, "migrations")
}

// MigrateKeys is Migrate for the key database.
func MigrateKeys(ctx context.Context, path string) error {
	return migrate(ctx, path, keymigrations, "keymigrations")
}

func migrate(ctx context.Context, path string, scripts fs.FS, dir string) error {
	f, err := connect(path)
	if err != nil {
		return err
	}
	return errors.Join(up(ctx, f, scripts, dir), f.Close())
}

func up(ctx context.Context, f file, scripts fs.FS, dir string) error {
	have, err := schemaVersion(ctx, f.read)
	if err != nil {
		return err
	}
	if want := latest(scripts, dir); have > want {
		return newer(have, want)
	}
	sub, err := fs.Sub(scripts, dir)
	if err != nil {
		return errInternal.Wrap(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, f.write, sub, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return errInternal.Wrap(err)
	}
	if _, err := p.Up(ctx); err != nil {
		return refuse(err, "migrate")
	}
	return nil
}

// checkSchema demands exactly the version that this program was written for.
func checkSchema(ctx context.Context, db *sql.DB, scripts fs.FS, dir string) error {
	have, err := schemaVersion(ctx, db)
	if err != nil {
		return err
	}
	switch want := latest(scripts, dir); {
	case have < want:
		return ErrSchema.Wrap(fmt.Errorf("it has version %d, this program needs %d: run dosewire migrate", have, want))
	case have > want:
		return newer(have, want)
	}
	return nil
}

func newer(have, want int64) error {
	return ErrSchema.Wrap(fmt.Errorf("it has version %d, this program knows %d: run a newer dosewire", have, want))
}

// schemaVersion is 0 for a database without any schema.
func schemaVersion(ctx context.Context, db *sql.DB) (version int64, err error) {
	var known int
	err = db.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema WHERE name = 'goose_db_version'`).Scan(&known)
	if err != nil || known == 0 {
		return 0, refuse(err, "schema version")
	}
	err = db.QueryRowContext(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&version)
	return version, refuse(err, "schema version")
}

// latest is the highest number that a script's name begins with.
func latest(scripts fs.FS, dir string) (version int64) {
	names, _ := fs.Glob(scripts, dir+"/*.sql") // the pattern is good
	for _, name := range names {
		number, _, _ := strings.Cut(strings.TrimPrefix(name, dir+"/"), "_")
		if n, err := strconv.ParseInt(number, 10, 64); err == nil {
			version = max(version, n)
		}
	}
	return version
}
