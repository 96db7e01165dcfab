package ledgertest

import (
	"bytes"
	"slices"
	"testing"

	"github.com/dosewire/dosewire/ledger"
)

func testLoadMessages(t *testing.T, s Backend) {
	b := newBatch(begin(t, s))
	r := b.record(50)
	recorded := ledger.Message{Key: key(r.Org), Body: randomHash(), Record: r.ID, Answer: []byte(`{"status":201}`), Seq: 41}
	refusal := ledger.Message{Key: key(r.Org), Body: randomHash(), Answer: []byte(`{"status":409,"code":"RX_HELD_BY_OTHER"}`), Seq: 42}
	b.Messages = append(b.Messages, recorded, refusal)
	commit(t, s, b)

	stranger := ledger.Key{Org: newID(), Hash: recorded.Hash}
	have := load(t, s, ledger.Want{Messages: []ledger.Key{recorded.Key, stranger, refusal.Key, recorded.Key}})
	same(t, "messages", have.Messages, map[ledger.Key]ledger.Message{recorded.Key: recorded, refusal.Key: refusal})
}

func testLoadPrescriptions(t *testing.T, s Backend) {
	b := newBatch(begin(t, s))
	first := b.record(50)
	plain := b.prescription(first)
	rich := b.prescription(first, func(p *ledger.Prescription) { // two of one Bundle; every column set
		p.Holder, p.Claim, p.FillsDone, p.Group = newID(), 7, 2, randomHash()
		p.DueAt, p.Version, p.Status, p.Therapy = 1_790_000_123_456, 9, "ready-to-collect", slices.Concat(token(), token())
	})
	waiting := b.prescription(first, func(p *ledger.Prescription) { p.Pharmacy = ledger.ID{} })
	h := commit(t, s, b)

	b = newBatch(h) // a second version of rich: a record of its own, the state replaced
	second := b.record(60, func(r *ledger.Record) { r.Org, r.Of, r.Version = first.Org, rich.ID, 2 })
	rich.Record, rich.Version, rich.Status, rich.Holder = second.ID, 10, "cancelled", ledger.ID{}
	rich.State = []byte(`{"phase":"cancelled"}`)
	b.Prescriptions = append(b.Prescriptions, rich)
	h = commit(t, s, b)
	b = newBatch(h) // and a third, so that the second is neither first nor in force
	third := b.record(60, func(r *ledger.Record) { r.Org, r.Of, r.Version = first.Org, rich.ID, 3 })
	rich.Record, rich.Version = third.ID, 11
	b.Prescriptions = append(b.Prescriptions, rich)
	commit(t, s, b)

	all := func(ps ...ledger.Prescription) map[ledger.ID]ledger.Prescription {
		m := map[ledger.ID]ledger.Prescription{}
		for _, p := range ps {
			m[p.ID] = p
		}
		return m
	}
	for name, tt := range map[string]struct {
		want ledger.Want
		have map[ledger.ID]ledger.Prescription
	}{
		"by hub id":               {ledger.Want{Prescriptions: []ledger.ID{plain.ID, newID(), plain.ID}}, all(plain)},
		"by record in force":      {ledger.Want{Prescriptions: []ledger.ID{third.ID}}, all(rich)},
		"by older version":        {ledger.Want{Prescriptions: []ledger.ID{second.ID}}, all(rich)},
		"by Bundle":               {ledger.Want{Prescriptions: []ledger.ID{first.ID}}, all(plain, waiting)},
		"without pharmacy":        {ledger.Want{Prescriptions: []ledger.ID{waiting.ID}}, all(waiting)},
		"by several ways at once": {ledger.Want{Prescriptions: []ledger.ID{second.ID, rich.ID}, Identities: []ledger.Key{{Org: rich.Clinic, Hash: rich.Identity}}}, all(rich)},
	} {
		same(t, name, load(t, s, tt.want).Prescriptions, tt.have)
	}

	mine := ledger.Key{Org: rich.Clinic, Hash: rich.Identity}
	stranger := ledger.Key{Org: newID(), Hash: rich.Identity}
	have := load(t, s, ledger.Want{Identities: []ledger.Key{mine, stranger}})
	same(t, "identities", have.Identities, map[ledger.Key]ledger.ID{mine: rich.ID})
	same(t, "prescriptions by identity", have.Prescriptions, all(rich))
}

