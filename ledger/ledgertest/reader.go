package ledgertest

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

func testRows(t *testing.T, s Backend) {
	a := access(newID())
	if err := s.InsertAccess(t.Context(), a); err != nil {
		t.Fatalf("InsertAccess: %v", err)
	}
	b := newBatch(begin(t, s))
	r := b.record(300)
	a.Index = b.entry(ledger.KindAccess, sha256.Sum256(a.Bytes()), ledger.Hash{})
	b.Accesses = append(b.Accesses, ledger.AccessIndex{ID: a.ID, Index: a.Index})
	b.statement(ledger.KindStatement, "a policy – with an umlaut: ü")
	commit(t, s, b)

	all := rows(t, s, 1)
	if len(all) != 3 {
		t.Fatalf("got %d rows, want 3", len(all))
	}
	for i, row := range all {
		same(t, "entry", row.Entry, b.Entries[i])
	}
	same(t, "record", all[0], ledger.Row{Entry: b.Entries[0], Record: &r})
	same(t, "access", all[1], ledger.Row{Entry: b.Entries[1], Access: &a})
	same(t, "statement", all[2], ledger.Row{Entry: b.Entries[2], Statement: &b.Statements[0]})
	if got := sha256.Sum256(all[1].Access.Bytes()); got != all[1].Entry.Digest {
		t.Error("the access row as read does not match its entry")
	}
	for i, want := range b.Entries {
		got, err := s.Entry(t.Context(), uint64(i)+1)
		if err != nil {
			t.Errorf("Entry: %v", err)
		}
		same(t, "entry by index", got, want)
	}
	for _, beyond := range []uint64{4, 1<<64 - 1} {
		if _, err := s.Entry(t.Context(), beyond); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("Entry(%d): %v, want ErrNotFound", beyond, err)
		}
	}
	if n := len(rows(t, s, 4)); n != 0 {
		t.Errorf("%d rows beyond the end", n)
	}
	for row, err := range s.Rows(t.Context(), 0) { // a reader may stop early
		if err != nil || row.Entry.Index != 0 {
			t.Errorf("first row: %+v, %v", row, err)
		}
		break
	}
	same(t, "head after stopping early", head(t, s), b.To)
}

func testRecords(t *testing.T, s Backend) {
	b := newBatch(begin(t, s))
	fact := b.record(80, func(r *ledger.Record) { r.Org, r.Type = ledger.ID{}, "fact" })
	v1 := b.record(80)
	v2 := b.record(81, func(r *ledger.Record) { r.Of, r.Version, r.Org = v1.ID, 2, v1.Org })
	v3 := b.record(0, func(r *ledger.Record) { r.Of, r.Version, r.Type = v1.ID, 3, strings.Repeat("t", 32) })
	h := commit(t, s, b)

	for _, want := range []ledger.Record{fact, v1, v2, v3} {
		got, err := s.Record(t.Context(), want.ID)
		if err != nil {
			t.Errorf("Record: %v", err)
		}
		same(t, "record", got, want)
	}
	list, err := s.Versions(t.Context(), v1.ID)
	if err != nil {
		t.Errorf("Versions: %v", err)
	}
	same(t, "versions", list, []ledger.Record{v1, v2, v3})
	if list, err = s.Versions(t.Context(), newID()); err != nil || len(list) != 0 {
		t.Errorf("Versions of a stranger: %d, %v, want none", len(list), err)
	}
	if _, err := s.Record(t.Context(), newID()); !isNotFound(err) {
		t.Errorf("Record of a stranger: %v, want ErrNotFound", err)
	}

	long := newBatch(h)
	long.record(10, func(r *ledger.Record) { r.Type = strings.Repeat("t", 33) })
	refused(t, s, long)
}

func testPrescriptions(t *testing.T, s Backend) {
	b := newBatch(begin(t, s))
	r := b.record(50)
	patient := newID()
	his := func(p *ledger.Prescription) { p.Patient = patient }
	want := []ledger.Prescription{b.prescription(r, his), b.prescription(r, his), b.prescription(r, his)}
	b.prescription(r)
	commit(t, s, b)

	slices.SortFunc(want, func(x, y ledger.Prescription) int { return bytes.Compare(y.ID[:], x.ID[:]) })
	got, err := s.PatientPrescriptions(t.Context(), patient)
	if err != nil {
		t.Errorf("PatientPrescriptions: %v", err)
	}
	same(t, "newest first", got, want)
	one, err := s.Prescription(t.Context(), want[1].ID)
	if err != nil {
		t.Errorf("Prescription: %v", err)
	}
	same(t, "prescription", one, want[1])
	if _, err := s.Prescription(t.Context(), newID()); !isNotFound(err) {
		t.Errorf("Prescription of a stranger: %v, want ErrNotFound", err)
	}
}

