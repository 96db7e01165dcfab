package ledgertest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/dosewire/dosewire/internal/directory"
	"github.com/dosewire/dosewire/ledger"
)

// patient is somebody with a life in the store.
type patient struct {
	id, org, key ledger.ID
	prescription ledger.Prescription
	dispense     ledger.Dispense
	message      ledger.Message
	record       ledger.Record
	effects      []uint64
	device       ledger.ID
}

// lives gives a patient two records, and a row in every table that knows patients.
func lives(t *testing.T, s Backend, h ledger.Head, org ledger.ID) (patient, ledger.Head) {
	t.Helper()
	p := patient{id: newID(), org: org, key: newID(), device: newID()}
	b := newBatch(h)
	mine := func(r *ledger.Record) { r.KeyID, r.Org = p.key, org }
	p.record = b.record(100, mine)
	p.prescription = b.prescription(p.record, func(x *ledger.Prescription) { x.ID, x.Patient, x.Clinic = p.record.ID, p.id, org })
	md := b.record(100, mine)
	p.message = ledger.Message{Key: key(org), Body: randomHash(), Record: p.record.ID, Answer: []byte(`{"status":201}`), Seq: b.To.Seq}
	b.Messages = append(b.Messages, p.message)
	p.dispense = ledger.Dispense{Key: key(p.prescription.Pharmacy), Resource: md.ID, Prescription: p.prescription.ID, Claim: 1, Status: "completed", Version: 1}
	b.Dispenses = append(b.Dispenses, p.dispense)
	b.Fills = append(b.Fills, ledger.Fill{Prescription: p.prescription.ID, Number: 1, Pharmacy: p.prescription.Pharmacy, Claim: 1, Record: md.ID})
	b.Delivered = append(b.Delivered, ledger.Delivered{Pharmacy: p.prescription.Pharmacy, Prescription: p.prescription.ID, Identifier: randomHash()})
	b.Nominations = append(b.Nominations, ledger.Nomination{Patient: p.id, Pharmacy: p.prescription.Pharmacy})
	b.Requests = append(b.Requests, ledger.PatientRequest{ID: newID(), Patient: p.id, Kind: ledger.RequestAmendment, Time: b.To.Time})
	for _, e := range []ledger.Effect{
		{Kind: ledger.EffectDeliver, Org: p.prescription.Pharmacy, Type: "MedicationRequest", Record: p.record.ID, Prescription: p.prescription.ID, State: "ready", Index: p.record.Index, Time: b.To.Time},
		{Kind: ledger.EffectWake, Patient: p.id, Type: "issued", Prescription: p.prescription.ID, State: "ready", Index: p.record.Index, Time: b.To.Time},
		{Kind: ledger.EffectDeliver, Org: org, Type: "OperationOutcome", Body: []byte(`{}`), Prescription: p.prescription.ID, State: "ready", Index: ledger.NoIndex, Time: b.To.Time},
	} {
		p.effects = append(p.effects, b.effect(e).Number)
	}
	b.Quarantined = append(b.Quarantined, ledger.Quarantined{Epoch: b.To.Epoch, Seq: b.To.Seq, Org: org, KeyID: newID(), Sealed: []byte("x"), Code: "RX_SYNTAX", Time: b.To.Time})
	h = commit(t, s, b)

	now := time.UnixMilli(b.To.Time)
	if err := s.AddInvitation(t.Context(), randomHash(), p.id, now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	invitation, session := randomHash(), randomHash()
	if err := errors.Join(s.AddInvitation(t.Context(), invitation, p.id, now.Add(time.Hour)),
		s.PutDevice(t.Context(), directory.Device{ID: p.device, Patient: p.id, Transport: "webpush", KeyID: p.key, Endpoint: []byte("e"), CreatedAt: now}),
		s.Receipt(t.Context(), p.device, "w", now)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Redeem(t.Context(), invitation, session, now, now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	return p, h
}

// erasing is the commit that erases p.
func erasing(t *testing.T, s Backend, h ledger.Head, p patient, records int) (*batch, ledger.Record) {
	t.Helper()
	b := newBatch(h)
	statement := ledger.Record{ID: newID(), KeyID: newID(), Type: ledger.TypeErasure, Version: 1 + records, Epoch: b.From.Epoch, Seq: b.To.Seq, Sealed: randomBytes(90)}
	statement.Of = statement.ID
	statement.State([]ledger.Emptied{{Index: p.record.Index, Record: p.record.ID}, {Index: p.record.Index + 1, Record: p.dispense.Resource},
		{Index: p.record.Index + 2, Record: newID()}}[:records])
	statement.Index = b.entry(ledger.KindErasure, statement.Digest(), randomHash())
	b.Records = append(b.Records, statement)
	b.Erasure = &ledger.Erasure{Index: statement.Index, Patient: p.id, Keys: []ledger.ID{p.key}, Records: records,
		Resources: []ledger.ID{p.dispense.Resource}, Quarantined: []ledger.Place{{Epoch: p.record.Epoch, Seq: p.record.Seq}}, Job: []byte(`{"a":1}`)}
	return b, statement
}

func testErasure(t *testing.T, s Backend) {
	ctx, org := t.Context(), newID()
	p, h := lives(t, s, begin(t, s), org)
	other, h := lives(t, s, h, org)

	got, err := s.Erasable(ctx, org, p.id, []ledger.ID{p.key})
	if err != nil {
		t.Fatalf("Erasable: %v", err)
	}
	want := ledger.Erasable{Records: []ledger.Shell{{ID: p.record.ID, Epoch: p.record.Epoch, Seq: p.record.Seq, Index: p.record.Index},
		{ID: p.dispense.Resource, Epoch: p.record.Epoch, Seq: p.record.Seq, Index: p.record.Index + 1}},
		Last: h.Time, Prescriptions: []ledger.ID{p.prescription.ID}, Dispenses: []ledger.ID{p.dispense.Resource},
		Pharmacies: []ledger.ID{p.prescription.Pharmacy}, Devices: []ledger.ID{p.device}, Answers: [][]byte{p.message.Answer}}
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("Erasable (-want +got):\n%s", d)
	}

	for _, n := range []int{1, 3} { // a count that is not true is refused, whole
		b, _ := erasing(t, s, h, p, n)
		refused(t, s, b)
	}
	plain := newBatch(h) // not beside an erasure entry
	r := plain.record(10)
	plain.Erasure = &ledger.Erasure{Index: r.Index, Patient: p.id, Keys: []ledger.ID{p.key}, Records: 2}
	refused(t, s, plain)

	b, statement := erasing(t, s, h, p, 2)
	h = commit(t, s, b)
	gone(t, s, p)
	there(t, s, other)
	if got, err := s.Record(ctx, p.record.ID); !errors.Is(err, ledger.ErrErased) || got.ErasedBy != statement.Index || got.Sealed != nil {
		t.Errorf("Record: %+v, %v, want the shell and ErrErased", got, err)
	}
	_, seen, err := ledger.Verify(ctx, s, ledger.Head{Leaf: ledger.Origin(origin)}, nil)
	if err != nil || seen.Erased != 2 {
		t.Errorf("Verify: %+v, %v, want 2 erased", seen, err)
	}

	jobs, err := s.Erasures(ctx)
	same(t, "erasures", jobs, []ledger.Erasing{{Index: statement.Index, Job: []byte(`{"a":1}`)}})
	if err := errors.Join(err, s.FinishErasure(ctx, statement.Index), s.FinishErasure(ctx, statement.Index)); err != nil {
		t.Errorf("FinishErasure: %v", err)
	}
	jobs, err = s.Erasures(ctx)
	if err != nil || len(jobs) != 0 {
		t.Errorf("Erasures: %v, %v, want none", jobs, err)
	}
	keys, err := s.ErasedKeys(ctx, ledger.ID{}, 10)
	if err != nil {
		t.Error(err)
	}
	same(t, "erased keys", keys, []ledger.ID{p.key})
	live, err := s.LiveKeys(ctx, 10)
	if err != nil || len(live) != 2 { // the other patient's, and the statement's
		t.Errorf("LiveKeys: %v, %v", live, err)
	}

	back := newBatch(h) // nothing is sealed under the key again
	back.record(10, func(r *ledger.Record) { r.KeyID = p.key })
	refused(t, s, back)
	again, _ := erasing(t, s, h, p, 0)
	refused(t, s, again)
}

// gone demands that no row knows the patient.
func gone(t *testing.T, s Backend, p patient) {
	t.Helper()
	ctx := t.Context()
	for name, look := range map[string]func() error{
		"prescription": func() error { _, err := s.Prescription(ctx, p.prescription.ID); return err },
		"dispense":     func() error { _, err := s.DispenseByResource(ctx, p.dispense.Resource); return err },
	} {
		if err := look(); !errors.Is(err, ledger.ErrErased) {
			t.Errorf("%s: %v, want ErrErased", name, err)
		}
	}
	have := load(t, s, ledger.Want{Messages: []ledger.Key{p.message.Key}, Prescriptions: []ledger.ID{p.prescription.ID},
		Identities: []ledger.Key{{Org: p.org, Hash: p.prescription.Identity}}, Dispenses: []ledger.Key{p.dispense.Key}, Patients: []ledger.ID{p.id}, Waiting: []ledger.ID{p.id}})
	m := have.Messages[p.message.Key]
	if !m.Erased() || m.Record != (ledger.ID{}) || string(m.Answer) != `{"status":410,"code":"RX_ERASED"}` {
		t.Errorf("message: %+v, want its key and 410", m)
	}
	if len(have.Prescriptions)+len(have.Dispenses)+len(have.Nominations)+len(have.Waiting) != 0 {
		t.Errorf("left: %+v", have)
	}
	for _, n := range p.effects {
		all, err := s.Effects(ctx, ledger.ID{}, n-1, 1)
		if err != nil || len(all) != 1 {
			t.Fatalf("Effects: %d, %v", len(all), err)
		}
		e := all[0]
		e.Time, e.Seq = 0, 0
		same(t, "effect", e, ledger.Effect{Number: n, Kind: ledger.EffectErased, Index: ledger.NoIndex})
	}
	if _, err := s.Device(ctx, p.device); !isNotFound(err) {
		t.Errorf("device: %v, want ErrNotFound", err)
	}
	if left, err := s.PatientRequests(ctx, p.id); err != nil || len(left) != 0 {
		t.Errorf("requests: %v, %v", left, err)
	}
	if was, err := s.WasDelivered(ctx, p.prescription.Pharmacy, p.prescription.ID); err != nil || was {
		t.Errorf("delivered: %v, %v", was, err)
	}
	q, err := s.Quarantine(ctx, ledger.Place{}, 10)
	if err != nil || len(q) != 1 {
		t.Errorf("quarantine: %d, %v, want that of the other patient", len(q), err)
	}
}

// there demands that a patient's life is untouched.
func there(t *testing.T, s Backend, p patient) {
	t.Helper()
	ctx := t.Context()
	got, err := s.Erasable(ctx, p.org, p.id, []ledger.ID{p.key})
	if err != nil || got.Erased || len(got.Records) != 2 || len(got.Prescriptions) != 1 || len(got.Dispenses) != 1 || len(got.Pharmacies) != 1 || len(got.Devices) != 1 {
		t.Errorf("another patient: %+v, %v", got, err)
	}
	have := load(t, s, ledger.Want{Messages: []ledger.Key{p.message.Key}, Patients: []ledger.ID{p.id}, Waiting: []ledger.ID{p.id}})
	same(t, "message", have.Messages[p.message.Key], p.message)
	if len(have.Nominations) != 1 {
		t.Error("nomination of another patient is gone")
	}
	r, err := s.Record(ctx, p.record.ID)
	if err != nil {
		t.Errorf("Record: %v", err)
	}
	same(t, "record", r, p.record)
	for _, n := range p.effects {
		if all, err := s.Effects(ctx, ledger.ID{}, n-1, 1); err != nil || len(all) != 1 || all[0].Kind == ledger.EffectErased {
			t.Errorf("effect %d of another patient: %+v, %v", n, all, err)
		}
	}
}

func testHolds(t *testing.T, s Backend) {
	ctx, org := t.Context(), newID()
	p, h := lives(t, s, begin(t, s), org)
	one := ledger.Hold{ID: newID(), Org: org, Patient: p.id, Time: 5}
	all := ledger.Hold{ID: newID(), Org: org, Time: 6}
	strangers := ledger.Hold{ID: newID(), Org: newID(), Time: 7}
	b := newBatch(h)
	b.Holds = []ledger.Hold{one, all, strangers}
	h = commit(t, s, b)
	got, err := s.Holds(ctx)
	if err != nil {
		t.Error(err)
	}
	same(t, "holds", got, []ledger.Hold{one, all, strangers})
	plan, err := s.Erasable(ctx, org, p.id, []ledger.ID{p.key})
	if err != nil {
		t.Error(err)
	}
	same(t, "holds of the patient", plan.Holds, []ledger.ID{one.ID, all.ID})
	b = newBatch(h)
	b.Released = []ledger.ID{one.ID, newID()}
	commit(t, s, b)
	if got, err = s.Holds(ctx); err != nil {
		t.Error(err)
	}
	same(t, "holds", got, []ledger.Hold{all, strangers})
}

func testFacts(t *testing.T, s Backend) {
	b := newBatch(begin(t, s))
	b.record(80)
	one := b.record(80, func(r *ledger.Record) { r.Type = ledger.TypeFact })
	b.record(80, func(r *ledger.Record) { r.KeyID = one.KeyID })
	two := b.record(80, func(r *ledger.Record) { r.Type = ledger.TypeFact })
	three := b.record(81, func(r *ledger.Record) { r.Type, r.KeyID = ledger.TypeFact, one.KeyID })
	commit(t, s, b)
	for _, tt := range []struct {
		keys []ledger.ID
		want []ledger.Record
	}{
		{nil, nil}, {[]ledger.ID{newID()}, nil}, {[]ledger.ID{one.KeyID}, []ledger.Record{one, three}},
		{[]ledger.ID{two.KeyID, newID(), one.KeyID}, []ledger.Record{one, two, three}},
	} {
		got, err := s.Facts(t.Context(), tt.keys)
		if err != nil {
			t.Error(err)
		}
		same(t, "facts", got, tt.want)
	}
}

func testQuarantine(t *testing.T, s Backend) {
	ctx := t.Context()
	b := newBatch(begin(t, s))
	var want []ledger.Quarantined
	for i := range 5 {
		want = append(want, ledger.Quarantined{Epoch: 1, Seq: uint64(7 + i/2), Sub: i % 2, Org: newID(), KeyID: newID(), Sealed: []byte{byte(i)}, Code: "RX_SYNTAX", Time: int64(100 + i)})
	}
	b.Quarantined = want
	commit(t, s, b)
	var got []ledger.Quarantined
	for after := (ledger.Place{}); ; {
		page, err := s.Quarantine(ctx, after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		got = append(got, page...)
		last := page[len(page)-1]
		after = ledger.Place{Epoch: last.Epoch, Seq: last.Seq, Sub: last.Sub}
	}
	same(t, "quarantine", got, want)
	if n, err := s.DropQuarantine(ctx, 103); err != nil || n != 3 {
		t.Errorf("DropQuarantine: %d, %v, want 3", n, err)
	}
	got, err := s.Quarantine(ctx, ledger.Place{}, 10)
	if err != nil {
		t.Error(err)
	}
	same(t, "left", got, want[3:])
}

// testEraseKeys deletes patients by the id of any of their keys.
func testEraseKeys(t *testing.T, s ledger.KeyStore) {
	ctx := t.Context()
	k1, k2, k3 := key(newID()), key(newID()), key(newID())
	p, other := newPatient(k1, k2), newPatient(k3)
	second := ledger.WrappedKey{ID: newID(), Org: p.Key.Org, Patient: p.Patient, Generation: 1, Blob: randomBytes(60)}
	addPatients(t, s, p, other)
	addPatients(t, s, ledger.NewPatient{Patient: p.Patient, Key: second})
	ids, err := s.PatientKeyIDs(ctx, p.Patient)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "key ids", ids, []ledger.ID{second.ID, p.Key.ID})
	for i, want := range []int{1, 0} { // again is nothing
		found, err := s.EraseKeys(ctx, []ledger.ID{p.Key.ID, newID()})
		if err != nil || found != want {
			t.Errorf("EraseKeys %d: %d, %v, want %d", i, found, err, want)
		}
	}
	if found, err := s.EraseKeys(ctx, nil); err != nil || found != 0 {
		t.Errorf("EraseKeys of none: %d, %v", found, err)
	}
	keys, err := s.Keys(ctx, []ledger.ID{p.Key.ID, second.ID, other.Key.ID})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "keys", keys, map[ledger.ID]ledger.WrappedKey{other.Key.ID: other.Key})
	same(t, "index", findPatients(t, s, k1, k2, k3), map[ledger.Key]ledger.ID{k3: other.Patient})
	if err := s.Scrub(ctx); err != nil {
		t.Errorf("Scrub: %v", err)
	}
	same(t, "index after Scrub", findPatients(t, s, k3), map[ledger.Key]ledger.ID{k3: other.Patient})
}

// Erase commits an erasure that empties the given records of Fill and returns the new head.
func Erase(t testing.TB, s Store, head ledger.Head, records ...ledger.Record) ledger.Head {
	t.Helper()
	b := newBatch(head)
	statement := ledger.Record{ID: newID(), KeyID: newID(), Type: ledger.TypeErasure, Version: 1 + len(records), Epoch: b.From.Epoch, Seq: b.To.Seq, Sealed: randomBytes(90)}
	statement.Of = statement.ID
	e := &ledger.Erasure{Patient: newID(), Records: len(records)}
	var emptied []ledger.Emptied
	for _, r := range records {
		e.Keys = append(e.Keys, r.KeyID)
		emptied = append(emptied, ledger.Emptied{Index: r.Index, Record: r.ID})
	}
	statement.State(emptied)
	e.Index = b.entry(ledger.KindErasure, statement.Digest(), randomHash())
	statement.Index = e.Index
	b.Records, b.Erasure = append(b.Records, statement), e
	return commit(t, s, b)
}