func testLoadCitations(t *testing.T, s Backend) {
	b := newBatch(begin(t, s))
	r := b.record(50)
	pharmacy, other := newID(), newID()
	p1, p2, p3 := b.prescription(r), b.prescription(r), b.prescription(r)
	ident, local := randomHash(), randomHash()
	b.Delivered = []ledger.Delivered{
		{Pharmacy: pharmacy, Prescription: p1.ID, Identifier: ident, Local: local},
		{Pharmacy: pharmacy, Prescription: p2.ID, Local: local}, // two clinics may use one local id
		{Pharmacy: other, Prescription: p3.ID, Identifier: ident},
	}
	h := commit(t, s, b)

	b = newBatch(h) // delivered again: nothing new
	b.Delivered = []ledger.Delivered{{Pharmacy: pharmacy, Prescription: p1.ID, Identifier: ident, Local: local}}
	commit(t, s, b)

	byIdent, byLocal := ledger.Key{Org: pharmacy, Hash: ident}, ledger.Key{Org: pharmacy, Hash: local}
	have := load(t, s, ledger.Want{Citations: []ledger.Key{byIdent, byLocal, {Org: newID(), Hash: ident}, {Org: pharmacy}}})
	same(t, "citations", have.Citations, map[ledger.Key][]ledger.ID{byIdent: {p1.ID}, byLocal: sorted(p1.ID, p2.ID)})
	same(t, "prescriptions", have.Prescriptions, map[ledger.ID]ledger.Prescription{p1.ID: p1, p2.ID: p2})
	same(t, "delivered", have.Delivered, map[[2]ledger.ID]bool{{pharmacy, p1.ID}: true, {pharmacy, p2.ID}: true})

	have = load(t, s, ledger.Want{Prescriptions: []ledger.ID{p3.ID}}) // every pair, however it was found
	same(t, "delivered", have.Delivered, map[[2]ledger.ID]bool{{other, p3.ID}: true})

	for _, tt := range []struct {
		pharmacy, rx ledger.ID
		want         bool
	}{{pharmacy, p1.ID, true}, {other, p1.ID, false}, {other, p3.ID, true}, {pharmacy, newID(), false}} {
		if got, err := s.WasDelivered(t.Context(), tt.pharmacy, tt.rx); err != nil || got != tt.want {
			t.Errorf("WasDelivered = %v, %v, want %v", got, err, tt.want)
		}
	}
}

func testLoadDispenses(t *testing.T, s Backend) {
	b := newBatch(begin(t, s))
	r := b.record(50)
	p := b.prescription(r)
	pharmacy := newID()
	cited := ledger.Dispense{Key: key(pharmacy), Resource: newID(), Prescription: p.ID, Claim: 3, Status: "preparation", Version: 1}
	history := ledger.Dispense{Key: key(pharmacy), Resource: newID(), Status: "completed", Version: 1}
	b.Dispenses = append(b.Dispenses, cited, history)
	h := commit(t, s, b)

	b = newBatch(h)
	cited.Status, cited.Version, cited.Claim = "completed", 2, 4
	b.Dispenses = append(b.Dispenses, cited)
	commit(t, s, b)

	have := load(t, s, ledger.Want{Dispenses: []ledger.Key{cited.Key, history.Key, {Org: newID(), Hash: cited.Hash}}})
	same(t, "dispenses", have.Dispenses, map[ledger.Key]ledger.Dispense{cited.Key: cited, history.Key: history})
	same(t, "their prescriptions", have.Prescriptions, map[ledger.ID]ledger.Prescription{p.ID: p})

	for _, d := range []ledger.Dispense{cited, history} {
		got, err := s.DispenseByResource(t.Context(), d.Resource)
		if err != nil {
			t.Errorf("DispenseByResource: %v", err)
		}
		same(t, "dispense", got, d)
	}
	if _, err := s.DispenseByResource(t.Context(), newID()); !isNotFound(err) {
		t.Errorf("DispenseByResource of a stranger: %v, want ErrNotFound", err)
	}
	list, err := s.PrescriptionDispenses(t.Context(), p.ID)
	if err != nil {
		t.Errorf("PrescriptionDispenses: %v", err)
	}
	same(t, "dispenses of the prescription", list, []ledger.Dispense{cited})
}

