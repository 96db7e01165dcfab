package inbox

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/fhir/rx"
	"github.com/dosewire/dosewire/internal/directory"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/receipt"
	"github.com/dosewire/dosewire/streams"
)

// world is the hub around an inbox, in memory: what the tests of this package put there and look at.
type world struct {
	t    *testing.T
	app  *app
	logs *bytes.Buffer

	mu            sync.Mutex // guards what follows
	clock         time.Time
	orgs          map[ledger.ID]ledger.Organization
	prescriptions []ledger.Prescription // newest first
	records       map[ledger.ID]adapters.Plain
	dispenses     map[ledger.ID][]ledger.Dispense
	reads         []adapters.Reader
	readRecords   [][]ledger.ID
	proofs        map[ledger.ID]receipt.Receipt
	down          error

	invitations map[ledger.Hash]ledger.ID
	joined      map[ledger.Hash][2]ledger.ID // who used one to join whom
	links       [][]ledger.ID
	sessions    map[ledger.Hash]ledger.ID
	ends        map[ledger.Hash]time.Time
	devices     map[ledger.ID]directory.Device
	keys        map[ledger.ID]ledger.PatientKey // by key id and by patient

	sent      []streams.Message
	answer    streams.Answer
	answerErr error
	listeners map[string][]func()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	p, err := parsePages(time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, logs: &bytes.Buffer{}, clock: time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC),
		orgs: map[ledger.ID]ledger.Organization{}, records: map[ledger.ID]adapters.Plain{}, proofs: map[ledger.ID]receipt.Receipt{}, dispenses: map[ledger.ID][]ledger.Dispense{},
		invitations: map[ledger.Hash]ledger.ID{}, joined: map[ledger.Hash][2]ledger.ID{}, sessions: map[ledger.Hash]ledger.ID{}, ends: map[ledger.Hash]time.Time{},
		devices: map[ledger.ID]directory.Device{}, keys: map[ledger.ID]ledger.PatientKey{},
		answer: streams.Answer{Status: 200}, listeners: map[string][]func(){}}
	w.app = &app{log: slog.New(slog.NewJSONHandler(w.logs, nil)), now: w.now, zone: time.UTC, records: w, orgs: w, keys: w,
		devices: w, submit: w, subscribe: w.subscribe, streams: newStreamCount(), pages: p}
	return w
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock
}

// serve is the inbox as the hub mounts it, and a push adapter's key beside it.
func (w *world) serve() *httptest.Server {
	mux := http.NewServeMux()
	for _, r := range w.app.routes() {
		mux.Handle(r.pattern, r.handler)
	}
	mux.HandleFunc("GET /push/key", func(rw http.ResponseWriter, _ *http.Request) {
		io.WriteString(rw, "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4")
	})
	s := httptest.NewServer(mux)
	w.t.Cleanup(s.Close)
	w.t.Cleanup(w.app.streams.close) // before the server, which waits for its streams
	return s
}

// at makes an id with a time.
func at(t time.Time) ledger.ID {
	id := uuid.Must(uuid.NewV7())
	ms := t.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	return id
}

func (w *world) organization(kind, name string) ledger.ID {
	o := ledger.Organization{ID: uuid.Must(uuid.NewV7()), Kind: kind, Name: name}
	w.orgs[o.ID] = o
	return o.ID
}

// issue records a prescription as the recorder would. body is the resource or Bundle.
func (w *world) issue(clinic, patient ledger.ID, when time.Time, identifier, body string, s rx.State, status string) ledger.ID {
	id := at(when)
	w.record(ledger.Record{ID: id, Org: clinic, Type: "MedicationRequest", Version: 1, Of: id}, body)
	row := ledger.Prescription{ID: id, Clinic: clinic, Patient: patient, Record: id,
		Identity: w.Index(clinic, "rx", "https://clinic.example/rx", identifier).Hash}
	w.prescriptions = append([]ledger.Prescription{w.with(row, s, status)}, w.prescriptions...)
	return id
}

