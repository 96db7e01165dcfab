package recorder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/dosewire/dosewire/ledger"
)

// A hold must outlive whoever can write to the database: what it forbids cannot be undone. Its row in table
// hold says that it stands, and can be deleted by the hub's own role, which ends holds. So before anything is
// erased the facts themselves are read back, from records that nobody can change or delete unnoticed.

// stated is a hold as a fact's record states it.
type stated struct {
	ledger.Hold
	index uint64
}

// standing reads which holds of a patient, or of the whole organisation, the recorded facts leave standing.
// keys are the patient's: under them are the facts about the patient, under the hub's own key those about
// the organisation.
func (r *Recorder) standing(ctx context.Context, org, patient ledger.ID, keys []ledger.ID) ([]stated, error) {
	hub, err := r.deps.Keys.Hub(ctx)
	if err != nil {
		return nil, fmt.Errorf("recorder: own key: %w", err)
	}
	facts, err := r.deps.Store.Facts(ctx, append(slices.Clone(keys), hub.KeyID))
	if err != nil {
		return nil, fmt.Errorf("recorder: facts: %w", err)
	}
	var all []stated
	for _, rec := range facts {
		f, err := r.holdFact(ctx, rec)
		switch {
		case err != nil:
			return nil, err
		case f == nil:
		case f.Release != ledger.ID{}:
			all = slices.DeleteFunc(all, func(s stated) bool { return s.ID == f.Release })
		case f.Org == org && (f.Patient == ledger.ID{} || f.Patient == patient):
			all = append(all, stated{ledger.Hold{ID: rec.ID, Org: f.Org, Patient: f.Patient}, rec.Index})
		}
	}
	return all, nil
}

// holdFact opens a fact's record; nil if it is about something else, or its key is gone: then so is what it
// could protect. A record that was changed is ledger.ErrDamaged.
func (r *Recorder) holdFact(ctx context.Context, rec ledger.Record) (*HoldFact, error) {
	e, err := r.deps.Reader.Entry(ctx, rec.Index)
	if err != nil {
		return nil, fmt.Errorf("recorder: entry of a fact: %w", missingOr(err))
	}
	key, err := r.deps.Keys.Key(ctx, rec.KeyID)
	if errors.Is(err, ledger.ErrErased) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("recorder: key of a fact: %w", fenced(err))
	}
	opened, err := ledger.OpenAll(key, rec, &e.Commitment)
	if err != nil {
		r.config.Damaged(ctx, rec.Index, ledger.ID{}, err)
		return nil, ledger.ErrDamaged.Wrap(err)
	}
	if !statesHold(opened) {
		return nil, nil
	}
	var f HoldFact
	if err := strictJSON(opened.Plaintext, &f); err != nil {
		return nil, nil // no version of the hub has written it
	}
	return &f, nil
}

// statesHold asks the evidence what kind of fact it was. Records of earlier programs have none: a hold has a
// member that no other fact has.
func statesHold(o ledger.Opened) bool {
	if c, err := parseCircumstances(o.Evidence); err == nil {
		return c.Fact == FactHold && len(c.Answer) == 0
	}
	var members map[string]json.RawMessage
	return json.Unmarshal(o.Plaintext, &members) == nil && members["Release"] != nil
}

// holding adds to a plan the holds that stand by the facts and are not in their table: somebody deleted them
// there.
func (r *Recorder) holding(ctx context.Context, k *keeping) error {
	if k.plan.Erased {
		return nil
	}
	all, err := r.standing(ctx, k.erase.Org, k.erase.Patient, k.erase.Keys)
	for _, s := range all {
		if !slices.Contains(k.plan.Holds, s.ID) {
			r.config.Damaged(ctx, s.index, ledger.ID{}, ledger.ErrHold)
			k.plan.Holds = append(k.plan.Holds, s.ID)
		}
	}
	return err
}

// lostHold finds a hold that stands and is not in its table, so that it can be ended all the same.
func (r *Recorder) lostHold(ctx context.Context, id ledger.ID, k *keeping) error {
	if id == (ledger.ID{}) || slices.ContainsFunc(k.holds, func(h ledger.Hold) bool { return h.ID == id }) {
		return nil
	}
	rec, err := r.deps.Reader.Record(ctx, id)
	if errors.Is(err, ledger.ErrNotFound) || errors.Is(err, ledger.ErrErased) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("recorder: record of a hold: %w", err)
	}
	f, err := r.holdFact(ctx, rec)
	if err != nil || f == nil {
		return err
	}
	all, err := r.standing(ctx, f.Org, f.Patient, []ledger.ID{rec.KeyID})
	for _, s := range all {
		if s.ID == id {
			k.holds = append(k.holds, s.Hold)
		}
	}
	return err
}
