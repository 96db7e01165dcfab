package adaptertest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/receipt"
)

// Records is what was recorded, in memory and in clear. Set it up before the first request. What it does
// not override of ledger.Reader panics: no adapter tested here needs it.
type Records struct {
	ledger.Reader // nil

	Bodies        map[ledger.ID][]byte
	Stored        map[ledger.ID]ledger.Record
	Prescriptions map[ledger.ID]ledger.Prescription
	Dispenses     map[ledger.ID]ledger.Dispense // by resource
	Delivered     map[[2]ledger.ID]bool         // (pharmacy, prescription)
	Proofs        map[ledger.ID]receipt.Receipt // by record, with openings; absent = not under a checkpoint yet
	Down          error                         // what every method returns when set

	mu       sync.Mutex // guards what follows
	effects  []ledger.Effect
	accesses []ledger.Access
	acked    map[ledger.ID]uint64
}

var _ adapters.Records = (*Records)(nil)

func newRecords() *Records {
	return &Records{Bodies: map[ledger.ID][]byte{}, Stored: map[ledger.ID]ledger.Record{}, Prescriptions: map[ledger.ID]ledger.Prescription{},
		Dispenses: map[ledger.ID]ledger.Dispense{}, Delivered: map[[2]ledger.ID]bool{}, Proofs: map[ledger.ID]receipt.Receipt{}, acked: map[ledger.ID]uint64{}}
}

func hash(b [32]byte) ledger.Hash { return sha256.Sum256(b[:]) }

// Add records a body; id zero makes one. Of and Version default to a record of its own.
func (r *Records) Add(row ledger.Record, body []byte) ledger.ID {
	if row.ID == (ledger.ID{}) {
		row.ID = uuid.Must(uuid.NewV7())
	}
	if row.Of == (ledger.ID{}) {
		row.Of, row.Version = row.ID, 1
	}
	row.Sealed = body
	r.Stored[row.ID], r.Bodies[row.ID] = row, body
	return row.ID
}

// Erase leaves a record's shell.
func (r *Records) Erase(id ledger.ID) {
	row := r.Stored[id]
	row.Sealed = nil
	r.Stored[id] = row
	delete(r.Bodies, id)
}

// Deliver adds effects and numbers them. Safe beside requests.
func (r *Records) Deliver(effects ...ledger.Effect) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range effects {
		e.Number = uint64(len(r.effects)) + 1
		if e.Kind == "" {
			e.Kind = ledger.EffectDeliver
		}
		r.effects = append(r.effects, e)
	}
}

// Accesses are the access rows stored so far.
func (r *Records) Accesses() []ledger.Access {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.accesses)
}

// AcknowledgedBy is how far an organisation has come.
func (r *Records) AcknowledgedBy(org ledger.ID) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.acked[org]
}

// Read implements adapters.Records.
func (r *Records) Read(ctx context.Context, who adapters.Reader, id ledger.ID) (adapters.Plain, error) {
	all, err := r.ReadAll(ctx, who, []ledger.ID{id})
	if err != nil {
		return adapters.Plain{}, err
	}
	return all[0], nil
}