func (w *world) with(row ledger.Prescription, s rx.State, status string) ledger.Prescription {
	row.Status, row.FillsAllowed, row.FillsDone = status, s.FillsAllowed, s.FillsDone
	row.Pharmacy, row.Holder = uuid.Nil, uuid.Nil
	if s.Pharmacy != "" {
		row.Pharmacy = uuid.MustParse(s.Pharmacy)
	}
	if s.Holder != "" {
		row.Holder = uuid.MustParse(s.Holder)
	}
	b, err := json.Marshal(s)
	if err != nil {
		w.t.Fatal(err)
	}
	row.State = b
	return row
}

// move gives a prescription another state and tells open pages.
func (w *world) move(id ledger.ID, s rx.State, status string) {
	w.mu.Lock()
	var patient ledger.ID
	for i, p := range w.prescriptions {
		if p.ID == id {
			w.prescriptions[i], patient = w.with(p, s, status), p.Patient
		}
	}
	heard := slices.Clone(w.listeners[streams.LiveSubject(patient.String())])
	w.mu.Unlock()
	for _, f := range heard {
		f()
	}
}

func (w *world) record(r ledger.Record, body string) {
	w.records[r.ID] = adapters.Plain{Record: r, Body: []byte(body)}
}

// says records a pharmacy's message about a prescription.
func (w *world) says(pharmacy, prescription ledger.ID, when time.Time, dispense ledger.ID, status string) {
	id := at(when)
	w.record(ledger.Record{ID: id, Org: pharmacy, Type: "MedicationDispense", Of: dispense}, fmt.Sprintf(`{"resourceType":"MedicationDispense","identifier":[{"system":"https://pharmacy.example/md","value":%q}],"status":%q,"medicationCodeableConcept":{"text":"x"},"subject":{"identifier":{"system":"https://clinic.example/patient","value":"1"}},"authorizingPrescription":[{"identifier":{"value":"1"}}]}`, dispense, status))
	for i, d := range w.dispenses[prescription] {
		if d.Resource == dispense {
			w.dispenses[prescription][i].Status = status
			return
		}
	}
	w.dispenses[prescription] = append(w.dispenses[prescription], ledger.Dispense{Resource: dispense, Prescription: prescription, Status: status})
}

// order is a MedicationRequest of our own writing.
func order(identifier, drug, dosage, quantity string, repeats int) string {
	d := ""
	if dosage != "" {
		d = fmt.Sprintf(`"dosageInstruction":[{"text":%q}],`, dosage)
	}
	return fmt.Sprintf(`{"resourceType":"MedicationRequest","contained":[{"resourceType":"Patient","id":"p","name":[{"given":["Ada"],"family":"Novak"}],"birthDate":"1980-05-03"},{"resourceType":"Practitioner","id":"d","name":[{"text":"Dr. Miriam Okafor"}]}],
"identifier":[{"system":"https://clinic.example/rx","value":%q}],"status":"active","intent":"order","medicationCodeableConcept":{"text":%q},"subject":{"reference":"#p"},"authoredOn":"2026-11-20","requester":{"reference":"#d"},%s"note":[{"text":"Take with food. Call us if you feel dizzy."}],
"dispenseRequest":{"validityPeriod":{"end":"2027-02-20"},"numberOfRepeatsAllowed":%d,"quantity":{"value":%s,"unit":"tablets"}}}`, identifier, drug, d, repeats, quantity)
}

// signIn makes an invitation and returns its token.
func (w *world) invite(patient ledger.ID) string {
	token := "token-" + uuid.NewString()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.invitations[tokenHash(token)] = patient
	return token
}

// adapters.Records.

