package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"
)

// maxLooks bounds how often Patients looks again after other processes added patients meanwhile.
const maxLooks = 8

// Patients finds the patients, first match in the order of Index, and creates those that are not
// known, durably, before it returns. The answer is in the order of refs; two refs in one call that
// share an index key become one patient. Index keys of a known patient that are new are added.
//
// Refs are taken one after another, as if each had come in a call of its own: the patients that
// come out do not depend on how messages were batched. ErrErased when a patient's key is gone.
func (k *Keyring) Patients(ctx context.Context, refs []PatientRef) ([]PatientKey, error) {
	for i := range refs {
		if len(refs[i].Index) == 0 {
			return nil, errNoIndex
		}
	}
	keys := make([]PatientKey, len(refs))
	cold := k.cache.resolve(refs, keys)
	if len(cold) == 0 {
		return keys, nil
	}
	k.creating.Lock()
	defer k.creating.Unlock()
	p, err := k.settle(ctx, refs, cold)
	if err != nil {
		return nil, err
	}
	if err := k.fill(ctx, p, cold, keys); err != nil {
		return nil, err
	}
	for _, i := range cold {
		if keys[i].Key == nil {
			return nil, ErrErased
		}
	}
	return keys, nil
}

// Find is Patients without creating: ok[i] is false for an unknown one, and for an erased one.
func (k *Keyring) Find(ctx context.Context, refs []PatientRef) (found []PatientKey, ok []bool, err error) {
	found, ok = make([]PatientKey, len(refs)), make([]bool, len(refs))
	if cold := k.cache.resolve(refs, found); len(cold) > 0 {
		since := k.cache.since()
		index, err := k.store.FindPatients(ctx, indexKeys(refs, cold))
		if err != nil {
			return nil, nil, err
		}
		p := plan{index: index, since: since, patients: make([]ID, len(refs))}
		for _, i := range cold {
			p.patients[i], _ = p.match(refs[i])
		}
		if err := k.fill(ctx, &p, cold, found); err != nil {
			return nil, nil, err
		}
	}
	for i := range found {
		ok[i] = found[i].Key != nil
	}
	return found, ok, nil
}

// settle looks and adds what is missing. When others have added some of it meanwhile it looks again, until
// the index holds every key of the cold refs: only what is stored counts, whoever stored it.
func (k *Keyring) settle(ctx context.Context, refs []PatientRef, cold []int) (*plan, error) {
	asked := indexKeys(refs, cold)
	made := map[ID]PatientKey{} // by us, in this call
	for range maxLooks {
		since := k.cache.since()
		index, err := k.store.FindPatients(ctx, asked)
		if err != nil {
			return nil, err
		}
		p := &plan{index: index, since: since, made: made, patients: make([]ID, len(refs))}
		for _, i := range cold {
			if err := p.take(i, refs[i]); err != nil {
				return nil, err
			}
		}
		if len(p.added) == 0 {
			return p, nil
		}
		if all, err := k.addPatients(ctx, p); err != nil || all {
			return p, err
		}
	}
	return nil, errRace
}

// plan says which patient each ref is.
type plan struct {
	index    map[Key]ID        // as stored, then as planned
	patients []ID              // by position of the ref; zero = unknown
	made     map[ID]PatientKey // patients made in this call
	since    uint64            // of the cache, when the store was read
	added    map[ID][]Key      // index keys to be stored
	order    []ID              // of added, so that a batch is always written in the same order
}

// match finds the first index key that is known.
func (p *plan) match(ref PatientRef) (ID, bool) {
	for _, key := range ref.Index {
		if patient, ok := p.index[key]; ok {
			return patient, true
		}
	}
	return ID{}, false
}

// take gives ref i its patient, a new one if none of its index keys is known, and notes the index
// keys that are new.
func (p *plan) take(i int, ref PatientRef) error {
	patient, known := p.match(ref)
	if !known {
		key, err := newPatientKey(ref.Org)
		if err != nil {
			return err
		}
		patient = key.Patient
		p.made[patient] = key
	}
	p.patients[i] = patient
	for _, key := range ref.Index {
		if _, known := p.index[key]; known {
			continue
		}
		p.index[key] = patient
		if p.added == nil {
			p.added = map[ID][]Key{}
		}
		if len(p.added[patient]) == 0 {
			p.order = append(p.order, patient)
		}
		p.added[patient] = append(p.added[patient], key)
	}
	return nil
}

func newPatientKey(org ID) (PatientKey, error) {
	patient, err := uuid.NewV7()
	if err != nil {
		return PatientKey{}, fmt.Errorf("ledger: patient id: %w", err)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return PatientKey{}, fmt.Errorf("ledger: key id: %w", err)
	}
	return PatientKey{Patient: patient, Org: org, KeyID: id, Key: newKey()}, nil
}

// addPatients stores what the plan adds. When the generation that wrapped it was retired meanwhile by
// another process, it wraps anew. all is whether the index holds what was planned.
func (k *Keyring) addPatients(ctx context.Context, p *plan) (all bool, err error) {
	all, err = k.addPlanned(ctx, p)
	for range maxLooks {
		if !errors.Is(err, ErrGeneration) {
			return all, err
		}
		if err := k.Refresh(ctx); err != nil {
			return false, err
		}
		all, err = k.addPlanned(ctx, p)
	}
	return all, err
}

// addPlanned names a known patient with the key that it has.
func (k *Keyring) addPlanned(ctx context.Context, p *plan) (all bool, err error) {
	var known []ID
	for _, patient := range p.order {
		if _, made := p.made[patient]; !made {
			known = append(known, patient)
		}
	}
	var theirs map[ID]WrappedKey
	if len(known) > 0 {
		if theirs, err = k.store.PatientKeys(ctx, known); err != nil {
			return false, err
		}
	}
	add := make([]NewPatient, 0, len(p.order))
	for _, patient := range p.order {
		key, had := theirs[patient]
		if made, ok := p.made[patient]; ok {
			key, had = k.wrap(made), true
		}
		if !had {
			return false, ErrErased
		}
		add = append(add, NewPatient{Patient: patient, Key: key, Index: p.added[patient]})
	}
	return k.store.AddPatients(ctx, add)
}

// fill writes the keys of the plan's patients and caches them with their index keys. Unknown and
// erased patients stay zero.
func (k *Keyring) fill(ctx context.Context, p *plan, cold []int, keys []PatientKey) error {
	absent := map[ID]struct{}{}
	for _, i := range cold {
		patient := p.patients[i]
		if key, ok := k.have(p, patient); ok {
			keys[i] = key
		} else if patient != (ID{}) {
			absent[patient] = struct{}{}
		}
	}
	if len(absent) > 0 {
		read, err := k.currentKeys(ctx, slices.Collect(maps.Keys(absent)), p.since)
		if err != nil {
			return err
		}
		for _, i := range cold {
			if key, ok := read[p.patients[i]]; ok {
				keys[i] = key
			}
		}
	}
	k.cache.putIndex(p.index, p.since)
	return nil
}

// have is a key that needs no look into the store.
func (k *Keyring) have(p *plan, patient ID) (PatientKey, bool) {
	if key, ok := p.made[patient]; ok {
		k.cache.putCurrent(key, p.since)
		key.Made = true
		return key, true
	}
	return k.cache.current(patient)
}

// indexKeys lists the index keys of some refs.
func indexKeys(refs []PatientRef, which []int) []Key {
	n := 0
	for _, i := range which {
		n += len(refs[i].Index)
	}
	keys := make([]Key, 0, n)
	for _, i := range which {
		keys = append(keys, refs[i].Index...)
	}
	return keys
}
