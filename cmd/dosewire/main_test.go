package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	_ "modernc.org/sqlite" // for tamper: the driver "sqlite"

	"github.com/dosewire/dosewire/internal/hub/admin"
	"github.com/dosewire/dosewire/internal/signature/signaturetest"
	"github.com/dosewire/dosewire/internal/testenv"
	"github.com/dosewire/dosewire/ledger"
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
	keys := signers(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("DOSEWIRE_DATA", filepath.Join(e.WorkDir, "data"))
			for _, variable := range []string{"DOSEWIRE_HTTP_ADDRESS", "DOSEWIRE_NATS_ADDRESS", "WITNESS"} {
				address, err := free()
				if err != nil {
					return err
				}
				e.Setenv(variable, address)
			}
			e.Setenv("DEMO", filepath.Join(testdata, "demo"))
			e.Setenv("KEYS", keys)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ready":   ready,
			"tamper":  tamper,
			"publish": publish,
			"spoil":   spoil,
			"fetch":   fetch,
			"rewrite": rewrite,
			"exits":   exits,
		},
	})
}

// signers is a folder with a prescriber's key, certificates and authority, and a stranger's.
func signers(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	ca := signaturetest.NewAuthority(t, "Northgate CA", time.Now())
	dr, stranger := ca.Sub(t, "Northgate prescribers").Signer(t), signaturetest.NewAuthority(t, "Northgate CA", time.Now()).Signer(t)
	for name, text := range map[string][]byte{
		"ca.pem": []byte(ca.PEM()), "dr-key.pem": dr.KeyPEM(t), "dr.pem": dr.ChainPEM(),
		"stranger-key.pem": stranger.KeyPEM(t), "stranger.pem": stranger.ChainPEM(),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
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

// publish writes tiles and a trust policy as a notary does: publish FOLDER POLICY [WITNESSES].
func publish(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: publish FOLDER POLICY")
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(ts.Getenv("DOSEWIRE_DATA"), "records.db"))
	ts.Check(err)
	defer db.Close()
	log := testenv.Log{Origin: "dosewire.example/log", Witnesses: 2, Now: 1_790_000_000}
	rows, err := db.Query("SELECT entry FROM ledger ORDER BY idx")
	ts.Check(err)
	defer rows.Close()
	for rows.Next() {
		var raw []byte
		ts.Check(rows.Scan(&raw))
		e, err := ledger.Parse(raw)
		ts.Check(err)
		log.Entries = append(log.Entries, e)
	}
	ts.Check(rows.Err())
	ts.Check(log.Publish(ts.MkAbs(args[0])))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(log.Policy(2)), 0o644))
}

// spoil changes one byte of a folder's only file.
func spoil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: spoil FOLDER OFFSET")
	}
	files, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "*"))
	ts.Check(err)
	if len(files) == 0 {
		ts.Fatalf("no file")
	}
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	for _, f := range files {
		b, err := os.ReadFile(f)
		ts.Check(err)
		if at < len(b) {
			b[at] ^= 1
			ts.Check(os.WriteFile(f, b, 0o644))
		}
	}
}

// fetch reads a path of the hub as the owner of a credential into a file, and prints status and
// Retry-After. @rx in the path is the content of the file rx.
func fetch(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: fetch CREDENTIAL PATH FILE")
	}
	var who admin.Credential
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &who))
	path := args[1]
	path = strings.Replace(path, "@rx", strings.TrimSpace(ts.ReadFile("rx")), 1)
	r, err := http.NewRequest(http.MethodGet, who.URL+path, nil)
	ts.Check(err)
	r.Header.Set("Authorization", "Bearer "+who.Token)
	resp, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), body, 0o644))
	fmt.Fprintln(ts.Stdout(), resp.StatusCode, resp.Header.Get("Retry-After"))
}

// rewrite recomputes the whole chain from an entry on, as the owner of the file could: it is a
// consistent chain of another history.
func rewrite(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: rewrite ENTRY")
	}
	from, err := strconv.ParseUint(args[0], 10, 64)
	ts.Check(err)
	tamper(ts, false, []string{"UPDATE head SET time = time + 1"}) // and the triggers are gone
	db, err := sql.Open("sqlite", "file:"+filepath.Join(ts.Getenv("DOSEWIRE_DATA"), "records.db"))
	ts.Check(err)
	defer db.Close()
	rows, err := db.Query("SELECT entry FROM ledger ORDER BY idx")
	ts.Check(err)
	var all []ledger.Entry
	for rows.Next() {
		var raw []byte
		ts.Check(rows.Scan(&raw))
		e, err := ledger.Parse(raw)
		ts.Check(err)
		all = append(all, e)
	}
	ts.Check(rows.Err())
	ts.Check(rows.Close())
	var leaf ledger.Hash
	for i := range all {
		e := &all[i]
		if e.Index > from {
			e.Prev = leaf
		}
		if e.Index >= from {
			e.Time++
		}
		leaf = e.Leaf()
		raw := e.Bytes()
		_, err := db.Exec("UPDATE ledger SET entry = ?, leaf = ? WHERE idx = ?", raw[:], leaf[:], e.Index)
		ts.Check(err)
	}
	_, err = db.Exec("UPDATE head SET leaf = ?", leaf[:])
	ts.Check(err)
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
