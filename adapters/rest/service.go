package rest

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

// answerWait is how long a request waits for the recorder before it is answered 503 RX_PENDING.
const answerWait = 10 * time.Second

// Service is the shared part, one for each adapter. Safe for concurrent use.
type Service struct {
	deps   adapters.Deps
	bodies *budget
}

// New works on the hub's parts.
func New(d adapters.Deps) *Service { return &Service{deps: d, bodies: newBudget(bodiesInFlight)} }

// subject is the caller that Routes authenticated.
func subject(ctx context.Context) (auth.Subject, error) {
	s, ok := auth.From(ctx)
	if !ok {
		return s, fault.Of(fault.CodeUnauthenticated)
	}
	return s, nil
}

func reader(s auth.Subject, action string) adapters.Reader {
	return adapters.Reader{Org: s.Org, Client: s.Client, Person: s.Person, Purpose: s.Purpose, Action: action}
}

// visible returns a prescription that the organisation may read: that it issued, that is routed to it
// or held by it, that waits for any pharmacy after it was sent to this one, or that it dispensed from.
// RX_NOT_FOUND otherwise, so that ids tell nothing.
func (s *Service) visible(ctx context.Context, who auth.Subject, id ledger.ID) (ledger.Prescription, error) {
	p, err := s.deps.Records.Prescription(ctx, id)
	if err != nil {
		return p, unknown(err)
	}
	if p.Clinic == who.Org || p.Holder == who.Org || p.Pharmacy == who.Org {
		return p, nil
	}
	ok, err := s.had(ctx, who, p)
	if err != nil {
		return ledger.Prescription{}, err
	}
	if !ok {
		return ledger.Prescription{}, fault.Of(fault.CodeNotFound)
	}
	return p, nil
}

// had reports whether a pharmacy that p is not with now may still read it. The patient's move to
// another pharmacy ends its right, and so does an amendment by which it is routed to none, unless it
// handed something over.
func (s *Service) had(ctx context.Context, who auth.Subject, p ledger.Prescription) (bool, error) {
	sent, err := s.deps.Records.WasDelivered(ctx, who.Org, p.ID)
	if err != nil || !sent {
		return false, err
	}
	if p.Pharmacy == (ledger.ID{}) && p.Holder == (ledger.ID{}) {
		k, err := knownTo(who, p)
		if err != nil || !k.state.RecordOnly { // what became recorded only waits for nobody
			return err == nil, err
		}
	}
	dispenses, err := s.deps.Records.PrescriptionDispenses(ctx, p.ID)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(dispenses, func(d ledger.Dispense) bool {
		return d.Org == who.Org && d.Status == "completed"
	}), nil
}

// unknown makes a store's "not found" the client's, and keeps every other error.
func unknown(err error) error {
	if errors.Is(err, ledger.ErrNotFound) {
		return fault.Of(fault.CodeNotFound).Wrap(err)
	}
	return err
}
