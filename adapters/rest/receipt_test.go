package rest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/dosewire/dosewire/adapters/adaptertest"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/receipt"
)

// proof is a receipt as the hub would make it.
func proof() receipt.Receipt {
	return receipt.Receipt{Entry: ledger.Entry{Kind: ledger.KindRecord, Index: 7}, Opening: &receipt.Opening{1}, Checkpoint: []byte("signed\n")}
}

func TestReceipt(t *testing.T) {
	w := world(t)
	id := prescription(t, w, adaptertest.Request("rx-1"))
	path := "/fhir/MedicationRequest/" + id.String() + "/$receipt"

	resp := get(w, w.Clinic, path)
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") != "2" || len(w.Records.Accesses()) != 0 {
		t.Errorf("before a checkpoint: %d, Retry-After %q, %d accesses", resp.StatusCode, resp.Header.Get("Retry-After"), len(w.Records.Accesses()))
	}
	if body := text(t, resp); !strings.Contains(body, string(fault.CodeNotSigned)) {
		t.Errorf("refusal %s", body)
	}

	want := proof()
	w.Records.Proofs[id] = want
	for _, who := range []adaptertest.Member{w.Clinic, w.Pharmacy} {
		resp := get(w, who, path, "Rx-Person: staff-17")
		if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != receipt.MediaType || resp.Header.Get("Rx-Index") != "7" || len(resp.Header.Get("Rx-Leaf")) != 64 {
			t.Errorf("%d, %v", resp.StatusCode, resp.Header)
		}
		if body := text(t, resp); body != string(want.Bytes()) {
			t.Errorf("got %q, want %q", body, want.Bytes())
		}
	}
	all := w.Records.Accesses()
	if len(all) != 2 || all[0].Action != "receipt" || all[0].Person != "staff-17" || all[0].Records[0] != id {
		t.Errorf("accesses %+v", all)
	}
	stranger := w.Records.Prescriptions[id]
	stranger.Pharmacy, stranger.Clinic = ledger.ID{9}, ledger.ID{8}
	w.Records.Prescriptions[id] = stranger
	if resp := get(w, w.Pharmacy, path); resp.StatusCode != http.StatusNotFound {
		t.Errorf("a pharmacy that it is not with: %d", resp.StatusCode)
	}
	if n := len(w.Records.Accesses()); n != 2 {
		t.Errorf("%d accesses after a refusal", n)
	}
}

// TestReceiptWithoutOpening: with the opening a pharmacy could guess at what else the clinic's message
// holds.
func TestReceiptWithoutOpening(t *testing.T) {
	w := world(t)
	bundle := adaptertest.Bundle("transaction", "m", adaptertest.Request("rx-1"), adaptertest.Request("rx-2"))
	record := w.Records.Add(ledger.Record{Org: w.Clinic.Org, Type: "Bundle"}, []byte(bundle))
	id := ledger.ID{7: 1, 15: 1}
	put(t, w, ledger.Prescription{ID: id, Record: record, Clinic: w.Clinic.Org, Pharmacy: w.Pharmacy.Org, Status: "ready", Version: 1}, record.String()+"#0")
	w.Records.Proofs[record] = proof()
	path := "/fhir/MedicationRequest/" + id.String() + "/$receipt"
	bare := proof()
	bare.Opening = nil
	for _, c := range []struct {
		who  adaptertest.Member
		want receipt.Receipt
	}{{w.Clinic, proof()}, {w.Pharmacy, bare}} {
		if got := text(t, get(w, c.who, path)); got != string(c.want.Bytes()) {
			t.Errorf("got %q, want %q", got, c.want.Bytes())
		}
	}
}
