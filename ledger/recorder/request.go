package recorder

import (
	"slices"
	"strings"
	"time"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/fhir/rx"
	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/streams"
)

// requestKind is what a MedicationRequest.status means (PROTOCOL §1).
func requestKind(status string) (rx.Kind, bool) {
	switch status {
	case "active":
		return rx.Issue, true
	case "on-hold":
		return rx.Hold, true
	case "cancelled", "stopped", "entered-in-error":
		return rx.Cancel, true
	case "completed":
		return rx.End, true
	}
	return "", false // draft, unknown
}

// request decides one MedicationRequest of a clinic, the nth of its message.
func (t *draft) request(n int, q fhir.Request) error {
	kind, ok := requestKind(q.Status)
	if !ok {
		t.unit.refuse(fault.Of(fault.CodeStatus).At(q.Expression + ".status"))
		return nil
	}
	key, ok := PrescriptionKey(t.keys, t.unit.sender.ID, q.Identity, q.Local)
	if !ok {
		t.unit.refuse(fault.Of(fault.CodeNoIdentity).At(q.Expression + ".identifier"))
		return nil
	}
	p, err := t.byIdentity(key)
	if err != nil {
		return err
	}
	if t.unit.match != 0 {
		return t.amend(p, kind, n, q)
	}
	fresh := p == nil || p.state.Phase == rx.None
	if kind == rx.Issue && !t.fillable(q, fresh) {
		return nil
	}
	if fresh && q.Inpatient {
		t.inform(fault.CodeInpatient, q.Expression)
		t.resources = append(t.resources, streams.Resource{Type: streams.TypeMedicationRequest, Status: 201, Code: string(fault.CodeInpatient)})
		return nil
	}
	if p == nil {
		p = t.begin(key, q)
	}
	first := p.row.Version == 0
	a := t.step(p, t.ordered(kind, n, q), q.Item)
	if !a.Refused && !t.theirs(p, kind, q) {
		return nil
	}
	t.place(p, q, kind, a)
	if !a.Refused && first && kind == rx.Issue {
		if err := t.replace(p, q); err != nil {
			return err
		}
	}
	res := streams.Resource{Type: streams.TypeMedicationRequest, ID: p.row.ID.String(), Version: p.row.Version}
	if !first {
		res.Status = 200
	}
	t.answered(res, p, a, q.Expression)
	return nil
}

// theirs sees to it that a record changes the prescriptions of one patient only, its own. A word that ends,
// stops or resumes a prescription is on record with that one's patient, whoever its subject now seems to
// be; an order that comes after its own cancel says whose it is.
func (t *draft) theirs(p *prescription, kind rx.Kind, q fhir.Request) bool {
	switch {
	case p.row.Patient == t.patient:
	case kind == rx.Issue && p.state.Record == t.reference(q.Item) && p.state.Phase == rx.Cancelled:
		p.row.Patient = t.patient
	case kind != rx.Amend && len(t.unit.read.Requests) == 1:
		t.patient = p.row.Patient
	default:
		t.unit.refuse(fault.Of(fault.CodeOnePatient).At(q.Expression + ".subject"))
		return false
	}
	return true
}

// ordered is what an order says, as the state machine takes it.
func (t *draft) ordered(kind rx.Kind, n int, q fhir.Request) rx.Event {
	e := rx.Event{Kind: kind, FillsAllowed: q.Repeats + 1, Frozen: hexHash(t.keys.Fingerprint(q.Frozen)),
		Terms: rx.Terms{Amount: q.Quantity.Millionths, Unit: q.Quantity.Unit, Interval: q.Interval.Milliseconds(),
			FirstInterval: q.FirstLasts.Milliseconds(), NoSubstitution: q.NoSubstitution},
		Urgent:     slices.Contains([]string{"urgent", "asap", "stat"}, q.Priority),
		Directed:   slices.Contains(t.unit.words.directed, n),
		RecordOnly: slices.Contains(t.unit.words.recordOnly, n),
	}
	if q.First.Unit == q.Quantity.Unit {
		e.Terms.First = q.First.Millionths
	}
	e.ValidFrom, e.ValidTo = validity(q)
	if kind == rx.Issue && !e.RecordOnly {
		e.Pharmacy = t.route(q)
	}
	return e
}

