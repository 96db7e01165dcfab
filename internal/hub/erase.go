package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/hub/admin"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/recorder"
	"github.com/dosewire/dosewire/streams"
)

// purgeWait is how long an operator waits for the streams of an erased patient to be purged.
const purgeWait = 60 * time.Second

// Refusals of what an operator asks about keeping.
var (
	ErrReason  = fault.New(fault.Invalid, "a reason of 1 to 500 characters is needed; it is recorded, so name nobody in it")
	ErrForce   = fault.New(fault.Invalid, "to erase before the retention period ends, say \""+recorder.ForceBeforeRetention+"\"")
	ErrRequest = fault.New(fault.Invalid, "a request is an amendment or a restriction, in 1 to 4000 characters")
	ErrHold    = fault.New(fault.NotFound, "there is no such hold")
)

// locate finds a patient as an organisation names them. fault.CodeOrganization, ErrPatient.
func (h *Hub) locate(ctx context.Context, who admin.Patient) (ledger.PatientKey, error) {
	org, err := uuid.Parse(who.Org)
	if err != nil {
		return ledger.PatientKey{}, fault.Of(fault.CodeOrganization)
	}
	if _, ok := h.directory.Organization(org); !ok {
		return ledger.PatientKey{}, fault.Of(fault.CodeOrganization)
	}
	index := h.keys.Index(org, "patient", who.System, who.Value)
	if who.System == "" {
		index = h.keys.Index(org, "patient-id", who.Value)
	}
	found, ok, err := h.keys.Find(ctx, []ledger.PatientRef{{Org: org, Index: []ledger.Key{index}}})
	if err != nil {
		return ledger.PatientKey{}, fmt.Errorf("hub: find patient: %w", err)
	}
	if !ok[0] {
		return ledger.PatientKey{}, ErrPatient
	}
	return found[0], nil
}

// Erase erases a patient: what a legal hold or the retention period forbids is refused, and that is on
// record too. It returns when nothing is left to do, or after a minute; then the hub goes on by itself.
// ErrReason, ErrForce, ErrPatient, fault.CodeOrganization.
func (h *Hub) Erase(ctx context.Context, q admin.EraseRequest) (admin.Erasure, error) {
	if q.Force != "" && q.Force != recorder.ForceBeforeRetention {
		return admin.Erasure{}, ErrForce
	}
	if !q.DryRun && (q.Reason == "" || len(q.Reason) > 500) {
		return admin.Erasure{}, ErrReason
	}
	who, err := h.locate(ctx, q.Patient)
	if err != nil {
		return admin.Erasure{}, err
	}
	keys, err := h.keys.KeyIDs(ctx, who.Patient)
	if err != nil {
		return admin.Erasure{}, fmt.Errorf("hub: keys: %w", err)
	}
	years := h.config.Retention.of(who.Org)
	plan, err := h.planErasure(ctx, who, keys, years, q.Force)
	if err != nil || q.DryRun {
		plan.DryRun = true
		return plan, err
	}
	answer, err := h.submit(ctx, recorder.FactErase, recorder.EraseFact{Org: who.Org, Patient: who.Patient, Keys: keys,
		Reason: q.Reason, By: q.By, RetainYears: years, Force: q.Force})
	if err != nil {
		return admin.Erasure{}, err
	}
	plan.Entry = answer.Index
	if plan.Refused = answer.Code; answer.Status >= 300 && answer.Index == nil {
		return admin.Erasure{}, fault.Of(fault.Code(answer.Code))
	}
	if answer.Status < 300 {
		plan.Finished = h.purged(ctx, *answer.Index)
	}
	return plan, nil
}

