package hub

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/signature"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/receipt"
)

// Records opens what was recorded. Nothing leaves it before the disclosure is stored; the recorder
// chains that within a second. Who may see what is the adapters' decision. Safe for concurrent use.
type Records struct {
	ledger.Reader
	keys  *ledger.Keyring
	now   func() time.Time
	tiles receipt.Tiles // where the notary publishes
}

var _ adapters.Records = (*Records)(nil)

// NewRecords reads from r with the keys of k, and proves from tiles.
func NewRecords(r ledger.Reader, k *ledger.Keyring, now func() time.Time, tiles receipt.Tiles) *Records {
	return &Records{r, k, now, tiles}
}

// Read returns the received bytes of one record. ledger.ErrNotFound, ledger.ErrErased,
// ledger.ErrSealed; an access that cannot be stored is its error.
func (r *Records) Read(ctx context.Context, who adapters.Reader, record ledger.ID) (adapters.Plain, error) {
	all, err := r.ReadAll(ctx, who, []ledger.ID{record})
	if err != nil {
		return adapters.Plain{}, err
	}
	return all[0], nil
}

// ReadAll is Read for several, in their order, with one access row. It discloses all or nothing. No
// records need no row.
func (r *Records) ReadAll(ctx context.Context, who adapters.Reader, records []ledger.ID) ([]adapters.Plain, error) {
	if len(records) == 0 {
		return nil, nil
	}
	opened := make([]adapters.Plain, len(records))
	for i, id := range records {
		p, err := r.open(ctx, id)
		if err != nil {
			return nil, err
		}
		opened[i] = p
	}
	if err := r.disclose(ctx, who, records); err != nil {
		return nil, err
	}
	return opened, nil
}

func (r *Records) open(ctx context.Context, id ledger.ID) (adapters.Plain, error) {
	record, err := r.Reader.Record(ctx, id)
	if err != nil {
		return adapters.Plain{}, fmt.Errorf("hub: record: %w", err)
	}
	key, err := r.keys.Key(ctx, record.KeyID)
	if err != nil {
		return adapters.Plain{}, fmt.Errorf("hub: record key: %w", err)
	}
	opened, err := ledger.OpenAll(key, record, nil)
	if err != nil {
		return adapters.Plain{}, fmt.Errorf("hub: open record: %w", err)
	}
	verdict, err := signature.VerdictOf(opened.Evidence)
	if err != nil {
		return adapters.Plain{}, fmt.Errorf("hub: open record: %w", err)
	}
	return adapters.Plain{Record: record, Body: opened.Plaintext, Signature: verdict}, nil
}

// disclose stores who is about to read what.
func (r *Records) disclose(ctx context.Context, who adapters.Reader, records []ledger.ID) error {
	if (who.Org == ledger.ID{}) == (who.Patient == ledger.ID{}) {
		return fault.New(fault.Internal, "hub: a reader is an organisation or a patient")
	}
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("hub: access id: %w", err)
	}
	access := ledger.Access{ID: id, Org: who.Org, Patient: who.Patient, Client: who.Client,
		Person: who.Person, Purpose: who.Purpose, Action: who.Action,
		Records: records, Time: r.now().UnixMilli(), Index: ledger.NoIndex}
	if err := r.Reader.InsertAccess(ctx, access); err != nil {
		return fmt.Errorf("hub: store access: %w", err)
	}
	return nil
}
