package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"testing"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/ledgertest"
)

// owner is whoever owns the file: no foreign keys, no triggers.
func owner(t *testing.T, s *Store) *sql.Conn {
	t.Helper()
	c, err := s.write.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	triggers := []string{"ledger_no_update", "ledger_no_delete", "record_no_delete", "record_only_erasure", "record_erasure_entry", "head_moves",
		"statement_no_update", "access_only_chained", "ledger_links"}
	for _, name := range triggers {
		must(t, c, "DROP TRIGGER "+name)
	}
	must(t, c, "PRAGMA foreign_keys = 0")
	must(t, c, "PRAGMA ignore_check_constraints = 1")
	return c
}

func must(t *testing.T, c *sql.Conn, query string, args ...any) {
	t.Helper()
	done, err := c.ExecContext(t.Context(), query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	if n, _ := done.RowsAffected(); n == 0 && len(args) > 0 {
		t.Fatalf("%s: touched nothing", query)
	}
}

func entryAt(t *testing.T, s *Store, i uint64) ledger.Entry {
	t.Helper()
	for row, err := range s.Rows(t.Context(), i) {
		if err != nil {
			t.Fatal(err)
		}
		return row.Entry
	}
	t.Fatalf("no entry %d", i)
	return ledger.Entry{}
}

func setEntry(t *testing.T, c *sql.Conn, at uint64, e ledger.Entry) {
	t.Helper()
	raw, leaf := e.Bytes(), e.Leaf()
	must(t, c, "UPDATE ledger SET entry = ?, leaf = ? WHERE idx = ?", raw[:], leaf[:], at)
}

// TestTampering is what the owner of the file can do to it. Each row names the error and the entry
// that a verification without any key must stop at. Entries: 0 genesis, 1–6 records, 7 access, 8
// statement.
func TestTampering(t *testing.T) {
	const blot = "CAST(substr(sealed, 1, 20) || x'0000000000000000' || substr(sealed, 29) AS BLOB)"
	for name, tt := range map[string]struct {
		do    func(*testing.T, *Store, *sql.Conn)
		want  error
		index uint64
	}{
		"nothing": {func(*testing.T, *Store, *sql.Conn) {}, nil, 0},
		"entry deleted": {func(t *testing.T, _ *Store, c *sql.Conn) {
			must(t, c, "DELETE FROM ledger WHERE idx = ?", 3)
		}, ledger.ErrChain, 3},
		"entry changed": {func(t *testing.T, s *Store, c *sql.Conn) {
			e := entryAt(t, s, 3)
			e.Commitment[0] ^= 1
			setEntry(t, c, 3, e)
		}, ledger.ErrChain, 4},
		"time changed": {func(t *testing.T, s *Store, c *sql.Conn) {
			e := entryAt(t, s, 3)
			e.Time++
			setEntry(t, c, 3, e)
		}, ledger.ErrChain, 4},
		"entry is not an entry": {func(t *testing.T, _ *Store, c *sql.Conn) {
			must(t, c, "UPDATE ledger SET entry = zeroblob(114) WHERE idx = ?", 4)
		}, ledger.ErrEntry, 4},
		"entries swapped": {func(t *testing.T, s *Store, c *sql.Conn) {
			a, b := entryAt(t, s, 2), entryAt(t, s, 3)
			setEntry(t, c, 2, b)
			setEntry(t, c, 3, a)
		}, ledger.ErrChain, 2},
		"record deleted": {func(t *testing.T, _ *Store, c *sql.Conn) {
			must(t, c, "DELETE FROM record WHERE idx = ?", 2)
		}, ledger.ErrMissing, 2},
		"ciphertext changed": {func(t *testing.T, _ *Store, c *sql.Conn) {
			must(t, c, "UPDATE record SET sealed = "+blot+" WHERE idx = ?", 2)
		}, ledger.ErrDigest, 2},
		"header changed": {func(t *testing.T, _ *Store, c *sql.Conn) {
			must(t, c, "UPDATE record SET org = zeroblob(16) WHERE idx = ?", 6)
		}, ledger.ErrDigest, 6},
		"ciphertexts swapped": {func(t *testing.T, _ *Store, c *sql.Conn) {
			must(t, c, "UPDATE record SET sealed = (SELECT r.sealed FROM record r WHERE r.idx = 9 - record.idx) WHERE idx IN (?, 5)", 4)
		}, ledger.ErrDigest, 4},
		"emptied without an erasure": {func(t *testing.T, _ *Store, c *sql.Conn) {
			must(t, c, "UPDATE record SET sealed = NULL, key_id = NULL, erased_by = 8 WHERE idx = ?", 5)
		}, ledger.ErrErasure, 5},
		"access changed": {func(t *testing.T, _ *Store, c *sql.Conn) {
			must(t, c, "UPDATE access SET person = ?", "nobody")
		}, ledger.ErrDigest, 7},
		"access deleted": {func(t *testing.T, _ *Store, c *sql.Conn) {
			must(t, c, "DROP TRIGGER access_no_delete")
			must(t, c, "DELETE FROM access WHERE idx = ?", 7)
		}, ledger.ErrMissing, 7},
		"statement changed": {func(t *testing.T, _ *Store, c *sql.Conn) {
			must(t, c, "UPDATE statement SET text = ? WHERE idx = 8", "another policy")
		}, ledger.ErrDigest, 8},
		"head's time ahead": {func(t *testing.T, s *Store, c *sql.Conn) {
			must(t, c, "UPDATE head SET time = time + ?", 864000000)
			c.Close() // it holds the one connection that writes
			if _, _, err := s.Acquire(t.Context(), 0); !errors.Is(err, ledger.ErrHead) {
				t.Errorf("Acquire: %v, want ErrHead", err)
			}
		}, ledger.ErrHead, 8},
		"leaf changed": {func(t *testing.T, _ *Store, c *sql.Conn) {
			must(t, c, "UPDATE ledger SET leaf = zeroblob(32) WHERE idx = ?", 8)
		}, ledger.ErrEntry, 8},
		"head deleted": {func(t *testing.T, _ *Store, c *sql.Conn) {
			if _, err := c.ExecContext(t.Context(), "DROP TRIGGER IF EXISTS head_no_delete"); err != nil {
				t.Fatal(err)
			}
			must(t, c, "DELETE FROM head WHERE size = ?", 9)
		}, ledger.ErrHead, noEntry},
		"tail cut": {func(t *testing.T, _ *Store, c *sql.Conn) {
			must(t, c, "DELETE FROM ledger WHERE idx >= ?", 7)
		}, ledger.ErrHead, 7},
		"head set back": {func(t *testing.T, s *Store, c *sql.Conn) {
			leaf := entryAt(t, s, 6).Leaf()
			must(t, c, "UPDATE head SET size = 7, leaf = ?", leaf[:])
		}, ledger.ErrHead, 7},
		"head's leaf changed": {func(t *testing.T, _ *Store, c *sql.Conn) {
			must(t, c, "UPDATE head SET leaf = ?", make([]byte, 32))
		}, ledger.ErrHead, 8},
		"rewritten from the first record on": {func(t *testing.T, s *Store, c *sql.Conn) {
			rewrite(t, s, c, 1)
		}, nil, 0}, // consistent in itself: only an outside witness knows better, see TestRewriteAgainstKnownHead
		"another origin": {func(t *testing.T, s *Store, c *sql.Conn) {
			e := entryAt(t, s, 0)
			e.Prev[0] ^= 1
			setEntry(t, c, 0, e)
		}, ledger.ErrChain, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			ledgertest.Fill(t, s, 6)
			c := owner(t, s)
			tt.do(t, s, c)
			c.Close()
			demand(t, s, ledger.Head{Leaf: ledger.Origin(ledgertest.Origin)}, tt.want, tt.index)
		})
	}
}

