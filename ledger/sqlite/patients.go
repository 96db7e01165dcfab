package sqlite

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/dosewire/dosewire/internal/directory"
	"github.com/dosewire/dosewire/ledger"
)

// AddInvitation stores a one-time sign-in link by the hash of its token.
func (s *Store) AddInvitation(ctx context.Context, hash ledger.Hash, patient ledger.ID, until time.Time) error {
	const q = `INSERT INTO invitation (hash, patient, until) VALUES (?, ?, ?)`
	return s.exec(ctx, "store invitation", q, hash[:], patient[:], until.UnixMilli())
}

// Redeem uses an invitation once, before until, and opens a session. ledger.ErrNotFound when it is
// unknown, used or late.
func (s *Store) Redeem(ctx context.Context, invitation, session ledger.Hash, now, until time.Time) (patient ledger.ID, err error) {
	const use = `UPDATE invitation SET used_at = ?2 WHERE hash = ?1 AND used_at IS NULL AND until > ?2 RETURNING patient`
	const open = `INSERT INTO session (hash, patient, until) VALUES (?, ?, ?)`
	err = s.change(ctx, "redeem invitation", func(tx *sql.Tx) error {
		if err := tx.QueryRowContext(ctx, use, invitation[:], now.UnixMilli()).Scan(&patient); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, open, session[:], patient[:], until.UnixMilli())
		return err
	})
	if err != nil {
		return ledger.ID{}, err
	}
	return patient, nil
}

// Session returns the patient of a live session, or ledger.ErrNotFound.
func (s *Store) Session(ctx context.Context, hash ledger.Hash, now time.Time) (patient ledger.ID, err error) {
	const q = `SELECT patient FROM session WHERE hash = ? AND until > ?`
	err = s.read.QueryRowContext(ctx, q, hash[:], now.UnixMilli()).Scan(&patient)
	return patient, refuse(err, "read session")
}

// EndSession is idempotent.
func (s *Store) EndSession(ctx context.Context, hash ledger.Hash) error {
	return s.exec(ctx, "end session", `DELETE FROM session WHERE hash = ?`, hash[:])
}

// PutDevice inserts or replaces a device by id.
func (s *Store) PutDevice(ctx context.Context, d directory.Device) error {
	const q = `INSERT INTO device (id, patient, transport, key_id, endpoint, created_at, dead) VALUES (?, ?, ?, ?, ?, ?, ?)
	  ON CONFLICT (id) DO UPDATE SET patient = excluded.patient, transport = excluded.transport, key_id = excluded.key_id,
	    endpoint = excluded.endpoint, created_at = excluded.created_at, dead = excluded.dead, dead_at = NULL`
	return s.exec(ctx, "store device", q, d.ID[:], d.Patient[:], d.Transport, d.KeyID[:], blob(d.Endpoint), d.CreatedAt.UnixMilli(), d.Dead)
}

const deviceColumns = `id, patient, transport, key_id, endpoint, created_at, dead`

func scanDevice(src row) (d directory.Device, err error) {
	var created int64
	err = src.Scan(&d.ID, &d.Patient, &d.Transport, &d.KeyID, &d.Endpoint, &created, &d.Dead)
	d.CreatedAt = time.UnixMilli(created)
	return d, err
}

// Devices returns a patient's live devices, oldest first.
func (s *Store) Devices(ctx context.Context, patient ledger.ID) ([]directory.Device, error) {
	const q = `SELECT ` + deviceColumns + ` FROM device WHERE patient = ? AND dead = '' ORDER BY id`
	return list(ctx, s, "read devices", scanDevice, q, patient[:])
}

// DevicesOf returns the live devices of several patients.
func (s *Store) DevicesOf(ctx context.Context, patients []ledger.ID) ([]directory.Device, error) {
	const q = `SELECT ` + deviceColumns + ` FROM device
	  WHERE patient IN (SELECT unhex(value) FROM json_each(?)) AND dead = '' ORDER BY id`
	names := make([]string, len(patients))
	for i, p := range patients {
		names[i] = hex.EncodeToString(p[:])
	}
	set, err := json.Marshal(names)
	if err != nil {
		return nil, errInternal.Wrap(err)
	}
	return list(ctx, s, "read devices", scanDevice, q, string(set))
}

// Device returns one, live or dead, or ledger.ErrNotFound.
func (s *Store) Device(ctx context.Context, id ledger.ID) (directory.Device, error) {
	d, err := scanDevice(s.read.QueryRowContext(ctx, `SELECT `+deviceColumns+` FROM device WHERE id = ?`, id[:]))
	if err != nil {
		return directory.Device{}, refuse(err, "read device")
	}
	return d, nil
}

// DropDevice marks a device dead; an unknown one is ignored. An empty reason is written as "dropped".
func (s *Store) DropDevice(ctx context.Context, id ledger.ID, reason string, now time.Time) error {
	if reason == "" {
		reason = "dropped"
	}
	return s.exec(ctx, "drop device", `UPDATE device SET dead = ?, dead_at = ? WHERE id = ?`, reason, now.UnixMilli(), id[:])
}

// Receipt stores that a device showed wake; the first time counts, unknown devices are ignored.
func (s *Store) Receipt(ctx context.Context, device ledger.ID, wake string, now time.Time) error {
	const q = `INSERT INTO receipt (device, wake, shown_at) SELECT id, ?2, ?3 FROM device WHERE id = ?1
	  ON CONFLICT (device, wake) DO NOTHING`
	return s.exec(ctx, "store receipt", q, device[:], wake, now.UnixMilli())
}

// exec is a change of one statement.
func (s *Store) exec(ctx context.Context, what, query string, args ...any) error {
	return s.change(ctx, what, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, query, args...)
		return err
	})
}
