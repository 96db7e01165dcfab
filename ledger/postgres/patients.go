package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dosewire/dosewire/internal/directory"
	"github.com/dosewire/dosewire/ledger"
)

// AddInvitation stores a one-time sign-in link by the hash of its token.
func (s *Store) AddInvitation(ctx context.Context, hash ledger.Hash, patient ledger.ID, until time.Time) error {
	_, err := s.pool.Exec(ctx, `INSERT INTO invitation (hash, patient, until) VALUES ($1, $2, $3)`, hash[:], id(patient), until.UnixMilli())
	return refuse(err, "store invitation")
}

// Redeem uses an invitation once and opens a session, in one statement. ledger.ErrNotFound when it is
// unknown, used or late.
func (s *Store) Redeem(ctx context.Context, invitation, session ledger.Hash, now, until time.Time) (patient ledger.ID, err error) {
	const q = `WITH used AS (
	    UPDATE invitation SET used_at = $3 WHERE hash = $1 AND used_at IS NULL AND until > $3 RETURNING patient)
	  INSERT INTO session (hash, patient, until) SELECT $2, patient, $4 FROM used RETURNING patient`
	err = s.pool.QueryRow(ctx, q, invitation[:], session[:], now.UnixMilli(), until.UnixMilli()).Scan(idInto{&patient})
	return patient, refuse(err, "redeem invitation")
}

// Session returns the patient of a live session, or ledger.ErrNotFound.
func (s *Store) Session(ctx context.Context, hash ledger.Hash, now time.Time) (patient ledger.ID, err error) {
	err = s.pool.QueryRow(ctx, `SELECT patient FROM session WHERE hash = $1 AND until > $2`, hash[:], now.UnixMilli()).Scan(idInto{&patient})
	return patient, refuse(err, "read session")
}

// EndSession ends one; an unknown one is ended already.
func (s *Store) EndSession(ctx context.Context, hash ledger.Hash) error {
	_, err := s.pool.Exec(ctx, `DELETE FROM session WHERE hash = $1`, hash[:])
	return refuse(err, "end session")
}

const deviceColumns = `id, patient, transport, key_id, endpoint, created_at, dead`

func scanDevice(row pgx.Row) (d directory.Device, err error) {
	var created int64
	err = row.Scan(idInto{&d.ID}, idInto{&d.Patient}, &d.Transport, idInto{&d.KeyID}, &d.Endpoint, &created, &d.Dead)
	d.CreatedAt = time.UnixMilli(created).UTC()
	return d, err
}

// PutDevice inserts or replaces a device by id.
func (s *Store) PutDevice(ctx context.Context, d directory.Device) error {
	_, err := s.pool.Exec(ctx, `INSERT INTO device (`+deviceColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7)
	  ON CONFLICT (id) DO UPDATE SET patient = excluded.patient, transport = excluded.transport, key_id = excluded.key_id,
	    endpoint = excluded.endpoint, created_at = excluded.created_at, dead = excluded.dead, dead_at = NULL`,
		id(d.ID), id(d.Patient), d.Transport, id(d.KeyID), blob(d.Endpoint), d.CreatedAt.UnixMilli(), d.Dead)
	return refuse(err, "store device")
}

// Devices returns a patient's live devices.
func (s *Store) Devices(ctx context.Context, patient ledger.ID) ([]directory.Device, error) {
	return s.DevicesOf(ctx, []ledger.ID{patient})
}

// DevicesOf returns the live devices of several patients.
func (s *Store) DevicesOf(ctx context.Context, patients []ledger.ID) ([]directory.Device, error) {
	rows, err := s.pool.Query(ctx, `SELECT `+deviceColumns+` FROM device WHERE patient = ANY ($1) AND dead = '' ORDER BY id`, uuids(patients))
	all, err := collect(rows, err, func(r pgx.Rows) (directory.Device, error) { return scanDevice(r) })
	return all, refuse(err, "read devices")
}

// Device returns one, live or dead, or ledger.ErrNotFound.
func (s *Store) Device(ctx context.Context, device ledger.ID) (directory.Device, error) {
	d, err := scanDevice(s.pool.QueryRow(ctx, `SELECT `+deviceColumns+` FROM device WHERE id = $1`, id(device)))
	return d, refuse(err, "read device")
}

// DropDevice marks a device dead; an unknown one is ignored. An empty reason is written as "dropped".
func (s *Store) DropDevice(ctx context.Context, device ledger.ID, reason string, now time.Time) error {
	if reason == "" {
		reason = "dropped"
	}
	_, err := s.pool.Exec(ctx, `UPDATE device SET dead = $2, dead_at = $3 WHERE id = $1`, id(device), reason, now.UnixMilli())
	return refuse(err, "drop device")
}

// Receipt stores that a device showed wake; the first time counts, unknown devices are ignored.
func (s *Store) Receipt(ctx context.Context, device ledger.ID, wake string, now time.Time) error {
	_, err := s.pool.Exec(ctx, `INSERT INTO receipt (device, wake, shown_at) SELECT id, $2, $3 FROM device WHERE id = $1
	  ON CONFLICT (device, wake) DO NOTHING`, id(device), wake, now.UnixMilli())
	return refuse(err, "store receipt")
}