func (w *world) ReadAll(_ context.Context, who adapters.Reader, ids []ledger.ID) ([]adapters.Plain, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reads, w.readRecords = append(w.reads, who), append(w.readRecords, slices.Clone(ids))
	var out []adapters.Plain
	for _, id := range ids {
		p, ok := w.records[id]
		if !ok {
			return nil, ledger.ErrNotFound
		}
		out = append(out, p)
	}
	return out, w.down
}

func (w *world) Prove(_ context.Context, who adapters.Reader, id ledger.ID, whole func(adapters.Plain) bool) (receipt.Receipt, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	proof, ok := w.proofs[id]
	if !ok {
		return proof, fault.Of(fault.CodeNotSigned)
	}
	if !whole(w.records[id]) {
		proof.Opening = nil
	}
	w.reads, w.readRecords = append(w.reads, who), append(w.readRecords, []ledger.ID{id})
	return proof, w.down
}

func (w *world) Prescription(_ context.Context, id ledger.ID) (ledger.Prescription, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.prescriptions {
		if p.ID == id {
			return p, w.down
		}
	}
	return ledger.Prescription{}, ledger.ErrNotFound
}

func (w *world) PatientPrescriptions(_ context.Context, patient ledger.ID) ([]ledger.Prescription, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []ledger.Prescription
	for _, p := range w.prescriptions {
		if p.Patient == patient {
			out = append(out, p)
		}
	}
	return out, w.down
}

func (w *world) PrescriptionDispenses(_ context.Context, id ledger.ID) ([]ledger.Dispense, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.dispenses[id]), nil
}

func (w *world) Versions(_ context.Context, of ledger.ID) ([]ledger.Record, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []ledger.Record
	for _, p := range w.records {
		if p.Record.Of == of {
			out = append(out, p.Record)
		}
	}
	slices.SortFunc(out, func(x, y ledger.Record) int { return bytes.Compare(x.ID[:], y.ID[:]) })
	return out, nil
}

// *directory.Directory.

func (w *world) Organization(id ledger.ID) (ledger.Organization, bool) {
	o, ok := w.orgs[id]
	return o, ok
}

func (w *world) Organizations() []ledger.Organization {
	var out []ledger.Organization
	for _, o := range w.orgs {
		out = append(out, o)
	}
	return out
}

// *ledger.Keyring.

func (w *world) Index(org ledger.ID, parts ...string) ledger.Key {
	h := hmac.New(sha256.New, org[:])
	h.Write([]byte(strings.Join(parts, "\x00")))
	return ledger.Key{Org: org, Hash: ledger.Hash(h.Sum(nil))}
}

func (w *world) ForPatient(_ context.Context, patient ledger.ID) (ledger.PatientKey, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	k, ok := w.keys[patient]
	if !ok {
		var org ledger.ID
		for _, p := range w.prescriptions {
			if p.Patient == patient {
				org = p.Clinic
			}
		}
		k = ledger.PatientKey{Patient: patient, Org: org, KeyID: uuid.New(), Key: bytes.Repeat([]byte{9}, 32)}
		w.keys[patient], w.keys[k.KeyID] = k, k
	}
	return k, nil
}

func (w *world) Key(_ context.Context, id ledger.ID) (ledger.PatientKey, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if k, ok := w.keys[id]; ok {
		return k, nil
	}
	return ledger.PatientKey{}, ledger.ErrErased
}

// adapters.Submitter and core NATS.

func (w *world) Call(_ context.Context, m streams.Message, _ time.Duration) (streams.Answer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, m)
	if w.answerErr == nil && w.answer.Status < 400 {
		w.relink(m)
	}
	return w.answer, w.answerErr
}

func (w *world) subscribe(subject string, changed func()) (func(), error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.listeners[subject] = append(w.listeners[subject], changed)
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.listeners, subject)
	}, nil
}

func (w *world) listening(patient ledger.ID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.listeners[streams.LiveSubject(patient.String())]) > 0
}

// directory.Store.

