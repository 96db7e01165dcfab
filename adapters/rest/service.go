package rest

import (
	"context"
	"time"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

// answerWait is how long a request waits for the recorder before it is answered 503 RX_PENDING.
const answerWait = 10 * time.Second

// bodiesInFlight bounds the bytes of bodies that are being read or wait for their answer.
const bodiesInFlight = 24 << 20

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

// visible returns a prescription that the organisation issued, was sent, or holds; RX_NOT_FOUND
// otherwise, so that ids tell nothing.
func (s *Service) visible(ctx context.Context, who auth.Subject, id ledger.ID) (ledger.Prescription, error) {
	p, err := s.deps.Records.Prescription(ctx, id)
	if err != nil {
		return p, notFound(err)
	}
	if p.Clinic == who.Org || p.Holder == who.Org || p.Pharmacy == who.Org {
		return p, nil
	}
	// it was sent here once; the patient has moved it elsewhere since only if somebody else has it
	sent, err := s.deps.Records.WasDelivered(ctx, who.Org, id)
	if err != nil {
		return p, err
	}
	if !sent || p.Pharmacy != (ledger.ID{}) || p.Holder != (ledger.ID{}) {
		return p, fault.Of(fault.CodeNotFound)
	}
	return p, nil
}

// notFound keeps the kinds that a client can do something about.
func notFound(err error) error {
	if fault.KindOf(err) == fault.NotFound && fault.CodeOf(err) == "" {
		return fault.Of(fault.CodeNotFound)
	}
	return err
}