func testDue(t *testing.T, s Backend) {
	b := newBatch(begin(t, s))
	r := b.record(50)
	at := func(due int64) ledger.Prescription {
		return b.prescription(r, func(p *ledger.Prescription) { p.DueAt = due })
	}
	late, later, never, soon := at(2000), at(1000), at(0), at(2001)
	commit(t, s, b)
	got, err := s.Due(t.Context(), 2000, 10)
	if err != nil {
		t.Errorf("Due: %v", err)
	}
	same(t, "due", got, []ledger.Prescription{later, late})
	if got, err = s.Due(t.Context(), 9000, 1); err != nil || len(got) != 1 || got[0].ID != later.ID {
		t.Errorf("at most one: %d, %v", len(got), err)
	}
	_, _ = never, soon
}

// testUnfetched: what was delivered long ago, is not acknowledged, and still waits at that pharmacy.
func testUnfetched(t *testing.T, s Backend) {
	b := newBatch(begin(t, s))
	pharmacy := ledger.Organization{ID: newID(), Kind: "pharmacy", Name: "Harbour"}
	b.Organizations = append(b.Organizations, pharmacy)
	sent := func(time int64, edit ...func(*ledger.Prescription)) ledger.Prescription {
		r := b.record(50)
		p := b.prescription(r, append([]func(*ledger.Prescription){func(p *ledger.Prescription) { p.Pharmacy = pharmacy.ID }}, edit...)...)
		b.effect(ledger.Effect{Kind: ledger.EffectDeliver, Org: pharmacy.ID, Type: "MedicationRequest", Record: r.ID, Index: r.Index, Time: time})
		return p
	}
	sent(1000) // number 1 is acknowledged below
	var want []ledger.Unfetched
	for _, time := range []int64{1000, 2000, 2001} {
		p := sent(time)
		want = append(want, ledger.Unfetched{Number: b.To.Deliveries, Time: time, Prescription: p})
	}
	sent(1000, func(p *ledger.Prescription) { p.Status = "held" })
	sent(1000, func(p *ledger.Prescription) { p.Pharmacy = newID() }) // sent elsewhere since
	commit(t, s, b)
	if err := s.SetAcknowledged(t.Context(), map[ledger.ID]uint64{pharmacy.ID: 1}); err != nil {
		t.Fatal(err)
	}
	unfetched := func(at ledger.ID, after uint64, limit int) []ledger.Unfetched {
		t.Helper()
		got, err := s.Unfetched(t.Context(), at, after, limit)
		if err != nil {
			t.Errorf("Unfetched: %v", err)
		}
		return got
	}
	var got []ledger.Unfetched
	for _, after := range []uint64{0, want[0].Number, want[1].Number, want[2].Number} { // a page at a time
		got = append(got, unfetched(pharmacy.ID, after, 1)...)
	}
	same(t, "not fetched", got, want)
	same(t, "all not fetched", unfetched(pharmacy.ID, 0, 10), want)
	same(t, "elsewhere", unfetched(newID(), 0, 10), []ledger.Unfetched(nil))
}

