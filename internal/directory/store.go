package directory

import (
	"context"
	"time"

	"github.com/dosewire/dosewire/ledger"
)

// Store is the plain tables of DESIGN §2.2: invitations, sessions and devices. They are not rebuilt
// from the ledger. Implementations: ledger/sqlite, ledger/postgres (records database).
type Store interface {
	// AddInvitation stores a one-time sign-in link by the hash of its token.
	AddInvitation(ctx context.Context, hash ledger.Hash, patient ledger.ID, until time.Time) error
	// Redeem uses an invitation once and opens a session, in one transaction. ledger.ErrNotFound when
	// it is unknown, used or late.
	Redeem(ctx context.Context, invitation, session ledger.Hash, now, until time.Time) (patient ledger.ID, err error)
	// Invited returns whom an invitation that Redeem or Join by this patient would use is for.
	// ledger.ErrNotFound.
	Invited(ctx context.Context, invitation ledger.Hash, by ledger.ID, now time.Time) (patient ledger.ID, err error)
	// Join uses an invitation once for a patient whose inbox is open already, and returns whom it was for.
	// The same patient may say so again until it is late: what follows may not have happened yet.
	// ledger.ErrNotFound when it is unknown, used otherwise, late or by's own.
	Join(ctx context.Context, invitation ledger.Hash, by ledger.ID, now time.Time) (patient ledger.ID, err error)
	// Session returns the patient of a live session. ledger.ErrNotFound.
	Session(ctx context.Context, hash ledger.Hash, now time.Time) (patient ledger.ID, err error)
	EndSession(ctx context.Context, hash ledger.Hash) error
	// PutDevice inserts or replaces a device by id.
	PutDevice(ctx context.Context, d Device) error
	// Devices returns a patient's live devices.
	Devices(ctx context.Context, patient ledger.ID) ([]Device, error)
	// Device returns one. ledger.ErrNotFound.
	Device(ctx context.Context, id ledger.ID) (Device, error)
	// DevicesOf returns the live devices of several patients.
	DevicesOf(ctx context.Context, patients []ledger.ID) ([]Device, error)
	// DropDevice marks a device dead.
	DropDevice(ctx context.Context, id ledger.ID, reason string, now time.Time) error
	// Receipt stores that a device showed wake w; unknown devices are ignored.
	Receipt(ctx context.Context, device ledger.ID, wake string, now time.Time) error
}

// Device is one browser or phone that a patient turned notifications on for. Endpoint holds the
// subscription (URL and keys) sealed under the patient's key.
type Device struct {
	ID        ledger.ID
	Patient   ledger.ID
	Transport string // webpush
	KeyID     ledger.ID
	Endpoint  []byte // sealed
	CreatedAt time.Time
	Dead      string // reason; "" = live
}
