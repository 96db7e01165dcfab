package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/fhir/rx"
	"github.com/dosewire/dosewire/internal/directory"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/hub/admin"
	"github.com/dosewire/dosewire/ledger"
)

// listMost bounds a list of prescriptions.
const listMost = 10000

// ErrList refuses a list of nothing in particular.
var ErrList = fault.New(fault.Invalid, "a list is either of one organisation's prescriptions or of what is due")

// Prescription shows operators how one stands and how it came to that. fault.CodeNotFound.
func (h *Hub) Prescription(ctx context.Context, q admin.PrescriptionOf) (admin.Prescription, error) {
	return shelves{h.databases.records, h.directory}.prescription(ctx, q)
}

// Prescriptions lists them. ErrList, fault.CodeOrganization.
func (h *Hub) Prescriptions(ctx context.Context, q admin.PrescriptionsOf) ([]admin.PrescriptionLine, error) {
	return shelves{h.databases.records, h.directory}.prescriptions(ctx, q, time.Now())
}

// RxDesk is the same on a database that no hub serves.
type RxDesk struct {
	shelves
	close func() error
}

var _ admin.RxService = (*RxDesk)(nil)

// OpenRxDesk opens the records database, and no key.
func OpenRxDesk(ctx context.Context, c Config) (*RxDesk, error) {
	r, closeStore, err := openRecords(ctx, c.WithDefaults())
	if err != nil {
		return nil, err
	}
	orgs, clients, err := r.Directory(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("hub: directory: %w", err), closeStore())
	}
	return &RxDesk{shelves{r, directory.New(orgs, clients)}, closeStore}, nil
}

// Prescription is Hub.Prescription.
func (d *RxDesk) Prescription(ctx context.Context, q admin.PrescriptionOf) (admin.Prescription, error) {
	return d.prescription(ctx, q)
}

// Prescriptions is Hub.Prescriptions.
func (d *RxDesk) Prescriptions(ctx context.Context, q admin.PrescriptionsOf) ([]admin.PrescriptionLine, error) {
	return d.prescriptions(ctx, q, time.Now())
}

// Close lets go of the database.
func (d *RxDesk) Close() error { return d.close() }

// shelves are what an operator's view is read from: rows and names, no keys.
type shelves struct {
	records   ledger.Reader
	directory *directory.Directory
}

func (s shelves) prescription(ctx context.Context, q admin.PrescriptionOf) (out admin.Prescription, err error) {
	id, err := uuid.Parse(q.ID)
	if err != nil {
		return out, fault.Of(fault.CodeNotFound)
	}
	row, err := s.records.Prescription(ctx, id)
	if errors.Is(err, ledger.ErrNotFound) {
		return out, fault.Of(fault.CodeNotFound)
	}
	if err != nil {
		return out, fmt.Errorf("hub: prescription: %w", err)
	}
	kept, err := stateOf(row)
	if err != nil {
		return out, err
	}
	out = s.shown(row, kept.State)
	if out.Dispenses, err = s.dispenses(ctx, id); err != nil {
		return out, err
	}
	out.History, err = s.history(ctx, kept.Trail)
	return out, err
}

func stateOf(row ledger.Prescription) (kept rx.Kept, err error) {
	if err := json.Unmarshal(row.State, &kept); err != nil {
		return kept, fault.New(fault.Tampered, "hub: stored prescription state").Wrap(err)
	}
	return kept, nil
}

func (s shelves) shown(row ledger.Prescription, state rx.State) admin.Prescription {
	task, reason := state.TaskStatus()
	out := admin.Prescription{PrescriptionLine: s.line(row, state), Version: row.Version, Task: task, Reason: string(reason), Phase: string(state.Phase),
		OnHold: state.OnHold, CancelPending: state.CancelPending, Ended: state.Ended, ReplacedBy: state.ReplacedBy,
		Urgent: state.Urgent, Directed: state.Directed, RecordOnly: state.RecordOnly, Claim: row.Claim,
		LeaseEnd: moment(state.LeaseEnd), ValidFrom: moment(state.ValidFrom), ValidTo: moment(state.ValidTo),
		Parts: len(state.Parts), Balance: decimal(state.Balance()), Short: state.Short,
		CollectCode: state.Code != "", CodeTries: state.CodeTries, Warnings: warnings(state)}
	for _, org := range state.Declined {
		if id, err := uuid.Parse(org); err == nil {
			out.Declined = append(out.Declined, s.name(id))
		}
	}
	return out
}