// renewal forwards a pharmacy's request for another prescription to the clinic of the one it names.
func (t *draft) renewal(q fhir.Request) error {
	if q.Intent != "proposal" || len(q.Prior) == 0 {
		t.unit.refuse(fault.Of(fault.CodeSender).At(q.Expression))
		return nil
	}
	id, ok := t.resolve(prior(q))
	if !ok {
		t.unit.refuse(fault.Of(fault.CodeUnresolved).At(q.Expression + ".priorPrescription"))
		return nil
	}
	p, err := t.take(id)
	if err != nil {
		return err
	}
	if p == nil || t.patient != (ledger.ID{}) && t.patient != p.row.Patient {
		t.unit.refuse(fault.Of(fault.CodeOnePatient).At(q.Expression + ".priorPrescription"))
		return nil
	}
	t.patient = p.row.Patient
	a := t.step(p, rx.Event{Kind: rx.Renew, WasSent: true}, q.Item)
	t.answered(streams.Resource{Type: streams.TypeMedicationRequest}, p, a, q.Expression)
	return nil
}

// prior is the prescription that q names as its prior, as a citation.
func prior(q fhir.Request) fhir.Citation {
	var c fhir.Citation
	for _, name := range q.Prior {
		if name.System == "" {
			c.IDs = append(c.IDs, name.Value)
		}
		c.Identifiers = append(c.Identifiers, name)
	}
	return c
}

func (t *draft) byIdentity(key ledger.Key) (*prescription, error) {
	id, ok := t.identities[key]
	if !ok {
		id, ok = t.view.Identities[key]
	}
	if !ok {
		return nil, nil
	}
	return t.take(id)
}

// begin makes the row of a prescription that the hub has not met.
func (t *draft) begin(key ledger.Key, q fhir.Request) *prescription {
	id := t.id // a record with one prescription is its first version
	if len(t.unit.read.Requests) != 1 {
		id = t.nextID()
	}
	p := &prescription{row: ledger.Prescription{ID: id, Clinic: t.unit.sender.ID, Patient: t.unit.patient.Patient,
		Record: t.id, Identity: key.Hash}}
	if q.Group != (fhir.Identifier{}) {
		p.row.Group = t.keys.Index(t.unit.sender.ID, "group", q.Group.System, q.Group.Value).Hash
	}
	p.state.Clinic = t.unit.sender.ID.String()
	p.state.Subject = subjectOf(t.keys, id, t.unit.read.Subject)
	if q.Identity != (fhir.Identifier{}) {
		p.state.CiteIdentifier = hexHash(t.keys.Index(ledger.ID{}, "rx", q.Identity.System, q.Identity.Value).Hash)
	}
	if q.Local != "" {
		p.state.CiteLocal = hexHash(t.keys.Index(ledger.ID{}, "rx-id", q.Local).Hash)
	}
	t.identities[key] = id
	t.touch(p)
	return p
}

// fillable judges whether q gives a right to a medicine, and for a new prescription whether it is
// complete enough to dispense.
func (t *draft) fillable(q fhir.Request, fresh bool) bool {
	known := q.Intent == "order" || q.Intent == "original-order" || slices.Contains(t.unit.sender.Intents, q.Intent) &&
		(q.Intent == "instance-order" || q.Intent == "reflex-order")
	if !known || q.DoNotPerform {
		t.unit.refuse(fault.Of(fault.CodeNotAnOrder).At(q.Expression + ".intent"))
		return false
	}
	if !fresh {
		return true
	}
	issues := t.unit.complete(q)
	t.unit.issues = append(t.unit.issues, issues...)
	_, refused := fhir.Refused(issues)
	return !refused
}

