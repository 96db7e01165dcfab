package inbox

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"github.com/dosewire/dosewire/internal/testenv"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/receipt"
	"github.com/dosewire/dosewire/ledger/trust"
)

// TestVerifierOfThePage runs the page's own module under Node.js over the shared vectors.
func TestVerifierOfThePage(t *testing.T) {
	out, code := testenv.Node(t, "testdata/vectors.mjs")
	var count, wrong int
	if _, err := fmt.Sscan(out, &count, &wrong); err != nil || code != 0 || count < 50 || wrong != 0 {
		t.Errorf("%d verdicts, %d wrong, exit code %d, %v", count, wrong, code, err)
	}
}

// proven puts a record into a signed log and gives the patient its receipt.
func (w *world) proven(t *testing.T, record ledger.ID) *testenv.Log {
	t.Helper()
	log := &testenv.Log{Origin: "dosewire.example/log", Witnesses: 2, Now: 1_790_000_000}
	log.Append(4, ledger.KindRecord)
	opening := receipt.Opening{1, 2, 3}
	log.Append(1, ledger.KindRecord)
	log.Entries[4].Commitment = sha256.Sum256(append(opening[:], w.records[record].Body...))
	log.Append(3, ledger.KindAccess)
	dir := t.TempDir()
	if err := log.Publish(dir); err != nil {
		t.Fatal(err)
	}
	proof, err := receipt.Make(t.Context(), receipt.Dir(dir), trust.Unjudged, log.Entries[4], &opening)
	if err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.proofs[record] = proof
	w.app.policy = func() ([]byte, error) { return []byte(log.Policy(2)), nil }
	return log
}

func (w *world) recordOf(id ledger.ID) ledger.ID {
	p, err := w.Prescription(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return p.Record
}

func TestCheckThisRecord(t *testing.T) {
	h := newHousehold(t)
	c := h.client(h.serve()).signIn(h.world, h.ada)
	at := "/inbox/p/" + h.collect.String()
	if _, page := c.get(at); !strings.Contains(page, `href="`+at+`/check"`) {
		t.Error("the prescription's page does not lead to the check")
	}
	if res, page := c.get(at + "/check"); res.StatusCode != 200 || !strings.Contains(page, "Check this record") || strings.Contains(page, "Lisinopril") {
		t.Errorf("check: %d", res.StatusCode)
	}
	if res, _ := c.get(at + "/receipt"); res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
		t.Errorf("before a checkpoint: %d", res.StatusCode)
	}
	if res, _ := c.get("/inbox/policy"); res.StatusCode != 404 {
		t.Errorf("no policy: %d", res.StatusCode)
	}

	log := h.proven(t, h.recordOf(h.collect))
	before := len(h.reads)
	_, proof := c.get(at + "/receipt")
	_, message := c.get(at + "/original")
	_, policy := c.get("/inbox/policy")
	p, err := trust.ParsePolicy([]byte(policy))
	if err != nil {
		t.Fatal(err)
	}
	v, err := receipt.Verify([]byte(proof), p, []byte(message))
	if err != nil || !v.Message || v.Entry.Index != 4 || v.Origin != log.Origin {
		t.Errorf("%+v, %v", v, err)
	}
	h.mu.Lock()
	reads := h.reads[before:]
	h.mu.Unlock()
	if len(reads) != 2 || reads[0].Action != "receipt" || reads[1].Action != "read" || reads[0].Patient != h.ada {
		t.Errorf("accesses %+v", reads)
	}
}

// TestCheckIsForTheOwnPatient: another patient's record is not found, by any of its pages.
func TestCheckIsForTheOwnPatient(t *testing.T) {
	h := newHousehold(t)
	h.proven(t, h.recordOf(h.collect))
	c := h.client(h.serve()).signIn(h.world, ledger.ID{15: 77})
	for _, page := range []string{"check", "receipt", "original"} {
		if res, _ := c.get("/inbox/p/" + h.collect.String() + "/" + page); res.StatusCode != 404 {
			t.Errorf("%s: %d", page, res.StatusCode)
		}
		if res, _ := c.get("/inbox/p/x/" + page); res.StatusCode != 404 {
			t.Errorf("%s of nothing: %d", page, res.StatusCode)
		}
	}
}
