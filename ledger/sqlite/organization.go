package sqlite

import (
	"bytes"
	"context"

	"github.com/dosewire/dosewire/ledger"
)

// OrgPrescriptions returns what an organisation issued or was ever sent, newest first.
func (s *Store) OrgPrescriptions(ctx context.Context, org, before ledger.ID, limit int) ([]ledger.Prescription, error) {
	const q = `
	  SELECT * FROM (SELECT ` + prescriptionColumns + ` FROM prescription p
	    WHERE p.clinic = ?1 AND p.id < ?2 ORDER BY p.id DESC LIMIT ?3)
	  UNION SELECT * FROM (SELECT ` + prescriptionColumns + ` FROM delivered d JOIN prescription p ON p.id = d.prescription
	    WHERE d.pharmacy = ?1 AND d.prescription < ?2 ORDER BY d.prescription DESC LIMIT ?3)
	  ORDER BY id DESC LIMIT ?3`
	until := before[:]
	if before == (ledger.ID{}) {
		until = bytes.Repeat([]byte{0xff}, len(before))
	}
	one := func(r row) (ledger.Prescription, error) { return scanPrescription(r) }
	return list(ctx, s, "read an organisation's prescriptions", one, q, org[:], until, max(limit, 0))
}
