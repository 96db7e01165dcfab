package ledgertest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

func testFirstTerm(t *testing.T, s Backend) {
	ctx := t.Context()
	h, now, err := s.Acquire(ctx, 0)
	if err != nil {
		t.Fatalf("Acquire: %v", err)
	}
	if h.Term != 1 {
		t.Errorf("first term %d, want 1", h.Term)
	}
	if d := time.Since(now).Abs(); d > time.Minute {
		t.Errorf("the database's clock is off by %v", d)
	}
	same(t, "head", head(t, s), h)
	for _, term := range []uint64{0, 2, 99} { // nobody else may, whatever term they claim
		if _, _, err := s.Acquire(ctx, term); !errors.Is(err, ledger.ErrLeased) {
			t.Errorf("Acquire(%d) while leased: %v, want ErrLeased", term, err)
		}
	}
	again, _, err := s.Acquire(ctx, h.Term)
	if err != nil {
		t.Fatalf("renew: %v", err)
	}
	same(t, "head after renewal", again, h)
}

// testTakeover shows that a commit renews the lease, that a silent holder loses it, and that the
// deposed one can write no more.
func testTakeover(t *testing.T, s Backend) {
	ctx := t.Context()
	h := begin(t, s)
	time.Sleep(ledger.Lease / 2) // so that the renewal can be told from the first lease
	renewed := time.Now()
	b := newBatch(h)
	b.record(10)
	h = commit(t, s, b)

	next := awaitTerm(t, s, 3*ledger.Lease)
	if d := time.Since(renewed); d < ledger.Lease-200*time.Millisecond {
		t.Errorf("taken over %v after a commit, want no sooner than %v", d, ledger.Lease)
	}
	if next.Term != h.Term+1 {
		t.Errorf("term %d, want %d", next.Term, h.Term+1)
	}
	deposed := newBatch(h)
	deposed.record(10)
	if err := s.Commit(ctx, &deposed.Batch); !errors.Is(err, ledger.ErrHeadMoved) {
		t.Errorf("deposed commit: %v, want ErrHeadMoved", err)
	}
	nothingOf(t, s, deposed, next)
	if _, _, err := s.Acquire(ctx, h.Term); !errors.Is(err, ledger.ErrLeased) {
		t.Errorf("deposed renewal: %v, want ErrLeased", err)
	}
	b = newBatch(next)
	b.record(10)
	commit(t, s, b)
	walk(t, s)
}

// awaitTerm asks for the lease until it is given.
func awaitTerm(t *testing.T, s Store, atMost time.Duration) ledger.Head {
	t.Helper()
	for end := time.Now().Add(atMost); time.Now().Before(end); {
		h, _, err := s.Acquire(t.Context(), 0)
		if err == nil {
			return h
		}
		if fault.KindOf(err) != fault.Unavailable {
			t.Fatalf("Acquire: %v", err)
		}
		time.Sleep(20 * time.Millisecond) // the lease runs by the database's clock: asking is the only way
	}
	t.Fatalf("no takeover within %v", atMost)
	return ledger.Head{}
}

// testRelease shows that a lease given back is free at once, and that a deposed holder cannot give
// back another's.
func testRelease(t *testing.T, s Backend) {
	ctx := t.Context()
	first, _, err := s.Acquire(ctx, 0)
	if err != nil {
		t.Fatalf("Acquire: %v", err)
	}
	if err := s.Release(ctx, first.Term); err != nil {
		t.Fatalf("Release: %v", err)
	}
	second, _, err := s.Acquire(ctx, 0)
	if err != nil || second.Term != first.Term+1 {
		t.Fatalf("Acquire after Release: term %d, %v", second.Term, err)
	}
	if err := s.Release(ctx, first.Term); err != nil {
		t.Errorf("Release of an old term: %v", err)
	}
	if _, _, err := s.Acquire(ctx, 0); !errors.Is(err, ledger.ErrLeased) {
		t.Errorf("Acquire: %v, want ErrLeased", err)
	}
}

// testBehindTheHead puts an entry behind the head with no other rights than the hub's: from then on the
// head is not the chain's end, and nothing is appended, by that name.
func testBehindTheHead(t *testing.T, s Backend) {
	ctx := t.Context()
	h := begin(t, s)
	b := newBatch(h)
	b.record(10)
	raw, leaf := b.Entries[0].Bytes(), b.Entries[0].Leaf()
	err := s.Exec(ctx, fmt.Sprintf(`INSERT INTO ledger (idx, entry, leaf) VALUES (%d, x'%x', x'%x')`, h.Size, raw, leaf))
	if err != nil { // PostgreSQL computes the leaf, and calls that a string of bits
		err = s.Exec(ctx, fmt.Sprintf(`INSERT INTO ledger (idx, entry) VALUES (%d, '\x%x')`, h.Size, raw))
	}
	if err != nil {
		t.Fatalf("the hub's role may insert: %v", err)
	}
	if err := s.Commit(ctx, &b.Batch); !errors.Is(err, ledger.ErrHead) {
		t.Errorf("Commit: %v, want ErrHead", err)
	}
	if _, _, err := s.Acquire(ctx, h.Term); !errors.Is(err, ledger.ErrHead) {
		t.Errorf("Acquire: %v, want ErrHead", err)
	}
}
