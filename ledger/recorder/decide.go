package recorder

import (
	"slices"
	"time"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/internal/directory"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/streams"
)

// fate is what becomes of a unit.
type fate uint8

const (
	refused  fate = iota // quarantined and answered; not remembered
	repeated             // decided before: the first decision again
	reused               // the id of another message: answered, nothing else
	recorded             // sealed, linked, remembered
	existing             // a conditional create of what exists: answered, nothing else
)

// result is the decision on one unit, before it has an index.
type result struct {
	fate        fate
	answer      streams.Answer
	record      ledger.Record
	patient     ledger.ID // whose key seals the record; zero = the hub's
	statement   string    // public text recorded instead of a sealed record; "" = none
	passing     bool      // sealed under the day's quarantine key: it is about nobody
	instead     []byte    // sealed instead of the received fact; nil = as received
	commitment  ledger.Hash
	quarantined ledger.Quarantined // a refusal, sealed
	index       uint64
	effects     []ledger.Effect // numbers and indexes come with the commit
	first       *unit           // of a repeat inside the same batch
	stored      *ledger.Message // of a repeat of an earlier batch
	erasure     *ledger.Erasure // what the unit's entry erases
	emptied     []ledger.Emptied
	idle        bool // nothing changed but what is remembered; erasures count as such
}

// decider decides units in stream order over one view. It does no I/O.
type decider struct {
	keys      *ledger.Keyring
	directory *directory.Directory
	view      *view
	policy    policy
	tries     tries
	scales    scales
	names     map[ledger.Key]*unit // remembered in this batch
	orgs      map[ledger.ID]ledger.Organization
	newID     func(*unit) ledger.ID // of the record that a unit becomes
	said      *said
}

// said is what was last said of a message, which is often what is said of the next. nil remembers nothing.
type said struct {
	issues []fhir.Issue
	text   []byte
}

// json is fhir.IssuesJSON. Nobody may change what it returns.
func (s *said) json(issues []fhir.Issue) []byte {
	switch {
	case s == nil:
		return fhir.IssuesJSON(issues)
	case s.text == nil || !slices.Equal(s.issues, issues):
		s.issues, s.text = issues, fhir.IssuesJSON(issues)
	}
	return s.text
}

// decide gives u its result and moves the view.
func (d *decider) decide(u *unit, now time.Time) error {
	if u.refused() {
		d.refuse(u)
		return nil
	}
	u.at, u.noted = now.UnixMilli(), len(u.issues)
	if d.known(u) {
		return nil
	}
	if err := u.denied(); err != nil {
		u.refuse(err)
		d.refuse(u)
		return nil
	}
	var t *draft
	var err error
	if u.kind != "" {
		t, err = d.fact(u, now)
	} else {
		t, err = d.message(u, now)
	}
	if err != nil {
		return err
	}
	if u.refused() {
		d.refuse(u)
		return nil
	}
	if u.result.fate == existing {
		return nil
	}
	d.names[u.name] = u
	t.apply()
	return nil
}

// known answers a message whose id was decided before.
func (d *decider) known(u *unit) bool {
	if first, ok := d.names[u.name]; ok {
		u.result = result{fate: repeated, first: first}
		if first.print != u.print {
			d.reuse(u)
		}
		return true
	}
	if m, ok := d.view.Messages[u.name]; ok {
		if m.Erased() {
			d.again(u, fault.CodeErased)
			return true
		}
		u.result = result{fate: repeated, stored: &m}
		if m.Body != u.print {
			d.reuse(u)
		}
		return true
	}
	return false
}

func (d *decider) reuse(u *unit) { d.again(u, fault.CodeIDReused) }

// again answers an id that was used before with this code, and does nothing else.
func (d *decider) again(u *unit, code fault.Code) {
	u.issues = []fhir.Issue{fhir.IssueOf(fault.Of(code))}
	u.result = result{fate: reused, answer: refusal(u)}
}

func (d *decider) refuse(u *unit) {
	u.result = result{fate: refused, answer: refusal(u)}
}

// refusal is the answer that u's issues make.
func refusal(u *unit) streams.Answer {
	status, _ := fhir.Refused(u.issues)
	a := streams.Answer{Status: status, Issues: fhir.IssuesJSON(u.issues)}
	for _, issue := range u.issues {
		if issue.Severity == "error" || issue.Severity == "fatal" {
			a.Code = issue.ID
			break
		}
	}
	return a
}

// message decides an organisation's message: all of it or nothing.
func (d *decider) message(u *unit, now time.Time) (*draft, error) {
	t := d.draft(u, now)
	switch auth.Role(u.sender.Kind) {
	case auth.Clinic:
		if len(u.read.Dispenses) > 0 {
			u.refuse(fault.Of(fault.CodeSender).At(u.read.Dispenses[0].Expression))
			return t, nil
		}
		if found, err := t.found(); found || err != nil {
			return t, err
		}
		u.words = d.policy.words(u)
		for i, q := range u.read.Requests {
			if err := t.request(i, q); err != nil {
				return nil, err
			}
		}
	case auth.Pharmacy:
		if u.shown && len(u.read.Dispenses) != 1 {
			u.refuse(fault.Of(fault.CodeNotServed).At("header " + streams.HeaderCollect)) // a code opens one fill
			return t, nil
		}
		// prescriptions in a pharmacy's message are citations, never an issue
		if len(u.read.Dispenses) == 0 {
			for _, q := range u.read.Requests {
				if err := t.renewal(q); err != nil {
					return nil, err
				}
			}
		}
		for _, md := range u.read.Dispenses {
			if err := t.dispense(md); err != nil {
				return nil, err
			}
		}
	default:
		u.refuse(fault.Of(fault.CodeSender))
	}
	if !u.refused() {
		t.finish()
	}
	return t, nil
}
