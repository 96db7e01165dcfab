package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// segments is how many of the write-ahead log (16 MB each) a server is given before anything is measured: twice
// what the default loads write.
const segments = 60

// age gives a new server what one in use has: segments of the write-ahead log to write over. A new server makes each
// when it is needed, in somebody's commit: 16 MB of zeros and a sync, some 30 ms in which nobody commits. That is
// the server's first hour, and says nothing of the programs that are compared.
func age(ctx context.Context, dsn string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, statement := range []string{
		fmt.Sprintf(`ALTER SYSTEM SET min_wal_size = '%dMB'`, 16*segments),
		`SELECT pg_reload_conf()`,
		fmt.Sprintf(`DO $$ BEGIN FOR i IN 1..%d LOOP
		  PERFORM pg_logical_emit_message(false, 'bench', ''), pg_switch_wal(); -- a segment that holds something
		END LOOP; END $$`, segments),
		`CHECKPOINT`, // which makes what lies behind it the segments to come
	} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