func testEffects(t *testing.T, s Backend) {
	b := newBatch(begin(t, s))
	r := b.record(50)
	org := newID()
	all := []ledger.Effect{
		b.effect(ledger.Effect{Kind: ledger.EffectDeliver, Org: org, Type: "Bundle", Record: r.ID, Items: []int{0, 2, 300},
			Prescription: newID(), Claim: 5, State: "held", Seq: 12, Index: r.Index, Time: b.To.Time}),
		b.effect(ledger.Effect{Kind: ledger.EffectWake, Patient: newID(), Type: "accepted", State: "held", Seq: 12, Index: r.Index, Time: b.To.Time}),
		b.effect(ledger.Effect{Kind: ledger.EffectDeliver, Org: newID(), Type: "OperationOutcome",
			Body: []byte(`{"resourceType":"OperationOutcome"}`), Seq: 12, Index: ledger.NoIndex, Time: b.To.Time}),
		b.effect(ledger.Effect{Kind: ledger.EffectDeliver, Org: org, Type: "MedicationRequest", Record: r.ID, Seq: 12, Index: r.Index, Time: b.To.Time}),
	}
	commit(t, s, b)

	for _, tt := range []struct {
		name  string
		org   ledger.ID
		after uint64
		limit int
		want  []ledger.Effect
	}{
		{"all", ledger.ID{}, 0, 10, all},
		{"a page", ledger.ID{}, 1, 2, all[1:3]},
		{"beyond the end", ledger.ID{}, 4, 10, nil},
		{"of one organisation", org, 0, 10, []ledger.Effect{all[0], all[3]}},
		{"its second page", org, 1, 1, all[3:4]},
		{"of a stranger", newID(), 0, 10, nil},
		{"limit 0", ledger.ID{}, 0, 0, nil},
	} {
		got, err := s.Effects(t.Context(), tt.org, tt.after, tt.limit)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		same(t, tt.name, got, tt.want)
	}
	got, _ := s.Effects(t.Context(), org, 1, 1)
	if len(got) == 1 && (got[0].Items != nil || got[0].Body != nil) {
		t.Errorf("absent items and body must be nil, got %v and %v", got[0].Items, got[0].Body)
	}
}

func testAcknowledged(t *testing.T, s Backend) {
	begin(t, s)
	ctx := t.Context()
	a, b := newID(), newID()
	for _, step := range []struct{ set, want map[ledger.ID]uint64 }{
		{nil, nil},
		{map[ledger.ID]uint64{a: 5, {}: 9}, map[ledger.ID]uint64{a: 5, {}: 9}},
		{map[ledger.ID]uint64{a: 4, b: 1, {}: 10}, map[ledger.ID]uint64{a: 5, b: 1, {}: 10}}, // never back
		{map[ledger.ID]uint64{a: 6}, map[ledger.ID]uint64{a: 6, b: 1, {}: 10}},
	} {
		if err := s.SetAcknowledged(ctx, step.set); err != nil {
			t.Fatalf("SetAcknowledged: %v", err)
		}
		got, err := s.Acknowledged(ctx)
		if err != nil {
			t.Fatalf("Acknowledged: %v", err)
		}
		same(t, "acknowledged", got, step.want)
	}
}

func testAccess(t *testing.T, s Backend) {
	ctx := t.Context()
	h := begin(t, s)
	var all []ledger.Access
	for i := range 4 {
		a := access(newID())
		a.Time += int64(i)
		all = append(all, a)
		if err := s.InsertAccess(ctx, a); err != nil {
			t.Fatalf("InsertAccess: %v", err)
		}
	}
	pending := func(limit int) []ledger.Access {
		got, err := s.PendingAccess(ctx, limit)
		if err != nil {
			t.Fatalf("PendingAccess: %v", err)
		}
		return got
	}
	same(t, "pending", pending(10), all)
	same(t, "the oldest", pending(2), all[:2])

	chain := func(h ledger.Head, id ledger.ID, a ledger.Access) *batch {
		b := newBatch(h)
		i := b.entry(ledger.KindAccess, sha256.Sum256(a.Bytes()), ledger.Hash{})
		b.Accesses = append(b.Accesses, ledger.AccessIndex{ID: id, Index: i})
		return b
	}
	h = commit(t, s, chain(h, all[0].ID, all[0]))
	same(t, "pending after chaining one", pending(10), all[1:])
	refused(t, s, chain(h, all[0].ID, all[0]))          // one disclosure, one entry
	refused(t, s, chain(h, newID(), all[1]))            // an entry that covers nothing
	all[1].Index = h.Size                               // an index is given by the recorder only:
	if err := s.InsertAccess(ctx, all[1]); err == nil { // and an id is used once
		t.Error("InsertAccess took an id twice")
	}
	for name, edit := range map[string]func(*ledger.Access){
		"person":  func(a *ledger.Access) { a.Person = strings.Repeat("p", ledger.MaxPerson+1) },
		"purpose": func(a *ledger.Access) { a.Purpose = strings.Repeat("p", ledger.MaxPurpose+1) },
	} {
		a := access(newID())
		edit(&a)
		if err := s.InsertAccess(ctx, a); fault.KindOf(err) != fault.Invalid || err == nil {
			t.Errorf("InsertAccess with a long %s: %v, want an invalid kind", name, err)
		}
	}
	walk(t, s)
}

