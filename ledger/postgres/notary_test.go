package postgres

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/ledgertest"
	"github.com/dosewire/dosewire/ledger/notary"
)

// watched is a ledger in PostgreSQL with a notary that reads it through the role dosewire_audit.
type watched struct {
	*notary.Notary
	store *Store
	head  ledger.Head
	root  *pgx.Conn // the superuser, triggers and foreign keys off
	chain *Chain
}

func watch(t *testing.T) *watched {
	t.Helper()
	ctx := t.Context()
	dsn := server.Database(t)
	if err := Migrate(ctx, dsn); err != nil {
		t.Fatal(err)
	}
	w := &watched{store: &Store{db{hubPool(t, dsn)}}}
	w.head = ledgertest.Fill(t, w.store, 20)
	root, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close(context.WithoutCancel(ctx)) })
	w.root = root
	w.do(t, `SET session_replication_role = replica`)
	w.do(t, `ALTER TABLE ledger DROP CONSTRAINT ledger_check, DROP CONSTRAINT ledger_check1, DROP CONSTRAINT ledger_entry_check1`)
	login := "audit_" + strings.ToLower(dsn[strings.LastIndexByte(dsn, '/')+1:strings.IndexByte(dsn, '?')])
	w.do(t, `CREATE ROLE `+login+` LOGIN IN ROLE dosewire_audit`)
	if w.chain, err = OpenChain(ctx, strings.Replace(dsn, "postgres@", login+"@", 1)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.chain.Close() })
	w.open(t)
	return w
}

func (w *watched) open(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	key, err := notary.LogKey(filepath.Join(dir, "key"), ledgertest.Origin)
	if err != nil {
		t.Fatal(err)
	}
	state, err := notary.OpenDir(filepath.Join(dir, "state"), 0o700)
	if err != nil {
		t.Fatal(err)
	}
	tiles, err := notary.OpenDir(filepath.Join(dir, "tiles"), 0o755)
	if err != nil {
		t.Fatal(err)
	}
	w.Notary, err = notary.Open(notary.Config{Origin: ledgertest.Origin, Source: w.chain, State: state, Tiles: tiles, Signer: key, Verifier: key.Verifier})
	if err != nil {
		t.Fatal(err)
	}
}

