package sqlite

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/ledgertest"
)

// TestErasureLeavesNoTraces: once it is finished the file has an erased key's id where erased keys are
// listed and in no freed cell, and nothing of the ciphertext.
func TestErasureLeavesNoTraces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "records.db")
	if err := Migrate(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	head := ledgertest.Fill(t, s, 300)
	var erased []ledger.Record
	for row, err := range s.Rows(t.Context(), 20) {
		if err != nil {
			t.Fatal(err)
		}
		if erased = append(erased, *row.Record); len(erased) == 40 {
			break
		}
	}
	head = ledgertest.Erase(t, s, head, erased...)
	if err := s.FinishErasure(t.Context(), head.Size-1); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	for _, r := range erased {
		if n := bytes.Count(all, r.KeyID[:]); n != 1 {
			t.Errorf("the key id of entry %d is there %d times, want once", r.Index, n)
		}
		if bytes.Contains(all, r.Sealed[100:140]) {
			t.Errorf("the ciphertext of entry %d is there", r.Index)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
