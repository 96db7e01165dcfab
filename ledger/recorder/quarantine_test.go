package recorder_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/streams"
)

// TestQuarantineIsBoundedForEachOrganization: a flood of refused bodies does not grow the database
// without end, each is still accounted for, and another organisation's is kept whole.
func TestQuarantineIsBoundedForEachOrganization(t *testing.T) {
	h := open(t)
	const size, sent = 1 << 20, 24
	var m []streams.Message
	for i := range sent {
		body := fmt.Appendf(nil, `{"resourceType":"MedicationRequest","status":"%d","note":"%s"}`, i, bytes.Repeat([]byte("x"), size-100))
		if a := h.send(h.clinic, fmt.Sprint("m", i), body); a.Status != 422 {
			t.Fatalf("refusal %d: %+v", i, a)
		}
		m = append(m, message(h.clinic2, "other", body))
	}
	h.call(m[0])
	db, err := sql.Open("sqlite", filepath.Join(h.dir, "records.db"))
	h.must(err)
	defer db.Close()
	count := func(org [16]byte) (rows, bytes int) {
		h.must(db.QueryRowContext(t.Context(), `SELECT count(*), sum(length(sealed)) FROM quarantine WHERE org = ?`, org[:]).Scan(&rows, &bytes))
		return rows, bytes
	}
	if rows, bytes := count(h.clinic.ID); rows != sent || bytes > 17<<20 || bytes < 15<<20 {
		t.Errorf("%d rows of %d bytes, want %d of about 16 MiB", rows, bytes, sent)
	}
	if rows, bytes := count(h.clinic2.ID); rows != 1 || bytes < size-100 {
		t.Errorf("of another: %d rows of %d bytes", rows, bytes)
	}
}

// What is decided more than once is counted once.
func TestQuarantineIsCountedOnce(t *testing.T) {
	var f faults
	h := open(t, f.with)
	const size, sent = 1 << 20, 16
	for i := range sent {
		if i == sent-1 {
			f.arm("before commit", 2, fault.Of(fault.CodeUnavailable))
		}
		body := fmt.Appendf(nil, `{"resourceType":"MedicationRequest","status":"%d","note":"%s"}`, i, bytes.Repeat([]byte("x"), size-100))
		if a := h.send(h.clinic, fmt.Sprint("m", i), body); a.Status != 422 {
			t.Fatalf("refusal %d: %+v", i, a)
		}
	}
	if f.hits() != 2 {
		t.Fatalf("failed %d times", f.hits())
	}
	all, err := h.store.Quarantine(t.Context(), ledger.Place{}, sent)
	h.must(err)
	for i, q := range all {
		if len(q.Sealed) < size-100 {
			t.Errorf("refusal %d: %d bytes are kept", i, len(q.Sealed))
		}
	}
}