// planErasure is what an erasure would do now, and what would refuse it.
func (h *Hub) planErasure(ctx context.Context, who ledger.PatientKey, keys []ledger.ID, years int, force string) (admin.Erasure, error) {
	store := h.databases.records
	plan, err := store.Erasable(ctx, who.Org, who.Patient, keys)
	if err != nil {
		return admin.Erasure{}, fmt.Errorf("hub: look at a patient: %w", err)
	}
	quarantined, err := recorder.QuarantinedOf(ctx, h.keys, store, who.Org, who.Patient, plan.Pharmacies)
	if err != nil {
		return admin.Erasure{}, fmt.Errorf("hub: look at the quarantine: %w", err)
	}
	a := admin.Erasure{Records: len(plan.Records), Prescriptions: len(plan.Prescriptions), Dispenses: len(plan.Dispenses),
		Devices: len(plan.Devices), Quarantined: len(quarantined)}
	if until := recorder.RetainedUntil(plan.Last, years); !until.IsZero() {
		a.RetainedUntil = until.UTC()
	}
	for _, id := range plan.Holds {
		a.Holds = append(a.Holds, id.String())
	}
	switch {
	case len(plan.Holds) > 0:
		a.Refused = string(fault.CodeLegalHold)
	case time.Now().Before(a.RetainedUntil) && force == "":
		a.Refused = string(fault.CodeRetention)
	}
	return a, nil
}