func (w *watched) do(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := w.root.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// put replaces an entry's bytes; PostgreSQL computes the leaf anew.
func (w *watched) put(t *testing.T, e ledger.Entry) {
	t.Helper()
	raw := e.Bytes()
	w.do(t, `UPDATE ledger SET entry = $2 WHERE idx = $1`, int64(e.Index), raw[:])
}

func (w *watched) all(t *testing.T) []ledger.Entry {
	t.Helper()
	all, err := w.store.Entries(t.Context(), 0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// relink recomputes the chain from an entry on, head included, as whoever owns the database can.
func (w *watched) relink(t *testing.T, from uint64, change func(*ledger.Entry)) {
	t.Helper()
	all := w.all(t)
	change(&all[from])
	prev := all[from].Leaf()
	w.put(t, all[from])
	for _, e := range all[from+1:] {
		e.Prev = prev
		prev = e.Leaf()
		w.put(t, e)
	}
	w.do(t, `UPDATE head SET leaf = $1`, prev[:])
}

// cut removes the tail from an entry on, head included.
func (w *watched) cut(t *testing.T, from uint64) {
	t.Helper()
	last := w.all(t)[from-1]
	leaf := last.Leaf()
	w.do(t, `DELETE FROM ledger WHERE idx >= $1`, int64(from))
	w.do(t, `UPDATE head SET size = $1, leaf = $2, time = $3`, int64(from), leaf[:], last.Time)
}

// TestNotaryAgainstTheOwner is what a superuser can do to the database, with triggers and foreign keys
// off; the notary, which may only read, names each at its next tick. Entries 0 to 22 are signed before.
func TestNotaryAgainstTheOwner(t *testing.T) {
	for name, tt := range map[string]struct {
		do   func(*testing.T, *watched)
		want error
		says string
	}{
		"nothing":  {func(*testing.T, *watched) {}, nil, ""},
		"growth":   {func(t *testing.T, w *watched) { ledgertest.Extend(t, w.store, w.head, 5) }, nil, ""},
		"tail cut": {func(t *testing.T, w *watched) { w.cut(t, 20) }, notary.ErrRollback, "23→20"},
		"an unsigned entry deleted": {func(t *testing.T, w *watched) {
			ledgertest.Extend(t, w.store, w.head, 5)
			w.do(t, `DELETE FROM ledger WHERE idx = 25`)
		}, notary.ErrGap, "entry 25"},
		"the last entry deleted": {func(t *testing.T, w *watched) { w.do(t, `DELETE FROM ledger WHERE idx = 22`) }, notary.ErrGap, "entry 22"},
		"an unsigned entry changed": {func(t *testing.T, w *watched) {
			ledgertest.Extend(t, w.store, w.head, 5)
			e := w.all(t)[24]
			e.Digest[0] ^= 1
			w.put(t, e)
		}, notary.ErrRewrite, "entry 25"},
		"unsigned entries swapped": {func(t *testing.T, w *watched) {
			ledgertest.Extend(t, w.store, w.head, 5)
			w.do(t, `UPDATE ledger SET idx = idx + 1000 WHERE idx IN (24, 25)`)
			w.do(t, `UPDATE ledger SET idx = 1049 - idx WHERE idx > 1000`)
		}, notary.ErrGap, "entry 24"},
		"whole chain recomputed": {func(t *testing.T, w *watched) {
			w.relink(t, 2, func(e *ledger.Entry) { e.Digest[0] ^= 1 })
		}, notary.ErrRewrite, "entry 22"},
		"set back and grown past": {func(t *testing.T, w *watched) {
			w.cut(t, 21)
			head, err := w.store.Head(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			w.do(t, `DELETE FROM statement WHERE idx >= 21`)
			head.Deliveries, head.Seq = w.head.Deliveries, w.head.Seq
			ledgertest.Extend(t, w.store, head, 9)
		}, notary.ErrRewrite, "entry 22"},
		"the hub's clock runs ahead": {func(t *testing.T, w *watched) {
			ledgertest.Extend(t, w.store, w.head, 2)
			w.relink(t, 24, func(e *ledger.Entry) { e.Time = time.Now().Add(time.Minute).UnixMilli() })
		}, notary.ErrClock, "entry 24"},
		"an entry is no entry": {func(t *testing.T, w *watched) {
			ledgertest.Extend(t, w.store, w.head, 2)
			w.do(t, `UPDATE ledger SET entry = decode(repeat('00', 114), 'hex') WHERE idx = 24`)
		}, ledger.ErrEntry, "entry 24"},
	} {
		t.Run(name, func(t *testing.T) {
			w := watch(t)
			if err := w.Tick(t.Context()); err != nil {
				t.Fatal(err)
			}
			tt.do(t, w)
			began := time.Now()
			err := w.Tick(t.Context())
			if tt.want == nil && err != nil || !errors.Is(err, tt.want) {
				t.Fatalf("tick: %v, want %v", err, tt.want)
			}
			if tt.want != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v does not say %q", err, tt.says)
			}
			t.Logf("%v, named within one tick, which took %v", err, time.Since(began).Round(time.Microsecond))
		})
	}
}

// TestChainIsReadOnly: the notary's sessions refuse to write whatever their role may do.
func TestChainIsReadOnly(t *testing.T) {
	dsn := server.Database(t)
	if err := Migrate(t.Context(), dsn); err != nil {
		t.Fatal(err)
	}
	c, err := OpenChain(t.Context(), dsn) // as superuser
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.pool.Exec(t.Context(), `DELETE FROM ledger`); err == nil || !strings.Contains(err.Error(), "25006") {
		t.Errorf("delete: %v, want SQLSTATE 25006", err)
	}
}