func testLoadPatients(t *testing.T, s Backend) {
	b := newBatch(begin(t, s))
	r := b.record(50)
	patient := newID()
	waits := func(p *ledger.Prescription) { p.Patient, p.Pharmacy = patient, ledger.ID{} }
	w1, w2 := b.prescription(r, waits), b.prescription(r, waits)
	b.prescription(r, func(p *ledger.Prescription) { p.Patient = patient }) // routed
	b.Nominations = []ledger.Nomination{{Patient: patient, Pharmacy: newID()}}
	h := commit(t, s, b)

	b = newBatch(h) // a later choice replaces the first
	chosen := newID()
	b.Nominations = []ledger.Nomination{{Patient: patient, Pharmacy: chosen}}
	commit(t, s, b)

	have := load(t, s, ledger.Want{Patients: []ledger.ID{patient, newID()}, Waiting: []ledger.ID{patient, newID()}})
	same(t, "nominations", have.Nominations, map[ledger.ID]ledger.ID{patient: chosen})
	same(t, "waiting", have.Waiting, map[ledger.ID][]ledger.ID{patient: sorted(w1.ID, w2.ID)})
	same(t, "prescriptions", have.Prescriptions, map[ledger.ID]ledger.Prescription{w1.ID: w1, w2.ID: w2})
}

// testLoadTherapies: what a patient may be taking that has a token in common with what is asked, alive first,
// newest first, no more than asked for at most.
func testLoadTherapies(t *testing.T, s Backend) {
	b := newBatch(begin(t, s))
	r := b.record(50)
	patient, many := newID(), newID()
	one, two, three, four, five := token(), token(), token(), token(), token()
	put := func(whose ledger.ID, status string, tokens ...[]byte) ledger.Prescription {
		return b.prescription(r, func(p *ledger.Prescription) {
			p.Patient, p.Status, p.Therapy = whose, status, slices.Concat(tokens...)
		})
	}
	completed, ready, held := put(patient, "completed", one), put(patient, "ready", one), put(patient, "held", three, two, one)
	put(patient, "cancelled", one)
	put(patient, "replaced", one)
	put(patient, "ready", three)
	put(patient, "ready")
	put(patient, "ready", slices.Concat(token()[:6], one[:6]), slices.Concat(one[6:], token()[:6])) // between two
	mixture := put(patient, "ready", token(), token(), four, token(), five)
	expired, pending := put(patient, "expired", two, token()), put(patient, "cancel-pending", token(), one)
	put(many, "ready", one)
	put(newID(), "ready", one)
	var newest []ledger.ID
	for range ledger.MaxTherapies {
		newest = append(newest, put(many, "on-hold", one).ID)
	}
	slices.Reverse(newest)
	h := commit(t, s, b)

	ask := func(whose ledger.ID, tokens ...[]byte) ledger.Taking {
		return ledger.Taking{Patient: whose, Tokens: slices.Concat(tokens...)}
	}
	var long [][]byte
	for range 300 {
		long = append(long, token())
	}
	for name, tt := range map[string]struct {
		asked []ledger.Taking
		have  map[ledger.ID][]ledger.ID
	}{
		"by one": {[]ledger.Taking{ask(patient, one), ask(newID(), one), ask(many, one)},
			map[ledger.ID][]ledger.ID{patient: {pending.ID, held.ID, ready.ID, completed.ID}, many: newest}},
		"by one alone":  {[]ledger.Taking{ask(many, one)}, map[ledger.ID][]ledger.ID{many: newest}},
		"by several":    {[]ledger.Taking{ask(patient, token(), two, one)}, map[ledger.ID][]ledger.ID{patient: {pending.ID, held.ID, ready.ID, expired.ID, completed.ID}}},
		"by many":       {[]ledger.Taking{ask(many, token()), ask(patient, append(long, two)...)}, map[ledger.ID][]ledger.ID{patient: {held.ID, expired.ID}}},
		"by the third":  {[]ledger.Taking{ask(patient, four)}, map[ledger.ID][]ledger.ID{patient: {mixture.ID}}},
		"by the fifth":  {[]ledger.Taking{ask(patient, token(), five), ask(many, five)}, map[ledger.ID][]ledger.ID{patient: {mixture.ID}}},
		"by both":       {[]ledger.Taking{ask(patient, append(long, five, four)...)}, map[ledger.ID][]ledger.ID{patient: {mixture.ID}}},
		"by no other's": {[]ledger.Taking{ask(many, two), ask(patient, token())}, nil},
		"by nothing":    {[]ledger.Taking{ask(patient)}, nil},
	} {
		n := 0
		for _, all := range tt.have {
			n += len(all)
		}
		for _, asked := range [][]ledger.Taking{tt.asked, append(tt.asked, ask(newID(), one))} { // one alone, and with others
			have := load(t, s, ledger.Want{Therapies: asked})
			same(t, name, have.Therapies, tt.have)
			if len(have.Prescriptions) != n {
				t.Errorf("%s: %d prescriptions were loaded, want %d", name, len(have.Prescriptions), n)
			}
		}
	}

	b = newBatch(h) // another medicine, and none
	ready.Therapy, ready.Version = two, 2
	held.Therapy, held.Version = nil, 2
	b.Prescriptions = append(b.Prescriptions, ready, held)
	commit(t, s, b)
	have := load(t, s, ledger.Want{Therapies: []ledger.Taking{ask(patient, two)}})
	same(t, "after a change", have.Prescriptions, map[ledger.ID]ledger.Prescription{ready.ID: ready, expired.ID: expired})
}

