package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"

	"github.com/jackc/pgx/v5/pgxpool"
	_ "modernc.org/sqlite"
)

// bare is the reference: read the body, one committed INSERT, 201. It neither validates nor seals.
// It prints its address and serves until its standard input closes.
func bare(ctx context.Context, store, dsn string) error {
	var insert func(context.Context, []byte) error
	switch store {
	case "postgres":
		pool, err := pgxpool.New(ctx, dsn)
		if err != nil {
			return err
		}
		defer pool.Close()
		if _, err := pool.Exec(ctx, `create table if not exists bare (id bigint generated always as identity primary key, body bytea not null)`); err != nil {
			return err
		}
		insert = func(ctx context.Context, b []byte) error {
			_, err := pool.Exec(ctx, `insert into bare (body) values ($1)`, b)
			return err
		}
	case "sqlite":
		db, err := sql.Open("sqlite", dsn+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(10000)")
		if err != nil {
			return err
		}
		defer db.Close()
		db.SetMaxOpenConns(1)
		if _, err := db.ExecContext(ctx, `create table if not exists bare (id integer primary key, body blob not null)`); err != nil {
			return err
		}
		insert = func(ctx context.Context, b []byte) error {
			_, err := db.ExecContext(ctx, `insert into bare (body) values (?)`, b)
			return err
		}
	default:
		return fmt.Errorf("bench: store %q", store)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err == nil {
			err = insert(r.Context(), body)
		}
		if err != nil {
			http.Error(w, "failed", http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusCreated)
	})}
	fmt.Printf("http://%s/\n", l.Addr())
	go srv.Serve(l)
	_, _ = io.Copy(io.Discard, os.Stdin) // until the parent lets go
	return srv.Shutdown(ctx)
}
