package main

import (
	"context"
	"database/sql"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	_ "modernc.org/sqlite" // for tamper: the driver "sqlite"

	"github.com/dosewire/dosewire/internal/hub/admin"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"dosewire": main})
}

// TestScripts runs the real program as scripts that read like a manual page. Each has its own data
// folder and free ports.
func TestScripts(t *testing.T) {
	testdata, err := filepath.Abs("../../testdata")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("DOSEWIRE_DATA", filepath.Join(e.WorkDir, "data"))
			for _, variable := range []string{"DOSEWIRE_HTTP_ADDRESS", "DOSEWIRE_NATS_ADDRESS"} {
				address, err := free()
				if err != nil {
					return err
				}
				e.Setenv(variable, address)
			}
			e.Setenv("DEMO", filepath.Join(testdata, "demo"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ready":  ready,
			"tamper": tamper,
			"exits":  exits,
		},
	})
}

// free is an address that nobody listens on at the moment: a restarted hub must be found where the
// credentials say.
func free() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// ready waits until the hub of this script serves.
func ready(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: ready")
	}
	op := admin.NewClient(filepath.Join(ts.Getenv("DOSEWIRE_DATA"), "admin.sock"))
	for began := time.Now(); time.Since(began) < 30*time.Second; {
		s, err := op.Status(context.Background())
		if err == nil && s.Components["recorder"] == "ok" {
			return
		}
		time.Sleep(20 * time.Millisecond) // between two looks at another process
	}
	ts.Fatalf("the hub is not ready after 30 s")
}

// tamper runs SQL on the records database as the owner of the file could: without triggers.
func tamper(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: tamper 'SQL'")
	}
	path := filepath.Join(ts.Getenv("DOSEWIRE_DATA"), "records.db")
	if _, err := os.Stat(path); err != nil {
		ts.Fatalf("%v", err)
	}
	db, err := sql.Open("sqlite", "file:"+path)
	ts.Check(err)
	defer db.Close()
	rows, err := db.Query("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
	ts.Check(err)
	var drop []string
	for rows.Next() {
		var name string
		ts.Check(rows.Scan(&name))
		drop = append(drop, "DROP TRIGGER "+name)
	}
	ts.Check(rows.Err())
	_, err = db.Exec(strings.Join(append(drop, "PRAGMA ignore_check_constraints = 1"), ";"))
	ts.Check(err)
	done, err := db.Exec(args[0])
	ts.Check(err)
	if n, err := done.RowsAffected(); err != nil || n == 0 && !strings.HasPrefix(args[0], "ALTER") {
		ts.Fatalf("nothing was changed (%v)", err)
	}
}
