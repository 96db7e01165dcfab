package hub

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/hub/admin"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/receipt"
	"github.com/dosewire/dosewire/ledger/scrub"
	"github.com/dosewire/dosewire/ledger/trust"
)

// nextCheckpoint is when to ask again for a receipt: the notary signs once a second, and witnesses
// answer within another.
const nextCheckpoint = 2 * time.Second

// Prove makes the receipt of a record under the newest checkpoint. The record is opened and compared with its
// entry, so that a receipt never vouches for what was tampered with; the disclosure is stored before
// the receipt leaves, for it holds the opening if whole says so.
func (r *Records) Prove(ctx context.Context, who adapters.Reader, id ledger.ID, whole func(adapters.Plain) bool) (receipt.Receipt, error) {
	entry, opening, plain, err := r.reveal(ctx, id)
	if err != nil {
		return receipt.Receipt{}, err
	}
	shown := (*receipt.Opening)(&opening.Opening)
	if !whole(plain) {
		shown = nil
	}
	made, err := prove(ctx, r.tiles, entry, shown)
	if err != nil {
		return receipt.Receipt{}, err
	}
	if err := r.disclose(ctx, who, []ledger.ID{id}); err != nil {
		return receipt.Receipt{}, err
	}
	return made, nil
}

// reveal opens a record with its entry. What is not as it was written is ledger.ErrDamaged.
func (r *Records) reveal(ctx context.Context, id ledger.ID) (e ledger.Entry, o ledger.Opened, p adapters.Plain, err error) {
	p.Record, err = r.Reader.Record(ctx, id)
	at := scrub.Place{Index: p.Record.Index}
	if errors.Is(err, ledger.ErrErased) || err == nil && p.Record.Sealed == nil {
		return e, o, p, fmt.Errorf("hub: record: %w", r.erased(ctx, at, p.Record))
	}
	if err != nil {
		return e, o, p, fmt.Errorf("hub: record: %w", r.fence(ctx, scrub.Place{Record: id}, err))
	}
	if e, err = r.Reader.Entry(ctx, p.Record.Index); err != nil {
		return e, o, p, fmt.Errorf("hub: entry: %w", r.fence(ctx, at, err))
	}
	if p.Record.Digest() != e.Digest {
		return e, o, p, fmt.Errorf("hub: record: %w", r.fence(ctx, at, ledger.ErrDigest))
	}
	key, err := r.keys.Key(ctx, p.Record.KeyID)
	if err != nil {
		return e, o, p, fmt.Errorf("hub: record key: %w", r.fence(ctx, at, err))
	}
	o, err = ledger.OpenAll(key, p.Record, &e.Commitment)
	if err := r.fence(ctx, at, err); err != nil {
		return e, o, p, fmt.Errorf("hub: open record: %w", err)
	}
	p.Body = o.Plaintext
	return e, o, p, nil
}

// prove makes a receipt from what the notary published. What is not published yet will be.
func prove(ctx context.Context, tiles receipt.Tiles, e ledger.Entry, o *receipt.Opening) (receipt.Receipt, error) {
	made, err := receipt.Make(ctx, tiles, trust.Unjudged, e, o)
	missing, ok := errors.AsType[*receipt.BadTile](err)
	nothing := ok && missing.Path == receipt.CheckpointFile && errors.Is(err, receipt.ErrMissingTile)
	if nothing || errors.Is(err, receipt.ErrNotYet) || errors.Is(err, receipt.ErrUnreadable) {
		return made, fault.Of(fault.CodeNotSigned).Wrap(err).After(nextCheckpoint)
	}
	return made, err
}

// Receipt is the operator's: about the entry alone, without the opening, so that nothing is disclosed.
// The id is that of a prescription or of a record. fault.CodeNotFound, fault.CodeNotSigned.
func (h *Hub) Receipt(ctx context.Context, q admin.ReceiptOf) (admin.Receipt, error) {
	return makeReceipt(ctx, h.databases.records, h.tiles, q)
}

// StoreReceipt is Hub.Receipt on a database that no hub serves.
func StoreReceipt(ctx context.Context, c Config, q admin.ReceiptOf) (admin.Receipt, error) {
	c = c.WithDefaults()
	tiles, err := Published(ctx, c)
	if err != nil {
		return admin.Receipt{}, err
	}
	r, closeStore, err := openRecords(ctx, c)
	if err != nil {
		return admin.Receipt{}, err
	}
	a, err := makeReceipt(ctx, r, tiles, q)
	return a, errors.Join(err, closeStore())
}

func makeReceipt(ctx context.Context, r ledger.Reader, tiles receipt.Tiles, q admin.ReceiptOf) (admin.Receipt, error) {
	id, err := uuid.Parse(q.ID)
	if err != nil {
		return admin.Receipt{}, fault.Of(fault.CodeNotFound)
	}
	if p, err := r.Prescription(ctx, id); err == nil {
		id = p.Record
	} else if !errors.Is(err, ledger.ErrNotFound) {
		return admin.Receipt{}, fmt.Errorf("hub: prescription: %w", err)
	}
	record, err := r.Record(ctx, id)
	if errors.Is(err, ledger.ErrNotFound) {
		return admin.Receipt{}, fault.Of(fault.CodeNotFound)
	}
	if err != nil && !errors.Is(err, ledger.ErrErased) { // what was erased was recorded all the same
		return admin.Receipt{}, fmt.Errorf("hub: record: %w", err)
	}
	e, err := r.Entry(ctx, record.Index)
	if err != nil {
		return admin.Receipt{}, fmt.Errorf("hub: entry: %w", err)
	}
	made, err := prove(ctx, tiles, e, nil)
	if err != nil {
		return admin.Receipt{}, err
	}
	return admin.Receipt{Index: e.Index, Text: string(made.Bytes())}, nil
}

// trustPolicy reads what readers of receipts are given. A file that is no policy is not given to
// anybody.
func (n Notary) trustPolicy() ([]byte, error) {
	text, err := os.ReadFile(n.Policy)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Of(fault.CodeNotFound)
	}
	if err != nil {
		return nil, fault.Of(fault.CodeUnavailable).Wrap(err)
	}
	if _, err := trust.ParsePolicy(text); err != nil {
		return nil, fmt.Errorf("hub: %w", err)
	}
	return text, nil
}
