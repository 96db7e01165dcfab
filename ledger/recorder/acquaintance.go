package recorder

import (
	"context"
	"encoding/binary"
	"slices"

	"github.com/dosewire/dosewire/ledger"
)

// acquaintances is what the recorder remembers of patients whom it has dealt with lately, so that it need not
// ask again. It is exact, because nobody else writes of them while the head is the recorder's: all of it is
// forgotten when it leads anew, when a commit fails, and when somebody is erased, linked or unlinked.
//
// It belongs to one goroutine. The zero value knows nobody.
type acquaintances struct {
	late, before map[ledger.ID]*acquaintance // before were the late ones, until those were enough
}

// acquaintance is one patient's.
type acquaintance struct {
	nominated ledger.ID   // zero = nobody
	linked    []ledger.ID // who belongs to the same person, without the patient
	tokens    []uint32    // beginnings of those of the medicines of all prescriptions, whatever became of them
	many      bool        // too many to be remembered
}

// enough is how many patients are remembered at most; half of them are at least.
const enough = 8000

// known returns what is remembered of a patient, nil = nothing.
func (a *acquaintances) known(patient ledger.ID) *acquaintance {
	if k, ok := a.late[patient]; ok {
		return k
	}
	k, ok := a.before[patient]
	if ok {
		a.meet(patient, k)
	}
	return k
}

// meet remembers a patient.
func (a *acquaintances) meet(patient ledger.ID, k *acquaintance) {
	if a.late == nil || len(a.late) >= enough/2 {
		a.late, a.before = map[ledger.ID]*acquaintance{}, a.late
	}
	a.late[patient] = k
}

func (a *acquaintances) forget() { *a = acquaintances{} }

// committed is told what has changed.
func (a *acquaintances) committed(b *ledger.Batch) {
	if b.Erasure != nil || len(b.Links) > 0 {
		a.forget()
		return
	}
	for _, n := range b.Nominations {
		if k := a.known(n.Patient); k != nil {
			k.nominated = n.Pharmacy
		}
	}
	for _, changed := range [][]ledger.Prescription{b.Begun, b.Prescriptions} {
		for i := range changed {
			if k := a.known(changed[i].Patient); k != nil {
				k.add(changed[i].Therapy)
			}
		}
	}
}

// add remembers more tokens. None is ever taken away, and two may begin alike: that costs a question, no more.
func (k *acquaintance) add(tokens []byte) {
	for token := range slices.Chunk(tokens, ledger.TherapyToken) {
		if !k.has(token) {
			k.tokens = append(k.tokens, beginning(token))
		}
		if len(k.tokens) > ledger.MaxTokens { // each is compared with all before
			k.tokens, k.many = nil, true
		}
	}
}

// has says whether a prescription of the patient's may have this token. Of whom nothing is known, it may.
func (k *acquaintance) has(token []byte) bool {
	return k == nil || k.many || slices.Contains(k.tokens, beginning(token))
}

func beginning(token []byte) uint32 { return binary.BigEndian.Uint32(token) }

// meet gathers what is known of the patients of a batch, and asks for what is not: those are nil.
func (r *Recorder) meet(units []*unit, w *ledger.Want) map[ledger.ID]*acquaintance {
	met := map[ledger.ID]*acquaintance{}
	for _, u := range units {
		if u.refused() || !u.keyed {
			continue
		}
		patient := u.patient.Patient
		if u.made {
			r.acquainted.meet(patient, &acquaintance{})
		}
		r.inquire(met, patient, w)
	}
	return met
}

// inquire is meet for one patient.
func (r *Recorder) inquire(met map[ledger.ID]*acquaintance, patient ledger.ID, w *ledger.Want) {
	if _, ok := met[patient]; ok {
		return
	}
	k := r.acquainted.known(patient)
	if met[patient] = k; k != nil {
		return
	}
	w.Patients, w.Tokens = append(w.Patients, patient), append(w.Tokens, patient)
	if r.joined.Load() { // else nobody is linked
		w.Linked = append(w.Linked, patient)
	}
}

// acquaint remembers what was asked for.
func (r *Recorder) acquaint(met map[ledger.ID]*acquaintance, h ledger.Have) {
	for patient, k := range met {
		if k != nil {
			continue
		}
		tokens, few := h.Tokens[patient]
		k = &acquaintance{nominated: h.Nominations[patient], many: !few,
			linked: slices.DeleteFunc(slices.Clone(h.Linked[patient]), func(id ledger.ID) bool { return id == patient })}
		k.add(tokens)
		met[patient] = k
		r.acquainted.meet(patient, k)
	}
}

// joinLinked tells the units with whom their patients belong together, and meets those.
func (r *Recorder) joinLinked(ctx context.Context, units []*unit, met map[ledger.ID]*acquaintance) error {
	var w ledger.Want
	for _, u := range units {
		u.linked = nil
		if k := met[u.patient.Patient]; k != nil && len(u.read.Requests) > 0 {
			u.linked = k.linked
		}
		for _, patient := range u.linked {
			r.inquire(met, patient, &w)
		}
	}
	have, err := r.ask(ctx, w)
	if err != nil {
		return err
	}
	r.acquaint(met, have)
	return nil
}