// purged waits until an erasure has no work left.
func (h *Hub) purged(ctx context.Context, index uint64) bool {
	ctx, cancel := context.WithTimeout(ctx, purgeWait)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		jobs, err := h.databases.records.Erasures(ctx)
		open := err != nil
		for _, e := range jobs {
			open = open || e.Index == index
		}
		if !open {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

// AddHold places a legal hold on a patient, or on an organisation's whole records.
func (h *Hub) AddHold(ctx context.Context, n admin.NewHold) (admin.Hold, error) {
	if n.Reason == "" || len(n.Reason) > 500 {
		return admin.Hold{}, ErrReason
	}
	fact := recorder.HoldFact{Reason: n.Reason, By: n.By}
	if n.Value == "" {
		org, err := uuid.Parse(n.Org)
		if err != nil {
			return admin.Hold{}, fault.Of(fault.CodeOrganization)
		}
		fact.Org = org
	} else {
		who, err := h.locate(ctx, n.Patient)
		if err != nil {
			return admin.Hold{}, err
		}
		fact.Org, fact.Patient = who.Org, who.Patient
	}
	answer, err := h.accepted(ctx, recorder.FactHold, fact)
	if err != nil {
		return admin.Hold{}, err
	}
	return admin.Hold{ID: answer.Resources[0].ID, Org: fact.Org.String(), Patient: textOf(fact.Patient), Since: time.Now().UTC(),
		Reason: n.Reason, By: n.By, Entry: answer.Index}, nil
}

// RemoveHold ends one. ErrHold.
func (h *Hub) RemoveHold(ctx context.Context, r admin.HoldRelease) (admin.Hold, error) {
	id, err := uuid.Parse(r.ID)
	if err != nil {
		return admin.Hold{}, ErrHold
	}
	if r.Reason == "" || len(r.Reason) > 500 {
		return admin.Hold{}, ErrReason
	}
	answer, err := h.accepted(ctx, recorder.FactHold, recorder.HoldFact{Release: id, Reason: r.Reason, By: r.By})
	if fault.CodeOf(err) == fault.CodeNotFound {
		return admin.Hold{}, ErrHold
	}
	if err != nil {
		return admin.Hold{}, err
	}
	return admin.Hold{ID: r.ID, Reason: r.Reason, By: r.By, Entry: answer.Index}, nil
}

// Holds lists those that stand, with their reasons.
func (h *Hub) Holds(ctx context.Context, q admin.HoldQuery) ([]admin.Hold, error) {
	holds, err := h.databases.records.Holds(ctx)
	if err != nil {
		return nil, fmt.Errorf("hub: holds: %w", err)
	}
	ids := make([]ledger.ID, len(holds))
	for i := range holds {
		ids[i] = holds[i].ID
	}
	facts := make([]recorder.HoldFact, len(holds))
	if err := h.openFacts(ctx, q.By, ids, func(i int, body []byte) error { return json.Unmarshal(body, &facts[i]) }); err != nil {
		return nil, err
	}
	all := []admin.Hold{}
	for i, s := range holds {
		all = append(all, admin.Hold{ID: s.ID.String(), Org: s.Org.String(), Patient: textOf(s.Patient),
			Since: time.UnixMilli(s.Time).UTC(), Reason: facts[i].Reason, By: facts[i].By})
	}
	return all, nil
}

// AddPatientRequest puts a patient's request on record. ErrRequest, ErrPatient.
func (h *Hub) AddPatientRequest(ctx context.Context, n admin.NewPatientRequest) (admin.PatientRequest, error) {
	if n.Text == "" || len(n.Text) > 4000 || n.Kind != ledger.RequestAmendment && n.Kind != ledger.RequestRestriction {
		return admin.PatientRequest{}, ErrRequest
	}
	who, err := h.locate(ctx, n.Patient)
	if err != nil {
		return admin.PatientRequest{}, err
	}
	answer, err := h.accepted(ctx, recorder.FactRequest, recorder.RequestFact{Org: who.Org, Patient: who.Patient, Kind: n.Kind, Text: n.Text, By: n.By})
	if err != nil {
		return admin.PatientRequest{}, err
	}
	return admin.PatientRequest{ID: answer.Resources[0].ID, Kind: n.Kind, Time: time.Now().UTC(), Text: n.Text, By: n.By, Entry: answer.Index}, nil
}

// PatientRequests lists a patient's, with their words.
func (h *Hub) PatientRequests(ctx context.Context, q admin.PatientRequestQuery) ([]admin.PatientRequest, error) {
	who, err := h.locate(ctx, q.Patient)
	if err != nil {
		return nil, err
	}
	requests, err := h.databases.records.PatientRequests(ctx, who.Patient)
	if err != nil {
		return nil, fmt.Errorf("hub: requests: %w", err)
	}
	ids := make([]ledger.ID, len(requests))
	for i := range requests {
		ids[i] = requests[i].ID
	}
	facts := make([]recorder.RequestFact, len(requests))
	if err := h.openFacts(ctx, q.By, ids, func(i int, body []byte) error { return json.Unmarshal(body, &facts[i]) }); err != nil {
		return nil, err
	}
	all := []admin.PatientRequest{}
	for i, r := range requests {
		all = append(all, admin.PatientRequest{ID: r.ID.String(), Kind: r.Kind, Time: time.UnixMilli(r.Time).UTC(), Text: facts[i].Text, By: facts[i].By})
	}
	return all, nil
}

// openFacts opens the hub's own records for an operator, who is on record as their reader first.
func (h *Hub) openFacts(ctx context.Context, by string, ids []ledger.ID, each func(i int, body []byte) error) error {
	if len(ids) == 0 {
		return nil
	}
	access, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("hub: access id: %w", err)
	}
	err = h.databases.records.InsertAccess(ctx, ledger.Access{ID: access, Person: by[:min(len(by), ledger.MaxPerson)], Purpose: "HLEGAL",
		Action: "operate", Records: ids, Time: time.Now().UnixMilli(), Index: ledger.NoIndex})
	if err != nil {
		return fmt.Errorf("hub: store access: %w", err)
	}
	for i, id := range ids {
		r, err := h.databases.records.Record(ctx, id)
		if err != nil {
			return fmt.Errorf("hub: record: %w", err)
		}
		key, err := h.keys.Key(ctx, r.KeyID)
		if err != nil {
			return fmt.Errorf("hub: record key: %w", err)
		}
		body, err := ledger.Open(key, r, nil)
		if err == nil {
			err = each(i, body)
		}
		if err != nil {
			return fmt.Errorf("hub: open record: %w", err)
		}
	}
	return nil
}

func textOf(id ledger.ID) string {
	if id == (ledger.ID{}) {
		return ""
	}
	return id.String()
}

// accepted is submit for facts whose refusal is an error.
func (h *Hub) accepted(ctx context.Context, kind string, fact any) (streams.Answer, error) {
	answer, err := h.submit(ctx, kind, fact)
	if err == nil && answer.Status >= 300 {
		err = fault.Of(fault.Code(answer.Code))
	}
	return answer, err
}
