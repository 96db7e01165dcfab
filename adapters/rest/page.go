package rest

import (
	"context"
	"errors"
	"fmt"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/fhir/safety"
	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/streams"
)

// pageBytes is how much one page of deliveries holds; one delivery always fits.
const pageBytes = 4 << 20

// delivered is one delivery with its payload.
type delivered struct {
	ledger.Effect
	body    []byte
	verdict string          // on the record's signatures; "" = none was asked for
	safety  []safety.Inputs // what its orders were checked by
}

// page opens what it has room for, with one access row for all records. What was erased since, is
// damaged or is no longer the caller's to read, keeps its place with an outcome that says so.
func (s *Service) page(ctx context.Context, who auth.Subject, effects []ledger.Effect) ([]delivered, error) {
	page, wanted, err := s.fill(ctx, who, effects)
	if err != nil {
		return nil, err
	}
	plains, err := s.deps.Records.ReadAll(ctx, reader(who, "deliver"), wanted)
	if err != nil {
		return nil, unknown(err)
	}
	opened := make(map[ledger.ID]adapters.Plain, len(plains))
	for i, p := range plains {
		opened[wanted[i]] = p
	}
	for i, d := range page {
		if d.body == nil {
			p := opened[d.Record]
			if p.Err != nil {
				page[i].body = fhir.Outcome([]fhir.Issue{fhir.IssueOf(p.Err)})
				continue
			}
			if page[i].body, err = payload(p.Body, d.Items); err != nil {
				return nil, err
			}
			page[i].verdict = p.Signature
			if who.Role == auth.Pharmacy {
				page[i].safety = s.deps.Map.InputsIn(p.Body, d.Items)
			}
		}
	}
	return page, nil
}

// fill decides which effects fit on the page and which records must be opened for them.
func (s *Service) fill(ctx context.Context, who auth.Subject, effects []ledger.Effect) (page []delivered, wanted []ledger.ID, err error) {
	size, sizes := 0, map[ledger.ID]int{}
	for _, e := range effects {
		d := delivered{Effect: e, body: e.Body}
		if e.Type == typeDetectedIssue {
			withheld, err := s.withheld(ctx, who, e)
			if err != nil {
				return nil, nil, err
			}
			if withheld != nil {
				d.body = fhir.Outcome([]fhir.Issue{fhir.IssueOf(withheld)})
			}
		}
		if d.body == nil {
			withheld, err := s.withheld(ctx, who, e)
			if err != nil {
				return nil, nil, err
			}
			n, known := sizes[e.Record]
			if !known && withheld == nil {
				if n, withheld, err = s.size(ctx, e.Record); err != nil {
					return nil, nil, err
				}
			}
			switch {
			case withheld != nil:
				d.body = fhir.Outcome([]fhir.Issue{fhir.IssueOf(withheld)})
			case len(page) > 0 && size+n > pageBytes:
				return page, wanted, nil
			case !known:
				sizes[e.Record], wanted = n, append(wanted, e.Record)
				size += n // opened
			}
			size += n // and on the page
		}
		page = append(page, d)
	}
	return page, wanted, nil
}

// typeDetectedIssue is the type of a safety signal about a prescription.
const typeDetectedIssue = "DetectedIssue"

// withheld is why a prescription may not be delivered again: the patient has moved it elsewhere.
func (s *Service) withheld(ctx context.Context, who auth.Subject, e ledger.Effect) (reason, err error) {
	if who.Role != auth.Pharmacy || e.Type != streams.TypeMedicationRequest && e.Type != streams.TypeBundle && e.Type != typeDetectedIssue || e.Prescription == (ledger.ID{}) {
		return nil, nil
	}
	if _, err := s.visible(ctx, who, e.Prescription); fault.CodeOf(err) == fault.CodeNotFound || fault.CodeOf(err) == fault.CodeDamaged {
		return err, nil
	} else if err != nil {
		return nil, err
	}
	return nil, nil
}

// size is that of a record, or why there is nothing left of it.
func (s *Service) size(ctx context.Context, id ledger.ID) (n int, erased, err error) {
	record, err := s.deps.Records.Record(ctx, id)
	if fault.CodeOf(err) == fault.CodeErased {
		return 0, err, nil
	}
	if errors.Is(err, ledger.ErrNotFound) {
		return 0, nil, nil // whoever opens it will say that it is missing
	}
	return len(record.Sealed), nil, err
}

// payload is what a receiver is sent of a record.
func payload(record []byte, items []int) ([]byte, error) {
	if items == nil {
		return record, nil
	}
	body, err := fhir.Slice(record, items)
	if err != nil {
		return nil, fmt.Errorf("rest: slice a delivery: %w", err)
	}
	return body, nil
}