// noEntry: nothing that is named by an entry.
const noEntry = 1 << 40

func demand(t *testing.T, s *Store, from ledger.Head, want error, index uint64) {
	t.Helper()
	_, seen, err := ledger.Verify(t.Context(), s, from, nil)
	if want == nil {
		if err != nil {
			t.Fatalf("Verify: %v", err)
		}
		if from.Size == 0 && (seen.Entries != 9 || seen.Records != 6 || seen.Accesses != 1 || seen.Statements != 2) {
			t.Errorf("seen: %+v", seen)
		}
		return
	}
	if !errors.Is(err, want) || fault.KindOf(err) != fault.Tampered {
		t.Fatalf("Verify: %v, want %v", err, want)
	}
	bad, ok := errors.AsType[*ledger.BadEntry](err)
	if ok != (index != noEntry) || ok && bad.Index != index {
		t.Errorf("Verify: %v, want entry %d", err, index)
	}
}

// rewrite makes a consistent chain with other contents: what a patient owner of the file would do.
func rewrite(t *testing.T, s *Store, c *sql.Conn, from uint64) {
	t.Helper()
	h, err := s.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	prev := entryAt(t, s, from-1).Leaf()
	for i := from; i < h.Size; i++ {
		e := entryAt(t, s, i)
		e.Prev = prev
		if i == from {
			e.Commitment[0] ^= 1
		}
		setEntry(t, c, i, e)
		prev = e.Leaf()
	}
	must(t, c, "UPDATE head SET leaf = ?", prev[:])
}

