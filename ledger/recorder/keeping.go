package recorder

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/streams"
)

// Facts about what is kept and what is not. Each is decided alone, in a commit of its own.
const (
	FactErase   = "erase"
	FactHold    = "hold"
	FactRequest = "patient-request"
)

// ForceBeforeRetention is what an operator must say in words to erase before the retention period ends.
const ForceBeforeRetention = "the law demands it"

// EraseFact asks for the erasure of a patient. It is JSON on rx.fact.erase.
type EraseFact struct {
	Org, Patient ledger.ID
	Keys         []ledger.ID // of the patient, when it was asked for: a replay finds them here
	Reason       string      // legal basis; no names
	By           string      // who asked
	RetainYears  int         // how long records are kept after the patient's last one
	Force        string      `json:",omitempty"` // ForceBeforeRetention, or ""
}

// HoldFact places a legal hold, or ends one. It is JSON on rx.fact.hold.
type HoldFact struct {
	Org     ledger.ID
	Patient ledger.ID // zero: every patient of Org
	Release ledger.ID // the hold that ends; zero places one
	Reason  string
	By      string
}

// RequestFact records a patient's request (45 CFR 164.526, 164.522). It is JSON on
// rx.fact.patient-request.
type RequestFact struct {
	Org, Patient ledger.ID
	Kind         string // ledger.RequestAmendment or ledger.RequestRestriction
	Text         string // what is asked for, in the patient's words
	By           string
}

// ErasureStatement is the plaintext of an erasure's record, sealed under the hub's key.
type ErasureStatement struct {
	Fact        EraseFact
	Time        time.Time   // of the decision
	Records     []ledger.ID // emptied
	Resources   []ledger.ID // prescriptions and dispenses that are gone
	Quarantined int         // refused messages that were deleted
	Last        time.Time   // of the newest record: when the retention clock began
}

// alone reports whether a message must have a commit of its own.
func alone(m *streams.Message) bool {
	src, ok := streams.ParseIntake(m.Subject)
	return ok && slices.Contains([]string{FactErase, FactHold, FactRequest, FactLink, FactUnlink}, src.Kind)
}

// together is how many of the arrivals may be decided in one commit.
func together(arrivals []arrival) int {
	if alone(arrivals[0].message) {
		return 1
	}
	n := 1
	for n < len(arrivals) && !alone(arrivals[n].message) {
		n++
	}
	return n
}

// keeping is what the decision on such a fact needs to know.
type keeping struct {
	erase       EraseFact
	plan        ledger.Erasable
	quarantined []ledger.Place
	holds       []ledger.Hold
	known       bool // the patient has a key
}

// loadKeeping looks up what a fact about keeping needs. The fact is alone in its batch, so whatever was
// decided before is in the database.
func (r *Recorder) loadKeeping(ctx context.Context, u *unit, v *view) (err error) {
	k := &v.keeping
	switch u.kind {
	case FactErase:
		if strictJSON(u.body, &k.erase) != nil {
			return nil // refused when it is decided
		}
		return r.loadErasure(ctx, k)
	case FactHold:
		var f HoldFact
		if strictJSON(u.body, &f) != nil {
			return nil
		}
		if k.holds, err = r.deps.Store.Holds(ctx); err != nil {
			return fmt.Errorf("recorder: holds: %w", err)
		}
		if err := r.lostHold(ctx, f.Release, k); err != nil {
			return err
		}
		return r.knows(ctx, f.Patient, k)
	case FactRequest:
		var f RequestFact
		if strictJSON(u.body, &f) != nil {
			return nil
		}
		return r.knows(ctx, f.Patient, k)
	}
	return nil
}

// knows finds out whether a patient has a key.
func (r *Recorder) knows(ctx context.Context, patient ledger.ID, k *keeping) error {
	ids, err := r.deps.Keys.KeyIDs(ctx, patient)
	if err != nil {
		return fmt.Errorf("recorder: keys: %w", err)
	}
	k.known = len(ids) > 0
	return nil
}

// loadErasure finds everything of the patient. Keys that the fact does not name, made since, count too.
func (r *Recorder) loadErasure(ctx context.Context, k *keeping) error {
	ids, err := r.deps.Keys.KeyIDs(ctx, k.erase.Patient)
	if err != nil {
		return fmt.Errorf("recorder: keys: %w", err)
	}
	for _, id := range ids {
		if !slices.Contains(k.erase.Keys, id) {
			k.erase.Keys = append(k.erase.Keys, id)
		}
	}
	if k.plan, err = r.deps.Store.Erasable(ctx, k.erase.Org, k.erase.Patient, k.erase.Keys); err != nil {
		return fmt.Errorf("recorder: erasable: %w", err)
	}
	if err := r.holding(ctx, k); err != nil {
		return err
	}
	search := quarantineSearch{Keys: r.deps.Keys, Store: r.deps.Store}
	if k.quarantined, err = search.of(ctx, k.erase.Org, k.erase.Patient, k.plan.Pharmacies); err != nil {
		return fmt.Errorf("recorder: quarantine: %w", err)
	}
	return nil
}