func (s shelves) line(row ledger.Prescription, state rx.State) admin.PrescriptionLine {
	return admin.PrescriptionLine{ID: row.ID.String(), State: row.Status, Business: state.Business().Text(), Clinic: s.name(row.Clinic),
		Pharmacy: s.maybe(row.Pharmacy), Holder: s.maybe(row.Holder), Filled: row.FillsDone, Fills: row.FillsAllowed, Due: moment(row.DueAt)}
}

func (s shelves) name(id ledger.ID) admin.Name {
	org, _ := s.directory.Organization(id)
	return admin.Name{ID: id.String(), Name: org.Name}
}

func (s shelves) maybe(id ledger.ID) *admin.Name {
	if id == (ledger.ID{}) {
		return nil
	}
	n := s.name(id)
	return &n
}

// warnings are those that were given, in words.
func warnings(s rx.State) (all []string) {
	if s.ExpiryWarned > 0 {
		all = append(all, "validity ends soon")
	}
	if s.LeaseWarned {
		all = append(all, "the lease ends soon")
	}
	if s.Alarmed {
		all = append(all, "the pharmacy does not fetch it")
	}
	return all
}

func (s shelves) dispenses(ctx context.Context, id ledger.ID) (all []admin.Dispense, err error) {
	rows, err := s.records.PrescriptionDispenses(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("hub: dispenses: %w", err)
	}
	for _, d := range rows {
		all = append(all, admin.Dispense{ID: d.Resource.String(), Pharmacy: s.name(d.Org), Status: d.Status, Claim: d.Claim, Version: d.Version})
	}
	return all, nil
}

// history finds the entry of each step. A record that was erased keeps its entry.
func (s shelves) history(ctx context.Context, trail rx.Trail) ([]admin.Event, error) {
	all := []admin.Event{}
	for _, step := range trail {
		e := admin.Event{Version: step.Version, Time: time.UnixMilli(step.At).UTC(), Kind: string(step.Kind), State: step.Status, Code: string(step.Code)}
		if by, err := uuid.Parse(step.By); err == nil {
			e.By = s.maybe(by)
		}
		reference, _, _ := strings.Cut(step.Record, "#")
		id, err := uuid.Parse(reference)
		if err != nil {
			return nil, fault.New(fault.Tampered, "hub: stored prescription trail").Wrap(err)
		}
		record, err := s.records.Record(ctx, id)
		if err != nil && !errors.Is(err, ledger.ErrErased) {
			return nil, fmt.Errorf("hub: record of a step: %w", err)
		}
		e.Index = record.Index
		all = append(all, e)
	}
	return all, nil
}

func (s shelves) prescriptions(ctx context.Context, q admin.PrescriptionsOf, now time.Time) ([]admin.PrescriptionLine, error) {
	rows, err := s.rows(ctx, q, now)
	if err != nil {
		return nil, err
	}
	all := []admin.PrescriptionLine{}
	for _, row := range rows {
		kept, err := stateOf(row)
		if err != nil {
			return nil, err
		}
		all = append(all, s.line(row, kept.State))
	}
	return all, nil
}

func (s shelves) rows(ctx context.Context, q admin.PrescriptionsOf, now time.Time) ([]ledger.Prescription, error) {
	if (q.Org == "") != q.Due || q.Limit < 1 || q.Within < 0 {
		return nil, ErrList
	}
	limit := min(q.Limit, listMost)
	if q.Due {
		rows, err := s.records.Due(ctx, now.Add(q.Within).UnixMilli(), limit)
		if err != nil {
			return nil, fmt.Errorf("hub: what is due: %w", err)
		}
		return rows, nil
	}
	org, err := uuid.Parse(q.Org)
	if _, ok := s.directory.Organization(org); err != nil || !ok {
		return nil, fault.Of(fault.CodeOrganization)
	}
	var before ledger.ID
	if q.Before != "" {
		if before, err = uuid.Parse(q.Before); err != nil {
			return nil, fault.Of(fault.CodeNotFound)
		}
	}
	rows, err := s.records.OrgPrescriptions(ctx, org, before, limit)
	if err != nil {
		return nil, fmt.Errorf("hub: an organisation's prescriptions: %w", err)
	}
	return rows, nil
}

// moment is a stored time, nil for 0.
func moment(ms int64) *time.Time {
	if ms == 0 {
		return nil
	}
	t := time.UnixMilli(ms).UTC()
	return &t
}

// decimal writes millionths, "" for none.
func decimal(millionths int64) string {
	if millionths == 0 {
		return ""
	}
	text := strconv.FormatInt(millionths/1e6, 10)
	if rest := millionths % 1e6; rest > 0 {
		text += "." + strings.TrimRight(fmt.Sprintf("%06d", rest), "0")
	}
	return text
}