// TestRewriteAgainstKnownHead: whoever kept one head notices a rewrite and a rollback at once.
func TestRewriteAgainstKnownHead(t *testing.T) {
	s := open(t)
	known := ledgertest.Fill(t, s, 6)
	demand(t, s, known, nil, 0)
	c := owner(t, s)
	rewrite(t, s, c, 3)
	demand(t, s, known, ledger.ErrHead, 8)

	must(t, c, "DELETE FROM ledger WHERE idx >= ?", 5)
	leaf := entryAt(t, s, 4).Leaf()
	must(t, c, "UPDATE head SET size = 5, leaf = ?", leaf[:])
	demand(t, s, known, ledger.ErrHead, 5)
}

// TestErasureNeedsItsEntry: the triggers let a record be emptied in the commit of an erasure entry and
// in no other way.
func TestErasureNeedsItsEntry(t *testing.T) {
	s := open(t)
	ledgertest.Fill(t, s, 2)
	for _, half := range []string{
		"UPDATE record SET sealed = NULL WHERE idx = 1",
		"UPDATE record SET sealed = NULL, key_id = NULL WHERE idx = 1",
		"UPDATE record SET sealed = NULL, key_id = NULL, erased_by = 4 WHERE idx = 1",
		"UPDATE record SET sealed = NULL, key_id = NULL, erased_by = 99 WHERE idx = 1",
	} {
		_, err := s.write.ExecContext(t.Context(), half)
		if err == nil {
			t.Errorf("%s: accepted", half)
		}
	}
}

// TestVerifyWhileWriting: a chain that grows under the verifier is not a broken one.
func TestVerifyWhileWriting(t *testing.T) {
	s := open(t)
	h := ledgertest.Fill(t, s, 300)
	grown := false
	at, seen, err := ledger.Verify(t.Context(), growing{s, func() {
		if !grown {
			grown = true
			h = ledgertest.Extend(t, s, h, 300)
		}
	}}, ledger.Head{}, nil)
	if err != nil || at.Size != h.Size || seen.Entries != h.Size {
		t.Errorf("Verify: reached %d, %v, want %d", at.Size, err, h.Size)
	}
}

// growing lets the chain grow after the verifier has read the head.
type growing struct {
	*Store
	grow func()
}

func (g growing) Head(ctx context.Context) (ledger.Head, error) {
	defer g.grow()
	return g.Store.Head(ctx)
}

func BenchmarkVerify(b *testing.B) { ledgertest.BenchmarkVerify(b, open(b)) }

// TestDirectoryTampering: the identifier of nobody routes to nobody, least of all to the first organisation, and
// intents that are no list are not what was written.
func TestDirectoryTampering(t *testing.T) {
	s := open(t)
	c := owner(t, s)
	must(t, c, "INSERT INTO organization (id, kind, name, sandbox, disabled, signature, anchors) VALUES (zeroblob(16), 'pharmacy', 'First', 0, 0, '', '')")
	must(t, c, "INSERT INTO organization_identifier (system, value, org, position) VALUES ('urn:a', '1', randomblob(16), 0)")
	orgs, _, err := s.Directory(t.Context())
	if err != nil || len(orgs) != 1 || len(orgs[0].Identifiers) != 0 {
		t.Errorf("an identifier of nobody: %v %v", orgs, err)
	}
	must(t, c, "UPDATE organization SET intents = 'x'")
	if _, _, err = s.Directory(t.Context()); fault.KindOf(err) != fault.Tampered {
		t.Errorf("intents that are no list: %v", err)
	}
}
