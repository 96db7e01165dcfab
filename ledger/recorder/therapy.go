package recorder

import (
	"iter"
	"slices"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/fhir/rx"
	"github.com/dosewire/dosewire/fhir/safety"
	"github.com/dosewire/dosewire/ledger"
)

// therapy is what a prescription's state keeps for safety checks.
type therapy struct {
	Codes   int      `json:"n,omitempty"` // how many of the row's tokens are of codes; the others are of ingredients
	Supply  int64    `json:"s,omitempty"` // how long a fill lasts, ms
	Private bool     `json:"v,omitempty"` // labelled so that only its own clinic may hear of it
	Found   []string `json:"f,omitempty"` // tokens of what a pharmacy that gets it later is told
	At      int64    `json:"t,omitempty"` // when it was compared, unix ms
	Failed  bool     `json:"x,omitempty"` // the check went wrong
}

// tokens are what a prescription is compared by.
func (p *prescription) tokens() (t safety.Tokens) {
	for token := range slices.Chunk(p.row.Therapy, ledger.TherapyToken) {
		if len(t.Codes) < p.state.Therapy.Codes {
			t.Codes = append(t.Codes, string(token))
		} else {
			t.Parts = append(t.Parts, string(token))
		}
	}
	return t
}

// therapy reads what is compared of an order, once.
func (u *unit) therapy(item int) (t fhir.Therapy, err error) {
	if read, ok := u.therapies[item]; ok {
		return read.Therapy, read.err
	}
	defer func() {
		if recover() != nil {
			err = errOtherwise
		}
		if u.therapies == nil {
			u.therapies = map[int]readTherapy{}
		}
		u.therapies[item] = readTherapy{t, err}
	}()
	return fhir.TherapyOf(u.doc, item)
}

type readTherapy struct {
	fhir.Therapy
	err error
}

// check is that of an order for one patient, begun once.
func (u *unit) check(m *safety.Map, k *ledger.Keyring, item int, patient ledger.ID) (*safety.Check, error) {
	at := checkOf{item, patient}
	if c, ok := u.checks[at]; ok {
		return c, nil
	}
	t, err := u.therapy(item)
	if err != nil {
		return nil, err
	}
	if u.checks == nil {
		u.checks = map[checkOf]*safety.Check{}
	}
	u.checks[at] = m.Check(t, tokenOf(k, patient))
	return u.checks[at], nil
}

type checkOf struct {
	item    int
	patient ledger.ID
}

// takings asks for what the orders of a batch are compared with: of their patients, what has a token in common.
// Of those met it is known whether there is any. Whatever goes wrong here goes wrong in the check, too, and is
// said there.
func (r *Recorder) takings(units []*unit, met map[ledger.ID]*acquaintance) (all []ledger.Taking) {
	at := map[ledger.ID]int{}
	for _, u := range units {
		if u.refused() || !u.keyed {
			continue
		}
		for patient, token := range u.sought(r.config.Map, r.deps.Keys) {
			if !met[patient].has([]byte(token)) {
				continue
			}
			i, ok := at[patient]
			if !ok {
				i, at[patient] = len(all), len(all)
				all = append(all, ledger.Taking{Patient: patient})
			}
			all[i].Tokens = append(all[i].Tokens, token...)
		}
	}
	return all
}

// sought are the tokens of what the unit's orders could be doubles of.
func (u *unit) sought(m *safety.Map, k *ledger.Keyring) iter.Seq2[ledger.ID, string] {
	return func(yield func(ledger.ID, string) bool) {
		for _, q := range u.read.Requests {
			if kind, _ := requestKind(q.Status); kind != rx.Issue {
				continue
			}
			for _, patient := range u.persons() {
				for _, token := range u.soughtOf(m, k, q.Item, patient) {
					if !yield(patient, token) {
						return
					}
				}
			}
		}
	}
}

func (u *unit) soughtOf(m *safety.Map, k *ledger.Keyring, item int, patient ledger.ID) (tokens []string) {
	defer func() {
		if recover() != nil {
			tokens = nil
		}
	}()
	c, err := u.check(m, k, item, patient)
	if err != nil {
		return nil
	}
	return c.Sought()
}

// persons are the patients whom an order is compared with: its own, and those that are linked to it.
func (u *unit) persons() []ledger.ID { return append([]ledger.ID{u.patient.Patient}, u.linked...) }

// tokenOf makes tokens of one patient's medicines.
func tokenOf(k *ledger.Keyring, patient ledger.ID) safety.Hash {
	whose := patient.String()
	return func(c fhir.Coding) string {
		sum := k.Index(ledger.ID{}, "therapy", whose, c.System, c.Code).Hash
		return string(sum[:ledger.TherapyToken])
	}
}

// taking keeps the list of what a patient may be taking.
func (v *view) taking(p *prescription) {
	if p.state.Therapy == nil || slices.Contains(v.Therapies[p.row.Patient], p.row.ID) {
		return
	}
	v.Therapies[p.row.Patient] = append(v.Therapies[p.row.Patient], p.row.ID)
}