func testDirectory(t *testing.T, s Backend) {
	b := newBatch(begin(t, s))
	clinic := ledger.Organization{ID: newID(), Kind: "clinic", Name: "Praxis Süd", Sandbox: true,
		Identifiers: []ledger.Identifier{{System: "http://hl7.org/fhir/sid/us-npi", Value: "1234567893"}, {System: "urn:a", Value: "x|y"}},
		Intents:     []string{"instance-order", "reflex-order"},
		Signature:   "require", Anchors: "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"}
	pharmacy := ledger.Organization{ID: newID(), Kind: "pharmacy", Name: "P"}
	client := ledger.Client{ID: newID(), Org: clinic.ID, Secret: randomHash()}
	b.Organizations = []ledger.Organization{clinic, pharmacy}
	b.Clients = []ledger.Client{client}
	h := commit(t, s, b)
	sameDirectory(t, s, []ledger.Organization{clinic, pharmacy}, []ledger.Client{client})

	b = newBatch(h) // replaced: one identifier goes and may be used by another
	freed := clinic.Identifiers[0]
	clinic.Identifiers, clinic.Intents, clinic.Disabled, clinic.Name = clinic.Identifiers[1:], nil, true, "B"
	clinic.Signature, clinic.Anchors, pharmacy.Signature = "", "", "record"
	pharmacy.Identifiers = []ledger.Identifier{freed}
	client.Disabled = true
	second := ledger.Client{ID: newID(), Org: clinic.ID, Secret: randomHash()}
	b.Organizations = []ledger.Organization{clinic, pharmacy}
	b.Clients = []ledger.Client{client, second}
	h = commit(t, s, b)
	sameDirectory(t, s, []ledger.Organization{clinic, pharmacy}, []ledger.Client{client, second})

	b = newBatch(h)
	b.Organizations = []ledger.Organization{{ID: newID(), Kind: "clinic", Name: "thief", Identifiers: []ledger.Identifier{freed}}}
	refused(t, s, b)
	b = newBatch(h)
	b.Organizations = []ledger.Organization{{ID: newID(), Kind: "clinic", Name: "no such policy", Signature: "demand"}}
	refused(t, s, b)
	sameDirectory(t, s, []ledger.Organization{clinic, pharmacy}, []ledger.Client{client, second})
}

func sameDirectory(t *testing.T, s Backend, orgs []ledger.Organization, clients []ledger.Client) {
	t.Helper()
	gotOrgs, gotClients, err := s.Directory(t.Context())
	if err != nil {
		t.Fatalf("Directory: %v", err)
	}
	byID := func(a, b ledger.ID) int { return bytes.Compare(a[:], b[:]) }
	for _, list := range [][]ledger.Organization{gotOrgs, orgs} {
		slices.SortFunc(list, func(a, b ledger.Organization) int { return byID(a.ID, b.ID) })
		for _, o := range list {
			slices.SortFunc(o.Identifiers, func(a, b ledger.Identifier) int {
				return cmp.Or(strings.Compare(a.System, b.System), strings.Compare(a.Value, b.Value))
			})
		}
	}
	for _, list := range [][]ledger.Client{gotClients, clients} {
		slices.SortFunc(list, func(a, b ledger.Client) int { return byID(a.ID, b.ID) })
	}
	same(t, "organisations", gotOrgs, orgs)
	same(t, "clients", gotClients, clients)
}

// access is a complete row that waits for its entry.
func access(id ledger.ID) ledger.Access {
	return ledger.Access{ID: id, Org: newID(), Client: newID(), Person: "dr-77", Purpose: "TREAT", Action: "read",
		Records: []ledger.ID{newID(), newID()}, Time: 1_790_000_000_123, Index: ledger.NoIndex}
}

// isNotFound reports ErrNotFound, wrapped or not.
func isNotFound(err error) bool { return errors.Is(err, ledger.ErrNotFound) }
