package ledgertest

import (
	"slices"
	"testing"

	"github.com/dosewire/dosewire/ledger"
)

// testOrgPrescriptions: what an organisation issued and what it was sent, each once, in pages.
func testOrgPrescriptions(t *testing.T, s Backend) {
	b := newBatch(begin(t, s))
	r := b.record(50)
	clinic, pharmacy := newID(), newID()
	issued := func(p *ledger.Prescription) { p.Clinic = clinic }
	var all []ledger.Prescription
	for range 5 {
		p := b.prescription(r, issued)
		all = append(all, p)
		b.Delivered = append(b.Delivered, ledger.Delivered{Pharmacy: pharmacy, Prescription: p.ID})
	}
	stray := b.prescription(r) // of another clinic, sent to the pharmacy
	b.Delivered = append(b.Delivered, ledger.Delivered{Pharmacy: pharmacy, Prescription: stray.ID},
		ledger.Delivered{Pharmacy: clinic, Prescription: all[0].ID}) // to itself: still once
	b.prescription(r)
	commit(t, s, b)

	slices.Reverse(all)
	for _, tt := range []struct {
		name        string
		org, before ledger.ID
		limit       int
		want        []ledger.Prescription
	}{
		{"a clinic's", clinic, ledger.ID{}, 10, all},
		{"a page", clinic, ledger.ID{}, 2, all[:2]},
		{"the next page", clinic, all[1].ID, 2, all[2:4]},
		{"the last page", clinic, all[3].ID, 2, all[4:]},
		{"behind the end", clinic, all[4].ID, 2, nil},
		{"a pharmacy's", pharmacy, ledger.ID{}, 10, append([]ledger.Prescription{stray}, all...)},
		{"a stranger's", newID(), ledger.ID{}, 10, nil},
	} {
		got, err := s.OrgPrescriptions(t.Context(), tt.org, tt.before, tt.limit)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		same(t, tt.name, got, tt.want)
	}
}
