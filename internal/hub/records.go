package hub

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/fhir"
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
	watch Watch         // hears of damage; nil = nobody
	rate  *ReadRate     // nil = any number of reads
}

var _ adapters.Records = (*Records)(nil)

// NewRecords reads from r with the keys of k, and proves from tiles.
func NewRecords(r ledger.Reader, k *ledger.Keyring, now func() time.Time, tiles receipt.Tiles) *Records {
	return &Records{Reader: r, keys: k, now: now, tiles: tiles}
}

// Read returns the received bytes of one record. ledger.ErrErased, ledger.ErrDamaged; an access that
// cannot be stored is its error.
func (r *Records) Read(ctx context.Context, who adapters.Reader, record ledger.ID) (adapters.Plain, error) {
	all, err := r.ReadAll(ctx, who, []ledger.ID{record})
	if err != nil {
		return adapters.Plain{}, err
	}
	return all[0], all[0].Err
}

// ReadAll is Read for several, in their order, with one access row. It discloses all or nothing, but for
// what is damaged: that is fenced off alone, with ledger.ErrDamaged in its place. No records need no row.
func (r *Records) ReadAll(ctx context.Context, who adapters.Reader, records []ledger.ID) ([]adapters.Plain, error) {
	if len(records) == 0 {
		return nil, nil
	}
	opened := make([]adapters.Plain, len(records))
	for i, id := range records {
		p, err := r.open(ctx, id)
		if errors.Is(err, ledger.ErrDamaged) {
			p = adapters.Plain{Record: ledger.Record{ID: id}, Err: err}
		} else if err != nil {
			return nil, err
		}
		opened[i] = p
	}
	if err := r.disclose(ctx, who, records); err != nil {
		return nil, err
	}
	return opened, nil
}

// open compares a record with its entry before it decrypts it, and with its commitment after.
func (r *Records) open(ctx context.Context, id ledger.ID) (adapters.Plain, error) {
	_, opened, p, err := r.reveal(ctx, id)
	if err != nil {
		return adapters.Plain{}, err
	}
	if p.Signature, err = signature.VerdictOf(opened.Evidence); err != nil {
		return adapters.Plain{}, fmt.Errorf("hub: open record: %w", err)
	}
	return p, nil
}

// Effects is the Reader's, with the bodies of our own resources in clear: the recorder has decided that their
// receiver is told. What cannot be opened is fenced off alone.
func (r *Records) Effects(ctx context.Context, org ledger.ID, after uint64, limit int) ([]ledger.Effect, error) {
	effects, err := r.Reader.Effects(ctx, org, after, limit)
	if err != nil {
		return nil, err
	}
	for i, e := range effects {
		e, err := r.keys.OpenBody(ctx, e)
		switch {
		case fault.KindOf(err) == fault.Unavailable:
			return nil, err
		case err != nil:
			e.Type, e.Body = "OperationOutcome", fhir.Outcome([]fhir.Issue{fhir.IssueOf(err)})
		}
		effects[i] = e
	}
	return effects, nil
}

// Limited refuses what is read too often: fault.CodeReads.
func (r *Records) Limited(rate *ReadRate) *Records {
	r.rate = rate
	return r
}

// disclose stores who is about to read what.
func (r *Records) disclose(ctx context.Context, who adapters.Reader, records []ledger.ID) error {
	if (who.Org == ledger.ID{}) == (who.Patient == ledger.ID{}) {
		return fault.New(fault.Internal, "hub: a reader is an organisation or a patient")
	}
	reader := who.Org
	if reader == (ledger.ID{}) {
		reader = who.Patient
	}
	if err := r.rate.take(reader, r.now()); err != nil {
		return err
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