// erasure decides whether a patient is erased. Hold and retention are conflicts, so that the refusal is
// on record.
func (t *draft) erasure() {
	var asked EraseFact
	if err := strictJSON(t.unit.body, &asked); err != nil {
		t.unit.refuse(err)
		return
	}
	k := &t.view.keeping
	switch {
	case asked.Patient == (ledger.ID{}) || len(k.erase.Keys) == 0 || asked.Reason == "" || asked.RetainYears < 0:
		t.unit.refuse(fault.Of(fault.CodeFact))
	case k.plan.Erased:
		t.unit.refuse(fault.Of(fault.CodeErased))
	case len(k.plan.Holds) > 0:
		t.forbid(FactErase, fault.CodeLegalHold)
	case t.now.Before(RetainedUntil(k.plan.Last, asked.RetainYears)) && asked.Force != ForceBeforeRetention:
		t.forbid(FactErase, fault.CodeRetention)
	default:
		t.resources = append(t.resources, streams.Resource{Type: FactErase, Status: 200})
		t.view.erasure = &ledger.Erasure{Patient: asked.Patient, Keys: k.erase.Keys, Records: len(k.plan.Records),
			Resources: resources(k.plan), Quarantined: k.quarantined}
		t.parted(asked.Patient)
	}
}

// RetainedUntil is when the retention period ends: years after the newest record. Without records it
// has ended.
func RetainedUntil(last int64, years int) time.Time {
	if last == 0 {
		return time.Time{}
	}
	return time.UnixMilli(last).AddDate(years, 0, 0)
}

// forbid is a conflict with what must be kept: recorded, and nothing changes.
func (t *draft) forbid(kind string, code fault.Code) {
	t.conflict = true
	t.resources = append(t.resources, streams.Resource{Type: kind, Status: fault.Status(fault.Of(code)), Code: string(code)})
}

// resources are all ids under which the patient's prescriptions and dispenses were known.
func resources(plan ledger.Erasable) []ledger.ID {
	known := map[ledger.ID]bool{}
	var all []ledger.ID
	add := func(id ledger.ID) {
		if id != (ledger.ID{}) && !known[id] {
			known[id] = true
			all = append(all, id)
		}
	}
	for _, id := range plan.Prescriptions {
		add(id)
	}
	for _, id := range plan.Dispenses {
		add(id)
	}
	for _, raw := range plan.Answers {
		var a streams.Answer
		if json.Unmarshal(raw, &a) != nil {
			continue
		}
		for _, res := range a.Resources {
			if res.Type == streams.TypeMedicationRequest || res.Type == streams.TypeMedicationDispense {
				add(parseID(res.ID))
			}
		}
	}
	return all
}

// stateErasure makes the erasure's record: its text is ours, and it names what it emptied.
func (t *draft) stateErasure() {
	e := t.view.erasure
	if e == nil || t.unit.kind != FactErase {
		return
	}
	k := t.view.keeping
	s := ErasureStatement{Fact: k.erase, Time: t.now.UTC(), Resources: e.Resources, Quarantined: len(e.Quarantined), Last: time.UnixMilli(k.plan.Last).UTC()}
	for _, r := range k.plan.Records {
		s.Records = append(s.Records, r.ID)
		t.unit.result.emptied = append(t.unit.result.emptied, ledger.Emptied{Index: r.Index, Record: r.ID})
	}
	t.unit.result.instead, _ = json.Marshal(s) // ids, times and texts: cannot fail
	t.unit.result.erasure, t.unit.result.idle = e, true
	t.unit.result.record.Type = ledger.TypeErasure
	t.unit.result.record.Version = 1 + e.Records
}

func (t *draft) hold() {
	var f HoldFact
	if err := strictJSON(t.unit.body, &f); err != nil {
		t.unit.refuse(err)
		return
	}
	k := &t.view.keeping
	if f.Release != (ledger.ID{}) {
		i := slices.IndexFunc(k.holds, func(h ledger.Hold) bool { return h.ID == f.Release })
		if i < 0 {
			t.unit.refuse(fault.Of(fault.CodeNotFound))
			return
		}
		t.patient = k.holds[i].Patient
		t.view.released = append(t.view.released, f.Release)
		t.resources = append(t.resources, streams.Resource{Type: FactHold, ID: f.Release.String(), Status: 200})
		return
	}
	switch _, ok := t.directory.Organization(f.Org); {
	case !ok:
		t.unit.refuse(fault.Of(fault.CodeOrganization))
	case f.Patient != (ledger.ID{}) && !k.known:
		t.unit.refuse(fault.Of(fault.CodeErased))
	case f.Reason == "":
		t.unit.refuse(fault.Of(fault.CodeFact))
	default:
		t.patient = f.Patient
		t.view.holds = append(t.view.holds, ledger.Hold{ID: t.id, Org: f.Org, Patient: f.Patient, Time: t.now.UnixMilli()})
		t.resources = append(t.resources, streams.Resource{Type: FactHold, ID: t.id.String(), Status: 201})
	}
}

func (t *draft) patientRequest() {
	var f RequestFact
	if err := strictJSON(t.unit.body, &f); err != nil {
		t.unit.refuse(err)
		return
	}
	switch {
	case f.Text == "" || f.Kind != ledger.RequestAmendment && f.Kind != ledger.RequestRestriction:
		t.unit.refuse(fault.Of(fault.CodeFact))
	case !t.view.keeping.known:
		t.unit.refuse(fault.Of(fault.CodeErased))
	default:
		t.patient = f.Patient
		t.view.requests = append(t.view.requests, ledger.PatientRequest{ID: t.id, Patient: f.Patient, Kind: f.Kind, Time: t.now.UnixMilli()})
		t.resources = append(t.resources, streams.Resource{Type: FactRequest, ID: t.id.String(), Status: 201})
	}
}