// testLoadTokens: those of all prescriptions, of whoever has not too many.
func testLoadTokens(t *testing.T, s Backend) {
	b := newBatch(begin(t, s))
	r := b.record(50)
	put := func(whose ledger.ID, status string, tokens ...[]byte) {
		b.prescription(r, func(p *ledger.Prescription) { p.Patient, p.Status, p.Therapy = whose, status, slices.Concat(tokens...) })
	}
	some, none, most, many := newID(), newID(), newID(), newID()
	one, two, three := token(), token(), token()
	put(some, "ready", one, two)
	put(some, "ready")
	put(some, "cancelled", one)
	put(none, "ready")
	for range ledger.MaxTokens {
		put(most, "completed")
		put(many, "completed")
	}
	put(many, "ready", three)
	commit(t, s, b)

	stranger := newID()
	have := load(t, s, ledger.Want{Tokens: []ledger.ID{some, stranger, none, most, many}})
	got := have.Tokens[some]
	for _, want := range [][]byte{one, two} {
		if !slices.ContainsFunc(slices.Collect(slices.Chunk(got, ledger.TherapyToken)), func(token []byte) bool { return bytes.Equal(token, want) }) {
			t.Errorf("tokens %x without %x", got, want)
		}
	}
	same(t, "size of all tokens", len(got), 3*ledger.TherapyToken)
	have.Tokens[some] = nil
	same(t, "tokens", have.Tokens, map[ledger.ID][]byte{some: nil, stranger: {}, none: {}, most: {}})
	same(t, "prescriptions", have.Prescriptions, map[ledger.ID]ledger.Prescription{})
}

// testTherapy: what is no list of tokens is refused.
func testTherapy(t *testing.T, s Backend) {
	h := begin(t, s)
	for _, n := range []int{0, 1, ledger.TherapyToken + 1} {
		b := newBatch(h)
		b.prescription(b.record(50), func(p *ledger.Prescription) { p.Therapy = make([]byte, n) })
		refused(t, s, b)
	}
}

// token is one of a medicine.
func token() []byte { return randomBytes(ledger.TherapyToken) }

// testLoadNothing demands maps that can be written to, as the recorder lays a batch over them.
func testLoadNothing(t *testing.T, s Backend) {
	begin(t, s)
	for _, w := range []ledger.Want{{}, {
		Messages: []ledger.Key{key(newID())}, Identities: []ledger.Key{key(newID())}, Prescriptions: []ledger.ID{newID()},
		Citations: []ledger.Key{key(newID())}, Dispenses: []ledger.Key{key(newID())}, Patients: []ledger.ID{newID()}, Waiting: []ledger.ID{newID()},
		Linked: []ledger.ID{newID()}, Therapies: []ledger.Taking{{Patient: newID(), Tokens: token()}},
	}, {Tokens: []ledger.ID{newID()}}} {
		have := load(t, s, w)
		for _, patient := range w.Tokens { // of somebody unknown, too, it is known that there are none
			same(t, "tokens", have.Tokens, map[ledger.ID][]byte{patient: {}})
			delete(have.Tokens, patient)
		}
		same(t, "have", have, ledger.Have{})
		if have.Messages == nil || have.Prescriptions == nil || have.Identities == nil || have.Citations == nil ||
			have.Delivered == nil || have.Dispenses == nil || have.Nominations == nil || have.Waiting == nil || have.Tokens == nil || have.Therapies == nil {
			t.Errorf("a map is nil: %+v", have)
		}
	}
}

// sorted puts ids in order: lists of prescriptions in Have are oldest first.
func sorted(ids ...ledger.ID) []ledger.ID {
	slices.SortFunc(ids, func(a, b ledger.ID) int { return bytes.Compare(a[:], b[:]) })
	return ids
}