// ReadAll implements adapters.Records.
func (r *Records) ReadAll(ctx context.Context, who adapters.Reader, ids []ledger.ID) ([]adapters.Plain, error) {
	var all []adapters.Plain
	for _, id := range ids {
		row, err := r.Record(ctx, id)
		if err != nil {
			return nil, err
		}
		all = append(all, adapters.Plain{Record: row, Body: r.Bodies[id]})
	}
	if len(all) == 0 {
		return nil, r.Down
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.accesses = append(r.accesses, ledger.Access{Org: who.Org, Patient: who.Patient, Client: who.Client,
		Person: who.Person, Purpose: who.Purpose, Action: who.Action, Records: ids})
	return all, nil
}

// Prove implements adapters.Records.
func (r *Records) Prove(ctx context.Context, who adapters.Reader, id ledger.ID, whole func(adapters.Plain) bool) (receipt.Receipt, error) {
	row, err := r.Record(ctx, id)
	if err != nil {
		return receipt.Receipt{}, err
	}
	proof, ok := r.Proofs[id]
	if !ok {
		return proof, fault.Of(fault.CodeNotSigned).After(2 * time.Second)
	}
	if !whole(adapters.Plain{Record: row, Body: r.Bodies[id]}) {
		proof.Opening = nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.accesses = append(r.accesses, ledger.Access{Org: who.Org, Patient: who.Patient, Client: who.Client,
		Person: who.Person, Purpose: who.Purpose, Action: who.Action, Records: []ledger.ID{id}})
	return proof, nil
}

// Record implements ledger.Reader, and so do the methods that follow.
func (r *Records) Record(_ context.Context, id ledger.ID) (ledger.Record, error) {
	row, ok := r.Stored[id]
	switch {
	case r.Down != nil:
		return row, r.Down
	case !ok:
		return row, ledger.ErrNotFound
	case row.Sealed == nil:
		return row, ledger.ErrErased
	}
	return row, nil
}

func (r *Records) Versions(_ context.Context, of ledger.ID) (all []ledger.Record, err error) {
	for _, row := range r.Stored {
		if row.Of == of {
			all = append(all, row)
		}
	}
	slices.SortFunc(all, func(a, b ledger.Record) int { return a.Version - b.Version })
	return all, r.Down
}

func (r *Records) Prescription(_ context.Context, id ledger.ID) (ledger.Prescription, error) {
	p, ok := r.Prescriptions[id]
	if r.Down == nil && !ok {
		return p, ledger.ErrNotFound
	}
	return p, r.Down
}

func (r *Records) OrgPrescriptions(_ context.Context, org, before ledger.ID, limit int) (all []ledger.Prescription, err error) {
	for _, p := range r.Prescriptions {
		if (p.Clinic == org || r.Delivered[[2]ledger.ID{org, p.ID}]) && (before == ledger.ID{} || bytes.Compare(p.ID[:], before[:]) < 0) {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b ledger.Prescription) int { return bytes.Compare(b.ID[:], a.ID[:]) })
	return all[:min(len(all), limit)], r.Down
}

func (r *Records) PrescriptionDispenses(_ context.Context, id ledger.ID) (all []ledger.Dispense, err error) {
	for _, d := range r.Dispenses {
		if d.Prescription == id {
			all = append(all, d)
		}
	}
	return all, r.Down
}

func (r *Records) DispenseByResource(_ context.Context, id ledger.ID) (ledger.Dispense, error) {
	d, ok := r.Dispenses[id]
	if r.Down == nil && !ok {
		return d, ledger.ErrNotFound
	}
	return d, r.Down
}

func (r *Records) WasDelivered(_ context.Context, pharmacy, prescription ledger.ID) (bool, error) {
	return r.Delivered[[2]ledger.ID{pharmacy, prescription}], r.Down
}

func (r *Records) Head(context.Context) (ledger.Head, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return ledger.Head{Deliveries: uint64(len(r.effects))}, r.Down
}

func (r *Records) Effects(_ context.Context, org ledger.ID, after uint64, limit int) (all []ledger.Effect, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.effects {
		if e.Number > after && (e.Org == org || org == ledger.ID{}) && len(all) < limit {
			all = append(all, e)
		}
	}
	return all, r.Down
}

func (r *Records) Acknowledged(context.Context) (map[ledger.ID]uint64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[ledger.ID]uint64{}
	for org, n := range r.acked {
		all[org] = n
	}
	return all, r.Down
}

func (r *Records) SetAcknowledged(_ context.Context, upTo map[ledger.ID]uint64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for org, n := range upTo {
		r.acked[org] = max(r.acked[org], n)
	}
	return r.Down
}
