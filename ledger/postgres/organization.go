package postgres

import (
	"bytes"
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/dosewire/dosewire/ledger"
)

// OrgPrescriptions returns what an organisation issued or was ever sent, newest first.
func (s *Store) OrgPrescriptions(ctx context.Context, org, before ledger.ID, limit int) ([]ledger.Prescription, error) {
	const q = `
	  (SELECT ` + prescriptionColumns + ` FROM prescription p
	    WHERE p.clinic = $1 AND p.id < $2 ORDER BY p.id DESC LIMIT $3)
	  UNION (SELECT ` + prescriptionColumns + ` FROM delivered d JOIN prescription p ON p.id = d.prescription
	    WHERE d.pharmacy = $1 AND d.prescription < $2 ORDER BY d.prescription DESC LIMIT $3)
	  ORDER BY id DESC LIMIT $3`
	if before == (ledger.ID{}) {
		copy(before[:], bytes.Repeat([]byte{0xff}, len(before)))
	}
	rows, err := s.pool.Query(ctx, q, id(org), id(before), max(limit, 0))
	all, err := collect(rows, err, func(r pgx.Rows) (ledger.Prescription, error) { return scanPrescription(r) })
	return all, refuse(err, "read an organisation's prescriptions")
}