func (w *world) AddInvitation(_ context.Context, hash ledger.Hash, patient ledger.ID, _ time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.invitations[hash] = patient
	return nil
}

func (w *world) Redeem(_ context.Context, invitation, session ledger.Hash, _, until time.Time) (ledger.ID, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	patient, ok := w.invitations[invitation]
	if !ok {
		return ledger.ID{}, ledger.ErrNotFound
	}
	delete(w.invitations, invitation)
	w.sessions[session], w.ends[session] = patient, until
	return patient, nil
}

func (w *world) Session(_ context.Context, hash ledger.Hash, now time.Time) (ledger.ID, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	patient, ok := w.sessions[hash]
	if !ok || !now.Before(w.ends[hash]) {
		return ledger.ID{}, ledger.ErrNotFound
	}
	return patient, nil
}

func (w *world) EndSession(_ context.Context, hash ledger.Hash) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.sessions, hash)
	return nil
}

func (w *world) PutDevice(_ context.Context, d directory.Device) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.devices[d.ID] = d
	return nil
}

func (w *world) Devices(_ context.Context, patient ledger.ID) ([]directory.Device, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []directory.Device
	for _, d := range w.devices {
		if d.Patient == patient && d.Dead == "" {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(x, y directory.Device) int { return bytes.Compare(x.ID[:], y.ID[:]) })
	return out, nil
}

func (w *world) DevicesOf(ctx context.Context, patients []ledger.ID) ([]directory.Device, error) {
	var out []directory.Device
	for _, p := range patients {
		ds, err := w.Devices(ctx, p)
		if err != nil {
			return nil, err
		}
		out = append(out, ds...)
	}
	return out, nil
}

func (w *world) Device(_ context.Context, id ledger.ID) (directory.Device, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if d, ok := w.devices[id]; ok {
		return d, nil
	}
	return directory.Device{}, ledger.ErrNotFound
}

func (w *world) DropDevice(_ context.Context, id ledger.ID, reason string, _ time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	d, ok := w.devices[id]
	if !ok {
		return fault.Of(fault.CodeNotFound)
	}
	d.Dead = reason
	w.devices[id] = d
	return nil
}

func (w *world) Receipt(context.Context, ledger.ID, string, time.Time) error { return nil }

func (w *world) Invited(_ context.Context, invitation ledger.Hash, by ledger.ID, _ time.Time) (ledger.ID, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if j, ok := w.joined[invitation]; ok && j[0] == by {
		return j[1], nil
	}
	if p, ok := w.invitations[invitation]; ok {
		return p, nil
	}
	return ledger.ID{}, ledger.ErrNotFound
}

func (w *world) Join(ctx context.Context, invitation ledger.Hash, by ledger.ID, now time.Time) (ledger.ID, error) {
	p, err := w.Invited(ctx, invitation, by, now)
	if err != nil || p == by {
		return ledger.ID{}, ledger.ErrNotFound
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.invitations, invitation)
	w.joined[invitation] = [2]ledger.ID{by, p}
	return p, nil
}

func (w *world) Linked(_ context.Context, patients []ledger.ID) (map[ledger.ID][]ledger.ID, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[ledger.ID][]ledger.ID{}
	for _, p := range patients {
		for _, all := range w.links {
			if slices.Contains(all, p) {
				out[p] = all
			}
		}
	}
	return out, w.down
}

// relink does what the recorder does with facts about links.
func (w *world) relink(m streams.Message) {
	var f struct{ Patient, Other ledger.ID }
	switch {
	case strings.HasSuffix(m.Subject, ".link") && json.Unmarshal(m.Body, &f) == nil:
		w.links = append(w.links, []ledger.ID{f.Patient, f.Other})
	case strings.HasSuffix(m.Subject, ".unlink"):
		_ = json.Unmarshal(m.Body, &f)
		w.links = slices.DeleteFunc(w.links, func(all []ledger.ID) bool { return slices.Contains(all, f.Patient) })
	}
}