// route finds the pharmacy: the performer named, else the patient's nominated one, else nobody. A
// performer that is not known here is said, and the prescription waits for the patient's choice.
func (t *draft) route(q fhir.Request) string {
	for _, id := range q.Performer {
		org, ok := t.directory.ByIdentifier(id.System, id.Value)
		if claimed, mine := t.view.claimed[id.System+"|"+id.Value]; !ok && mine {
			org, ok = t.orgs[claimed]
		}
		if ok && t.serves(org) {
			return org.ID.String()
		}
	}
	if q.PerformerGiven {
		t.issues = append(t.issues, fhir.Issue{Severity: "warning", Code: "not-found", ID: string(fault.CodeUnknownPharmacy),
			Text: title(fault.CodeUnknownPharmacy), Expression: q.Expression + ".dispenseRequest.performer"})
		return ""
	}
	chosen, ok := t.view.Nominations[t.unit.patient.Patient]
	if !ok {
		return ""
	}
	if org, ok := t.directory.Organization(chosen); ok && t.serves(org) {
		return chosen.String()
	}
	return ""
}

// serves reports whether an organisation can receive this sender's prescriptions: a pharmacy in
// service, and sandbox only with sandbox.
func (t *draft) serves(org ledger.Organization) bool {
	return auth.Role(org.Kind) == auth.Pharmacy && !org.Disabled && org.Sandbox == t.unit.sender.Sandbox
}

func title(code fault.Code) string {
	entry, _ := fault.Lookup(code)
	return entry.Title
}

// replace ends the prescription that q names as prior, in the same commit. If that had come to its end
// before, or another has replaced it, the clinic is told: it may believe otherwise.
func (t *draft) replace(p *prescription, q fhir.Request) error {
	if len(q.Prior) == 0 {
		return nil
	}
	at := q.Expression + ".priorPrescription"
	old, err := t.older(p, q)
	switch {
	case err != nil:
		return err
	case old == nil:
		t.inform(fault.CodeOptionalRef, at)
	case old.row.Patient != p.row.Patient:
		t.unit.refuse(fault.Of(fault.CodeOnePatient).At(at))
	default:
		if a := t.step(old, rx.Event{Kind: rx.Replace, By: p.row.ID.String()}, q.Item); a.Refused {
			t.inform(a.Code, at)
		}
	}
	return nil
}

// older is the prescription of this clinic that q, which is p, names as prior: by the hub's id, else by the
// clinic's own names. nil is none.
func (t *draft) older(p *prescription, q fhir.Request) (*prescription, error) {
	for _, id := range priorIDs(q) {
		old, err := t.take(id)
		if err != nil {
			return nil, err
		}
		if old != nil && old.row.Clinic == t.unit.sender.ID && old.row.ID != p.row.ID {
			return old, nil
		}
	}
	for _, key := range priorKeys(t.keys, t.unit.sender.ID, q) {
		old, err := t.byIdentity(key)
		if err != nil {
			return nil, err
		}
		if old != nil && old.row.ID != p.row.ID {
			return old, nil
		}
	}
	return nil, nil
}

// validity is dispenseRequest.validityPeriod as unix ms, the end exclusive. A date-only bound is a
// whole day in the issuer's time zone, which is that of authoredOn, else UTC (PROTOCOL §4).
func validity(q fhir.Request) (from, to int64) {
	zone := time.UTC
	if at, err := time.Parse(time.RFC3339, q.AuthoredOn); err == nil {
		zone = at.Location()
	}
	if start, _, ok := instant(q.ValidFrom, zone); ok {
		from = start.UnixMilli()
	}
	if _, end, ok := instant(q.ValidTo, zone); ok {
		to = end.UnixMilli()
	}
	return from, to
}

// instant is the half-open interval that a FHIR dateTime of any precision covers.
func instant(s string, zone *time.Location) (from, to time.Time, ok bool) {
	switch {
	case s == "":
		return from, to, false
	case strings.Contains(s, "T"):
		t, err := time.Parse(time.RFC3339Nano, s)
		return t, t.Add(time.Millisecond), err == nil
	case len(s) == len("2006"):
		t, err := time.ParseInLocation("2006", s, zone)
		return t, t.AddDate(1, 0, 0), err == nil
	case len(s) == len("2006-01"):
		t, err := time.ParseInLocation("2006-01", s, zone)
		return t, t.AddDate(0, 1, 0), err == nil
	default:
		t, err := time.ParseInLocation(time.DateOnly, s, zone)
		return t, t.AddDate(0, 0, 1), err == nil
	}
}
